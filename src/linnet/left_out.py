"""Outputs for validation rows, each at the epoch that the other validation rows choose.

Letters: E epochs, N validation rows, K outputs.

The epoch with the least validation loss is the best for these very rows, so that their errors there
are smaller than those of new rows: by half, in mean square, where 15 rows choose among 150 epochs
(docs/error_bars.md). A choice has to be made without the row that judges it (Stone 1974, section 2;
Varma and Simon 2006). The losses of all rows are known at each epoch, so that it costs no training.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from linnet.engine import torch_engine
from linnet.engine.prediction import Predictor, predictor
from linnet.losses import Loss

# One row among more of them hardly moves the choice (137 rows: 0.4 % of new rows more lie inside of
# their intervals), and their outputs take time at each epoch.
MOST_ROWS = 100


@dataclass
class LeftOut:
    """What a network says of validation rows after each epoch.

    Attributes
    ----------
    n_rows, n_outputs : int
        N, K.
    epochs : list of E ndarrays of shape (N, K)
        Raw outputs.
    """

    n_rows: int
    n_outputs: int
    epochs: list[np.ndarray] = field(default_factory=list)
    _predictor: Predictor | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, n_rows: int, n_outputs: int) -> LeftOut | None:
        """Return one that has seen no epoch; None for more rows than `MOST_ROWS`."""
        return None if n_rows > MOST_ROWS else cls(n_rows, n_outputs)

    def see(self, module: nn.Module, X: torch.Tensor) -> None:
        """Keep the outputs after an epoch.

        Parameters
        ----------
        module : torch.nn.Module
            The same each time, in evaluation mode.
        X : Tensor of shape (N, D)
            The validation rows, where the module is.
        """
        if X.device.type != "cpu":
            self.epochs.append(torch_engine.predict(module, X).double().cpu().numpy())
            return
        if self._predictor is None:
            self._predictor = predictor(module, X.shape[1])  # signatures are compared once
        self.epochs.append(self._predictor(module, X.contiguous().numpy()))

    def copy(self) -> LeftOut:
        return LeftOut(self.n_rows, self.n_outputs, list(self.epochs))

    def tensor(self) -> torch.Tensor:
        """Return the outputs as one tensor (E, N, K)."""
        shape = len(self.epochs), self.n_rows, self.n_outputs
        return torch.from_numpy(np.array(self.epochs).reshape(shape))

    def chosen(
        self, loss: Loss, y: np.ndarray, weight: np.ndarray | None, otherwise: torch.Tensor
    ) -> torch.Tensor:
        """Return the outputs (N, K) of each row at the epoch of the others' least loss.

        Parameters
        ----------
        loss : Loss
            Of torch's kind.
        y : ndarray of shape (N, K), or (N,) of class numbers
        weight : ndarray of shape (N,) or None
        otherwise : Tensor of shape (N, K)
            Outputs for rows whose others had a finite loss in no epoch.
        """
        outputs = self.tensor()
        if not len(outputs):
            return otherwise.double()
        E, N, K = outputs.shape
        target = torch.from_numpy(y)
        target = target.expand(E, *target.shape).reshape(E * N, *target.shape[1:])
        losses = loss.by_row(outputs.reshape(E * N, K), target).double().numpy().reshape(E, N)
        if weight is not None:
            losses = losses * weight
        with np.errstate(invalid="ignore"):
            others = losses.sum(axis=1, keepdims=True) - losses
        others[~np.isfinite(others)] = np.inf
        best = outputs[others.argmin(axis=0), np.arange(N)]
        is_known = torch.from_numpy(np.isfinite(others).any(axis=0))
        return torch.where(is_known[:, None], best, otherwise.double())
