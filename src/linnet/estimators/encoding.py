"""Between rows and networks: encoded inputs, targets in a network's type, outputs that are finite.

Letters: N rows, D inputs, K outputs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from linnet.table import Columns


def dtype_of(module: nn.Module) -> torch.dtype:
    """Return the type of a module's weights."""
    return next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)


def encode(columns: Columns, X: Any, module_dtype: torch.dtype) -> np.ndarray:
    """Return inputs (N, D) for what `read_inputs` gave.

    Of 16 digits for a module of such, else of 7.
    """
    dtype = np.float64 if module_dtype == torch.float64 else np.float32
    if not isinstance(X, np.ndarray):
        return columns.encode(X, dtype)
    return columns.standardize(X, dtype) if columns.is_array else columns.encode_array(X, dtype)


def training_inputs(
    columns: Columns, X: Any, module_dtype: torch.dtype, *, is_copy: bool
) -> np.ndarray:
    """Do what `encode` does, without a second copy of an array where none is needed."""
    dtype = np.float64 if module_dtype == torch.float64 else np.float32
    if isinstance(X, np.ndarray) and columns.is_array:
        if columns.leaves_as_is(X, dtype):
            return X
        if is_copy and X.dtype == dtype and X.flags.c_contiguous:
            return columns.standardize(X, dtype, out=X)
    return encode(columns, X, module_dtype)


def narrowed(targets: np.ndarray, module_dtype: torch.dtype) -> np.ndarray:
    """Return targets in the type that `train` casts them to, where that can hold them."""
    largest = np.finfo(np.float32).max
    fits = targets.dtype == np.float64 and module_dtype == torch.float32
    if fits and -largest <= targets.min() and targets.max() <= largest:
        return targets.astype(np.float32)
    return targets


def checked_outputs(outputs: torch.Tensor) -> torch.Tensor:
    """Return a network's outputs (N, K), or raise a sentence where one is NaN or infinite."""
    # A sum is quicker than asking each number; where it overflows, they are asked. By NumPy, for
    # torch's threads hang in a process that was forked.
    values = outputs.numpy()
    with np.errstate(over="ignore", invalid="ignore"):
        if math.isfinite(values.sum()):
            return outputs
    wrong = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    count = int(wrong.sum())
    if not count:
        return outputs
    rows = "1 row" if count == 1 else f"{count} rows"
    raise ValueError(
        f"The network gives NaN or infinity for {rows} of {len(outputs)}, the first of them row "
        f"{int(wrong.argmax())} (counted from 0): too far from the rows of the fit, or the "
        "training failed (see history_.outcome). Leave them out, or fit with scaled inputs and a "
        "smaller learning_rate_init."
    )
