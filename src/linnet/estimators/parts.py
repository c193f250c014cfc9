"""The rows of a fit in parts: those to train on, to validate and to test.

Letters: N rows, D inputs, K outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals.stable.v1 as nw
import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import train_test_split

from linnet.table import mapped


@dataclass
class Part:
    """Some rows, checked but not encoded.

    Attributes
    ----------
    X : ndarray of shape (N, D) or data frame
    y : ndarray of shape (N,) or (N, K)
    weight : ndarray of shape (N,) or None
    """

    X: Any
    y: np.ndarray
    weight: np.ndarray | None

    def take(self, rows: np.ndarray) -> Part:
        """Return a copy of some of the rows."""
        weight = None if self.weight is None else self.weight[rows]
        return Part(take(self.X, rows), self.y[rows], weight)


@dataclass
class Parts:
    """The rows of a fit.

    Attributes
    ----------
    train : Part
    validation, test : Part or None
    rows : dict of str to ndarray
        Which of the rows given are in each part; empty where all are trained on.
    known_y, known_weight : ndarray
        What the target is learnt from: of a classifier all rows given, for a rare class may be
        among the validation rows only; else those to train on.
    """

    train: Part
    validation: Part | None
    test: Part | None
    rows: dict[str, np.ndarray]
    known_y: np.ndarray
    known_weight: np.ndarray | None

    @classmethod
    def undivided(cls, whole: Part, validation: Part | None) -> Parts:
        """Return parts that train on all rows."""
        return cls(whole, validation, None, {}, whole.y, whole.weight)


def sets_aside(estimator: Any, validation: Part | None) -> bool:
    """Whether an estimator's parameters set rows aside; `validation` as in `divide`."""
    holds_out = validation is None and estimator.early_stopping
    return bool(getattr(estimator, "test_fraction", 0.0) or holds_out)


def divide(estimator: Any, whole: Part, validation: Part | None, seed: int) -> Parts:
    """Set rows aside, as an estimator's parameters say, to test and to validate.

    Parameters
    ----------
    estimator : OneNetwork
    whole : Part
        All rows given; it gives up its y where rows are set aside.
    validation : Part or None
        Validation rows that the user gave.
    seed : int
    """
    if not sets_aside(estimator, validation):
        return Parts.undivided(whole, validation)
    test_fraction = getattr(estimator, "test_fraction", 0.0)
    holds_out = validation is None and estimator.early_stopping
    y, weight = whole.y, whole.weight
    if isinstance(whole.X, np.ndarray):
        mapped.release(whole.X)  # which has just been checked
    stratified = is_classifier(estimator) and y.ndim == 1
    # Of weight 0, validation rows would say nothing; such a row is as good as absent.
    rows = _numbered(len(y))
    rows = rows if weight is None else rows[weight > 0]
    numbers: dict[str, np.ndarray] = {}
    if test_fraction:
        kept, held_out = split_rows(
            y[rows], test_fraction, seed, stratified=stratified, called="test_fraction"
        )
        rows, numbers["test"] = rows[kept], rows[held_out]
    if holds_out:
        share = estimator.validation_fraction / (1 - test_fraction)  # of those that are left
        kept, held_out = split_rows(y[rows], share, seed, stratified=stratified)
        rows, numbers["validation"] = rows[kept], rows[held_out]
    numbers = {"train": rows, **numbers}
    parts = {}
    for name, rows in numbers.items():
        parts[name] = Part(None, y[rows], None if weight is None else weight[rows])
    train = parts["train"]
    known = (y, weight) if is_classifier(estimator) else (train.y, train.weight)
    del whole.y, y, kept, held_out  # rows may be many, and their inputs are copied next
    for name, part in parts.items():
        part.X = take(whole.X, numbers[name])
    return Parts(train, parts.get("validation", validation), parts.get("test"), numbers, *known)


def split_rows(
    y: np.ndarray,
    fraction: float,
    seed: int,
    *,
    stratified: bool,
    called: str = "validation_fraction",
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to train on and the rows held out: shuffled, classes in proportion.

    Parameters
    ----------
    y : ndarray of shape (N,) or (N, K)
    fraction : float
        Of rows that are held out, from 0 to below 1; at least one row is.
    seed : int
    stratified : bool
        Whether y holds classes (N,), each of which goes to both parts.
    called : str
        What messages call the fraction.

    Raises
    ------
    ValueError
        If too few rows are left to train on, or a class has one row only.
    """
    n_rows = len(y)
    n_held_out, fewest, strata = max(1, round(fraction * n_rows)), 2, None
    if stratified:
        labels, counts = np.unique(y, return_counts=True)
        if counts.min() < 2:
            label = (
                labels[counts.argmin()].item() if y.dtype.kind != "O" else labels[counts.argmin()]
            )
            raise ValueError(
                f"The class {label!r} has one row only, which cannot be both in the training and "
                "in the validation rows. Add rows of it, leave it out, or give X_val and y_val."
            )
        n_held_out, fewest, strata = max(n_held_out, len(labels)), max(2, len(labels)), y
    if n_rows - n_held_out < fewest:
        raise ValueError(
            f"{called}={fraction:.4g} of {n_rows} rows leaves fewer than {fewest} to train "
            "on. Give more rows, a smaller fraction, or early_stopping=False."
        )
    rows, held_out = train_test_split(
        _numbered(n_rows), test_size=n_held_out, random_state=seed, stratify=strata
    )
    return rows, held_out


def _numbered(n_rows: int) -> np.ndarray:
    """Return row numbers (N,), in half of the memory where that is enough."""
    return np.arange(n_rows, dtype=np.int32 if n_rows < 2**31 else np.int64)


def take(X: Any, rows: np.ndarray) -> Any:
    """Return some rows of an array or a frame."""
    if isinstance(X, np.ndarray):
        return mapped.take(X, rows)
    return nw.from_native(X, eager_only=True)[rows].to_native()
