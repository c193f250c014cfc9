"""States of a training that a damaged or hostile file may hold: told before they do any harm."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

import torch

# What states of other kinds and values than they should be of end in.
FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,  # a loop over nothing, say
    RuntimeError,
    TypeError,
    ValueError,
)


def check_alike(value: Any, own: Any, name: str) -> None:
    """Raise unless a state is of the kind that it is to replace.

    Dicts have the same keys, for a file may not say what an object's attributes are called; tensors
    have the same shapes and types; whatever else is of the same kind.

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
    kind = _kind(own)
    is_filled = own is None and _kind(value) not in ("dict", "list")  # with a number, say
    if _kind(value) != kind and not is_filled:
        raise ValueError(f"{name} is of type {type(value).__name__} where {_article(kind)} needed")
    if isinstance(own, torch.Tensor):
        for told, wanted in ((tuple(value.shape), tuple(own.shape)), (value.dtype, own.dtype)):
            if told != wanted:
                what = "shape" if isinstance(wanted, tuple) else "type"
                raise ValueError(f"{name} has the {what} {told} where {wanted} is needed")
    elif isinstance(own, Mapping):
        check_keys(value, own, name)
        for key, item in own.items():
            check_alike(value[key], item, f"{name}.{key}")
    elif isinstance(own, list | tuple):
        # Lists may have grown since.
        for i, (item, there) in enumerate(zip(value, own, strict=False)):
            check_alike(item, there, f"{name}.{i}")


def check_keys(value: Any, own: Mapping[Any, Any], name: str) -> None:
    """Raise ValueError unless a value is a dict of the same keys."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} is of type {type(value).__name__} where a dict is needed")
    for key in own:
        if key not in value:
            raise ValueError(f"{name} has no {str(key)!r}")
    for key in value:
        if key not in own:
            raise ValueError(f"{name} has {str(key)!r}, which is not known")


def check_weights(value: Any, own: Mapping[str, Any], name: str) -> None:
    """Raise ValueError unless a file's weights fit a module; its extra state is its own affair."""
    check_keys(value, own, name)
    for key, item in own.items():
        if isinstance(item, torch.Tensor):
            check_alike(value[key], item, f"{name}.{key}")


def check_optimizer_state(value: Any, optimizer: torch.optim.Optimizer) -> None:
    """Raise ValueError unless a file's state has an optimizer's settings and parameters."""
    own = optimizer.state_dict()
    check_keys(value, own, "optimizer")
    groups = own["param_groups"]
    if _kind(value["param_groups"]) != "list" or len(value["param_groups"]) != len(groups):
        raise ValueError(f"optimizer.param_groups is no list of {len(groups)}")
    check_alike(value["param_groups"], groups, "optimizer.param_groups")
    numbers = {number for group in groups for number in group["params"]}
    for told, group in zip(value["param_groups"], groups, strict=True):
        if told["params"] != group["params"]:
            raise ValueError("optimizer.param_groups has other parameters")
    check_keys(value["state"], dict.fromkeys(value["state"]), "optimizer.state")
    if not all(key in numbers and isinstance(held, dict) for key, held in value["state"].items()):
        raise ValueError("optimizer.state is not of its parameters")


def check_scheduler_state(value: Any, scheduler: Any) -> None:
    """Raise ValueError unless a file's state has a scheduler's attributes."""
    own = scheduler.state_dict()
    check_keys(value, own, "scheduler")
    for key, item in own.items():
        if item is not None:  # what is None yet may become anything
            check_alike(value[key], item, f"scheduler.{key}")


def is_raised_by(scheduler: Any, optimizer: Any, fault: BaseException) -> bool:
    """Return whether an error came from a scheduler, or from rates that it left."""
    if scheduler is None:
        return False
    frames = traceback.walk_tb(fault.__traceback__)
    if any(frame.f_locals.get("self") is scheduler for frame, _ in frames):
        return True
    rates = [group["lr"] for group in optimizer.param_groups]
    return not all(isinstance(rate, int | float | torch.Tensor) for rate in rates)


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, torch.Tensor):
        return "tensor"
    if isinstance(value, bool):
        return "truth value"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "dict" if isinstance(value, Mapping) else "list"


def _article(kind: str) -> str:
    return "None is" if kind == "None" else f"a {kind} is"
