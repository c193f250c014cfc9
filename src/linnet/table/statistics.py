"""Mean, spread and standardisation of columns of numbers, safe for any scale and offset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from linnet.table.mapped import release

# Rows are worked on in blocks of about this many values, 2 MB, so that the passes over a block find
# it in the processor's cache.
_VALUES_PER_BLOCK = 2**18
# Blocks of a mapped file that stay in memory, 16 MB of float32.
_BLOCKS_KEPT = 16
# Standardised values beyond this are clipped: their squares still are numbers of float32, so that a
# row far from all those of the fit gives an answer, and no NaN.
FARTHEST = 1e19
# Differences of values of such a deviation may overflow.
_HUGE = 2.0**1000


class Moments(NamedTuple):
    """What is known of each of D columns; all arrays of shape (D,), float64."""

    mean: np.ndarray
    deviation: np.ndarray  # the standard deviation; exactly 0 where all values are the same
    low: np.ndarray
    high: np.ndarray


def moments(X: np.ndarray, weight: np.ndarray | None = None) -> Moments:
    """Return mean, standard deviation, least and greatest value of each column.

    Two passes, as in Chan, Golub and LeVeque (1983), "Algorithms for computing the sample
    variance", equation 1.7: the second corrects the rounding of the mean of the first. Each column
    is divided by a power of two near its greatest size, which is exact, so that no square overflows
    or vanishes.

    Parameters
    ----------
    X : ndarray of shape (N, D), finite, N >= 1
    weight : ndarray of shape (N,), optional
        How often each row counts, 0 or more.

    Returns
    -------
    Moments
    """
    if weight is None:
        total = float(len(X))
    else:
        X, weight = X[weight > 0], weight[weight > 0]
        total = float(weight.sum())
    low, high = X.min(axis=0).astype(np.float64), X.max(axis=0).astype(np.float64)
    size = np.maximum(np.abs(low), np.abs(high))
    unit = np.ldexp(1.0, np.frexp(size)[1] - 1)  # (D,)
    unit[size == 0.0] = 1.0
    mean = np.zeros(X.shape[1])
    for block in _blocks(X):
        mean += _weighted(X[block] / unit, weight, block).sum(axis=0)
    mean /= total
    error, square = np.zeros_like(mean), np.zeros_like(mean)
    for block in _blocks(X):
        delta = X[block] / unit
        delta -= mean
        weighted = _weighted(delta, weight, block)
        error += weighted.sum(axis=0)
        square += np.einsum("nd,nd->d", weighted, delta)
    error /= total
    deviation = np.sqrt(np.maximum(square / total - error**2, 0.0)) * unit
    mean = (mean + error) * unit
    is_constant = low == high
    mean[is_constant], deviation[is_constant] = low[is_constant], 0.0
    return Moments(mean, deviation, low, high)


def center_and_scale(known: Moments, how: bool | str) -> tuple[np.ndarray, np.ndarray]:
    """Return what is subtracted from each column, and what it is then divided by, (D,) each.

    Parameters
    ----------
    known : Moments
    how : bool or "minmax"
        True: to mean 0 and standard deviation 1; "minmax": to [-1, 1]; False: as they are.
    """
    if how == "minmax":
        center, scale = known.low / 2 + known.high / 2, known.high / 2 - known.low / 2
    elif how:
        center, scale = known.mean, known.deviation
    else:
        return np.zeros_like(known.mean), np.ones_like(known.mean)
    return center, np.where(scale > 0.0, scale, 1.0)


def _weighted(values: np.ndarray, weight: np.ndarray | None, block: slice) -> np.ndarray:
    # No matrix product here: its last bits would depend on the number of threads.
    return values if weight is None else values * weight[block, None]


def standardize_into(
    out: np.ndarray, X: np.ndarray, center: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """Write (X - center) / scale into an array; what is beyond `FARTHEST` is clipped.

    Parameters
    ----------
    out : ndarray of shape (N, D)
    X : ndarray of shape (N, D)
        May be `out` itself.
    center, scale : ndarray of shape (D,), float64, scale > 0
    """
    with np.errstate(over="ignore"):
        for number, block in enumerate(_blocks(X)):
            if number and number % _BLOCKS_KEPT == 0:
                release(X)
            values = standardized(X[block], center, scale)
            # For a single row np.clip takes four times as long as its two halves.
            np.maximum(values, -FARTHEST, out=values)
            np.minimum(values, FARTHEST, out=values)
            out[block] = values
    release(X)
    return out


def standardized(
    X: np.ndarray, center: np.ndarray, scale: np.ndarray, out: np.ndarray | None = None
) -> np.ndarray:
    """Return (X - center) / scale, of shape (N, D), also where X - center would overflow.

    Written to `out`, of float64, which may be X itself, or to new memory.
    """
    if scale.max() > _HUGE:
        # By powers of two, so that nothing is rounded; other columns may hold denormal numbers.
        factor = np.where(scale > _HUGE, 0.25, 1.0)
        X, center, scale = X * factor, center * factor, scale * factor
    values = np.subtract(X, center, out=out)
    values /= scale
    return values


def _blocks(X: np.ndarray) -> Iterator[slice]:
    n_rows, n_columns = X.shape
    step = max(1, _VALUES_PER_BLOCK // max(1, n_columns))
    for start in range(0, n_rows, step):
        yield slice(start, start + step)
