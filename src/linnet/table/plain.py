"""Reading plain data (what JSON can hold) that may come from a damaged or hostile file."""

from __future__ import annotations

import math
from typing import Any

LARGEST_COUNT = 2**53


class PlainReader:
    """Takes checked values out of a dictionary of plain data.

    Parameters
    ----------
    data : object
        What should be a dictionary.
    what : str
        What the sentences call it.

    Raises
    ------
    ValueError
        From each method, when the value is missing or of another kind.
    """

    def __init__(self, data: object, what: str) -> None:
        self.what = what
        if not isinstance(data, dict):
            raise self.fault(f"is {type(data).__name__} data where a dictionary is needed")
        self.data = data

    def fault(self, told: str) -> ValueError:
        return ValueError(
            f"The column statistics are damaged: {self.what} {told}. Load a file that linnet "
            "wrote, or fit the model anew."
        )

    def value(self, key: str) -> Any:
        if key not in self.data:
            raise self.fault(f"has no {key!r}")
        return self.data[key]

    def text(self, key: str) -> str:
        value = self.value(key)
        if not isinstance(value, str):
            raise self.fault(f"has a {key!r} that is no text")
        return value

    def flag(self, key: str) -> bool:
        value = self.value(key)
        if not isinstance(value, bool):
            raise self.fault(f"has a {key!r} that is neither true nor false")
        return value

    def items(self, key: str) -> list:
        value = self.value(key)
        if not isinstance(value, list):
            raise self.fault(f"has a {key!r} that is no list")
        return value

    def number(self, key: str) -> float:
        value = self.value(key)
        if not _is_number(value):
            raise self.fault(f"has a {key!r} that is no finite number")
        return float(value)

    def positive(self, key: str) -> float:
        value = self.number(key)
        if value <= 0.0:
            raise self.fault(f"has a {key!r} that is not greater than 0")
        return value

    def count(self, key: str) -> int:
        value = self.value(key)
        if not _is_count(value):
            raise self.fault(f"has a {key!r} that is no count")
        return value

    def counts(self, key: str) -> tuple[int, ...]:
        values = self.items(key)
        if not all(_is_count(value) for value in values):
            raise self.fault(f"has {key!r} that are no counts")
        return tuple(values)

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.items(key)
        if not all(isinstance(value, str) for value in values) or len(set(values)) < len(values):
            raise self.fault(f"has {key!r} that are not texts, each different")
        return tuple(values)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_COUNT


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
