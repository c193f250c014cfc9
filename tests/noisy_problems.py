"""Regression problems whose noise is known."""

from __future__ import annotations

import numpy as np


def _function(X):
    return np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2]


def homoscedastic(rng, n):
    X = rng.uniform(-2, 2, (n, 3))
    scale = np.full(n, 0.3)
    return X, _function(X) + scale * rng.normal(size=n), scale


def heteroscedastic(rng, n):
    X = rng.uniform(-2, 2, (n, 3))
    scale = 0.1 * np.exp(0.6 * (X[:, 1] + 1))
    return X, _function(X) + scale * rng.normal(size=n), scale


def two_levels(rng, n):
    X = rng.uniform(-2, 2, (n, 2))
    scale = np.where(X[:, 0] > 0, 1.0, 0.1)
    return X, np.sin(X[:, 0]) + scale * rng.normal(size=n), scale


def skewed(rng, n):
    X = rng.uniform(-2, 2, (n, 3))
    scale = np.full(n, 0.4)
    return X, _function(X) + scale * (rng.exponential(size=n) - 1), scale


def heavy_tailed(rng, n):
    X = rng.uniform(-2, 2, (n, 3))
    scale = np.full(n, 0.2)
    return X, _function(X) + scale * rng.standard_t(3, size=n), scale


def without_noise(rng, n):
    X = rng.uniform(-2, 2, (n, 4))
    return X, _function(X) + 0.5 * X[:, 3] ** 2, np.zeros(n)


def friedman(rng, n):
    """Friedman 1991, eq. 61, with five inputs that mean nothing."""
    X = rng.uniform(size=(n, 10))
    y = 10 * np.sin(np.pi * X[:, 0] * X[:, 1]) + 20 * (X[:, 2] - 0.5) ** 2
    return X, y + 10 * X[:, 3] + 5 * X[:, 4] + rng.normal(size=n), np.ones(n)


def two_outputs(rng, n):
    """The second output is a hundred times as large, and its noise depends on the inputs."""
    X = rng.uniform(-2, 2, (n, 3))
    scale = np.column_stack([np.full(n, 0.3), 100 * 0.1 * np.exp(0.6 * (X[:, 1] + 1))])
    mean = np.column_stack([_function(X), 100 * np.cos(X[:, 0] + X[:, 2])])
    return X, mean + scale * rng.normal(size=(n, 2)), scale


PROBLEMS = {
    problem.__name__: problem
    for problem in (
        homoscedastic,
        heteroscedastic,
        two_levels,
        skewed,
        heavy_tailed,
        without_noise,
        friedman,
        two_outputs,
    )
}
