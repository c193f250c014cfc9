"""What in the rows of a fit is likely to mislead: each measured, and told in one line.

Large tables are looked at in part; what a part shows is then compared over all rows, or told as of
the part. docs/lint.md says from where on each is told, and why.

Letters: N rows, D inputs, K outputs, L classes.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

# By chance fewer rows than these are often sorted, or on one line.
_FEWEST_ROWS = 20
# Rows that a column is first compared with the target on.
_SCREENED_ROWS = 500
# Numbers of training rows, and validation rows, that are looked through for equal rows.
COMPARED_NUMBERS, COMPARED_ROWS = 2**18, 1000
# The least share of the validation rows: one in a hundred does not change which epoch is best.
_LEAST_SHARED = 0.05
# Greatest error of a linear image, as a share of the target's spread; float32 keeps 6e-8.
_LINEAR_ERROR = 1e-5
# Farther than this from mean 0 and deviation 1, in either direction, inputs count as unscaled.
_UNSCALED = 10.0


def sorted_target(y: np.ndarray, *, is_shuffled: bool = True) -> list[str]:
    """Say that a target (N,), or one of K, rises, falls or comes in blocks along the rows."""
    if len(y) < _FEWEST_ROWS:
        return []
    outputs = y.reshape(len(y), -1)
    for k in range(outputs.shape[1]):
        told = _order_of(outputs[:, k])
        if told:
            which = "The target" if outputs.shape[1] == 1 else f"Output {k} of the target"
            break
    else:
        return []
    if not is_shuffled:
        return [f"{which} {told}, and shuffle=False makes batches of like targets. {_SHUFFLE}"]
    return [
        f"{which} {told}. linnet shuffles them; a split of your own, such as KFold, has to do so "
        "too (shuffle=True)."
    ]


_SHUFFLE = "Write shuffle=True."


def _order_of(y: np.ndarray) -> str:
    part = y[:_FEWEST_ROWS].tolist()
    changed = [b for a, b in pairwise(part) if a != b]
    if len({part[0], *changed}) <= len(changed):
        return ""  # a value comes back after others
    # One row that differs, at either end, is there by chance.
    if _is_sorted(y[:_FEWEST_ROWS]) and _is_sorted(y) and y[1] != y[-2]:
        return "is sorted in the order of the rows"
    if _is_in_blocks(y):
        return "comes in blocks of equal values in the order of the rows"
    return ""


def _is_sorted(y: np.ndarray) -> bool:
    return bool((y[:-1] <= y[1:]).all()) or bool((y[1:] <= y[:-1]).all())


def _is_in_blocks(y: np.ndarray) -> bool:
    """Whether equal values stand side by side, two of them as a mean, in three blocks or more.

    Two blocks are sorted.
    """
    changes = y[1:] != y[:-1]
    n_blocks = 1 + np.count_nonzero(changes)
    if n_blocks < 3 or 2 * n_blocks > len(y):
        return False
    starts = y[:-1][changes]  # of all blocks but the last
    return len(np.unique(starts)) == n_blocks - 1 and not (starts == y[-1]).any()


def shared_rows(
    X: np.ndarray,
    y: np.ndarray,
    X_held: np.ndarray,
    y_held: np.ndarray,
    *,
    rows: np.ndarray | None = None,
    called: str = "validation rows",
) -> list[str]:
    """Say that rows held out are equal to rows trained on, target included.

    Parameters
    ----------
    X, X_held : ndarray of shape (N, D) and (N_held, D), of one type
        Encoded inputs.
    y, y_held : ndarray of shape (N,) or (N, K), and the same of N_held
    rows : ndarray of int, optional
        Which of the N rows were trained on; all, by default.
    called : str
        What the rows held out are called.
    """
    width = X.shape[1] + (1 if y.ndim == 1 else y.shape[1])
    known: Any = _evenly(len(X) if rows is None else len(rows), COMPARED_NUMBERS // width)
    known = known if rows is None else rows[known]
    asked = _evenly(len(X_held), COMPARED_ROWS)
    X, y, X_held, y_held = X[known], y[known], X_held[asked], y_held[asked]
    keys, wanted = _keys(X, y), _keys(X_held, y_held)
    order = np.argsort(keys)
    place = np.searchsorted(keys, wanted, sorter=order).clip(0, len(keys) - 1)
    twin = order[place]
    is_equal = (X[twin] == X_held).all(axis=1)
    is_equal &= (y[twin] == y_held).reshape(len(y_held), -1).all(axis=1)
    n_equal = int(is_equal.sum())
    if n_equal < max(1, _LEAST_SHARED * len(X_held)):
        return []
    equals = "equals" if n_equal == 1 else "equal"
    return [
        f"{n_equal:,} of {len(X_held):,} {called} {equals} a training row, target included: "
        "their loss is better than that of new rows."
    ]


def _evenly(n_rows: int, most: int) -> slice:
    """Return a slice of at most so many rows, at even distances."""
    return slice(None, None, max(1, -(-n_rows // max(1, most))))


def _keys(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return a number for each row (N,), the same for equal rows."""
    columns = [X, y.reshape(len(y), -1)]
    factors = _factors(X.shape[1] + columns[1].shape[1])
    keys, start = np.zeros(len(X), dtype=np.uint64), 0
    for part in columns:
        bits = (part.astype(np.float64) + 0.0).view(np.uint64)  # + 0.0: no two kinds of zero
        bits ^= bits >> np.uint64(29)  # small whole numbers differ in their highest bits only
        keys += bits @ factors[start : start + part.shape[1]]
        start += part.shape[1]
    return keys


@functools.lru_cache(maxsize=8)
def _factors(n: int) -> np.ndarray:
    """Return n random odd numbers, always the same."""
    return 2 * np.random.default_rng(0).integers(2**63, size=n).astype(np.uint64) + 1


def copied_target(
    X: np.ndarray, y: np.ndarray, names: Sequence[str], gaps: Sequence[int] = ()
) -> list[str]:
    """Say which input is a linear image of a target of numbers, or of one of K.

    Parameters
    ----------
    X : ndarray of shape (N, D)
        Encoded inputs.
    y : ndarray of shape (N, K)
        Encoded targets.
    names : sequence of D str
    gaps : sequence of D int, optional
        `Columns.gaps_of`: rows where a column has a gap are left out for it.
    """
    if len(X) < _FEWEST_ROWS:
        return []
    part = _evenly(len(X), _SCREENED_ROWS)
    candidates = np.arange(X.shape[1])
    if y.shape[1] == 1:
        has_gaps = [d < gap for d, gap in enumerate(gaps)] or [False]
        candidates = np.flatnonzero(_may_be_linear(X[part], y[part, 0]) | has_gaps)
    if not len(candidates):
        return []
    alike = np.zeros((X.shape[1], y.shape[1]))
    alike[candidates] = _alike(X[part][:, candidates], y[part])
    for d, gap in enumerate(gaps):
        if gap > d:
            rows = np.flatnonzero(X[part, gap] == 0)
            alike[d] = _alike(X[part][rows, d, None], y[part][rows])[0] if len(rows) else 0.0
    for d, k in np.argwhere(alike > 1 - _LINEAR_ERROR):
        known = _known(X, gaps[d] if gaps else -1)
        values = X[known, d]
        if len(values) >= _FEWEST_ROWS and _is_linear(values, y[known, k]):
            which = "The target" if y.shape[1] == 1 else f"Output {k} of the target"
            but = _BUT_FOR_GAPS if len(values) < len(X) else ""
            return [f"{which} is a linear image of {names[d]!r}{but}: {_REMEDY_OF_COPY}"]
    return []


_REMEDY_OF_COPY = "if that is not known before the target is, leave it out."
_BUT_FOR_GAPS = ", but for missing values"


def _may_be_linear(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Tell for each input (D,) whether three rows are on a line with y (N,).

    The rows are those of the least and the greatest y and one between; the line is a hundred times
    as broad as `_LINEAR_ERROR`, so that what this lets go is not linear.
    """
    low, high = y.argmin(), y.argmax()
    with np.errstate(all="ignore"):  # what is not finite is let pass
        middle = np.abs(y - (y[low] / 2 + y[high] / 2)).argmin()
        share = (float(y[middle]) - y[low]) / (float(y[high]) - y[low])
        start, between, end = X[[low, middle, high]].astype(np.float64)
        error = np.abs(start + share * (end - start) - between)
        return ~(error > 100 * _LINEAR_ERROR * np.abs(end - start))


def _alike(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the sizes of the correlations of inputs (N, D) and targets (N, K), as (D, K)."""
    (X, of_X), (y, of_y) = _centred(X), _centred(y)
    return np.abs(X @ y.T) / (X.shape[1] * of_X[:, None] * of_y)


def _known(X: np.ndarray, gap: int) -> Any:
    """Return the places of the rows without a gap, which the input of that place tells."""
    return slice(None) if gap < 0 else np.flatnonzero(X[:, gap] == 0)


def _centred(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return columns (N, D) as rows (D, N) of mean 0, and their deviations (D,); 1 for 0."""
    rows = np.array(values.T, dtype=np.float64, order="C")  # NumPy is faster along rows
    greatest = np.abs(rows).max(axis=1, keepdims=True)
    greatest[greatest == 0] = 1.0
    rows /= greatest  # so that no square overflows or vanishes
    rows -= rows.mean(axis=1, keepdims=True)
    deviation = np.sqrt(np.einsum("dn,dn->d", rows, rows) / rows.shape[1])
    deviation[deviation == 0] = 1.0
    return rows, deviation


def _is_linear(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether each y (N,) lies on the line through the rows of least and greatest x."""
    (x, of_x), (y, of_y) = _centred(x[:, None]), _centred(y[:, None])
    x, y = x[0] / of_x, y[0] / of_y
    low, high = x.argmin(), x.argmax()
    error = np.abs(y[low] + (y[high] - y[low]) * (x - x[low]) / (x[high] - x[low]) - y)
    # By the median, so that one far row does not hide what the others do.
    distance = np.abs(y - np.median(y))
    if (distance > 0).mean() < 1 / _FEWEST_ROWS:
        return False  # a few far rows beside which all others are alike
    spread = float(np.median(distance)) or 1.0
    return bool((error <= _LINEAR_ERROR * np.maximum(spread, distance)).all())


def copied_classes(
    X: np.ndarray, y: np.ndarray, inputs_of: dict[str, int], gaps: Sequence[int] = ()
) -> list[str]:
    """Say which column has one value for each class, and another one for each other class.

    Parameters
    ----------
    X : ndarray of shape (N, D)
        Encoded inputs.
    y : ndarray of shape (N,)
        Class numbers, 0 to L - 1.
    inputs_of : dict of str to int
        How many of the D inputs each column has, in their order.
    gaps : sequence of D int, optional
        `Columns.gaps_of`: rows where a column has a gap are left out for it.
    """
    if len(X) < _FEWEST_ROWS:
        return []
    part = _evenly(len(X), _SCREENED_ROWS)
    fits = _one_value_each(X[part], y[part])
    start = 0
    for name, n_inputs in inputs_of.items():
        columns = slice(start, start + n_inputs)
        gap = gaps[start] if gaps and n_inputs else -1
        start += n_inputs
        if not n_inputs or (gap < 0 and not fits[columns].all()):
            continue
        known = _known(X, gap)
        values, classes = X[known, columns], y[known]
        if len(values) < _FEWEST_ROWS or not _one_value_each(values, classes).all():
            continue
        _, first = np.unique(classes, return_index=True)
        if len(np.unique(values[first], axis=0)) == len(first) > 1:
            but = _BUT_FOR_GAPS if len(values) < len(X) else ""
            return [f"{name!r} has a value of its own for each class{but}: {_REMEDY_OF_COPY}"]
    return []


def _one_value_each(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Tell for each input (D,) whether it is constant within every class."""
    order = np.argsort(y, kind="stable")
    X, y = X[order], y[order]
    is_same_class = y[1:] == y[:-1]
    return ((X[1:] == X[:-1]) | ~is_same_class[:, None]).all(axis=0)


def unscaled_inputs(X: np.ndarray, names: Sequence[str]) -> list[str]:
    """Say which input, taken as it is, lies farthest from mean 0 and deviation 1.

    Parameters
    ----------
    X : ndarray of shape (N, D)
        Inputs of the network.
    names : sequence of D str
    """
    part = X[_evenly(len(X), _SCREENED_ROWS)].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = part.mean(axis=0), part.std(axis=0)
    varies = part.min(axis=0) < part.max(axis=0)
    size = np.maximum(np.abs(mean), deviation)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.where(varies, np.maximum(size, 1 / deviation), 0.0)
    if not far.size or not far.max() > _UNSCALED:
        return []
    d = int(far.argmax())
    return [
        f"scale_X=False, and {names[d]!r} has mean {mean[d]:.2g} and standard deviation "
        f"{deviation[d]:.2g}: networks learn best from means near 0 and deviations near 1. Write "
        "scale_X=True, or scale X yourself."
    ]


def few_rows(n_rows: int, n_parameters: int, n_held: int) -> list[str]:
    """Say that one network has fewer rows than parameters, and how many validation rows."""
    if n_rows >= n_parameters:
        return []
    told = f"{n_rows:,} rows for {n_parameters:,} parameters"
    if n_held:
        choose = "1 validation row chooses" if n_held == 1 else f"{n_held:,} validation rows choose"
        return [
            f"{told}: the network can learn them by heart, and {choose} the epoch before it does. "
            "Compare it with a smaller network."
        ]
    return [
        f"{told}, and no validation rows to stop by: the network can learn them by heart. Write "
        "early_stopping=True, or take a smaller network."
    ]
