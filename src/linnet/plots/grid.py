"""A grid over one or two features of a table, the other features held fixed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
import numpy as np

from linnet.spelling import did_you_mean


class FeatureGrid:
    """Inputs on a regular grid over the range of one or two features.

    Parameters
    ----------
    X : array-like or frame of shape (N, D)
        Rows from which ranges and medians are taken.
    features : sequence of one or two int or str, or None
        Positions or names. None means the first two, or the one where D = 1.
    resolution : int
        Points along each feature, G, at least 2.
    fixed : mapping of int or str to value, or None
        Values of other features; by default medians, and the commonest of what is no number.
    feature_names : sequence of D str, or None
        Names of the columns of an array.

    Attributes
    ----------
    names : list of str
        Names of the one or two features.
    axes : list of ndarray of shape (G,)
        Grid along each of them.
    data : ndarray of shape (N, 1) or (N, 2)
        Their values in X, NaN where missing.
    held : dict of str to value
        The fixed value of each other feature, by name.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0, 1.0, 7.0], [4.0, 3.0, 9.0]])
    >>> grid = FeatureGrid(X, (0, 1), resolution=2)
    >>> grid.inputs()
    array([[0., 1., 8.],
           [4., 1., 8.],
           [0., 3., 8.],
           [4., 3., 8.]])
    """

    def __init__(
        self,
        X: Any,
        features: Sequence[int | str] | None,
        *,
        resolution: int,
        fixed: Mapping[int | str, Any] | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        if resolution < 2:
            raise ValueError(f"grid_resolution is {resolution}; the least is 2 points.")
        frame = nw.from_native(X, eager_only=True, pass_through=True)
        is_frame = isinstance(frame, nw.DataFrame)
        self._table = _Frame(frame) if is_frame else _Array(X, feature_names)
        self._positions = self._chosen(features)
        self.names = [self._table.names[i] for i in self._positions]
        columns = [self._table.numbers(i) for i in self._positions]
        self.data = np.stack(columns, axis=1)
        self.axes = [
            _axis(column, name, resolution)
            for column, name in zip(columns, self.names, strict=True)
        ]
        self._held = {
            i: self._table.middle(i)
            for i in range(len(self._table.names))
            if i not in self._positions
        }
        for feature, value in (fixed or {}).items():
            i = self._position(feature)
            if i in self._positions:
                raise ValueError(
                    f"fixed names {self._table.names[i]!r}, which is an axis of the picture; "
                    "fix other features only."
                )
            self._held[i] = value
        self.held = {self._table.names[i]: value for i, value in self._held.items()}

    def inputs(self) -> Any:
        """Rows for ``predict``, of the kind of X: (G, D) or (G², D), the first feature fastest."""
        columns = [mesh.ravel() for mesh in np.meshgrid(*self.axes)]
        varied = dict(zip(self._positions, columns, strict=True))
        return self._table.rows(varied, self._held, len(columns[0]))

    def _chosen(self, features: Sequence[int | str] | None) -> list[int]:
        n_features = len(self._table.names)
        if features is None:
            features = range(min(n_features, 2))
        elif isinstance(features, (str, int)):
            features = [features]
        positions = [self._position(feature) for feature in features]
        if len(positions) not in (1, 2) or len(set(positions)) != len(positions):
            raise ValueError(
                f"features is {tuple(features)!r}; give one feature or two different ones."
            )
        return positions

    def _position(self, feature: int | str) -> int:
        names = self._table.names
        if isinstance(feature, str):
            if feature not in names:
                hint = did_you_mean(feature, names) or "."
                raise ValueError(
                    f"X has no feature {feature!r}{hint} Its features are {_listed(names)}."
                )
            return names.index(feature)
        if not 0 <= feature < len(names):
            raise ValueError(
                f"X has no feature {feature}; its {len(names)} features are numbered from 0 "
                f"to {len(names) - 1}."
            )
        return int(feature)


class _Array:
    """Columns of an array, all of them numbers."""

    def __init__(self, X: Any, names: Sequence[str] | None) -> None:
        try:
            self.X = np.asarray(X, dtype=float)
        except (TypeError, ValueError):
            raise ValueError(
                "X holds values that are no numbers; pass a frame (pandas, polars, pyarrow) "
                "for columns of text."
            ) from None
        if self.X.ndim != 2 or 0 in self.X.shape:
            raise ValueError(f"X has shape {self.X.shape}; give N rows of D features, (N, D).")
        n_features = self.X.shape[1]
        self.names = [f"x{i}" for i in range(n_features)] if names is None else list(names)
        if len(self.names) != n_features:
            raise ValueError(
                f"feature_names has {len(self.names)} names and X {n_features} features; "
                "give one name for each."
            )

    def numbers(self, i: int) -> np.ndarray:
        return self.X[:, i]

    def middle(self, i: int) -> float:
        return _median(self.X[:, i])

    def rows(self, varied: dict[int, np.ndarray], held: dict[int, Any], n: int) -> np.ndarray:
        rows = np.empty((n, self.X.shape[1]))
        for i, value in {**held, **varied}.items():
            rows[:, i] = value
        return rows


class _Frame:
    """Columns of a data frame, of any type."""

    def __init__(self, frame: nw.DataFrame[Any]) -> None:
        self.frame = frame
        self.names = list(frame.columns)
        if 0 in frame.shape:
            raise ValueError(f"X has shape {frame.shape}; give N rows of D features, (N, D).")

    def _series(self, i: int) -> nw.Series[Any]:
        return self.frame[self.names[i]]

    def numbers(self, i: int) -> np.ndarray:
        series = self._series(i)
        if not series.dtype.is_numeric():
            raise ValueError(
                f"The feature {self.names[i]!r} holds {str(series.dtype).lower()} values and an "
                "axis of a surface needs numbers; choose number columns by features=(..., ...)."
            )
        return series.cast(nw.Float64).to_numpy().astype(float)

    def middle(self, i: int) -> Any:
        """The median, rounded down in a column of integers; else the commonest value."""
        series = self._series(i)
        if series.dtype.is_numeric():
            median = _median(self.numbers(i))
            whole = series.dtype.is_integer() and not math.isnan(median)
            return math.floor(median) if whole else median
        commonest = Counter(series.drop_nulls().to_list()).most_common(1)
        return commonest[0][0] if commonest else None

    def rows(self, varied: dict[int, np.ndarray], held: dict[int, Any], n: int) -> Any:
        backend = self.frame.implementation
        columns = {}
        for i, name in enumerate(self.names):
            series = self._series(i)
            if i in varied:
                columns[name] = nw.new_series(name, varied[i], nw.Float64, backend=backend)
            elif isinstance(held[i], float):
                values = np.full(n, held[i])
                columns[name] = nw.new_series(name, values, nw.Float64, backend=backend)
            else:
                columns[name] = nw.new_series(name, [held[i]] * n, series.dtype, backend=backend)
        return nw.from_dict(columns, backend=backend).to_native()


def _axis(column: np.ndarray, name: str, resolution: int) -> np.ndarray:
    finite = column[np.isfinite(column)]
    if finite.size == 0:
        raise ValueError(f"The feature {name!r} has no finite value in X; choose another one.")
    if finite.min() == finite.max():
        raise ValueError(
            f"The feature {name!r} has the one value {finite[0]:g} in X and spans no axis; "
            "choose another one by features=(..., ...)."
        )
    return np.linspace(finite.min(), finite.max(), resolution)


def _median(column: np.ndarray) -> float:
    finite = column[np.isfinite(column)]
    return float(np.median(finite)) if finite.size else math.nan


def _listed(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
