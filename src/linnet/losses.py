"""Losses: their names, what they compare, and the link from a network's outputs to predictions.

Letters: B rows of a batch, K outputs. A loss compares raw outputs of shape (B, K) with targets of
shape (B, K), or, for `log_loss`, with class numbers of shape (B,).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from linnet.spelling import check_choice


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
        return {"mean": loss.mean, "sum": loss.sum}.get(self.reduction, lambda: loss)()


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
        return {"mean": loss.mean, "sum": loss.sum}.get(self.reduction, lambda: loss)()


def _identity(outputs: torch.Tensor) -> torch.Tensor:
    return outputs


def _softmax(outputs: torch.Tensor) -> torch.Tensor:
    return torch.softmax(outputs, dim=-1)


@dataclass(frozen=True)
class Loss:
    """A loss that `linnet.train` can use.

    Attributes
    ----------
    name : str
        For the history.
    function : callable
        ``function(outputs, target)`` returns a scalar (or, for a callable of the user's, one value
        a row).
    link : callable
        Maps raw outputs (N, K) to predictions (N, K).
    compares : {"values", "classes", "anything"}
        "values": outputs and target of one shape; "classes": outputs (B, K) with class numbers
        (B,) or probabilities (B, K); "anything": a callable of the user's, which decides itself.
    """

    name: str
    function: Callable[..., torch.Tensor]
    link: Callable[[torch.Tensor], torch.Tensor] = _identity
    compares: str = "values"

    @property
    def is_sum(self) -> bool:
        """Whether the function sums over the rows of a batch instead of averaging."""
        return getattr(self.function, "reduction", "mean") == "sum"

    def __call__(
        self, outputs: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the scalar loss of a batch.

        Parameters
        ----------
        outputs : Tensor of shape (B, K)
        target : Tensor of shape (B, K), or (B,) of class numbers
        weight : Tensor of shape (B,), optional
            Weight of each row, of mean 1 over all training rows: the weighted loss of a batch is
            ``sum(weight * row losses) / B``, which leaves the gradient of an epoch unbiased.

        Raises
        ------
        ValueError
            If the shapes do not fit, or a callable cannot be weighted.
        """
        self.check_shapes(outputs, target)
        if weight is not None:
            return self._weighted(outputs, target, weight)
        loss = self.function(outputs, target)
        return loss if loss.ndim == 0 else self._rows(loss, len(target)).mean()

    def check_shapes(self, outputs: Any, target: torch.Tensor) -> None:
        """Raise ValueError, naming both shapes, where they would broadcast or do not fit."""
        if self.compares == "anything":
            # A callable may compare what it likes, but never a (B,) with a (B, 1): that would
            # silently spread to B by B.
            if not isinstance(outputs, torch.Tensor) or outputs.ndim == target.ndim:
                return
            if outputs.numel() != target.numel() or len(target) == 1:
                return
        elif not isinstance(outputs, torch.Tensor):
            raise ValueError(
                f"The module returns a {type(outputs).__name__}; the loss {self.name} needs one "
                "tensor. Return a tensor from forward, or give a loss of your own: "
                "loss=lambda outputs, target: ..."
            )
        if outputs.shape == target.shape:
            return
        if self.compares == "classes":
            self._check_class_shapes(outputs, target)
            return
        raise ValueError(_shape_sentence(outputs, target))

    def _check_class_shapes(self, outputs: torch.Tensor, target: torch.Tensor) -> None:
        if outputs.ndim >= 2 and target.shape == outputs.shape[:1] + outputs.shape[2:]:
            return
        raise ValueError(
            f"The module's output has shape {tuple(outputs.shape)} and the target "
            f"{tuple(target.shape)}: {self.name} needs outputs (B, number of classes) and class "
            "numbers (B,). Let the module end with one output for each class, and give the "
            "targets as whole numbers of shape (N,), for instance y.ravel()."
        )

    def _weighted(
        self, outputs: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        rows = self._rows(self._unreduced(outputs, target), len(target)) * weight
        if self.is_sum:
            return rows.sum()
        if isinstance(self.function, nn.CrossEntropyLoss) and self.function.weight is not None:
            if target.ndim == 1:  # class weights: torch divides by their sum over the batch
                return rows.sum() / self.function.weight[target].sum()
        return rows.mean()

    def _unreduced(self, outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if not hasattr(self.function, "reduction"):
            return self.function(outputs, target)
        by_row = copy.copy(self.function)
        by_row.reduction = "none"  # pyright: ignore[reportAttributeAccessIssue]
        loss = by_row(outputs, target)
        # A sum-reduced loss adds up outputs too; a mean-reduced one averages over them.
        return loss.flatten(1).sum(1) if self.is_sum and loss.ndim > 1 else loss

    def _rows(self, loss: torch.Tensor, n_rows: int) -> torch.Tensor:
        if loss.ndim == 0 or len(loss) != n_rows:
            raise ValueError(
                f"The loss {self.name} gives a value of shape {tuple(loss.shape)} for {n_rows} "
                "rows; with sample_weight it has to give one value a row, shape (B,). Return the "
                "row losses without averaging, or leave sample_weight out."
            )
        return loss.flatten(1).mean(1) if loss.ndim > 1 else loss


def _shape_sentence(outputs: torch.Tensor, target: torch.Tensor) -> str:
    out, wanted = tuple(outputs.shape), tuple(target.shape)
    if outputs.numel() == target.numel() and target.ndim == 1:
        remedy = "Give the targets as a column: y.reshape(-1, 1)."
    elif outputs.numel() == target.numel() and outputs.ndim == 1:
        remedy = "Let forward return a column: leave out the squeeze or flatten at its end."
    else:
        remedy = f"Let the module end with {wanted[-1] if len(wanted) > 1 else 1} output(s)."
    return (
        f"The module's output has shape {out} and the target {wanted}: they must be equal, for "
        f"torch would spread them over each other and train on the wrong numbers. {remedy}"
    )


# name -> (factory of the function, link, what it compares)
LOSSES: dict[str, tuple[Callable[..., nn.Module], Callable[..., torch.Tensor], str]] = {
    "squared_error": (nn.MSELoss, _identity, "values"),
    "absolute_error": (nn.L1Loss, _identity, "values"),
    "smooth_l1": (nn.SmoothL1Loss, _identity, "values"),
    "huber": (nn.HuberLoss, _identity, "values"),
    "poisson": (PoissonLoss, torch.exp, "values"),
    "quantile": (QuantileLoss, _identity, "values"),
    "log_loss": (nn.CrossEntropyLoss, _softmax, "classes"),
    "binary_log_loss": (nn.BCEWithLogitsLoss, torch.sigmoid, "values"),
}

_TORCH_LINKS: dict[type[nn.Module], tuple[Callable[..., torch.Tensor], str]] = {
    factory: (link, compares) for factory, link, compares in LOSSES.values()
}
_TORCH_LINKS[nn.NLLLoss] = (torch.exp, "classes")


def resolve(loss: object, **options: Any) -> Loss:
    """Turn a name, one of torch's losses, or a callable into a `Loss`.

    Parameters
    ----------
    loss : str, torch.nn.Module or callable
        A key of `LOSSES`; a loss module such as ``nn.MSELoss()``; or any callable
        ``loss(prediction, target)`` that returns a scalar tensor, or one value a row (B,).
    **options
        For a name only: what the loss takes, such as ``quantile=0.9``.

    Returns
    -------
    Loss

    Raises
    ------
    ValueError
        If the name is unknown, or torch's loss has ``reduction="none"`` in a form without rows.
    TypeError
        If `loss` is none of these.

    Examples
    --------
    >>> from linnet.losses import resolve
    >>> resolve("squared_error").name
    'squared_error'
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        check_choice("loss", loss, LOSSES)
        factory, link, compares = LOSSES[loss]
        return Loss(loss, factory(**options), link, compares)
    if isinstance(loss, type):
        raise TypeError(
            f"loss={loss.__name__} is a class; give an instance of it: loss={loss.__name__}()."
        )
    if not callable(loss):
        raise TypeError(
            f"loss={loss!r} is neither a name, nor a torch loss, nor a function. Give a name "
            f"({', '.join(LOSSES)}), nn.MSELoss() or loss(prediction, target)."
        )
    if isinstance(loss, nn.modules.loss._Loss | QuantileLoss | PoissonLoss):
        link, compares = _TORCH_LINKS.get(type(loss), (_identity, "values"))
        return Loss(type(loss).__name__, loss, link, compares)
    if loss in (F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss):
        return Loss(loss.__name__, loss, _identity, "values")
    name = getattr(loss, "__name__", type(loss).__name__)
    return Loss(name, loss, _identity, "anything")
