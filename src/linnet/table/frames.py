"""Any data frame (pandas, polars, pyarrow) as named Arrow columns."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import narwhals.stable.v1 as nw
import numpy as np
import pyarrow as pa

from linnet.table.values import is_known, is_missing

# A column takes some 900 bytes beside its values.
MOST_COLUMNS = 50_000
_GREATEST = sys.float_info.max


def open_frame(frame: object) -> dict[str, pa.Array]:
    """Return the columns of a data frame by name, in their order.

    Parameters
    ----------
    frame : data frame of pandas, polars, pyarrow, or another that narwhals reads

    Returns
    -------
    dict of str to pyarrow.Array, each of length N
        Names that are not text are written as text.

    Raises
    ------
    TypeError
        For anything that is no data frame, or one that is not computed yet.
    ValueError
        For a table without rows or columns, for duplicate names, and for columns whose type no
        network can take.
    """
    if not nw.dependencies.is_into_dataframe(frame):
        lazy = nw.dependencies.is_polars_lazyframe(frame)
        remedy = "call .collect() on it first" if lazy else "build one, or use arrays of numbers"
        raise TypeError(
            f"A data frame of pandas, polars or pyarrow is needed, and {_article(frame)} was "
            f"given: {remedy}."
        )
    # narwhals refuses duplicate names in words of its own, so they are looked for first.
    names = [str(name) for name in getattr(frame, "column_names", getattr(frame, "columns", ()))]
    check_unique(names, "The table")
    opened = nw.from_native(frame, eager_only=True)
    columns = {
        name: _arrow(name, series)
        for name, series in zip(names, opened.iter_columns(), strict=True)
    }
    if not columns:
        raise ValueError("The table has no columns: give at least one column of inputs.")
    if not len(next(iter(columns.values()))):
        raise ValueError("The table has a header and no rows: give at least one row of values.")
    return columns


def check_unique(names: Sequence[str], what: str) -> None:
    """Check that no two columns have the same name.

    Raises
    ------
    ValueError
        Naming each such name with its positions, counted from 1.
    """
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if not repeated:
        return
    told = []
    for name in repeated:
        places = [str(place) for place, other in enumerate(names, start=1) if other == name]
        told.append(f"{len(places)} columns named {name!r} (columns {listed(places)})")
    raise ValueError(f"{what} has {listed(told)}: give each column a name of its own.")


def check_few(n_columns: int, what: str, most: int = MOST_COLUMNS) -> None:
    """Check the number of columns before each of them takes memory.

    Raises
    ------
    ValueError
        If there are more than a network, or a reader, could take.
    """
    if n_columns > most:
        raise ValueError(
            f"{what} has {n_columns:,} columns, and linnet reads at most {most:,}: leave "
            "some out, or turn the table so that a row is an observation."
        )


def listed(words: Iterable[str], most: int = 12) -> str:
    """Write words as a list in English, the tail beyond `most` of them counted."""
    words = list(words)
    if len(words) > most + 1:
        words = [*words[:most], f"{len(words) - most} more"]
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _arrow(name: str, series: Any) -> pa.Array:
    column = _mixed(name, series) if series.dtype == nw.Object else None
    if column is None:
        try:
            column = series.to_arrow()
        except (pa.ArrowException, TypeError, OverflowError) as error:
            native = getattr(series.to_native(), "dtype", series.dtype)
            raise ValueError(_unknown_type(name, str(native))) from error
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    return column


def _mixed(name: str, series: Any) -> pa.Array:
    """Turn a column of Python objects into Arrow: by its one type, or else each value as text."""
    values = [None if is_missing(value) else value for value in series.to_list()]
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, OverflowError):
        pass
    if all(value is None or _is_number(value) for value in values):
        return _floats(name, values)
    for value in values:
        if value is not None and not isinstance(value, (str, int, float, bool)):
            raise ValueError(_unknown_type(name, type(value).__name__))
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def _is_number(value: object) -> bool:
    numbers = (int, float, np.integer, np.floating)
    return isinstance(value, numbers) and not isinstance(value, bool)


def _floats(name: str, values: list[Any]) -> pa.Array:
    """Return numbers among which are whole ones too large for 64 bits."""
    try:
        return pa.array([None if value is None else float(value) for value in values])
    except OverflowError as error:
        row = next(i for i, v in enumerate(values) if isinstance(v, int) and abs(v) > _GREATEST)
        raise ValueError(
            f"Column {name!r} holds a whole number beyond 1.8e308, the greatest 64-bit float, in "
            f"row {row} (counted from 0): give the column in larger units, or its logarithm."
        ) from error


def check_known(name: str, column: pa.Array) -> None:
    """Check that the values of a column can be made inputs of a network.

    Raises
    ------
    ValueError
        Naming the column and its type.
    """
    if not is_known(column.type):
        raise ValueError(_unknown_type(name, str(column.type)))


def _unknown_type(name: str, kind: str) -> str:
    return (
        f"Column {name!r} holds {kind} values, and a network takes numbers, text, booleans and "
        f"dates: turn it into such columns, or leave it out with types={{{name!r}: 'ignore'}}."
    )


def _article(value: object) -> str:
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"
