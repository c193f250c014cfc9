"""Who takes part: one file for each way to train.

Each file has `PACKAGES`, whose versions are kept with the results, and

    prepare(problem, X, y, threads) -> train
    train(seed) -> Fit

`prepare` may compile what can be compiled beforehand. `train` is what is timed: from the arrays to
the trained network with its loss history, new initial weights included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Fit(NamedTuple):
    """A finished training."""

    loss_history: np.ndarray  # (E,), one number an epoch
    predict: Callable[[np.ndarray], np.ndarray]  # (N, D) to (N, K)


Train = Callable[[int], Fit]


@dataclass(frozen=True)
class Contestant:
    """A row of the table."""

    name: str
    module: str  # in this package
    environment: str = ".venv"  # relative to the repository
    knob: str | None = None  # handed to `prepare`, where a module can do it in more than one way


LINNET = Contestant("linnet, native engine", "linnet_train")
PYTORCH = Contestant("PyTorch, best loop in memory", "pytorch_loop")
JAX = Contestant("JAX, lax.scan", "jax_scan")
SCIKIT_LEARN = Contestant("scikit-learn, MLPRegressor", "sklearn_mlp")

# linnet comes first: the others are measured by it.
OF_TUTORIAL = (
    LINNET,
    Contestant("the tutorial's own loop", "tutorial_loop"),
    PYTORCH,
    SCIKIT_LEARN,
    JAX,
    Contestant("JAX, lax.scan, shuffling within", "jax_scan", knob="shuffle within"),
    Contestant("JAX, lax.scan, compilation included", "jax_scan", knob="compile each time"),
    Contestant("skorch", "skorch_net"),
    Contestant("Lightning", "lightning_trainer"),
    Contestant("Keras on TensorFlow", "keras_fit", environment="build/tensorflow-venv"),
)
OF_STEPS = (LINNET, PYTORCH, JAX)
OF_MEMORY = (LINNET, PYTORCH, JAX, SCIKIT_LEARN)
