"""Targets: what y holds, as numbers that a network can be trained on, and back to predictions.

Letters: N rows, K outputs, L classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals.stable.v1 as nw
import numpy as np
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, column_or_1d

from linnet.table.array_checks import check_finite
from linnet.table.statistics import moments


def plain_array(y: Any) -> np.ndarray:
    """Return targets as an array, whatever frame, series, list or tensor they come in.

    Raises
    ------
    ValueError
        If y is missing, or has missing values.
    """
    if y is None:
        raise ValueError(
            "This fit requires y to be passed, but the target y is None. Write fit(X, y)."
        )
    frame = nw.from_native(y, allow_series=True, pass_through=True)
    if isinstance(frame, nw.DataFrame | nw.Series):
        names = ", ".join(map(repr, frame.columns)) if isinstance(frame, nw.DataFrame) else ""
        counts = frame.null_count()
        n_missing = int(counts if isinstance(frame, nw.Series) else sum(counts.row(0)))
        if n_missing:
            raise ValueError(
                f"y{' (' + names + ')' if names else ''} has {n_missing} missing values: a row "
                "without a target teaches nothing. Leave these rows out of X and y."
            )
        return frame.to_numpy()
    if hasattr(y, "detach"):
        y = y.detach().cpu().numpy()
    return np.asarray(y)


@dataclass
class RegressionTarget:
    """Numbers, standardised for training.

    Attributes
    ----------
    mean, scale : ndarray of shape (K,)
        Of the training rows; 0 and 1 where y is not scaled.
    is_column : bool
        Whether y came as (N, K), so that predictions go back so, even for K = 1.
    """

    mean: np.ndarray
    scale: np.ndarray
    is_column: bool

    kind = "regression"

    @classmethod
    def fit(
        cls,
        y: np.ndarray,
        weight: np.ndarray | None,
        *,
        scaled: bool,
        least: float = -np.inf,
        allow_constant: bool = False,
    ) -> RegressionTarget:
        """Learn mean and scale from y (N,) or (N, K).

        Raises
        ------
        ValueError
            If y is constant, or below `least`.
        """
        columns = y.reshape(len(y), -1)
        used = columns if weight is None else columns[weight > 0]
        for k in range(columns.shape[1]):
            if not allow_constant and (used[:, k] == used[0, k]).all():
                which = f" in output {k}" if columns.shape[1] > 1 else ""
                raise ValueError(
                    f"y is constant{which} (always {used[0, k]:g}): there is nothing to learn. "
                    "Choose a target that varies."
                )
        if used.min() < least:
            raise ValueError(
                f"y has a least value of {used.min():g}; this loss needs targets of {least:g} or "
                "more. Choose loss='squared_error', or another target."
            )
        if scaled:
            mean, deviation, _, _ = moments(columns, weight)
            scale = np.where(deviation > 0, deviation, 1.0)
        else:
            mean, scale = np.zeros(columns.shape[1]), np.ones(columns.shape[1])
        return cls(mean, scale, y.ndim == 2)

    @property
    def n_outputs(self) -> int:
        return len(self.mean)

    def encode(self, y: np.ndarray, name: str = "y") -> np.ndarray:
        """Return y as float64 of shape (N, K), standardised."""
        columns = y.reshape(len(y), -1)
        if columns.shape[1] != self.n_outputs:
            raise ValueError(
                f"{name} has {columns.shape[1]} outputs; this model was fitted on "
                f"{self.n_outputs}. Give as many."
            )
        return (columns - self.mean) / self.scale

    def decode(self, predictions: np.ndarray) -> np.ndarray:
        """Return a network's predictions (N, K) in the units of y, in the shape that y had."""
        values = predictions.astype(np.float64) * self.scale + self.mean
        return values if self.is_column else values[:, 0]

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "is_column": self.is_column,
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> RegressionTarget:
        mean = np.array([float(v) for v in record["mean"]])
        scale = np.array([float(v) for v in record["scale"]])
        good = (
            len(mean) == len(scale) > 0 and np.isfinite([mean, scale]).all() and (scale > 0).all()
        )
        if not good:
            raise ValueError("its target statistics are damaged")
        return cls(mean, scale, bool(record["is_column"]))


@dataclass
class ClassTarget:
    """Classes, as class numbers (two and more classes) or as 0/1 columns (multilabel).

    Attributes
    ----------
    classes : ndarray of shape (L,)
        Sorted labels; for multilabel targets the column numbers.
    multilabel : bool
        Whether y is (N, L) of zeros and ones.
    n_outputs : int
        Outputs of the network: one a class, or a single one for two classes.
    """

    classes: np.ndarray
    multilabel: bool
    n_outputs: int

    kind = "classes"

    @classmethod
    def fit(cls, y: np.ndarray, weight: np.ndarray | None = None, classes: Any = None):
        """Learn the classes from y (N,) or multilabel (N, L), or take those given.

        Raises
        ------
        ValueError
            If y holds one class only.
        """
        if y.ndim == 2:
            return cls(np.arange(y.shape[1]), True, y.shape[1])
        found = np.unique(y if weight is None else y[weight > 0])
        found = found if classes is None else np.unique(np.asarray(classes))
        if len(found) < 2:
            only = f" ({found[0]!r})" if len(found) else ""
            raise ValueError(
                f"y holds one class only{only}: there is nothing to tell apart. Give rows of two "
                "or more classes."
            )
        return cls(found, False, 1 if len(found) == 2 else len(found))

    def encode(self, y: np.ndarray, name: str = "y") -> np.ndarray:
        """Return class numbers (N,) of int64, or 0/1 of shape (N, K) for one logit an output."""
        if self.multilabel:
            if y.ndim != 2 or y.shape[1] != len(self.classes):
                raise ValueError(
                    f"{name} has shape {y.shape}; this model was fitted on {len(self.classes)} "
                    "labels a row. Give as many."
                )
            return y.astype(np.float64)
        numbers = np.searchsorted(self.classes, y).clip(0, len(self.classes) - 1)
        unknown = self.classes[numbers] != y
        if unknown.any():
            listed = ", ".join(repr(label) for label in np.unique(y[unknown])[:5].tolist())
            known = ", ".join(repr(label) for label in self.classes[:10].tolist())
            raise ValueError(
                f"{name} has classes that were not there before: {listed}. Known are {known}. "
                "Leave these rows out, or fit anew."
            )
        return numbers.astype(np.int64)

    def to_dict(self) -> dict[str, Any]:
        labels = self.classes
        if labels.dtype.kind not in "iufbUO" or (
            labels.dtype.kind == "O" and not all(isinstance(label, str) for label in labels)
        ):
            raise ValueError(
                f"Classes of type {labels.dtype} cannot be written to a file: give y as text or "
                "numbers."
            )
        return {
            "kind": self.kind,
            "classes": labels.tolist(),
            "dtype": "O" if labels.dtype.kind == "O" else labels.dtype.str,
            "multilabel": self.multilabel,
            "n_outputs": self.n_outputs,
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> ClassTarget:
        dtype = str(record["dtype"])
        if dtype != "O" and np.dtype(dtype).kind not in "iufbU":
            raise ValueError("its classes are of an unknown type")
        labels = list(record["classes"])
        if not all(isinstance(label, str | int | float | bool) for label in labels):
            raise ValueError("its classes are damaged")
        return cls(
            np.array(labels, dtype=dtype), bool(record["multilabel"]), int(record["n_outputs"])
        )


def check_regression_target(y: np.ndarray, name: str = "y") -> np.ndarray:
    """Return y as finite float64 of shape (N,) or (N, K), or raise a sentence."""
    if y.dtype.kind in "USMm":
        raise ValueError(
            f"{name} holds {'text' if y.dtype.kind in 'US' else 'dates or durations'} such as "
            f"{str(y.ravel()[0])!r} where numbers are needed. Use MLPClassifier or "
            "ModuleClassifier for classes, or give numbers."
        )
    y = check_array(
        y, ensure_2d=False, ensure_all_finite=False, allow_nd=True, dtype="numeric", input_name=name
    )
    if y.ndim not in (1, 2) or (y.ndim == 2 and y.shape[1] == 0):
        raise ValueError(f"{name} has shape {y.shape}; it has to be (N,), or (N, K) for K outputs.")
    check_finite(y, f"Input {name} contains NaN or infinity: {name}")
    return y.astype(np.float64)


def check_class_target(y: np.ndarray, name: str = "y") -> np.ndarray:
    """Return labels of shape (N,), or multilabel (N, L), or raise a sentence."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    if y.dtype.kind == "f":
        check_finite(y, f"Input {name} contains NaN or infinity: {name}")
    if y.dtype.kind == "O":
        missing = sum(label is None or label != label for label in y.ravel())
        if missing:
            raise ValueError(
                f"Input {name} contains NaN: {missing} labels are missing. Leave these rows out "
                f"of X and {name}."
            )
    check_classification_targets(y)
    if type_of_target(y) == "multiclass-multioutput":
        raise ValueError(
            f"{name} of shape {y.shape} has several columns of classes: fit one classifier a "
            "column (sklearn.multioutput.MultiOutputClassifier), or give zeros and ones for "
            "multilabel targets."
        )
    return y
