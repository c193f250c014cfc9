"""scikit-learn's MLPRegressor, which has no activation of the output."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from benchmarks.contestants import Fit, Train
from benchmarks.problems import Problem

PACKAGES = ("scikit-learn", "numpy")


def prepare(problem: Problem, X: np.ndarray, y: np.ndarray, threads: int) -> Train:
    warnings.simplefilter("ignore", ConvergenceWarning)  # it is told to go through all epochs

    def train(seed: int) -> Fit:
        model = MLPRegressor(
            hidden_layer_sizes=problem.sizes[1:-1],
            activation=problem.activation,
            alpha=0.0,
            batch_size=problem.batch_size,
            learning_rate_init=problem.learning_rate,
            max_iter=problem.epochs,
            tol=0.0,
            n_iter_no_change=problem.epochs + 1,
            random_state=seed,
        )
        targets = y.astype(np.float32)
        model.fit(X.astype(np.float32), targets.ravel() if targets.shape[1] == 1 else targets)
        # Its loss is half the squared error.
        return Fit(
            2 * np.array(model.loss_curve_),
            lambda rows: model.predict(rows.astype(np.float32)).reshape(len(rows), -1),
        )

    return train
