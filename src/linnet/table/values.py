"""The values of one column: from any data frame, by way of Arrow, to NumPy arrays.

A missing value is null in Arrow, and also NaN, an empty text, and whatever stands in MISSING_WORDS.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute

# Its functions are made when it is imported, unseen by type checkers.
pc: Any = pyarrow.compute

MISSING_WORDS = (
    "", "?", "-", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "<NA>", "NaN", "nan", "-NaN",
    "-nan", "NULL", "null", "None", "1.#IND", "1.#QNAN", "-1.#IND", "-1.#QNAN",
)  # fmt: skip
TRUE_WORDS = ("true", "yes", "t", "y")
FALSE_WORDS = ("false", "no", "f", "n")

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_DIGITS = r"\d+([.,' \u00a0\u2009\u202f]\d+)"  # and how many such groups
_SIGN = "[%€$£¥]"
_MARKED_NUMBER = rf"[+-]?({_DIGITS}+|{_SIGN} ?{_DIGITS}*|{_DIGITS}* ?{_SIGN})"
_DATE = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$"
_TICKS_PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_SECONDS_PER_DAY = 86400.0


class Categories(NamedTuple):
    """A column as categories: a code for each row, and what the codes mean."""

    codes: np.ndarray  # (N,) int64, indices into labels; -1 where the value is missing
    labels: list[str]  # sorted, all different


def is_missing(value: object) -> bool:
    """Tell whether a Python value stands for a missing one, as None, NaN, pandas' NA and NaT do."""
    try:
        return value is None or bool(value != value)
    except (TypeError, ValueError, ArithmeticError):
        # Neither of pandas' NA nor of a signalling NaN can be asked; of an array there are several.
        return type(value).__name__ in ("NAType", "Decimal")


def is_text(kind: pa.DataType) -> bool:
    """Tell whether an Arrow type is one of its text types."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view"


def is_number(kind: pa.DataType) -> bool:
    """Tell whether an Arrow type is a number, or a time that is counted in seconds."""
    return (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_duration(kind)
        or pa.types.is_time(kind)
    )


def is_date(kind: pa.DataType) -> bool:
    """Tell whether an Arrow type is a date, or a date with its time."""
    return pa.types.is_date(kind) or pa.types.is_timestamp(kind)


def is_known(kind: pa.DataType) -> bool:
    """Tell whether values of an Arrow type can be made inputs of a network."""
    if pa.types.is_dictionary(kind):
        return is_known(kind.value_type)
    simple = pa.types.is_boolean(kind) or pa.types.is_null(kind)
    return simple or is_text(kind) or is_number(kind) or is_date(kind)


def numbers(column: pa.Array, name: str) -> np.ndarray:
    """Return a column as float64 numbers of shape (N,), NaN where missing.

    Times and durations are counted in seconds. Text is taken where every value reads as a number.

    Raises
    ------
    ValueError
        For text that is no number and for infinite values, with the column and the first row.
    """
    column = _plain(column)
    kind = column.type
    if is_text(kind):
        column, kind = _parsed_numbers(column, name), pa.float64()
    if pa.types.is_boolean(kind):
        column = pc.cast(column, pa.uint8())
    elif is_date(kind):
        raise ValueError(
            f"Column {name!r} holds dates where numbers are needed: give numbers, or fit the "
            f"model anew with types={{{name!r}: 'date'}}."
        )
    elif pa.types.is_duration(kind) or pa.types.is_time(kind):
        whole = pc.cast(column, pa.int32() if pa.types.is_time32(kind) else pa.int64())
        column = pc.divide(pc.cast(whole, pa.float64(), safe=False), _TICKS_PER_SECOND[kind.unit])
    values = _float64(column)
    # Where the sum of all values is finite, so is each of them; NaN needs the closer look.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):
            return values
    infinite = np.isinf(values)
    if infinite.any():
        count = int(infinite.sum())
        has = "1 infinite value, in" if count == 1 else f"{count} infinite values, the first in"
        raise ValueError(
            f"Column {name!r} has {has} row {int(infinite.argmax())} (counted from 0): write "
            "finite numbers, or leave the places empty to have them filled in."
        )
    return values


def booleans(column: pa.Array, name: str) -> np.ndarray:
    """Return a column as 0.0 and 1.0 of shape (N,), NaN where missing.

    Raises
    ------
    ValueError
        For a value that is no boolean, with the column and its row.
    """
    column = _plain(column)
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    if pa.types.is_boolean(column.type):
        return _float64(pc.cast(column, pa.uint8()))
    codes, labels = categories(column)
    words = {
        **dict.fromkeys(TRUE_WORDS, 1.0),
        **dict.fromkeys(FALSE_WORDS, 0.0),
        "1": 1.0,
        "0": 0.0,
    }
    meanings = np.array([words.get(label.lower(), np.inf) for label in labels] + [np.nan])
    values = meanings[codes]
    bad = np.isinf(values)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"Column {name!r} holds {labels[codes[row]]!r} in row {row} (counted from 0) where "
            "booleans are needed: write true or false, yes or no, 1 or 0."
        )
    return values


def days(column: pa.Array, name: str) -> np.ndarray:
    """Return a column of dates as days since 1970 of shape (N,), float64, NaN where missing.

    Raises
    ------
    ValueError
        For a value that is no date, with the column and its row.
    """
    column = _plain(column)
    if is_text(column.type):
        column = _parsed_dates(column, name)
    elif not is_date(column.type) and not pa.types.is_null(column.type):
        raise ValueError(
            f"Column {name!r} holds {column.type} values where dates are needed: write dates as "
            "2024-12-31 or 2024-12-31T23:59:59."
        )
    if pa.types.is_date32(column.type):
        return _float64(pc.cast(column, pa.int32()))
    if pa.types.is_timestamp(column.type):
        per_day = _TICKS_PER_SECOND[column.type.unit] * _SECONDS_PER_DAY
    else:
        per_day = 1e3 * _SECONDS_PER_DAY  # date64 counts milliseconds
    if not pa.types.is_null(column.type):
        column = pc.cast(column, pa.int64())
    return _float64(column) / per_day


def categories(column: pa.Array) -> Categories:
    """Return a column as categories, each value in its shortest written form.

    Whole numbers are written without a decimal point, so that 8 and 8.0 are one category.
    """
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(_plain(column))
    if pa.types.is_null(column.type.value_type):
        return Categories(np.full(len(column), -1), [])
    codes = pc.fill_null(pc.cast(column.indices, pa.int64()), -1).to_numpy(zero_copy_only=False)
    written = [_written(value) for value in column.dictionary.to_pylist()]
    labels = sorted({label for label in written if label is not None})
    place = {label: code for code, label in enumerate(labels)}
    # The last place serves the code -1, so that one look-up handles the missing values too.
    renumber = np.array([-1 if label is None else place[label] for label in written] + [-1])
    codes = renumber[codes]
    # A dictionary may name categories that no row holds.
    held = np.bincount(codes[codes >= 0], minlength=len(labels)) > 0
    if not held.all():
        codes = np.append(np.cumsum(held) - 1, -1)[codes]
        labels = [label for label, is_held in zip(labels, held, strict=True) if is_held]
    return Categories(codes.astype(np.int64), labels)


def reads_as_number(labels: list[str]) -> np.ndarray:
    """Tell for each text whether it reads as a number. Returns booleans of shape (len(labels),)."""
    text = pc.utf8_trim_whitespace(pa.array(labels, pa.string()))
    return pc.match_substring_regex(text, _NUMBER).to_numpy(zero_copy_only=False)


def reads_as_marked_number(text: str) -> bool:
    """Tell whether a text reads as a number but for its decimal comma, thousands' marks or unit."""
    return re.fullmatch(_MARKED_NUMBER, text.strip()) is not None


def read_as_dates(labels: list[str]) -> bool:
    """Tell whether every text is a date as ISO 8601 writes it, and there is at least one."""
    text = pc.utf8_trim_whitespace(pa.array(labels, pa.string()))
    if not labels or not pc.all(pc.match_substring_regex(text, _DATE)).as_py():
        return False
    try:
        _timestamps(text)
    except pa.ArrowInvalid:
        return False
    return True


def _plain(column: pa.Array) -> pa.Array:
    """Undo Arrow's dictionary, view and half-precision forms, which few of its functions take."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if str(column.type) == "string_view":
        column = pc.cast(column, pa.large_string())
    if pa.types.is_float16(column.type):
        column = pc.cast(column, pa.float32())
    return column


def _float64(column: pa.Array) -> np.ndarray:
    """Cast to float64; the result may share the memory of the column and is not to be changed."""
    # Integers beyond 2**53 are rounded instead of refused.
    column = pc.cast(column, pa.float64(), safe=False)
    return column.to_numpy(zero_copy_only=False)


def _without_missing_words(column: pa.Array) -> pa.Array:
    text = pc.utf8_trim_whitespace(column)
    missing = pc.is_in(text, pa.array(MISSING_WORDS, text.type))
    return pc.if_else(missing, pa.scalar(None, text.type), text)


def _parsed_numbers(column: pa.Array, name: str) -> pa.Array:
    text = _without_missing_words(column)
    reads = pc.fill_null(pc.match_substring_regex(text, _NUMBER), True)
    _refuse_first(column, reads, name, "text where numbers are needed", "write a number")
    # Arrow's parser knows no leading plus.
    return pc.cast(pc.replace_substring_regex(text, r"^\+", ""), pa.float64())


def _parsed_dates(column: pa.Array, name: str) -> pa.Array:
    text = _without_missing_words(column)
    reads = pc.fill_null(pc.match_substring_regex(text, _DATE), True)
    remedy = "write dates as 2024-12-31 or 2024-12-31T23:59:59"
    _refuse_first(column, reads, name, "text where dates are needed", remedy)
    # Days repeat, and each needs to be parsed but once.
    encoded = pc.dictionary_encode(text)
    try:
        return _timestamps(pc.cast(encoded.dictionary, pa.string())).take(encoded.indices)
    except pa.ArrowInvalid:
        reads = pa.array([value is None or read_as_dates([value]) for value in text.to_pylist()])
        _refuse_first(column, reads, name, "text where dates are needed", remedy)
        raise


def _timestamps(text: pa.Array) -> pa.Array:
    """Parse ISO dates; those that name a time zone are turned to UTC, others are taken as UTC."""
    zoned = pc.match_substring_regex(text, r"(Z|[+-]\d{2}:?\d{2})$")
    text = pc.if_else(zoned, text, pc.binary_join_element_wise(_with_time(text), "Z", ""))
    return pc.cast(text, pa.timestamp("us", "UTC"))


def _with_time(text: pa.Array) -> pa.Array:
    is_short = pc.equal(pc.utf8_length(text), len("2024-12-31"))
    return pc.if_else(is_short, pc.binary_join_element_wise(text, "T00:00", ""), text)


def _refuse_first(column: pa.Array, good: pa.Array, name: str, fault: str, remedy: str) -> None:
    bad = ~np.asarray(good.to_numpy(zero_copy_only=False), dtype=bool)
    if not bad.any():
        return
    row, count = int(bad.argmax()), int(bad.sum())
    others = "" if count == 1 else f", the first of {count} such values"
    raise ValueError(
        f"Column {name!r} holds {fault}: {column[row].as_py()!r} in row {row} (counted from 0)"
        f"{others}; {remedy}, or leave the place empty to have it filled in."
    )


def _written(value: object) -> str | None:
    """Write one value as the name of its category; None where it stands for a missing one."""
    if value is None or value != value:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip() or None
