"""Outputs for validation rows, each at the epoch that the other validation rows choose.

Letters: E epochs, N validation rows, K outputs.

The epoch with the least validation loss is the best for these very rows, so that their errors there
are smaller than those of new rows: by half, in mean square, where 15 rows choose among 150 epochs,
and still by some percent with 500 rows (docs/error_bars.md). A choice has to be made without the
row that judges it (Stone 1974, section 2; Varma and Simon 2006). The losses of all rows are known
at each epoch, so that it costs no training.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from linnet.engine import torch_engine
from linnet.engine.prediction import Predictor, predictor
from linnet.losses import Loss

# Beyond, the best epoch is hardly the better for any rows in particular, and each look at the rows
# takes time.
MOST_ROWS = 10_000
# Epochs that are compared in one go: one by one they would take a fifth of the time of a small fit.
# Those that wait hold so many numbers in all, and where one epoch has more, none is looked at.
_MOST_WAITING, _MOST_NUMBERS = 32, 2**20


@dataclass
class LeftOut:
    """What a network says of each validation row at the best epoch of the others so far.

    Parameters
    ----------
    loss : Loss
        Of torch's kind.
    target : Tensor of shape (N, K), or (N,) of class numbers
    weight : ndarray of shape (N,) or None
    outputs : ndarray of shape (N, K)
        Raw outputs at that epoch, in float64.
    least : ndarray of shape (N,)
        Sum of the others' losses there; infinite before they had a finite one.
    waiting : list of ndarrays of shape (N, K)
        Outputs after the latest epochs, which are not yet compared.
    """

    loss: Loss
    target: torch.Tensor
    weight: np.ndarray | None
    outputs: np.ndarray
    least: np.ndarray
    waiting: list[np.ndarray] = field(default_factory=list)
    _predictor: Predictor | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(
        cls, loss: Loss, y: np.ndarray, weight: np.ndarray | None, n_outputs: int
    ) -> LeftOut | None:
        """Return one that has seen no epoch; None for more rows than `MOST_ROWS`, or many outputs.

        Parameters
        ----------
        loss : Loss
            Of torch's kind.
        y : ndarray of shape (N, K), or (N,) of class numbers
        weight : ndarray of shape (N,) or None
        n_outputs : int
            Of the network.
        """
        if len(y) > MOST_ROWS or len(y) * n_outputs > _MOST_NUMBERS:
            return None
        target, outputs = torch.from_numpy(y), np.zeros((len(y), n_outputs))
        return cls(loss, target, weight, outputs, np.full(len(y), np.inf))

    def see(self, module: nn.Module, X: torch.Tensor) -> None:
        """Take the outputs after an epoch.

        Parameters
        ----------
        module : torch.nn.Module
            The same each time, in evaluation mode.
        X : Tensor of shape (N, D)
            The validation rows, where the module is.
        """
        if X.device.type != "cpu":
            self.take(torch_engine.predict(module, X).double().cpu().numpy())
            return
        if self._predictor is None:
            self._predictor = predictor(module, X.shape[1])  # signatures are compared once
        self.take(self._predictor(module, X.contiguous().numpy()))

    def take(self, outputs: np.ndarray) -> None:
        """Take the outputs (N, K) after an epoch."""
        self.waiting.append(outputs)
        if len(self.waiting) >= min(_MOST_WAITING, _MOST_NUMBERS // max(1, outputs.size)):
            self.compare()

    def compare(self) -> None:
        """Keep of the waiting outputs those of rows whose others have their least loss so far."""
        if not self.waiting:
            return
        outputs = np.array(self.waiting)
        E, N, K = outputs.shape
        target = self.target.expand(E, *self.target.shape).reshape(E * N, *self.target.shape[1:])
        losses = self.loss.by_row(torch.from_numpy(outputs.reshape(E * N, K)), target)
        losses = losses.double().numpy().reshape(E, N)
        if self.weight is not None:
            losses = losses * self.weight
        with np.errstate(invalid="ignore"):
            others = losses.sum(axis=1, keepdims=True) - losses
        others[~np.isfinite(others)] = np.inf
        best, rows = others.argmin(axis=0), np.arange(N)
        is_better = others[best, rows] < self.least
        np.copyto(self.outputs, outputs[best, rows], where=is_better[:, None])
        np.copyto(self.least, others[best, rows], where=is_better)
        self.waiting.clear()

    def copy(self) -> LeftOut:
        """Return one that stands where this one stands, with nothing waiting."""
        self.compare()
        outputs, least = self.outputs.copy(), self.least.copy()
        return LeftOut(self.loss, self.target, self.weight, outputs, least)

    def chosen(self, otherwise: torch.Tensor) -> torch.Tensor:
        """Return the outputs (N, K) of each row at the epoch of the others' least loss.

        Parameters
        ----------
        otherwise : Tensor of shape (N, K)
            Outputs for rows whose others had a finite loss in no epoch.
        """
        self.compare()
        is_known = torch.from_numpy(np.isfinite(self.least))
        return torch.where(is_known[:, None], torch.from_numpy(self.outputs), otherwise.double())
