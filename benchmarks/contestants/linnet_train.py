"""linnet.train with the native engine."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

import linnet
from benchmarks.contestants import Fit, Train
from benchmarks.contestants.torch_modules import build, fit_of
from benchmarks.problems import Problem

PACKAGES = ("linnet", "torch", "numpy")


def prepare(problem: Problem, X: np.ndarray, y: np.ndarray, threads: int) -> Train:
    torch.set_num_threads(threads)  # the most; the engine takes fewer for small steps

    def train(seed: int) -> Fit:
        module = build(problem, seed)
        history = linnet.train(
            module,
            X,
            y,
            loss=nn.MSELoss(),
            optimizer=torch.optim.Adam(module.parameters(), lr=problem.learning_rate),
            epochs=problem.epochs,
            batch_size=problem.batch_size,
            engine="native",
            random_state=seed,
        )
        return fit_of(module, history.train_loss)

    return train
