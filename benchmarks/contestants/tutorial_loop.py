"""The tutorial's loop: a Dataset, a DataLoader, a loss taken out of each step."""

from __future__ import annotations

import numpy as np
import torch
from tutorial_code import NumpyDataset, train_by_hand

from benchmarks.contestants import Fit, Train
from benchmarks.contestants.torch_modules import build, fit_of
from benchmarks.problems import Problem

PACKAGES = ("torch", "numpy")


def prepare(problem: Problem, X: np.ndarray, y: np.ndarray, threads: int) -> Train:
    torch.set_num_threads(threads)

    def train(seed: int) -> Fit:
        model = build(problem, seed)
        loss_history = train_by_hand(
            model,
            NumpyDataset(X, y),
            n_epochs=problem.epochs,
            batch_size=problem.batch_size,
            learning_rate=problem.learning_rate,
        )
        return fit_of(model, loss_history)

    return train
