"""Losses as torch modules, where torch has none of the kind: pinball, Poisson, Gaussian.

Letters: B rows of a batch, K outputs.
"""

from __future__ import annotations

import math

import torch
from torch import nn


class QuantileLoss(nn.Module):
    """The pinball loss, whose least value is at a quantile (Koenker and Bassett 1978, eq. 3.1).

    ``max(q e, (q - 1) e)`` with ``e = target - prediction``, averaged over rows and outputs.

    Parameters
    ----------
    quantile : float, default=0.5
        Between 0 and 1; 0.5 is the median (half the absolute error).
    reduction : {"mean", "sum", "none"}, default="mean"
        As in PyTorch's losses.

    Raises
    ------
    ValueError
        If `quantile` is not between 0 and 1.

    Examples
    --------
    >>> import torch
    >>> from linnet.losses import QuantileLoss
    >>> float(QuantileLoss(0.9)(torch.tensor([[0.0]]), torch.tensor([[1.0]])))
    0.8999999761581421
    """

    def __init__(self, quantile: float = 0.5, reduction: str = "mean"):
        super().__init__()
        if not 0 < quantile < 1:
            raise ValueError(
                f"quantile={quantile!r} is not allowed: give a number between 0 and 1, such as "
                "quantile=0.9."
            )
        self.quantile = quantile
        self.reduction = reduction

    def forward(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        error = target - prediction
        loss = torch.maximum(self.quantile * error, (self.quantile - 1) * error)
        return _reduced(loss, self.reduction)


class PoissonLoss(nn.Module):
    """Half the Poisson deviance with a log link, zero where prediction and target agree.

    ``exp(z) - y + y (log y - z)`` for output z and target y >= 0 (McCullagh and Nelder 1989,
    table 2.3).

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}, default="mean"
        As in PyTorch's losses.

    Examples
    --------
    >>> import torch
    >>> from linnet.losses import PoissonLoss
    >>> float(PoissonLoss()(torch.tensor([[0.0]]), torch.tensor([[1.0]])))
    0.0
    """

    def __init__(self, reduction: str = "mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        # xlogy is 0 at y = 0, the limit of y log y.
        loss = torch.exp(prediction) - target - target * prediction + torch.xlogy(target, target)
        return _reduced(loss, self.reduction)


class GaussianLoss(nn.Module):
    """Minus the logarithm of a normal density (Nix and Weigend 1994, eq. 2).

    Of 2 K outputs the first K are means m, the others logarithms s of variances:
    ``(ln 2 pi + s + (y - m)² / exp(s)) / 2``, averaged over rows and targets.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}, default="mean"
        As in PyTorch's losses.

    Examples
    --------
    >>> import torch
    >>> from linnet.losses import GaussianLoss
    >>> float(GaussianLoss()(torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0]])))
    1.4189385175704956
    """

    def __init__(self, reduction: str = "mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        mean, log_variance = prediction.chunk(2, dim=1)
        square = (target - mean) ** 2 * torch.exp(-log_variance)
        loss = (math.log(2 * math.pi) + log_variance + square) / 2
        return _reduced(loss, self.reduction)


def _reduced(loss: torch.Tensor, reduction: str) -> torch.Tensor:
    """Return the mean or the sum of losses (B, K), or these themselves."""
    return {"mean": loss.mean, "sum": loss.sum}.get(reduction, lambda: loss)()
