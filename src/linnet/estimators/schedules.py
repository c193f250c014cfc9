"""Learning-rate schedules by name, as multiples of the initial rate.

Letters: E epochs, S steps of an epoch, N rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

SCHEDULES = ("constant", "invscaling", "adaptive", "cosine", "one_cycle")
STEPPED_PER_BATCH = ("cosine", "one_cycle")


@dataclass(frozen=True)
class InverseScaling:
    """``1 / (rows seen + 1)**power_t``, as scikit-learn's MLP does it."""

    n_rows: int
    power_t: float

    def __call__(self, epoch: int) -> float:
        return 1.0 / (epoch * self.n_rows + 1) ** self.power_t


class Adaptive(ReduceLROnPlateau):
    """Divides the rate by 5 after n_iter_no_change stale epochs, down to 1e-6, as scikit-learn."""

    def __init__(self, optimizer: torch.optim.Optimizer, n_iter_no_change: float, tol: float):
        patience = 10**9 if math.isinf(n_iter_no_change) else int(n_iter_no_change) - 1
        super().__init__(
            optimizer,
            factor=0.2,
            patience=patience,
            threshold=tol,
            threshold_mode="abs",
            min_lr=1e-6,
        )

    def step(self, metrics: Any, epoch: int | None = None) -> None:
        super().step(metrics, epoch)
        # torch keeps the last loss that was better by tol, scikit-learn and `train` the least one.
        self.best = min(self.best, float(metrics))


@dataclass(frozen=True)
class Cosine:
    """Half a cosine wave from 1 to 0 (Loshchilov and Hutter 2017, eq. 5), again and again.

    A warm-up rises linearly over the first `warm_up` of the steps of a wave.
    """

    n_steps: int
    warm_up: float = 0.0

    def __call__(self, step: int) -> float:
        # A training that goes on after the last step begins the next cycle: a warm restart.
        done = step % self.n_steps / self.n_steps
        if done < self.warm_up:
            # From 1/25, as in Smith and Topin 2018.
            return 1 / 25 + (1 - 1 / 25) * done / self.warm_up
        return 0.5 * (1 + math.cos(math.pi * (done - self.warm_up) / (1 - self.warm_up)))


def make_scheduler(
    name: str,
    optimizer: torch.optim.Optimizer,
    *,
    n_rows: int,
    n_steps: int,
    power_t: float,
    tol: float,
    n_iter_no_change: float,
) -> Any:
    """Return a scheduler, or None for a constant rate.

    Parameters
    ----------
    name : {"constant", "invscaling", "adaptive", "cosine", "one_cycle"}
    optimizer : torch.optim.Optimizer
    n_rows : int
        Training rows, N.
    n_steps : int
        Steps of the whole training, E times S.
    power_t, tol, n_iter_no_change : float
        As in scikit-learn's MLP.
    """
    if name == "invscaling":
        return LambdaLR(optimizer, InverseScaling(n_rows, power_t))
    if name == "adaptive":
        return Adaptive(optimizer, n_iter_no_change, tol)
    if name == "cosine":
        return LambdaLR(optimizer, Cosine(n_steps))
    if name == "one_cycle":
        return LambdaLR(optimizer, Cosine(n_steps, warm_up=0.3))
    return None
