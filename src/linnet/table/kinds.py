"""What is learnt of one column, by its type, and how its values become inputs of a network."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import pyarrow as pa

from linnet.table.frames import listed
from linnet.table.plain import PlainReader
from linnet.table.statistics import center_and_scale, moments, standardize_into
from linnet.table.values import booleans, categories, days, numbers

MOST_CATEGORIES = 100
_DAYS_PER_CYCLE = {"year": 365.2425, "week": 7.0, "day": 1.0}
# A cycle is given to the network only where the fitted dates cover enough of it, in days.
_LEAST_RANGE = {"year": 60.0, "week": 14.0, "day": 2.0}


@dataclasses.dataclass(frozen=True)
class NumberColumn:
    """Numbers: (value - center) / scale, and a 0/1 indicator where the fitted rows had gaps."""

    type: ClassVar[str] = "number"
    name: str
    center: float
    scale: float  # > 0
    fill: float  # stands in for a missing value
    low: float
    high: float
    n_missing: int

    @classmethod
    def fit(cls, name: str, column: pa.Array, *, standardize: bool | str) -> NumberColumn:
        values = numbers(column, name)
        known = values[~np.isnan(values)]
        statistics = moments(known.reshape(-1, 1))
        mean, _, low, high = (float(v[0]) for v in statistics)
        center, scale = (float(v[0]) for v in center_and_scale(statistics, standardize))
        return cls(
            name,
            center=center,
            scale=scale,
            fill=mean,
            low=low,
            high=high,
            n_missing=len(values) - len(known),
        )

    @classmethod
    def read(cls, plain: PlainReader) -> NumberColumn:
        return cls(
            plain.text("name"),
            plain.number("center"),
            plain.positive("scale"),
            plain.number("fill"),
            *_range(plain),
            plain.count("n_missing"),
        )

    @property
    def feature_names(self) -> list[str]:
        return [self.name, f"{self.name} is missing"][: 2 if self.n_missing else 1]

    @property
    def note(self) -> str:
        if self.n_missing:
            return f"{self.n_missing} missing, filled with the mean {self.fill:.4g}"
        if self.low == self.high:
            return f"always {self.low:.4g}"
        return f"{self.low:.4g} to {self.high:.4g}"

    def encode(self, column: pa.Array, out: np.ndarray) -> None:
        """Write N values into `out` of shape (N, 1 or 2), float32."""
        values = numbers(column, self.name)
        missing = np.isnan(values)
        if missing.any():
            values = np.where(missing, self.fill, values)
        center, scale = np.array([self.center]), np.array([self.scale])
        standardize_into(out[:, :1], values.reshape(-1, 1), center, scale)
        if self.n_missing:
            out[:, 1] = missing


@dataclasses.dataclass(frozen=True)
class CategoryColumn:
    """Categories: one input for each, 0 or 1.

    Rare, unseen and missing values share one more input where the fitted rows had rare or missing
    values. Where they had none, nothing could be learnt for such an input, and an unseen value is
    given as the shares of the known categories: the average of the fitted rows.
    """

    type: ClassVar[str] = "category"
    name: str
    categories: tuple[str, ...]
    counts: tuple[int, ...]  # the fitted rows in each category
    n_rare: int  # the fitted rows whose value is none of the categories
    n_missing: int

    @classmethod
    def fit(cls, name: str, column: pa.Array) -> CategoryColumn:
        codes, labels = categories(column)
        counts = np.bincount(codes[codes >= 0], minlength=len(labels))
        # From one or two rows nothing can be learnt about a category.
        fewest = 2 if len(codes) < 100 else 3
        if not (counts >= fewest).any():
            fewest = 1
        commonest = np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]
        kept = sorted(code for code in commonest if counts[code] >= fewest)
        return cls(
            name,
            tuple(labels[code] for code in kept),
            tuple(int(counts[code]) for code in kept),
            n_rare=int(counts.sum() - counts[kept].sum()),
            n_missing=int((codes < 0).sum()),
        )

    @classmethod
    def read(cls, plain: PlainReader) -> CategoryColumn:
        names, counts = plain.texts("categories"), plain.counts("counts")
        if not 1 <= len(names) <= MOST_CATEGORIES:
            raise plain.fault(f"has {len(names)} categories where 1 to {MOST_CATEGORIES} can be")
        if len(counts) != len(names) or sum(counts) == 0:
            raise plain.fault("has 'counts' that do not belong to its 'categories'")
        name, n_rare, n_missing = (
            plain.text("name"),
            plain.count("n_rare"),
            plain.count("n_missing"),
        )
        return cls(name, names, counts, n_rare, n_missing)

    @property
    def has_shared_input(self) -> bool:
        return self.n_rare + self.n_missing > 0

    @property
    def feature_names(self) -> list[str]:
        names = [f"{self.name}={category}" for category in self.categories]
        return [*names, f"{self.name}=(unseen)"] if self.has_shared_input else names

    @property
    def note(self) -> str:
        told = ("category: " if len(self.categories) == 1 else "categories: ") + listed(
            self.categories, most=6
        )
        shared = [f"{self.n_missing} missing"] if self.n_missing else []
        if self.n_rare:
            shared.append(f"{self.n_rare} rare")
        share = "has" if self.n_rare + self.n_missing == 1 else "share"
        return f"{told}; {' and '.join(shared)} {share} one input" if shared else told

    def encode(self, column: pa.Array, out: np.ndarray) -> None:
        """Write N values into `out` of shape (N, number of feature_names), float32."""
        codes, labels = categories(column)
        place = {category: index for index, category in enumerate(self.categories)}
        n_known = len(place)
        # The last place serves the code -1 of missing values.
        index = np.array([place.get(label, n_known) for label in labels] + [n_known])[codes]
        inputs = np.zeros((n_known + 1, out.shape[1]), dtype=np.float32)
        np.fill_diagonal(inputs, 1.0)
        if not self.has_shared_input:
            counts = np.array(self.counts, dtype=np.float64)
            inputs[n_known] = counts / counts.sum()
        out[:] = inputs[index]


@dataclasses.dataclass(frozen=True)
class BooleanColumn:
    """Booleans: 0 or 1; a gap is the share of true, with an indicator where the fit had gaps."""

    type: ClassVar[str] = "boolean"
    name: str
    n_true: int
    n_false: int
    n_missing: int

    @classmethod
    def fit(cls, name: str, column: pa.Array) -> BooleanColumn:
        values = booleans(column, name)
        n_true, n_false = int((values == 1.0).sum()), int((values == 0.0).sum())
        return cls(name, n_true, n_false, len(values) - n_true - n_false)

    @classmethod
    def read(cls, plain: PlainReader) -> BooleanColumn:
        counts = plain.count("n_true"), plain.count("n_false"), plain.count("n_missing")
        if counts[0] + counts[1] == 0:
            raise plain.fault("has no values")
        return cls(plain.text("name"), *counts)

    @property
    def feature_names(self) -> list[str]:
        return [self.name, f"{self.name} is missing"][: 2 if self.n_missing else 1]

    @property
    def note(self) -> str:
        told = f"{self.n_true} true, {self.n_false} false"
        return f"{told}, {self.n_missing} missing" if self.n_missing else told

    def encode(self, column: pa.Array, out: np.ndarray) -> None:
        """Write N values into `out` of shape (N, 1 or 2), float32."""
        values = booleans(column, self.name)
        missing = np.isnan(values)
        out[:, 0] = np.where(missing, self.n_true / (self.n_true + self.n_false), values)
        if self.n_missing:
            out[:, 1] = missing


@dataclasses.dataclass(frozen=True)
class DateColumn:
    """Dates: days since 1970, standardised, and the place in the year, week and day on a circle."""

    type: ClassVar[str] = "date"
    name: str
    center: float  # days since 1970
    scale: float  # days, > 0
    low: float  # days since 1970
    high: float
    cycles: tuple[str, ...]  # of "year", "week", "day"
    n_missing: int

    @classmethod
    def fit(cls, name: str, column: pa.Array) -> DateColumn:
        values = days(column, name)
        known = values[~np.isnan(values)]
        mean, deviation, low, high = (float(v[0]) for v in moments(known.reshape(-1, 1)))
        has_times = len(np.unique(known % 1.0)) > 1
        cycles = tuple(
            cycle
            for cycle, least in _LEAST_RANGE.items()
            if high - low >= least and (cycle != "day" or has_times)
        )
        n_missing = len(values) - len(known)
        return cls(name, mean, deviation or 1.0, low, high, cycles, n_missing)

    @classmethod
    def read(cls, plain: PlainReader) -> DateColumn:
        cycles = plain.texts("cycles")
        if not set(cycles) <= set(_DAYS_PER_CYCLE):
            raise plain.fault("has 'cycles' other than year, week and day")
        return cls(
            plain.text("name"),
            plain.number("center"),
            plain.positive("scale"),
            *_range(plain),
            cycles,
            plain.count("n_missing"),
        )

    @property
    def feature_names(self) -> list[str]:
        waves = [
            f"{self.name} {wave} of {cycle}" for cycle in self.cycles for wave in ("sine", "cosine")
        ]
        return [self.name, *waves, *([f"{self.name} is missing"] if self.n_missing else [])]

    @property
    def note(self) -> str:
        told = f"{_day(self.low)} to {_day(self.high)}"
        if self.cycles:
            told += f", with the place in the {listed(self.cycles)}"
        return f"{told}, {self.n_missing} missing" if self.n_missing else told

    def encode(self, column: pa.Array, out: np.ndarray) -> None:
        """Write N values into `out` of shape (N, number of feature_names), float32."""
        values = days(column, self.name)
        missing = np.isnan(values)
        known = np.where(missing, self.center, values).reshape(-1, 1)
        standardize_into(out[:, :1], known, np.array([self.center]), np.array([self.scale]))
        for index, cycle in enumerate(self.cycles):
            angle = values * (2.0 * np.pi / _DAYS_PER_CYCLE[cycle])
            out[:, 1 + 2 * index] = np.where(missing, 0.0, np.sin(angle))
            out[:, 2 + 2 * index] = np.where(missing, 0.0, np.cos(angle))
        if self.n_missing:
            out[:, -1] = missing


@dataclasses.dataclass(frozen=True)
class LeftOutColumn:
    """A column that gives the network no inputs, with the reason."""

    name: str
    type: str  # of LEFT_OUT_TYPES
    note: str

    feature_names: ClassVar[list[str]] = []

    @classmethod
    def read(cls, plain: PlainReader) -> LeftOutColumn:
        return cls(plain.text("name"), plain.text("type"), plain.text("note"))


LEFT_OUT_TYPES = ("identifier", "constant", "ignore")
Column = NumberColumn | CategoryColumn | BooleanColumn | DateColumn | LeftOutColumn
_READERS = {
    "number": NumberColumn.read,
    "category": CategoryColumn.read,
    "boolean": BooleanColumn.read,
    "date": DateColumn.read,
    **dict.fromkeys(LEFT_OUT_TYPES, LeftOutColumn.read),
}


def column_to_dict(column: Column) -> dict:
    """Return what is known of a column as plain data."""
    fields = dataclasses.asdict(column)
    plain = {key: list(v) if isinstance(v, tuple) else v for key, v in fields.items()}
    return {"type": column.type, **plain}


def column_from_dict(data: object, position: int) -> Column:
    """Read back what `column_to_dict` wrote, checking everything.

    Raises
    ------
    ValueError
        When anything is missing or not as it must be.
    """
    plain = PlainReader(data, f"column {position}")
    kind = plain.text("type")
    if kind not in _READERS:
        raise plain.fault(f"has the type {kind[:40]!r} that does not exist")
    return _READERS[kind](plain)


def _range(plain: PlainReader) -> tuple[float, float]:
    low, high = plain.number("low"), plain.number("high")
    if low > high:
        raise plain.fault("has a 'low' that is greater than its 'high'")
    return low, high


def _day(days_since_1970: float) -> str:
    if abs(days_since_1970) > 2.9e6:  # beyond the year 9900, or as far back
        return f"{days_since_1970:.4g} days since 1970"
    return str(np.datetime64(int(np.floor(days_since_1970)), "D"))
