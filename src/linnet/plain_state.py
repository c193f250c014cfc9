"""State of optimizers and schedulers as plain data beside tensors, and back.

A `state_dict` nests dicts, lists and tuples around tensors and numbers. JSON knows neither tensors,
tuples, keys that are numbers, nor NaN: each of them becomes an object of one entry that names it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch


def to_plain(value: Any, tensors: dict[str, torch.Tensor], name: str) -> Any:
    """Return a state as JSON data, and put copies of its tensors into `tensors`.

    Parameters
    ----------
    value : object
        Dicts, lists, tuples, texts, numbers, booleans, None and tensors.
    tensors : dict
        Gets the tensors, on the CPU, under names that begin with `name`.
    name : str
        Where the value stands, such as "optimizer".

    Raises
    ------
    TypeError
        If it holds anything else, with its place.

    Examples
    --------
    >>> import torch
    >>> from linnet.plain_state import from_plain, to_plain
    >>> tensors = {}
    >>> plain = to_plain({0: {"step": torch.tensor(3.0), "betas": (0.9, 0.99)}}, tensors, "adam")
    >>> list(tensors)
    ['adam.0.step']
    >>> from_plain(plain, tensors)
    {0: {'step': tensor(3.), 'betas': (0.9, 0.99)}}
    """
    if isinstance(value, torch.Tensor):
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"number": str(value)}
    if isinstance(value, dict):
        return {"pairs": [[key, to_plain(v, tensors, f"{name}.{key}")] for key, v in value.items()]}
    if isinstance(value, list | tuple):
        items = [to_plain(v, tensors, f"{name}.{i}") for i, v in enumerate(value)]
        return items if isinstance(value, list) else {"tuple": items}
    raise TypeError(
        f"{name} is of type {type(value).__name__}, which a checkpoint cannot hold: it "
        "takes tensors, numbers and texts, in dicts, lists and tuples."
    )


def from_plain(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Return the state that `to_plain` wrote down.

    Raises
    ------
    KeyError, TypeError, ValueError
        If it did not.
    """
    if isinstance(value, list):
        return [from_plain(item, tensors) for item in value]
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError("it holds a whole number of more than 64 bits")
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    if kind == "tensor":
        return tensors[held]
    if kind == "number":
        return float(held)
    if kind == "tuple":
        return tuple(from_plain(item, tensors) for item in held)
    if kind == "pairs":
        return {key: from_plain(item, tensors) for key, item in held}
    raise ValueError(f"{str(kind)[:40]!r} is no kind of value")
