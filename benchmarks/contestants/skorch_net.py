"""skorch's NeuralNetRegressor, without a validation set and without its printed log."""

from __future__ import annotations

import numpy as np
import torch
from skorch import NeuralNetRegressor

from benchmarks.contestants import Fit, Train
from benchmarks.contestants.torch_modules import build, fit_of
from benchmarks.problems import Problem

PACKAGES = ("skorch", "torch", "numpy")


def prepare(problem: Problem, X: np.ndarray, y: np.ndarray, threads: int) -> Train:
    torch.set_num_threads(threads)

    def train(seed: int) -> Fit:
        net = NeuralNetRegressor(
            build(problem, seed),
            criterion=torch.nn.MSELoss,
            optimizer=torch.optim.Adam,
            optimizer__fused=True,
            lr=problem.learning_rate,
            max_epochs=problem.epochs,
            batch_size=problem.batch_size,
            iterator_train__shuffle=True,
            train_split=None,
            callbacks__print_log=None,
            verbose=0,
        )
        net.fit(X.astype(np.float32), y.astype(np.float32))
        return fit_of(net.module_, net.history[:, "train_loss"])

    return train
