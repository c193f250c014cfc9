"""Outputs for validation rows, each at the epoch that the other validation rows choose.

Letters: N validation rows, K outputs.

The epoch with the least validation loss is the best for these very rows, so that their errors there
are smaller than those of new rows: by half, in mean square, where 15 rows choose among 150 epochs
(docs/error_bars.md). A choice has to be made without the row that judges it (Stone 1974, section 2;
Varma and Simon 2006). The errors of all rows are known at each epoch, so that it costs no training.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from linnet.data import Rows
from linnet.engine.prediction import predict
from linnet.losses import Loss

# One row among more of them hardly moves the choice, and their outputs take time at each epoch.
MOST_ROWS = 500


@dataclass
class LeftOut:
    """What the others chose so far.

    Attributes
    ----------
    least : Tensor of shape (N,)
        For each row the sum of the other rows' losses, at their best epoch.
    outputs : Tensor of shape (N, K)
        The row's outputs at this epoch.
    """

    least: torch.Tensor
    outputs: torch.Tensor

    @classmethod
    def of(cls, n_rows: int, n_outputs: int) -> LeftOut | None:
        """Return one that has seen no epoch; None for more rows than `MOST_ROWS`."""
        if n_rows > MOST_ROWS:
            return None
        least = torch.full((n_rows,), torch.inf, dtype=torch.float64)
        return cls(least, torch.zeros(n_rows, n_outputs, dtype=torch.float64))

    def see(self, module: nn.Module, loss: Loss, rows: Rows) -> None:
        """Take an epoch into account.

        Parameters
        ----------
        module : torch.nn.Module
            As it is after the epoch, in evaluation mode.
        loss : Loss
            Of torch's kind.
        rows : Rows
            The validation rows, N of them.
        """
        outputs = predict(module, rows.X)
        losses = loss.by_row(outputs, rows.y).double()
        if rows.weight is not None:
            losses = losses * rows.weight
        others = (losses.sum() - losses).cpu()
        is_better = others < self.least  # not so where a loss is NaN or infinite
        self.least[is_better] = others[is_better]
        self.outputs[is_better] = outputs.cpu().double()[is_better]

    def filled(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return the outputs (N, K); those given for rows for which no epoch was finite."""
        return torch.where(torch.isfinite(self.least)[:, None], self.outputs, outputs.double())

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {"least": self.least, "outputs": self.outputs}
