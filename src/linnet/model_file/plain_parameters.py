"""Parameters of estimators as plain data, which JSON can hold, and back."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import torch
from torch import nn

from linnet import losses

# Stands for a parameter that the file did not keep.
DROPPED = object()


def to_plain(value: Any) -> Any:
    """Return a parameter as plain data; what is none becomes its name, marked as not kept."""
    if isinstance(value, bool | str | None | int):
        return value
    if isinstance(value, np.bool_ | np.integer):
        return value.item()
    if isinstance(value, float | np.floating):
        value = float(value)
        return value if math.isfinite(value) else {"number": str(value)}
    if isinstance(value, list | tuple | np.ndarray):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {"pairs": [[to_plain(k), to_plain(v)] for k, v in value.items()]}
    if type(value) in losses.TORCH_LOSSES.values():
        return {"loss": type(value).__name__, "settings": _settings(value)}
    if isinstance(value, torch.Tensor):
        return {"tensor": value.detach().cpu().tolist()}
    return {"not_kept": getattr(value, "__name__", type(value).__name__)}


def from_plain(value: Any) -> Any:
    """Return the parameter that `to_plain` wrote down; DROPPED if it was not kept."""
    if isinstance(value, list):
        return tuple(from_plain(item) for item in value)
    if not isinstance(value, dict):
        return value
    if "number" in value:
        return float(value["number"])
    if "pairs" in value:
        return {from_plain(key): from_plain(item) for key, item in value["pairs"]}
    if "tensor" in value:
        return torch.tensor(value["tensor"])
    if "loss" in value:
        # By a table of torch's own losses, never by importing the name.
        settings = {name: from_plain(item) for name, item in value["settings"].items()}
        return losses.TORCH_LOSSES[value["loss"]](**settings)
    return DROPPED


def _settings(loss: nn.Module) -> dict[str, Any]:
    """Return the arguments that make such a loss again, where it keeps them as attributes."""
    names = inspect.signature(type(loss)).parameters
    settings = {name: getattr(loss, name) for name in names if hasattr(loss, name)}
    return {name: to_plain(value) for name, value in settings.items() if value is not None}
