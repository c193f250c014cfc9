"""What must hold for the arrays handed to a fit or a prediction, each fault told in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# Values up to which asking each is faster than a sum with its warnings held back.
_FEW = 1000


def check_finite(
    array: np.ndarray, name: str = "X", column_names: Sequence[str] | None = None
) -> None:
    """Check that an array holds neither NaN nor infinity.

    Parameters
    ----------
    array : ndarray of shape (N,) or (N, D)
        Arrays of a type that cannot hold NaN (integers, booleans, text) always pass.
    name : str, default="X"
        What the sentence calls the array.
    column_names : sequence of D str, default=None
        Named in the sentence beside the position of the column.

    Raises
    ------
    ValueError
        With the count, and the column and row of the first such value.

    Examples
    --------
    >>> import numpy as np
    >>> check_finite(np.array([[1.0, 2.0], [3.0, np.nan]]))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: X has 1 value that is NaN or infinite, in column 1, row 1 (counted from 0): ...
    """
    if array.dtype.kind not in "fc" or array.size == 0:
        return
    if array.size <= _FEW and np.isfinite(array).all():
        return
    # One sum is several times faster than asking each of many values. Where finite values overflow
    # it, the slow way below decides.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(array.sum()):
            return
    bad = ~np.isfinite(array)
    count = int(bad.sum())
    if not count:
        return
    if array.ndim == 1:
        place = f"row {int(bad.argmax())} (counted from 0)"
    else:
        row = int(bad.any(axis=1).argmax())
        column = int(bad[row].argmax())
        called = f" ({column_names[column]!r})" if column_names is not None else ""
        place = f"column {column}{called}, row {row} (counted from 0)"
    told = "1 value that is" if count == 1 else f"{count} values that are"
    first = "" if count == 1 else "the first "
    raise ValueError(
        f"{name} has {told} NaN or infinite, {first}in {place}: remove these rows or fill in "
        "finite numbers" + (_FRAME_REMEDY if name.startswith("X") else "") + "."
    )


_FRAME_REMEDY = ", or pass X as a data frame, whose missing numbers are filled in"


def check_same_length(X: Any, y: Any, names: tuple[str, str] = ("X", "y")) -> None:
    """Check that two arrays or frames have the same number of rows.

    Parameters
    ----------
    X, y : arrays or frames of shape (N, ...)
    names : pair of str, default=("X", "y")
        What the sentence calls them.

    Raises
    ------
    ValueError
        With both numbers of rows.

    Examples
    --------
    >>> import numpy as np
    >>> check_same_length(np.zeros((3, 2)), np.zeros(4))
    Traceback (most recent call last):
    ...
    ValueError: X has 3 rows and y has 4: give one row of y for each row of X.
    """
    n_rows, n_others = _n_rows(X), _n_rows(y)
    if n_rows != n_others:
        raise ValueError(
            f"{names[0]} has {counted(n_rows, 'row')} and {names[1]} has {n_others}: "
            f"give one row of {names[1]} for each row of {names[0]}."
        )


def check_n_columns(array: np.ndarray, n_columns: int, name: str = "X") -> None:
    """Check that an array has as many columns as the one that was fitted.

    Parameters
    ----------
    array : ndarray of shape (N, D)
    n_columns : int
        The number of columns of the fit.
    name : str, default="X"
        What the sentence calls the array.

    Raises
    ------
    ValueError
        When the array is not two-dimensional or has another number of columns.

    Examples
    --------
    >>> import numpy as np
    >>> check_n_columns(np.zeros((3, 2)), 4)
    Traceback (most recent call last):
    ...
    ValueError: X has 2 columns, but the model was fitted with 4: give the same columns, in the same
    order.
    """
    if array.ndim != 2:
        raise ValueError(
            f"{name} has the shape {array.shape} where rows and columns are needed: "
            "write X.reshape(-1, 1) for a single column, X.reshape(1, -1) for a single row."
        )
    if array.shape[1] != n_columns:
        raise ValueError(
            f"{name} has {counted(array.shape[1], 'column')}, but the model was fitted with "
            f"{n_columns}: give the same columns, in the same order."
        )


def _n_rows(values: Any) -> int:
    shape = getattr(values, "shape", None)
    return int(shape[0]) if shape else len(values)


def counted(count: int, noun: str) -> str:
    """Write a count with its noun.

    Examples
    --------
    >>> counted(1, "row"), counted(2, "row")
    ('1 row', '2 rows')
    """
    return f"1 {noun}" if count == 1 else f"{count} {noun}s"
