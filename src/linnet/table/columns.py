"""What is known of each input column, and the way from a table to the inputs of a network."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike

from linnet.spelling import did_you_mean
from linnet.table.array_checks import check_finite, check_n_columns, counted
from linnet.table.frames import check_known, listed, open_frame
from linnet.table.inference import check_types, infer
from linnet.table.kinds import (
    BooleanColumn,
    CategoryColumn,
    Column,
    DateColumn,
    LeftOutColumn,
    NumberColumn,
    column_from_dict,
    column_to_dict,
)
from linnet.table.mapped import release
from linnet.table.plain import PlainReader
from linnet.table.statistics import center_and_scale, moments, standardize_into

_ALL_CONSTANT = (
    "Every column of X is constant, so there is nothing to learn from: "
    "give at least one column whose values differ."
)


class Columns:
    """What a fit has learnt of its input columns: types, means, scales, categories.

    Made by `Columns.fit` for a table and by `Columns.for_array` for an array. It never changes.

    Parameters
    ----------
    columns : sequence of columns, one for each input column, in their order
    is_array : bool, default=False
        Whether the columns stand for those of an array, which have a position and no name.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"length": [1.0, 2.0, None, 3.0], "sex": ["f", "m", "m", "f"]})
    >>> columns = Columns.fit(table)
    >>> columns.feature_names
    ['length', 'length is missing', 'sex=f', 'sex=m']
    >>> columns.encode(table).shape
    (4, 4)
    """

    def __init__(self, columns: tuple[Column, ...], *, is_array: bool = False) -> None:
        self._columns = tuple(columns)
        self.is_array = is_array

    @classmethod
    def fit(
        cls,
        frame: object,
        *,
        types: Mapping[str, str] | None = None,
        drop_constant: bool = True,
        standardize: bool | str = True,
        allow_constant: bool = False,
    ) -> Columns:
        """Learn the columns of a table.

        Parameters
        ----------
        frame : data frame of N rows (pandas, polars, pyarrow)
            The inputs alone, without the target.
        types : mapping of column name to type, default=None
            "number", "category", "boolean", "date", "identifier" or "ignore" for columns whose
            type should not be told from their values.
        drop_constant : bool, default=True
            Leave out columns whose values are all the same.
        standardize : bool or "minmax", default=True
            Whether numbers are moved to mean 0 and standard deviation 1, to [-1, 1] ("minmax"), or
            taken as they are.
            Dates are always standardised.
        allow_constant : bool, default=False
            Accept a table in which every column is constant, and keep the constant columns.

        Returns
        -------
        Columns

        Raises
        ------
        ValueError
            For a table without rows, duplicate names, infinite values, values that no network
            takes, unknown names in types, and when no column is left to learn from.
        TypeError
            When `frame` is no data frame.
        """
        table = open_frame(frame)
        asked = check_types(types, list(table), "the table")
        drop_constant = drop_constant and not allow_constant
        columns = tuple(
            _fit_column(name, values, asked.get(name), drop_constant, standardize)
            for name, values in table.items()
        )
        if not any(column.feature_names for column in columns):
            if all(column.type == "constant" for column in columns):
                raise ValueError(_ALL_CONSTANT)
            told = listed(f"{column.name!r} ({column.type})" for column in columns)
            raise ValueError(
                f"No column of X is left to learn from: {told}; give at least one column of "
                "numbers or categories, or set its type with types={'name': 'category'}."
            )
        return cls(columns)

    @classmethod
    def for_array(
        cls,
        X: np.ndarray,
        *,
        standardize: bool | str = True,
        allow_constant: bool = False,
        sample_weight: np.ndarray | None = None,
    ) -> Columns:
        """Learn the columns of an array: all numbers, constant ones kept as zeros.

        Parameters
        ----------
        X : ndarray of shape (N, D)
        standardize : bool or "minmax", default=True
            Whether numbers are moved to mean 0 and standard deviation 1, to [-1, 1] ("minmax"), or
            taken as they are.
        allow_constant : bool, default=False
            Accept an array in which every column is constant.
        sample_weight : ndarray of shape (N,), optional
            How often each row counts in the means and deviations.

        Returns
        -------
        Columns
            With the names x0, x1, ...

        Raises
        ------
        ValueError
            For NaN or infinite values, and when every column is constant.

        Examples
        --------
        >>> import numpy as np
        >>> X = np.array([[1.0, 5.0], [3.0, 5.0]])
        >>> Columns.for_array(X).encode_array(X).tolist()
        [[-1.0, 0.0], [1.0, 0.0]]
        """
        X = _numeric(X)
        check_n_columns(X, X.shape[-1] if X.ndim else 0)
        if not X.size:
            raise ValueError(f"X has the shape {X.shape}: give at least one row and one column.")
        check_finite(X)
        known = moments(X, sample_weight)
        release(X)
        mean, deviation, low, high = known
        if not allow_constant and not deviation.any() and np.array_equal(low, high):
            raise ValueError(_ALL_CONSTANT)
        center, scale = center_and_scale(known, standardize)
        rows = np.stack([center, scale, mean, low, high], axis=1).tolist()  # (D, 5)
        columns = tuple(NumberColumn(f"x{i}", *row, n_missing=0) for i, row in enumerate(rows))
        return cls(columns, is_array=True)

    def encode(self, frame: object, dtype: DTypeLike = np.float32) -> np.ndarray:
        """Turn a table into the inputs of a network.

        Columns are found by name, in any order; others are ignored.

        Parameters
        ----------
        frame : data frame of N rows (pandas, polars, pyarrow)
        dtype : dtype, default=float32
            Of the inputs.

        Returns
        -------
        ndarray of shape (N, D) of `dtype`, C-contiguous

        Raises
        ------
        ValueError
            Naming every column that is missing; or the column, row and value that is of another
            kind than in the fit.
        TypeError
            When `frame` is no data frame.
        """
        table = open_frame(frame)
        if self.is_array:
            self._check_positions(table)
            table = dict(zip(self.names, table.values(), strict=True))
        self._check_names(table)
        used = [column for column in self._columns if not isinstance(column, LeftOutColumn)]
        n_rows = len(next(iter(table.values())))
        # Filled column by column, each contiguous, and turned to rows once at the end.
        encoded = np.empty((self.n_features, n_rows), dtype=dtype)
        start = 0
        for column in used:
            check_known(column.name, table[column.name])
            stop = start + len(column.feature_names)
            column.encode(table[column.name], encoded[start:stop].T)
            start = stop
        return np.ascontiguousarray(encoded.T)

    def encode_array(self, X: np.ndarray, dtype: DTypeLike = np.float32) -> np.ndarray:
        """Turn an array, whose columns are those of the fit in their order, into inputs.

        Parameters
        ----------
        X : ndarray of shape (N, number of input columns)
        dtype : dtype, default=float32
            Of the inputs.

        Returns
        -------
        ndarray of shape (N, D) of `dtype`, C-contiguous

        Raises
        ------
        ValueError
            For another number of columns, for NaN or infinite values, and when the fit was made on
            a table with columns other than numbers.
        """
        X = _numeric(X)
        check_n_columns(X, self.n_inputs)
        if not self.is_array:
            names = [column.name for column in self._columns]
            others = [c.name for c in self._columns if c.type in ("category", "boolean", "date")]
            if others:
                raise ValueError(
                    "X is an array, but the model was fitted on a table whose columns are not all "
                    f"numbers ({listed(map(repr, others))}): give a data frame with the columns "
                    f"{listed(map(repr, self.names))}."
                )
            check_finite(X, column_names=names)
            return self.encode(pa.table(dict(zip(names, X.T.copy(), strict=True))), dtype)
        check_finite(X)
        return self.standardize(X, dtype)

    def standardize(
        self, X: np.ndarray, dtype: DTypeLike = np.float32, out: np.ndarray | None = None
    ) -> np.ndarray:
        """Do what `encode_array` does, for an array that was checked and a fit on an array.

        Parameters
        ----------
        X : ndarray of shape (N, D) of float32 or float64, finite
        dtype : dtype, default=float32
            Of the inputs.
        out : ndarray of shape (N, D) of `dtype`, optional
            Where to write them; may be X itself.

        Returns
        -------
        ndarray of shape (N, D) of `dtype`, C-contiguous
        """
        center, scale = self._center_and_scale
        out = np.empty(X.shape, dtype=dtype) if out is None else out
        return standardize_into(out, X, center, scale)

    def leaves_as_is(self, X: np.ndarray, dtype: DTypeLike) -> bool:
        """Whether an array that was checked is what `standardize` would give for it."""
        center, scale = self._center_and_scale
        is_same = self.is_array and not center.any() and bool((scale == 1.0).all())
        return is_same and X.dtype == dtype and X.flags.c_contiguous

    @property
    def names(self) -> list[str]:
        """The names of the input columns that are used."""
        return [c.name for c in self._columns if not isinstance(c, LeftOutColumn)]

    @property
    def input_names(self) -> list[str]:
        """The names of all input columns of the fit, with those that are left out."""
        return [column.name for column in self._columns]

    @property
    def n_inputs(self) -> int:
        """The number of input columns of the fit, with those that are left out."""
        return len(self._columns)

    @property
    def feature_names(self) -> list[str]:
        """The names of the D inputs of the network."""
        return [name for column in self._columns for name in column.feature_names]

    @property
    def inputs_of(self) -> dict[str, int]:
        """How many of the D inputs each column has, by its name and in their order."""
        return {column.name: len(column.feature_names) for column in self._columns}

    @property
    def gaps_of(self) -> list[int]:
        """For each of the D inputs the place of that which is 1 where its column has a gap, or -1.

        Rare categories share that input, so columns that have some count as having none.
        """
        places: list[int] = []
        for column in self._columns:
            n_inputs = len(column.feature_names)
            is_told = getattr(column, "n_missing", 0) and not getattr(column, "n_rare", 0)
            places += [len(places) + n_inputs - 1 if is_told else -1] * n_inputs
        return places

    @functools.cached_property
    def n_features(self) -> int:
        """The number D of inputs of the network."""
        return sum(len(column.feature_names) for column in self._columns)

    @property
    def types(self) -> dict[str, str]:
        """The type of each input column by its name."""
        return {column.name: column.type for column in self._columns}

    def describe(self) -> list[dict[str, str]]:
        """Return a row of name, type and note for each input column, for printing."""
        return [{"name": c.name, "type": c.type, "note": c.note} for c in self._columns]

    def to_dict(self) -> dict:
        """Return everything as plain data, which JSON keeps to the last bit."""
        return {
            "is_array": self.is_array,
            "columns": [column_to_dict(column) for column in self._columns],
        }

    @classmethod
    def from_dict(cls, data: object) -> Columns:
        """Read back what `to_dict` gave.

        Raises
        ------
        ValueError
            When anything is missing or not as it must be; nothing in the data is trusted.
        """
        plain = PlainReader(data, "the whole")
        columns = tuple(
            column_from_dict(item, position) for position, item in enumerate(plain.items("columns"))
        )
        is_array = plain.flag("is_array")
        names = [column.name for column in columns]
        if len(set(names)) < len(names):
            raise plain.fault("names a column twice")
        if not any(column.feature_names for column in columns):
            raise plain.fault("has no column that is used")
        if is_array and not all(
            isinstance(c, NumberColumn) and c.n_missing == 0 and c.name == f"x{i}"
            for i, c in enumerate(columns)
        ):
            raise plain.fault("describes an array with other columns than numbers")
        return cls(columns, is_array=is_array)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Columns):
            return NotImplemented
        return self._columns == other._columns and self.is_array == other.is_array

    def __repr__(self) -> str:
        return f"Columns({self.n_inputs} columns, {self.n_features} features)"

    @functools.cached_property
    def _center_and_scale(self) -> tuple[np.ndarray, np.ndarray]:
        pairs = [(c.center, c.scale) for c in self._columns if isinstance(c, NumberColumn)]
        # (1, D) and contiguous: for a single row NumPy then has nothing to broadcast.
        center, scale = np.array(pairs, dtype=np.float64).T.copy()[:, None]
        return center, scale

    def _check_positions(self, table: dict[str, pa.Array]) -> None:
        if len(table) != self.n_inputs:
            raise ValueError(
                f"The table has {counted(len(table), 'column')}, but the model was fitted on an "
                f"array with {self.n_inputs}: give the same columns, in the same order."
            )

    def _check_names(self, table: dict[str, pa.Array]) -> None:
        missing = [name for name in self.names if name not in table]
        if not missing:
            return
        extra = [name for name in table if name not in self.input_names]
        told = []
        for name in missing:
            asked = did_you_mean(name, extra).removeprefix(", ")
            told.append(f"{name!r} ({asked})" if asked else repr(name))
        word = "column" if len(missing) == 1 else "columns"
        raise ValueError(
            f"The table lacks the {word} {listed(told)}: the model was fitted with "
            f"{listed(map(repr, self.names))}."
        )


def _fit_column(
    name: str, values: pa.Array, asked: str | None, drop_constant: bool, standardize: bool | str
) -> Column:
    kind, note = infer(name, values, asked, drop_constant=drop_constant)
    if kind == "number":
        return NumberColumn.fit(name, values, standardize=standardize)
    if kind == "category":
        return CategoryColumn.fit(name, values)
    if kind == "boolean":
        return BooleanColumn.fit(name, values)
    if kind == "date":
        return DateColumn.fit(name, values)
    return LeftOutColumn(name, kind, note)


def _numeric(X: object) -> np.ndarray:
    array = np.asarray(X)
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.kind not in "iuf":
        raise ValueError(
            f"X is an array of type {array.dtype} where numbers are needed: convert it with "
            "X.astype(float), or give a data frame, which may hold text, dates and booleans."
        )
    return array.astype(np.float32) if array.dtype == np.float16 else array
