"""Which type a column has: what its values look like, or what the user says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from linnet.spelling import did_you_mean
from linnet.table.frames import check_known, listed
from linnet.table.values import (
    FALSE_WORDS,
    MISSING_WORDS,
    TRUE_WORDS,
    booleans,
    categories,
    days,
    is_date,
    is_text,
    numbers,
    read_as_dates,
    reads_as_marked_number,
    reads_as_number,
)

TYPES = ("number", "category", "boolean", "date", "identifier", "ignore")
# In fewer rows than this, all texts may differ and still be categories.
_LEAST_ROWS_OF_IDENTIFIER = 21


class Inferred(NamedTuple):
    """The type of a column and, where it is left out, the reason."""

    type: str
    note: str = ""


def check_types(types: Mapping[str, str] | None, names: list[str], what: str) -> dict[str, str]:
    """Check the types that a user gives by column name.

    Parameters
    ----------
    types : mapping of column name to type, or None
    names : list of str
        The columns that there are.
    what : str
        What the sentence calls the table.

    Raises
    ------
    ValueError
        For a column that does not exist or a type that is none of TYPES.
    """
    for name, kind in (types or {}).items():
        if kind not in TYPES:
            raise ValueError(
                f"types gives column {name!r} the type {kind!r}"
                f"{did_you_mean(str(kind), TYPES) or ', which does not exist.'} "
                f"The types are {listed(TYPES)}."
            )
        if name not in names:
            asked = did_you_mean(str(name), names)
            raise ValueError(
                f"types names a column {name!r} that {what} does not have"
                f"{asked or ':'} {'Its' if asked else 'its'} columns are {listed(names)}."
            )
    return dict(types or {})


def infer(name: str, column: pa.Array, asked: str | None, *, drop_constant: bool) -> Inferred:
    """Tell the type of a column.

    Parameters
    ----------
    name : str
    column : pyarrow.Array of length N
    asked : str or None
        The type that the user gives it.
    drop_constant : bool
        Whether a column whose values are all the same gets the type "constant".

    Raises
    ------
    ValueError
        For values that no network takes, and for text among numbers.
    """
    if asked == "ignore":
        return Inferred("ignore", "left out, as asked")
    if asked == "identifier":
        return Inferred("identifier", "left out, as asked")
    check_known(name, column)
    kind = asked or _looks_like(name, column)
    if kind == "category":
        codes, labels = categories(column)
        n_missing, n_different = int((codes < 0).sum()), len(labels)
        if asked is None and is_text(column.type):
            note = _identifier_note(len(codes) - n_missing, n_different)
            if note:
                if reads_as_number(labels).all():
                    note += f"; all read as numbers, which types={{{name!r}: 'number'}} takes"
                note += _misread_note(labels)
                return Inferred("identifier", note)
        value = labels[0] if labels else ""
    else:
        values = {"number": numbers, "boolean": booleans, "date": days}[kind](column, name)
        missing = np.isnan(values)
        n_missing, known = int(missing.sum()), values[~missing]
        n_different = 0 if known.size == 0 else 1 if known.min() == known.max() else 2
        first = int((~missing).argmax())
        try:
            value = column[first].as_py()
        except (OverflowError, ValueError):  # times beyond what Python's own types can hold
            value = float(values[first])
        value = f"{value:.6g}" if isinstance(value, float) else str(value)
    if n_different == 0:
        return Inferred("constant", "left out: every value is missing")
    if n_different == 1 and n_missing == 0 and drop_constant:
        return Inferred("constant", f"left out: every value is {value}")
    return Inferred(kind)


def _looks_like(name: str, column: pa.Array) -> str:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return "category"
    if pa.types.is_boolean(kind):
        return "boolean"
    if is_date(kind):
        return "date"
    if not is_text(kind):
        return "number"
    codes, labels = categories(column)
    words = {label.strip().lower() for label in labels}
    # Both words of one pair, so that a column of "t" and "no" stays a category.
    if any(words == set(pair) for pair in zip(TRUE_WORDS, FALSE_WORDS, strict=True)):
        return "boolean"
    if read_as_dates(labels):
        return "date"
    _refuse_text_among_numbers(name, codes, labels)
    return "category"


def _refuse_text_among_numbers(name: str, codes: np.ndarray, labels: list[str]) -> None:
    """Refuse a column of text where nearly every value is a number, which is nearly always a slip.

    Left alone, one mistyped value would turn a column of measurements into categories.
    """
    if len(labels) < _LEAST_ROWS_OF_IDENTIFIER:
        return
    reads = reads_as_number(labels)
    if reads.all() or reads.mean() < 0.9:
        return
    text = labels[int(reads.argmin())]
    row = int((codes == reads.argmin()).argmax())
    blank = " (which stands for a missing value in files)" if text in MISSING_WORDS else ""
    raise ValueError(
        f"Column {name!r} holds text among numbers: {text!r}{blank} in row {row} (counted from 0); "
        f"write a number or leave the place empty, or pass types={{{name!r}: 'category'}}."
    )


def _identifier_note(n_known: int, n_different: int) -> str:
    if n_known < _LEAST_ROWS_OF_IDENTIFIER or n_different <= n_known / 2:
        return ""
    if n_different == n_known:
        return f"left out: all {n_known} values differ"
    return f"left out: {n_different} of {n_known} values differ, too few repeat"


def _misread_note(labels: list[str]) -> str:
    """Say how numbers and dates are to be written, where the texts are likely to be such."""
    for text in labels:
        if re.fullmatch(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\b.*", text):
            return f"; if {text!r} is a date, write it as 2024-12-31"
        if reads_as_marked_number(text):
            return f"; if {text!r} is a number, write it with a decimal point and no other mark"
    return ""
