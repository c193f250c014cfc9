"""What comes into a fit beside y: rows of X, weights, validation rows; each checked.

Letters: N rows, D inputs.
"""

from __future__ import annotations

from typing import Any

import narwhals.stable.v1 as nw
import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    _num_samples,
    validate_data,
)

from linnet.data import check_kind
from linnet.estimators.targets import complex_sentence, tensor_array, too_large_sentence
from linnet.table import check_finite
from linnet.table.frames import check_unique, open_frame

_GREATEST_EXPONENT = 200
_TEXT = "could not convert string to float: "


def read_inputs(estimator: BaseEstimator, X: Any, name: str = "X", *, reset: bool) -> Any:
    """Return a frame as it is, or a finite float array (N, D).

    Names and number of the columns are kept in the estimator (`reset`) or compared with those of
    the fit, as scikit-learn does.

    Raises
    ------
    ValueError
        If there are no rows, or the columns are others than in the fit, or an array holds text,
        NaN or infinity.
    TypeError
        If X is a frame that is not computed yet, or nothing that can be read.
    """
    if not reset and _is_plain(estimator, X):
        check_finite(X, name)
        return X
    check_kind(X, name)
    if type(X) is not np.ndarray and _is_frame(estimator, X, name, reset=reset):
        return X
    if isinstance(X, torch.Tensor):
        X = tensor_array(X)
    try:
        X = validate_data(
            estimator,
            X,
            reset=reset,
            accept_sparse=["csr", "csc"],
            dtype=[np.float64, np.float32],
            ensure_all_finite=False,
        )
    except OverflowError as fault:
        raise ValueError(too_large_sentence(name)) from fault
    except TypeError as fault:
        told = str(fault)
        # scikit-learn's own are sentences, and its checks look for the words of NumPy's.
        if not told.startswith(("float() argument", "Cannot cast")):
            raise
        raise TypeError(
            f"{name} holds values that are no numbers ({told}). Give numbers, or a data frame, "
            "whose categories, booleans and dates are encoded."
        ) from fault
    except ValueError as fault:
        told = str(fault)
        if told.startswith("Complex data"):
            raise ValueError(complex_sentence(name)) from None
        if "inhomogeneous shape" in told:
            raise ValueError(
                f"{name} has rows of different lengths. Give rows of one length, (N, D)."
            ) from fault
        if told.startswith("X has "):
            raise ValueError(name + told.removeprefix("X")) from fault
        if not told.startswith(_TEXT):
            raise
        text = told.removeprefix(_TEXT).removeprefix("np.str_(").removesuffix(")")
        raise ValueError(
            f"{name} holds text ({text}) where numbers are needed. Give a data frame, whose "
            "categories, booleans and dates are encoded, or numbers."
        ) from fault
    X = X if isinstance(X, np.ndarray) else X.toarray()
    check_finite(X, name, getattr(estimator, "feature_names_in_", None))
    return X


def _is_plain(estimator: BaseEstimator, X: Any) -> bool:
    """Whether X is an array that scikit-learn's checks, finiteness apart, give back as it is.

    They take longer than the prediction of a row.
    """
    return (
        type(X) is np.ndarray
        and X.dtype in (np.float64, np.float32)
        and X.ndim == 2
        and len(X) > 0
        and X.shape[1] == getattr(estimator, "n_features_in_", None)
        and not hasattr(estimator, "feature_names_in_")
    )


def _is_frame(estimator: BaseEstimator, X: Any, name: str, *, reset: bool) -> bool:
    """Whether X is a data frame, whose columns are checked then."""
    if nw.dependencies.is_into_dataframe(X):
        names = getattr(X, "column_names", getattr(X, "columns", ()))
        check_unique([str(column) for column in names], name)
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        _check_feature_names(estimator, X, reset=reset)
        try:
            _check_n_features(estimator, X, reset=reset)
        except ValueError as fault:
            raise ValueError(name + str(fault).removeprefix("X")) from fault
        if len(frame) == 0:
            raise ValueError(f"{name} has 0 rows (n_samples=0): a minimum of 1 is required.")
        return True
    if nw.dependencies.is_polars_lazyframe(X):
        open_frame(X)  # says what to write instead
    return False


def check_lengths(X: Any, y: np.ndarray, names: tuple[str, str] = ("X", "y")) -> None:
    """Raise ValueError unless there is a target for each row."""
    n_rows = _num_samples(X)
    if n_rows != len(y):
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: {names[0]} has {n_rows} "
            f"rows and {names[1]} {len(y)}. Each row of {names[0]} needs one of {names[1]}."
        )


def read_weights(sample_weight: Any, n_rows: int, name: str) -> np.ndarray | None:
    """Return the rows' weights (N,) as floats, or None.

    Raises
    ------
    ValueError
        If there are not N, or one is negative or not finite, or all are 0.
    """
    if sample_weight is None:
        return None
    given = (
        tensor_array(sample_weight) if isinstance(sample_weight, torch.Tensor) else sample_weight
    )
    given = np.asarray(given)
    if given.dtype.kind not in "biufO":
        raise ValueError(f"{name} holds {given.dtype} values where numbers are needed.")
    if given.ndim and given.shape != (n_rows,):
        raise ValueError(
            f"{name} has shape {given.shape}; it has to be ({n_rows},), one number a row."
        )
    try:
        weight = np.array(np.broadcast_to(given, n_rows), dtype=np.float64)
    except (TypeError, ValueError) as fault:
        raise ValueError(f"{name} holds values that are no numbers. Give numbers.") from fault
    except OverflowError as fault:
        raise ValueError(too_large_sentence(name)) from fault
    check_finite(weight, name)
    if (weight < 0).any() or not (weight > 0).any():
        raise ValueError(
            f"{name} has a least value of {weight.min():g} and a greatest of {weight.max():g}: "
            "weights are 0 or more, and at least one is above zero."
        )
    size = int(np.frexp(weight.max())[1])
    # Of such sizes sums and squares would overflow or vanish. Powers of two round nothing.
    return weight if abs(size) < _GREATEST_EXPONENT else np.ldexp(weight, -size)
