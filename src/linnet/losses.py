"""Losses: their names, what they compare, and the link from a network's outputs to predictions.

Letters: B rows of a batch, K outputs. A loss compares raw outputs of shape (B, K) with targets of
shape (B, K), or, for `log_loss`, with class numbers of shape (B,).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import FunctionType
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from linnet.loss_modules import GaussianLoss, PoissonLoss, QuantileLoss
from linnet.spelling import check_choice


def identity(outputs: torch.Tensor) -> torch.Tensor:
    """Return outputs as they are: the link of losses whose outputs are predictions."""
    return outputs


def _mean(outputs: torch.Tensor) -> torch.Tensor:
    return outputs.chunk(2, dim=1)[0]


def standard_deviation(outputs: torch.Tensor) -> torch.Tensor:
    """Return standard deviations (N, K) of the outputs (N, 2 K) of a Gaussian head.

    Parameters
    ----------
    outputs : Tensor of shape (N, 2 K)
        K means, and K logarithms of variances.

    Examples
    --------
    >>> import torch
    >>> from linnet.losses import standard_deviation
    >>> standard_deviation(torch.tensor([[5.0, 0.0]]))
    tensor([[1.]])
    """
    # Far from all rows a logarithm may be any number; an infinite deviation times 0 were NaN.
    return torch.exp(outputs.chunk(2, dim=1)[1].clamp(-100.0, 100.0) / 2)


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
    compares : {"values", "moments", "classes", "anything"}
        "values": outputs and target of one shape; "moments": two outputs for each target;
        "classes": outputs (B, K) with class numbers (B,) or probabilities (B, K); "anything": a
        callable of the user's, which decides itself.
    """

    name: str
    function: Callable[..., torch.Tensor]
    link: Callable[[torch.Tensor], torch.Tensor] = identity
    compares: str = "values"
    _by_row: Callable[..., torch.Tensor] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_row = self.function if hasattr(self.function, "reduction") else None
        if by_row is not None:
            by_row = copy.copy(by_row)  # shares the tensors, such as class weights
            by_row.reduction = "none"  # pyright: ignore[reportAttributeAccessIssue]
        object.__setattr__(self, "_by_row", by_row)

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
        if self.compares in ("values", "moments") and target.dtype != outputs.dtype:
            target = target.to(outputs.dtype)
        if weight is not None:
            return self._weighted(outputs, target, weight)
        try:
            loss = self.function(outputs, target)
        except IndexError:  # a DataLoader's class numbers, which could not be checked beforehand
            if self.compares == "classes":
                self._check_class_numbers(target, outputs.shape[1], "The target")
            raise
        if not isinstance(loss, torch.Tensor):
            raise TypeError(
                f"The loss {self.name} gives a {type(loss).__name__}; it has to give a tensor that "
                "torch's functions compute from the module's output."
            )
        return loss if loss.ndim == 0 else self._rows(loss, len(target)).mean()

    def by_row(self, outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss of each row, (B,), of a loss of torch's kind (one with a reduction).

        Parameters
        ----------
        outputs : Tensor of shape (B, K)
        target : Tensor of shape (B, K), or (B,) of class numbers
        """
        assert self._by_row is not None
        if self.compares in ("values", "moments"):
            target = target.to(outputs.dtype)
        return self._rows(self._by_row(outputs, target), len(target))

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
        if self.compares == "moments":
            self._check_moment_shapes(outputs, target)
            return
        if outputs.shape == target.shape:
            return
        if self.compares == "classes":
            self._check_class_shapes(outputs, target)
            return
        raise ValueError(_shape_sentence(outputs, target))

    def _check_moment_shapes(self, outputs: torch.Tensor, target: torch.Tensor) -> None:
        if outputs.ndim == target.ndim == 2 and outputs.shape[1] == 2 * target.shape[1]:
            return
        n_targets = target.shape[1] if target.ndim == 2 else 1
        raise ValueError(
            f"The module's output has shape {tuple(outputs.shape)} and the target "
            f"{tuple(target.shape)}: {self.name} needs targets (B, K) and outputs (B, 2 K), K "
            "means and then K logarithms of variances. Let the module end with "
            f"{2 * n_targets} outputs"
            + ("." if target.ndim == 2 else ", and give the targets as y.reshape(-1, 1).")
        )

    def _check_class_shapes(self, outputs: torch.Tensor, target: torch.Tensor) -> None:
        if outputs.ndim >= 2 and target.shape == outputs.shape[:1] + outputs.shape[2:]:
            return
        raise ValueError(
            f"The module's output has shape {tuple(outputs.shape)} and the target "
            f"{tuple(target.shape)}: {self.name} needs outputs (B, number of classes) and class "
            "numbers (B,). Let the module end with one output for each class, and give the "
            "targets as whole numbers of shape (N,), for instance y.ravel()."
        )

    def read_targets(self, outputs: Any, y: torch.Tensor, name: str = "y") -> torch.Tensor:
        """Check the targets of all rows once, and return them in the type that the loss compares.

        Parameters
        ----------
        outputs : Tensor of shape (B, K)
            What the module gives for some rows.
        y : Tensor of shape (N, K) or (N,)
            All targets.
        name : str, default="y"
            What messages call them.

        Raises
        ------
        ValueError
            If a target cannot be compared with such outputs.
        """
        self.check_shapes(outputs, y[: len(outputs)] if hasattr(outputs, "shape") else y)
        if self.compares != "anything" and not outputs.is_floating_point():
            raise ValueError(
                f"The module's output is of type {outputs.dtype}, which the loss {self.name} "
                "cannot take. Return floating numbers, without .long() or argmax at the end."
            )
        if self.compares in ("values", "moments"):
            self._check_range(y, name)
            return y.to(outputs.dtype)
        if self.compares == "anything":
            return y.to(outputs.dtype) if y.dtype == torch.bool else y
        if y.shape[1:] == outputs.shape[1:]:  # probabilities of the classes
            return y.to(outputs.dtype)
        if y.is_floating_point():
            raise ValueError(
                f"{name} holds floating numbers where {self.name} needs class numbers. Give whole "
                f"numbers of shape (N,): {name}.astype(int)."
            )
        self._check_class_numbers(y, outputs.shape[1], name)
        return y.to(torch.int64)

    def _check_range(self, y: torch.Tensor, name: str) -> None:
        least, greatest = _RANGES.get(type(self.function), (None, None))
        if least is None or (y.min() >= least and (greatest is None or y.max() <= greatest)):
            return
        allowed = "0 or more" if greatest is None else f"from {least} to {greatest}"
        raise ValueError(
            f"{name} goes from {float(y.min()):g} to {float(y.max()):g}; targets of {self.name} "
            f"have to be {allowed}. Encode them so, or choose another loss."
        )

    def _check_class_numbers(self, y: torch.Tensor, n_outputs: int, name: str) -> None:
        numbers = y[y != getattr(self.function, "ignore_index", -100)]
        if not len(numbers) or (numbers.min() >= 0 and numbers.max() < n_outputs):
            return
        raise ValueError(
            f"{name} holds class numbers from {int(numbers.min())} to {int(numbers.max())}, and "
            f"the module has {n_outputs} output(s): {self.name} needs one output for each class, "
            "and classes numbered from 0. Let the module end with as many outputs as there are "
            f"classes; number them by np.unique({name}, return_inverse=True)[1]."
        )

    def _weighted(
        self, outputs: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        if self._by_row is None:
            return (self._rows(self.function(outputs, target), len(target)) * weight).mean()
        loss = self._by_row(outputs, target)
        divisor = self.divisor(target, weight)
        if isinstance(divisor, torch.Tensor):
            return (loss * _as_rows(weight, target)).sum() / divisor
        if self._adds_outputs and loss.ndim > 1:
            loss = loss.flatten(1).sum(1)
        rows = self._rows(loss, len(target)) * weight
        return rows.sum() if self.is_sum else rows.mean()

    def divisor(
        self, target: torch.Tensor, weight: torch.Tensor | None = None
    ) -> torch.Tensor | int:
        """Return what the mean over a batch is divided by.

        The number of rows; for torch's losses of class numbers the sum of the classes' weights
        over the rows that are not ignored, where each row counts as often as its weight says. So
        the mean over many batches is the sum of ``loss * divisor`` by that of ``divisor``.

        Parameters
        ----------
        target : Tensor of shape (B, K), or (B,) of class numbers
        weight : Tensor of shape (B,), optional

        Examples
        --------
        >>> import torch
        >>> from torch import nn
        >>> from linnet.losses import resolve
        >>> loss = resolve(nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0])))
        >>> loss.divisor(torch.tensor([0, 1, 1]))
        tensor(11.)
        """
        averages = isinstance(self.function, nn.CrossEntropyLoss | nn.NLLLoss)
        averages = averages and self.function.reduction == "mean"
        if not averages or target.is_floating_point():
            return len(target)
        class_weight = self.function.weight
        counted = target != self.function.ignore_index
        if class_weight is None:
            return counted.sum() if weight is None else len(target)
        per_class = class_weight[torch.where(counted, target, 0)] * counted
        if weight is None:
            return per_class.sum()
        # A batch of weightless rows gives 0, not 0 / 0.
        total = (per_class * _as_rows(weight, target)).sum()
        return total.clamp_min(torch.finfo(total.dtype).tiny)

    @property
    def _adds_outputs(self) -> bool:
        # A sum-reduced loss adds up outputs too; a mean-reduced one averages over them.
        return getattr(self.function, "reduction", "mean") in ("sum", "batchmean")

    def _rows(self, loss: torch.Tensor, n_rows: int) -> torch.Tensor:
        if not isinstance(loss, torch.Tensor) or loss.ndim == 0 or len(loss) != n_rows:
            shape = f"value of shape {tuple(loss.shape)}" if hasattr(loss, "shape") else f"{loss!r}"
            raise ValueError(
                f"The loss {self.name} gives a {shape} for {n_rows} "
                "rows; with sample_weight it has to give one value a row, shape (B,). Return the "
                "row losses without averaging, or leave sample_weight out."
            )
        return loss.flatten(1).mean(1) if loss.ndim > 1 else loss


def _as_rows(weight: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return weights (B,) as (B, 1, ...), with as many dimensions as the target."""
    return weight.reshape(-1, *[1] * (target.ndim - 1))


def _shape_sentence(outputs: torch.Tensor, target: torch.Tensor) -> str:
    out, wanted = tuple(outputs.shape), tuple(target.shape)
    if outputs.numel() == target.numel() and target.ndim == 1:
        remedy = "Give the targets as a column: y.reshape(-1, 1)."
    elif outputs.numel() == target.numel() and outputs.ndim == 1:
        remedy = "Let forward return a column: leave out the squeeze or flatten at its end."
    elif target.ndim == 1:
        remedy = "Let the module end with 1 output, and give the targets as y.reshape(-1, 1)."
    else:
        remedy = f"Let the module end with {wanted[-1]} output(s)."
    return (
        f"The module's output has shape {out} and the target {wanted}: they must be equal, for "
        f"torch would spread them over each other or fail. {remedy}"
    )


# name -> (factory of the function, link, what it compares)
LOSSES: dict[str, tuple[Callable[..., nn.Module], Callable[..., torch.Tensor], str]] = {
    "squared_error": (nn.MSELoss, identity, "values"),
    "absolute_error": (nn.L1Loss, identity, "values"),
    "smooth_l1": (nn.SmoothL1Loss, identity, "values"),
    "huber": (nn.HuberLoss, identity, "values"),
    "poisson": (PoissonLoss, torch.exp, "values"),
    "quantile": (QuantileLoss, identity, "values"),
    "gaussian": (GaussianLoss, _mean, "moments"),
    "log_loss": (nn.CrossEntropyLoss, _softmax, "classes"),
    "binary_log_loss": (nn.BCEWithLogitsLoss, torch.sigmoid, "values"),
}

# What the losses are called elsewhere.
SYNONYMS = {
    "mse": "squared_error",
    "mean_squared_error": "squared_error",
    "l2": "squared_error",
    "mae": "absolute_error",
    "mean_absolute_error": "absolute_error",
    "l1": "absolute_error",
    "smoothl1": "smooth_l1",
    "pinball": "quantile",
    "gaussian_nll": "gaussian",
    "nll": "gaussian",
    "cross_entropy": "log_loss",
    "crossentropy": "log_loss",
    "categorical_crossentropy": "log_loss",
    "bce": "binary_log_loss",
    "binary_crossentropy": "binary_log_loss",
}

_TORCH_LINKS: dict[Any, tuple[Callable[..., torch.Tensor], str]] = {
    factory: (link, compares) for factory, link, compares in LOSSES.values()
}
_TORCH_LINKS[nn.NLLLoss] = (torch.exp, "classes")
_TORCH_LINKS[nn.MultiMarginLoss] = (identity, "classes")
# By name, for model files.
TORCH_LOSSES = {kind.__name__: kind for kind in _TORCH_LINKS}

# Least and greatest target that a loss has a meaning for.
_RANGES: dict[type[Any], tuple[float, float | None]] = {
    PoissonLoss: (0, None),
    nn.BCEWithLogitsLoss: (0, 1),
    nn.BCELoss: (0, 1),
}

# torch's losses as functions, which can be weighted in their form as modules.
_FUNCTIONS: dict[Any, Callable[[], nn.Module]] = {
    F.mse_loss: nn.MSELoss,
    F.l1_loss: nn.L1Loss,
    F.smooth_l1_loss: nn.SmoothL1Loss,
    F.huber_loss: nn.HuberLoss,
    F.cross_entropy: nn.CrossEntropyLoss,
    F.nll_loss: nn.NLLLoss,
    F.binary_cross_entropy: nn.BCELoss,
    F.binary_cross_entropy_with_logits: nn.BCEWithLogitsLoss,
}


def resolve(loss: Any, **options: Any) -> Loss:
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
        If the name is unknown.
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
        check_choice("loss", loss, LOSSES, SYNONYMS)
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
    name = getattr(loss, "__name__", type(loss).__name__)
    if isinstance(loss, FunctionType) and loss in _FUNCTIONS:
        return replace(resolve(_FUNCTIONS[loss]()), name=name)
    function: Any = loss
    for kind in type(loss).__mro__:
        if kind in _TORCH_LINKS:
            link, compares = _TORCH_LINKS[kind]
            return Loss(name, function, link, compares)
    # torch's other losses compare values of one shape; a class of the user's own may do anything.
    is_of_torch = type(loss).__module__ == nn.MSELoss.__module__
    return Loss(name, function, identity, "values" if is_of_torch else "anything")
