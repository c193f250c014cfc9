"""Targets: what y holds, as numbers that a network can be trained on, and back to predictions.

Letters: N rows, K outputs, L classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals.stable.v1 as nw
import numpy as np
import scipy.sparse
import torch
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_array

from linnet import user_warnings
from linnet.table.array_checks import check_finite, counted
from linnet.table.frames import check_unique
from linnet.table.statistics import center_and_scale, moments, standardized
from linnet.table.values import is_missing

_MOST_BYTES_OF_CLASSES = 16_000_000


def plain_array(y: Any, name: str = "y") -> np.ndarray:
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
    if nw.dependencies.is_into_dataframe(y):
        names = getattr(y, "column_names", getattr(y, "columns", ()))
        check_unique([str(column) for column in names], name)
    frame = nw.from_native(y, allow_series=True, pass_through=True)
    if isinstance(frame, nw.Series) and frame.dtype in (nw.Int128, nw.UInt128):
        frame = frame.cast(nw.Float64)
    if isinstance(frame, nw.DataFrame | nw.Series):
        columns = list(frame.iter_columns()) if isinstance(frame, nw.DataFrame) else [frame]
        for column in columns:
            n_missing = column.null_count()
            if n_missing:
                raise ValueError(_missing_sentence(name, n_missing, str(column.name or "")))
        return frame.to_numpy()
    if isinstance(y, torch.Tensor):
        y = tensor_array(y)
    if scipy.sparse.issparse(y):
        y = y.toarray()
    try:
        y = np.asarray(y)
    except ValueError as fault:
        raise ValueError(
            f"{name} has rows of different lengths. Give one value a row, or K of them, (N, K)."
        ) from fault
    if y.dtype.kind == "T":  # texts of any length, which scikit-learn does not know
        y = np.array(y.tolist(), dtype=str)
    if y.dtype.kind == "O":
        n_missing = sum(map(is_missing, y.ravel()))
        if n_missing:
            raise ValueError(_missing_sentence(name, n_missing))
    return y


def tensor_array(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor's numbers; NumPy has no bfloat16, and no sparse arrays."""
    tensor = tensor.detach().to_dense().cpu().resolve_conj().resolve_neg()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def complex_sentence(name: str) -> str:
    """Return what is said of complex numbers; scikit-learn's checks look for the first words."""
    return (
        f"Complex data not supported: {name} holds complex numbers. Give their real and imaginary "
        f"parts as columns: np.column_stack([{name}.real, {name}.imag])."
    )


def too_large_sentence(name: str) -> str:
    """Return what is said of Python's whole numbers that no float can hold."""
    return (
        f"{name} holds a whole number beyond 1.8e308, the greatest 64-bit float. Give {name} in "
        "larger units, or its logarithm."
    )


def _missing_sentence(name: str, n_missing: int, column: str = "") -> str:
    return (
        f"Input {name} contains NaN: {counted(n_missing, 'missing value')}"
        f"{f' in column {column!r}' if column else ''}, and a row without a target teaches "
        f"nothing. Leave these rows out of X and {name}."
    )


def bounded(values: np.ndarray) -> np.ndarray:
    """Return values with infinity as the greatest number of float64: y may be nearly as large."""
    # For a single row np.clip takes four times as long as its two halves.
    return np.minimum(np.maximum(values, -_LARGEST), _LARGEST)


_LARGEST = float(np.finfo(np.float64).max)
# From here on, neighbouring whole numbers may be one number of float64.
_FIRST_ALIKE = 2.0**53


# Said of rows where not all need have a weight above 0; others are as good as absent.
OF_WEIGHT = " in the rows whose weight is above 0"


def _constant_sentence(values: np.ndarray, k: int, of_weight: str) -> str:
    """Say that output k of K is constant; `values` (K,) are those of any row."""
    which = (f" in output {k}" if len(values) > 1 else "") + of_weight
    if abs(values[k]) < _FIRST_ALIKE:
        return (
            f"y is constant{which} (always {values[k]:g}): there is nothing to learn. Choose a "
            "target that varies."
        )
    return (
        f"y is constant{which} as 64-bit floats (always {values[k]:g}), which cannot tell all "
        "whole numbers beyond 2**53 apart. Subtract an offset before the fit, y - y.min(), or "
        "choose a target that varies."
    )


@dataclass
class RegressionTarget:
    """Numbers, scaled for training.

    Attributes
    ----------
    mean, scale : ndarray of shape (K,)
        Of the training rows, or middle and half of their range; 0 and 1 where y is not scaled.
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
        scaled: bool | str,
        least: float = -np.inf,
        allow_constant: bool = False,
    ) -> RegressionTarget:
        """Learn mean and scale from y (N,) or (N, K); `scaled` as in `center_and_scale`.

        Raises
        ------
        ValueError
            If y is constant, or below `least`.
        """
        columns = y.reshape(len(y), -1)
        used = columns if weight is None else columns[weight > 0]
        for k in range(columns.shape[1]):
            if not allow_constant and (used[:, k] == used[0, k]).all():
                of_weight = "" if weight is None else OF_WEIGHT
                raise ValueError(_constant_sentence(used[0], k, of_weight))
        if used.min() < least:
            raise ValueError(
                f"y has a least value of {used.min():g}; this loss needs targets of {least:g} or "
                "more. Choose loss='squared_error', or another target."
            )
        mean, scale = center_and_scale(moments(columns, weight), scaled)
        return cls(mean, scale, y.ndim == 2)

    @property
    def n_outputs(self) -> int:
        return len(self.mean)

    def encode(self, y: np.ndarray, name: str = "y", *, overwrite: bool = False) -> np.ndarray:
        """Return y as float64 of shape (N, K), standardised; `overwrite`: in y's own memory."""
        columns = y.reshape(len(y), -1)
        if columns.shape[1] != self.n_outputs:
            raise ValueError(
                f"{name} has {columns.shape[1]} outputs; this model was fitted on "
                f"{self.n_outputs}. Give as many."
            )
        out = columns if overwrite else None
        return standardized(columns, self.mean, self.scale, out)

    def decode(self, predictions: np.ndarray) -> np.ndarray:
        """Return a network's predictions (N, K) in the units of y, in the shape that y had."""
        with np.errstate(over="ignore"):
            values = predictions.astype(np.float64, copy=False) * self.scale + self.mean
        values = bounded(values)
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
        found = np.unique(y if classes is None else np.asarray(classes))
        used = y if classes is not None or weight is None else y[weight > 0]
        if len(found) < 2 or (classes is None and len(np.unique(used)) < 2):
            only = f" ({used.tolist()[0]!r})" if len(used) else ""
            of_weight = "" if weight is None else OF_WEIGHT
            raise ValueError(
                f"y holds one class only{only}{of_weight}: there is nothing to tell apart. Give "
                "rows of two or more classes."
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
        if (y.dtype.kind in "OUS") != (self.classes.dtype.kind in "OUS"):
            unknown = np.ones(len(y), dtype=bool)  # text and numbers cannot be compared
            numbers = np.zeros(len(y), dtype=np.int64)
        else:
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
        if dtype != "O":
            # NumPy gives each label as much room as the longest has.
            longest = max((len(label) for label in labels if isinstance(label, str)), default=0)
            n_bytes = max(np.dtype(dtype).itemsize, 4 * longest) * len(labels)
            if n_bytes > _MOST_BYTES_OF_CLASSES:
                raise ValueError(f"its classes would take {n_bytes:,} bytes")
        return cls(
            np.array(labels, dtype=dtype), bool(record["multilabel"]), int(record["n_outputs"])
        )


def check_regression_target(y: np.ndarray, name: str = "y") -> np.ndarray:
    """Return y as finite float64 of shape (N,) or (N, K), or raise a sentence."""
    _check_shape(y, name, "K outputs")
    texts = [v for v in y.ravel() if isinstance(v, str)] if y.dtype.kind == "O" else []
    if y.dtype.kind in "USMm" or texts:
        raise ValueError(
            f"{name} holds {'dates or durations' if y.dtype.kind in 'Mm' else 'text'} such as "
            f"{str(texts[0] if texts else y.ravel()[0])!r} where numbers are needed. Use "
            "MLPClassifier or ModuleClassifier for classes, or give numbers."
        )
    try:
        y = check_array(
            y, ensure_2d=False, ensure_all_finite=False, dtype="numeric", input_name=name
        )
    except TypeError as fault:
        raise TypeError(_objects_sentence(y, name, "numbers are needed. Give numbers.")) from fault
    except OverflowError as fault:
        raise ValueError(too_large_sentence(name)) from fault
    check_finite(y, f"Input {name} contains NaN or infinity: {name}")
    return y.astype(np.float64)


def check_class_target(y: np.ndarray, name: str = "y") -> np.ndarray:
    """Return labels of shape (N,), or multilabel (N, L), or raise a sentence."""
    _check_shape(y, name, "K labels")
    if y.ndim == 2 and y.shape[1] == 1:
        # scikit-learn's checks look for the first words.
        user_warnings.warn(
            f"A column-vector y was passed when a 1d array was expected: {name} of shape {y.shape} "
            f"is taken as ({len(y)},). Give {name}.ravel().",
            DataConversionWarning,
        )
        y = y.ravel()
    if y.dtype.kind == "f":
        check_finite(y, f"Input {name} contains NaN or infinity: {name}")
    if y.dtype.kind == "O" and len({isinstance(label, str) for label in y.ravel()}) > 1:
        raise TypeError(
            f"{name} mixes text and numbers as classes, which cannot be sorted. Give all as text: "
            f"[str(label) for label in {name}]."
        )
    kind = type_of_target(y)
    # scikit-learn's checks look for the first words.
    if kind == "unknown":
        remedy = "text, numbers or booleans are needed. Give a name or a number for each class."
        raise ValueError(f"Unknown label type: {_objects_sentence(y, name, remedy)}")
    if kind.startswith("continuous"):
        fraction = y[y != np.floor(y)][0]
        raise ValueError(
            f"Unknown label type: {name} holds fractions such as {fraction:g}, which are numbers "
            "rather than classes. Use MLPRegressor, ModuleRegressor or EnsembleRegressor; or give "
            f"classes as text, numpy.asarray({name}).astype(str)."
        )
    if kind == "multiclass-multioutput":
        raise ValueError(
            f"{name} of shape {y.shape} has several columns of classes: fit one classifier a "
            "column (sklearn.multioutput.MultiOutputClassifier), or give zeros and ones for "
            "multilabel targets."
        )
    return y


def _check_shape(y: np.ndarray, name: str, of_what: str) -> None:
    if y.ndim not in (1, 2) or (y.ndim == 2 and y.shape[1] == 0):
        raise ValueError(f"{name} has shape {y.shape}; it has to be (N,), or (N, K) for {of_what}.")
    if y.dtype.kind == "c":
        raise ValueError(complex_sentence(name))
    if y.dtype.kind == "V":
        raise ValueError(
            f"{name} is an array of records ({y.dtype}). Give one of its fields, or a column each."
        )


def _objects_sentence(y: np.ndarray, name: str, remedy: str) -> str:
    plain = (str, bytes, bool, int, float, np.generic)
    other = next((v for v in y.ravel() if not isinstance(v, plain)), y.ravel()[0])
    return f"{name} holds a {type(other).__name__} where {remedy}"
