"""Actual and predicted numbers, checked to be of one shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

MOST_PANELS = 4  # more outputs than this would be too small to read


class Predictions:
    """Actual and predicted values of each output, and the names to write on the axes.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (N,) or (N, K)
        Actual and predicted values.
    target_name : str or sequence of K str, default=None
        Name of the target; by default that of ``y_true`` (a Series or a frame).
    unit : str or sequence of K str, default=None
        Unit of the target.
    display : str
        Name of the display, for the sentences of errors.
    """

    def __init__(
        self,
        y_true: Any,
        y_pred: Any,
        *,
        target_name: str | Sequence[str] | None,
        unit: str | Sequence[str] | None,
        display: str,
    ) -> None:
        if target_name is None:
            target_name = names_of(y_true)
        self.y_true = _numbers(y_true, "y_true", display)  # (N, K)
        self.y_pred = _numbers(y_pred, "y_pred", display)  # (N, K)
        if self.y_true.shape != self.y_pred.shape:
            raise ValueError(
                f"y_true has shape {np.shape(y_true)} and y_pred {np.shape(y_pred)}; "
                "give one prediction for each actual value."
            )
        self.n_outputs = self.y_true.shape[1]
        self.names = _one_each(target_name, self.n_outputs, "target_name")
        self.units = _one_each(unit, self.n_outputs, "unit")
        self.n_panels = min(self.n_outputs, MOST_PANELS)

    @property
    def panel_grid(self) -> tuple[int, int]:
        """Rows and columns of a figure with a panel for each output."""
        return (1, self.n_panels) if self.n_panels <= 2 else (2, 2)

    def panel_name(self, k: int) -> str:
        """The heading of output k where there is more than one, else an empty string."""
        if self.n_outputs == 1:
            return ""
        name = self.names[k] or f"output {k}"
        return f"{name}, {k + 1} of {self.n_outputs}" if self.n_outputs > MOST_PANELS else name


def regression_predictions(estimator: Any, X: Any, y: Any, display: str) -> np.ndarray:
    """``estimator.predict(X)`` of a fitted regressor.

    Raises
    ------
    TypeError
        If the estimator is a classifier.
    NotFittedError
        If it is not fitted.
    ValueError
        If X and y differ in length.
    """
    if is_classifier(estimator):
        raise TypeError(
            f"{display} compares numbers and {type(estimator).__name__} predicts classes; "
            "use sklearn.metrics.ConfusionMatrixDisplay.from_estimator(estimator, X, y)."
        )
    check_is_fitted(estimator)
    n_rows, n_targets = len(X), len(y)
    if n_rows != n_targets:
        raise ValueError(
            f"X has {n_rows} rows and y has {n_targets}; give one target for each row."
        )
    return estimator.predict(X)


def interval_ends(interval: Any, shape: tuple[int, int]) -> np.ndarray:
    """Lower and upper ends of shape (N, K, 2) for predictions of shape (N, K).

    Raises
    ------
    ValueError
        If the shape is another, or an end is not finite.
    """
    ends = np.asarray(interval, dtype=float)
    if ends.shape not in ((*shape, 2), (shape[0], 2)) or ends.size != 2 * shape[0] * shape[1]:
        raise ValueError(
            f"interval has shape {ends.shape}; give lower and upper ends, {(*shape, 2)}."
        )
    if not np.isfinite(ends).all():
        raise ValueError("interval is NaN or infinite in some rows; leave those rows out.")
    return ends.reshape(*shape, 2)


def names_of(y: Any) -> str | list[str] | None:
    """The name of a Series or the column names of a frame, None for anything else."""
    frame = nw.from_native(y, pass_through=True, allow_series=True)
    if isinstance(frame, nw.DataFrame):
        return list(frame.columns)
    if isinstance(frame, nw.Series) and isinstance(frame.name, str) and frame.name:
        return frame.name
    return None


def _numbers(y: Any, name: str, display: str) -> np.ndarray:
    frame = nw.from_native(y, pass_through=True, allow_series=True)
    if isinstance(frame, (nw.DataFrame, nw.Series)):
        y = frame.to_numpy()
    values = np.asarray(y)
    if values.dtype == object and values.size:
        try:
            values = values.astype(float)
        except (TypeError, ValueError):
            values = values.astype(str)
    if values.dtype.kind not in "iuf":
        raise TypeError(
            f"{name} holds no numbers (its type is {values.dtype}) and {display} compares "
            "numbers; for classes use sklearn.metrics.ConfusionMatrixDisplay.from_predictions."
        )
    values = values.astype(float)
    if values.ndim == 1:
        values = values[:, np.newaxis]
    if values.ndim != 2:
        raise ValueError(f"{name} has shape {np.shape(y)}; give (N,) or (N, K).")
    if values.size == 0:
        raise ValueError(f"{name} is empty; {display} needs at least one row.")
    bad_rows = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if bad_rows.size:
        raise ValueError(
            f"{name} is NaN or infinite in {bad_rows.size} of {len(values)} rows, first in row "
            f"{bad_rows[0]}; leave those rows out."
        )
    return values


def _one_each(given: Any, n_outputs: int, parameter: str) -> list[str | None]:
    names = [given] * n_outputs if given is None or isinstance(given, str) else list(given)
    if len(names) != n_outputs:
        raise ValueError(
            f"{parameter} has {len(names)} entries and there are {n_outputs} outputs; "
            "give one for each."
        )
    return names


def target_column(y: Any, n_rows: int, output: int, classes: list[Any] | None) -> np.ndarray:
    """One output of y as numbers, or the indices of its classes, of shape (N,).

    Raises
    ------
    ValueError
        If the length is not ``n_rows``, the output does not exist, or a class is unknown.

    Examples
    --------
    >>> target_column(["b", "a"], 2, 0, ["a", "b"])
    array([1., 0.])
    """
    frame = nw.from_native(y, pass_through=True, allow_series=True)
    if isinstance(frame, (nw.DataFrame, nw.Series)):
        y = frame.to_numpy()
    values = np.asarray(y)
    if len(values) != n_rows:
        raise ValueError(
            f"X has {n_rows} rows and y has {len(values)}; give one target for each row."
        )
    columns = values.reshape(n_rows, -1)
    if not 0 <= output < columns.shape[1]:
        raise ValueError(
            f"There is no output {output}; {columns.shape[1]} outputs are numbered from 0 "
            f"to {columns.shape[1] - 1}."
        )
    column = columns[:, output]
    if classes is None:
        return _numbers(column, "y", "SurfaceDisplay")[:, 0]
    index_of = {value: i for i, value in enumerate(np.asarray(classes).tolist())}
    unknown = [value for value in column.tolist() if value not in index_of]
    if unknown:
        raise ValueError(
            f"y holds the class {unknown[0]!r}, which the estimator has not seen; "
            f"its classes are {', '.join(repr(value) for value in index_of)}."
        )
    return np.array([index_of[value] for value in column.tolist()], dtype=float)
