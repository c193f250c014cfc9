"""States of a training that a damaged or hostile file may hold: told before they do any harm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from linnet.history import History


def check_alike(value: Any, own: Any, name: str) -> None:
    """Raise unless a state is of the kind that it is to replace.

    Dicts have at least the keys of their own, tensors the same shapes, and whatever else is of the
    same kind; None stands for any.

    Parameters
    ----------
    value : object
        What a file holds: dicts, lists and tuples around tensors, numbers and texts.
    own : object
        What stands there now.
    name : str
        What the sentence calls it.

    Raises
    ------
    ValueError
        Naming the first place that differs.

    Examples
    --------
    >>> from linnet.damaged_state import check_alike
    >>> check_alike({"lr": 1}, {"lr": 0.1}, "optimizer")
    >>> check_alike({"lr": "1"}, {"lr": 0.1}, "optimizer")
    Traceback (most recent call last):
    ValueError: optimizer.lr is of type str where a number is needed
    """
    if value is None or own is None:
        return
    kind = _kind(own)
    if _kind(value) != kind:
        raise ValueError(f"{name} is of type {type(value).__name__} where a {kind} is needed")
    if isinstance(own, torch.Tensor) and value.shape != own.shape:
        wanted = tuple(own.shape)
        raise ValueError(f"{name} has the shape {tuple(value.shape)} where {wanted} is needed")
    if isinstance(own, Mapping):
        for key, item in own.items():
            if key not in value:
                raise ValueError(f"{name} has no {str(key)!r}")
            check_alike(value[key], item, f"{name}.{key}")
    elif isinstance(own, list | tuple):
        # Lists may have grown since.
        for i, (item, there) in enumerate(zip(value, own, strict=False)):
            check_alike(item, there, f"{name}.{i}")


@contextmanager
def first_epoch_tells(history: History, *, is_resumed: bool) -> Iterator[None]:
    """Take what goes wrong in the first epoch of a resumed training for a fault of its checkpoint.

    What an optimizer keeps besides its settings is known to itself alone: its first step shows it.

    Raises
    ------
    ValueError
        Where it goes wrong.
    """
    n_before = history.n_epochs
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as e:
        if not is_resumed or history.n_epochs > n_before:
            raise
        told = str(e).splitlines()[0] if str(e) else ""
        raise ValueError(
            f"The training cannot go on from its checkpoint ({type(e).__name__}: {told}): what the "
            "file holds of the optimizer is damaged. Begin anew, with another name for the file."
        ) from e


def _kind(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return "tensor"
    if isinstance(value, bool):
        return "truth value"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "dict" if isinstance(value, Mapping) else "list"
