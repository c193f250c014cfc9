"""Scores of the validation rows after each epoch, as scikit-learn's MLP keeps them.

What depends on y alone is worked out once: scikit-learn's own functions, with their checks, take
longer than an epoch of a small network.

Letters: N rows, D inputs, K outputs, L labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from linnet.engine.prediction import predict
from linnet.estimators.encoding import dtype_of
from linnet.history import History
from linnet.randomness import seeded
from linnet.training import TrainingState

Scorer = Callable[[np.ndarray], float]


def r2_scorer(y: np.ndarray, weight: np.ndarray | None) -> Scorer:
    """Return a function of predictions that gives R², the mean over outputs.

    ``1 - sum(w (y - p)²) / sum(w (y - mean(y))²)``, as `sklearn.metrics.r2_score`.

    Parameters
    ----------
    y : ndarray of shape (N,) or (N, K)
    weight : ndarray of shape (N,) or None
    """
    columns, weight = y.reshape(len(y), -1), np.ones(len(y)) if weight is None else weight
    # By powers of two, which round nothing, so that no square of y overflows or vanishes.
    size = -np.frexp(np.abs(columns).max(axis=0))[1]  # (K,)
    columns = np.ldexp(columns, size)
    spread = weight @ (columns - weight @ columns / weight.sum()) ** 2  # (K,)
    varies = spread > 0

    def r2(predictions: np.ndarray) -> float:
        if len(columns) < 2:
            return float("nan")
        with np.errstate(over="ignore"):  # of a training that diverges
            errors = columns - np.ldexp(predictions.reshape(columns.shape), size)
            error = weight @ errors**2
        if varies.all():
            return 1 - float((error / spread).mean())
        # A constant target is predicted exactly, or not at all.
        return 1 - float(np.where(varies, error / np.where(varies, spread, 1), error > 0).mean())

    return r2


def accuracy_scorer(y: np.ndarray, weight: np.ndarray | None) -> Scorer:
    """Return a function of predictions that gives the fraction of rows that are right.

    Of multilabel rows each label has to be right, as in `sklearn.metrics.accuracy_score`.

    Parameters
    ----------
    y : ndarray of shape (N,), or (N, L) of zeros and ones
    weight : ndarray of shape (N,) or None
    """

    def accuracy(predictions: np.ndarray) -> float:
        is_right = (y == predictions).reshape(len(y), -1).all(axis=1)
        return float(is_right.mean() if weight is None else np.average(is_right, weights=weight))

    return accuracy


def score_keeper(
    module: nn.Module,
    inputs: np.ndarray,
    score: Callable[[torch.Tensor], float],
    state: TrainingState,
) -> Callable[[History], None]:
    """Return what `linnet.train` calls after an epoch: it appends the score to the state's.

    Parameters
    ----------
    module : torch.nn.Module
        That is trained.
    inputs : ndarray of shape (N, D)
        Validation rows.
    score : callable
        Of the module's outputs (N, K) for them.
    state : TrainingState
    """
    rows = torch.from_numpy(inputs).to(dtype_of(module))

    def keep(history: History) -> None:
        device = next(module.parameters()).device  # where it is trained
        with seeded(0, device):  # a module may draw random numbers in evaluation too
            outputs = predict(module, rows.to(device)).double().cpu()
        try:
            state.scores.append(score(outputs))
        except ValueError:  # infinite: the training diverges, and ends by its loss
            state.scores.append(math.nan)

    return keep
