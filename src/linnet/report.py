"""What a fit is worth: splits, scores, and the baselines beside them.

Letters: N rows, L classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v1 as nw
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    log_loss,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
    roc_auc_score,
)
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from linnet.table import Columns
from linnet.table.values import days, numbers


def split_rows(
    n_rows: int, test_size: float, seed: int, classes: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the row numbers to fit on and those to test on: shuffled, classes in proportion.

    Parameters
    ----------
    n_rows : int
        N.
    test_size : float
        Fraction of rows to test on, above 0 and below 1.
    seed : int
        Decides the rows.
    classes : ndarray of shape (N,), optional
        Labels to keep in proportion.

    Raises
    ------
    ValueError
        If a class has one row only, or too few rows are left.

    Examples
    --------
    >>> from linnet.report import split_rows
    >>> [len(rows) for rows in split_rows(10, 0.2, seed=0)]
    [8, 2]
    """
    n_test = max(1, round(test_size * n_rows))
    if n_rows - n_test < 2:
        raise ValueError(
            f"{n_rows} rows cannot be split with a test size of {test_size:g}: at least two have "
            "to be left to fit on. Give more rows, or a smaller test size."
        )
    if classes is not None:
        labels, counts = np.unique(classes, return_counts=True)
        if counts.min() < 2:
            raise ValueError(
                f"The class {str(labels[counts.argmin()])!r} has one row only, which cannot be "
                "both among the rows to fit on and those to test on. Add rows of it, or leave it "
                "out."
            )
        n_test = max(n_test, len(labels))
    rows, held_out = train_test_split(
        np.arange(n_rows), test_size=n_test, random_state=seed, stratify=classes
    )
    return rows, held_out


def regression_scores(y: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Return R², RMSE and MAE, the last two in the units of y.

    Parameters
    ----------
    y, predicted : ndarray of shape (N,) or (N, K)

    Examples
    --------
    >>> import numpy as np
    >>> from linnet.report import regression_scores
    >>> regression_scores(np.array([0.0, 2.0]), np.array([0.0, 1.0]))["mae"]
    0.5
    """
    r2 = float(r2_score(y, predicted)) if len(y) > 1 else float("nan")
    return {
        "r2": r2,
        "rmse": float(np.sqrt(mean_squared_error(y, predicted))),
        "mae": float(mean_absolute_error(y, predicted)),
    }


def interval_scores(
    estimator: Any, X: Any, y: np.ndarray, coverage: float = 0.9
) -> dict[str, float] | None:
    """Return which share of rows lies inside of their intervals, and how wide these are.

    Parameters
    ----------
    estimator : fitted regressor
    X : data frame or ndarray of shape (N, D)
    y : ndarray of shape (N,)
    coverage : float, default=0.9
        Share of new rows that the intervals are to hold.

    Returns
    -------
    dict or None
        "coverage", "inside", and "mean_width" in the units of y; None where the estimator knows
        nothing of its errors.

    Examples
    --------
    >>> import numpy as np
    >>> from linnet import MLPRegressor
    >>> from linnet.report import interval_scores
    >>> X = np.linspace(-1, 1, 100).reshape(-1, 1)
    >>> model = MLPRegressor((4,), solver="lbfgs", random_state=0).fit(X, X.ravel())
    >>> interval_scores(model, X, X.ravel()) is None
    True
    """
    if not hasattr(estimator, "error_bars_"):
        return None
    low, high = estimator.predict_interval(X, coverage).T
    inside, width = ((low <= y) & (y <= high)).mean(), (high - low).mean()
    return {"coverage": coverage, "inside": float(inside), "mean_width": float(width)}


def classification_scores(
    y: np.ndarray, probabilities: np.ndarray, classes: np.ndarray
) -> dict[str, float]:
    """Return accuracy, log loss (nats) and ROC AUC (one class against the rest, averaged).

    Parameters
    ----------
    y : ndarray of shape (N,)
        Labels, all among `classes`.
    probabilities : ndarray of shape (N, L)
    classes : ndarray of shape (L,)
        Sorted labels.

    Returns
    -------
    dict
        ROC AUC is NaN where a class is absent from y.
    """
    predicted = classes[probabilities.argmax(axis=1)]
    present = np.isin(classes, y)
    auc = float("nan")
    if present.all():
        positive = probabilities[:, 1] if len(classes) == 2 else probabilities
        # Sums that rounding has left off 1 by 1e-8 would be refused.
        if len(classes) > 2:
            positive = probabilities / probabilities.sum(axis=1, keepdims=True)
        auc = float(roc_auc_score(y, positive, multi_class="ovr", labels=classes))
    return {
        "accuracy": float(accuracy_score(y, predicted)),
        "log_loss": float(log_loss(y, probabilities, labels=classes)),
        "roc_auc": auc,
    }


def confusion(y: np.ndarray, predicted: np.ndarray, classes: np.ndarray) -> list[list[int]]:
    """Return the confusion matrix: rows are the actual classes, columns the predicted ones."""
    return confusion_matrix(y, predicted, labels=classes).tolist()


def simple_baseline(
    y_fit: np.ndarray, y: np.ndarray, classes: np.ndarray | None
) -> tuple[str, dict[str, float]]:
    """Return the name and scores of the mean, or of the commonest class and class shares."""
    if classes is None:
        return "mean of the target", regression_scores(y, np.full(len(y), y_fit.mean()))
    shares = np.array([(y_fit == label).mean() for label in classes])
    return "commonest class", classification_scores(y, np.tile(shares, (len(y), 1)), classes)


def boosting_baseline(
    columns: Columns,
    tables: Sequence[Any],
    y_fit: np.ndarray,
    y: np.ndarray,
    classes: np.ndarray | None,
    seed: int,
) -> tuple[str, dict[str, float]]:
    """Fit scikit-learn's HistGradientBoosting, as it comes, and return its name and scores.

    It gets the columns in the form it likes best: numbers with their gaps, and categories as
    categories.

    Parameters
    ----------
    columns : Columns
        Which columns there are, and of which type.
    tables : sequence of two pyarrow tables
        Rows to fit on and rows to test on.
    y_fit, y : ndarray
        Targets of the two.
    classes : ndarray of shape (L,) or None
        None for numbers.
    seed : int
        Its random_state.
    """
    types = columns.types
    X_fit, X = (np.column_stack(features) for features in _plain_features(types, tables))
    is_category = [kind in ("category", "boolean") for kind in types.values() if _is_used(kind)]
    options = {"random_state": seed, "categorical_features": is_category}
    kind = HistGradientBoostingRegressor if classes is None else HistGradientBoostingClassifier
    # On few rows its threads wait for each other longer than they work.
    n_threads = 1 if len(y_fit) < 20_000 else None
    with threadpool_limits(n_threads, user_api="openmp"):
        model = kind(**options).fit(X_fit, y_fit)
        if classes is None:
            return "HistGradientBoosting", regression_scores(y, model.predict(X))
        return "HistGradientBoosting", classification_scores(y, model.predict_proba(X), classes)


def _is_used(kind: str) -> bool:
    return kind in ("number", "category", "boolean", "date")


def _plain_features(types: dict[str, str], tables: Sequence[Any]) -> list[list[np.ndarray]]:
    """Return, for each table, its columns as floats; categories as the numbers of the first's."""
    features: list[list[np.ndarray]] = [[] for _ in tables]
    for name, kind in types.items():
        if not _is_used(kind):
            continue
        columns = [table[name].combine_chunks() for table in tables]
        if kind == "number":
            values = [numbers(column, name) for column in columns]
        elif kind == "date":
            values = [days(column, name) for column in columns]
        else:
            values = _codes(columns)
        for part, column in zip(features, values, strict=True):
            part.append(column)
    return features


def _codes(columns: Sequence[Any]) -> list[np.ndarray]:
    # HistGradientBoosting takes up to 254 categories; the rarest become missing, as unseen ones do.
    labels = [[None if v is None else str(v) for v in column.to_pylist()] for column in columns]
    counts: dict[str, int] = {}
    for label in labels[0]:
        if label is not None:
            counts[label] = counts.get(label, 0) + 1
    kept = sorted(counts, key=lambda label: -counts[label])[:254]
    code = {label: float(i) for i, label in enumerate(kept)}
    missing = float("nan")
    return [
        np.array([missing if v is None else code.get(v, missing) for v in part]) for part in labels
    ]


def task_of(target: Any) -> str:
    """Return "classification" for text, booleans and two numbers, else "regression".

    Parameters
    ----------
    target : pyarrow or other series of shape (N,)

    Examples
    --------
    >>> import pyarrow as pa
    >>> from linnet.report import task_of
    >>> task_of(pa.chunked_array([["a", "b"]])), task_of(pa.chunked_array([[1.5, 2.5, 3.5]]))
    ('classification', 'regression')
    """
    series = nw.from_native(target, series_only=True)
    if not series.dtype.is_numeric():
        return "classification"
    return "classification" if series.drop_nulls().n_unique() == 2 else "regression"
