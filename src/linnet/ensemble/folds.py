"""Which rows each member of an ensemble is trained on, and which it holds out.

Letters: N rows, M members.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import check_cv

# Rows that two members hold out, where there are as many: from their errors alone and together
# follows how much better a mean of members is.
_TWICE_HELD_OUT = 100
# The greatest share of the rows that a member holds out.
_MOST_HELD_OUT = 0.25


@dataclass
class Folds:
    """The rows of M members.

    Attributes
    ----------
    n_rows : int
        N.
    held_out : list of M ndarrays
        Sorted numbers of the rows that each member is not trained on, but stopped by.
    given : list of M ndarrays or None
        Sorted numbers of those that it is trained on; None: all others.
    """

    n_rows: int
    held_out: list[np.ndarray]
    given: list[np.ndarray] | None = None

    def trained(self, number: int) -> np.ndarray:
        """Return the sorted numbers of the rows that a member is trained on."""
        if self.given is not None:
            return self.given[number]
        others = np.ones(self.n_rows, dtype=bool)
        others[self.held_out[number]] = False
        return np.flatnonzero(others)

    @property
    def n_never(self) -> int:
        """How many rows no member holds out."""
        return self.n_rows - len(np.unique(np.concatenate(self.held_out)))

    def fingerprint(self) -> dict[str, str]:
        """Return what decides the result besides rows, seed and number of members."""
        if self.given is None:
            return {}
        digest = hashlib.blake2b()
        for rows in [*self.given, *self.held_out]:
            digest.update(f"{len(rows)} ".encode() + rows.astype(np.int64).tobytes())
        return {"the splits of cv": digest.hexdigest()[:12]}


def windows(
    n_rows: int, n_members: int, seed: int, classes: np.ndarray | None = None
) -> list[np.ndarray]:
    """Return the rows that each member holds out where the user gives no splits.

    The rows stand on a circle in a random order, and each member holds out a window of it. The
    windows cover the circle (with four members and more) and overlap, so that every row is held
    out by one member and some rows by two.

    Parameters
    ----------
    n_rows, n_members : int
        N, M.
    seed : int
        Decides the order.
    classes : ndarray of shape (N,), optional
        Labels, which are spread evenly over the circle.

    Returns
    -------
    list of M ndarrays
        Sorted row numbers.
    """
    order = np.random.default_rng(seed).permutation(n_rows)
    if classes is not None:
        order = order[_spread(classes[order])]
    overlap = min(1.0, _TWICE_HELD_OUT / n_rows)
    n_held_out = round(min(_MOST_HELD_OUT, (1 + overlap) / n_members) * n_rows)
    n_held_out = min(max(1, n_held_out), n_rows - 1)
    found = []
    for m in range(n_members):
        start = round(m * n_rows / n_members)
        found.append(np.sort(order[np.arange(start, start + n_held_out) % n_rows]))
    return found


def _spread(labels: np.ndarray) -> np.ndarray:
    """Return an order in which the rows of each class lie at even distances."""
    _, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
    place = np.empty(len(labels))
    for number, count in enumerate(counts):
        place[numbers == number] = (np.arange(count) + 0.5) / count
    return np.argsort(place, kind="stable")


# Splits of the user's own ------------------------------------------------------------------------


def of_splits(
    cv: Any, X: Any, y: np.ndarray, n_members: int, used: np.ndarray, *, is_classifier: bool
) -> Folds:
    """Return the rows of members that take the user's splits in turn.

    Parameters
    ----------
    cv : int, splitter or iterable of pairs of row numbers
        As scikit-learn's ``cross_validate`` takes it.
    X, y
        The rows of `fit`, N of them.
    n_members : int
        M.
    used : ndarray of shape (N,)
        Which rows are used at all (their weight is not 0). What is returned counts these alone.
    is_classifier : bool
        Whether an int means splits that keep classes in proportion.

    Raises
    ------
    ValueError
        If there are no splits, or more than members, or one holds no row to train on or none to
        hold out, rows that are not there, or a row both to train on and to hold out.
    TypeError
        If a split is no pair of row numbers.
    """
    splits = _splits(cv, X, y, is_classifier)
    if not splits:
        raise ValueError(
            "cv gives no split. A generator gives its splits once, to the first fit: write "
            "cv=list(...)."
        )
    if len(splits) > n_members:
        raise ValueError(
            f"cv gives {len(splits)} splits and n_members={n_members}, but each split needs a "
            f"member. Write n_members={len(splits)} or more, such as {2 * len(splits)} for two "
            "members on each."
        )
    place = np.cumsum(used) - 1
    pairs = []
    for k, pair in enumerate(splits):
        rows = [_row_numbers(part, len(y), k) for part in _pair(pair, k)]
        both = np.intersect1d(rows[0], rows[1])
        if len(both):
            raise ValueError(
                f"Split {k} of cv trains on row {both[0]} and holds it out too ({len(both):,} such "
                "rows): its error would not be that of a new row. Give each row to one of the two."
            )
        rows = [place[part[used[part]]] for part in rows]
        for part, what in zip(rows, ("train on", "hold out"), strict=True):
            if not len(part):
                weighty = "" if used.all() else " of a weight above 0"
                raise ValueError(
                    f"Split {k} of cv has no row{weighty} to {what}. Give one at least."
                )
        pairs.append(rows)
    turns = [pairs[m % len(pairs)] for m in range(n_members)]
    return Folds(int(used.sum()), [test for _, test in turns], [train for train, _ in turns])


def _splits(cv: Any, X: Any, y: np.ndarray, is_classifier: bool) -> list[Any]:
    if isinstance(cv, Iterable):
        return list(cv)
    try:
        return list(check_cv(cv, y, classifier=is_classifier).split(X, y))
    except ValueError as fault:
        if "'groups' parameter" not in str(fault):
            raise
        name = type(cv).__name__
        raise ValueError(
            f"cv={name}(...) needs the group of each row. Give its splits: "
            f"cv=list({name}(...).split(X, y, groups))."
        ) from None


def _pair(pair: Any, number: int) -> tuple[Any, Any]:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(
            f"Split {number} of cv is {pair!r}: give pairs (rows to train on, rows to hold out), "
            "as the split methods of sklearn.model_selection do."
        )
    return pair[0], pair[1]


def _row_numbers(rows: Any, n_rows: int, number: int) -> np.ndarray:
    """Return the sorted row numbers of one part of a split; of a mask those that are True."""
    rows = np.asarray(rows)
    if rows.dtype == bool and rows.shape == (n_rows,):
        return np.flatnonzero(rows)
    if rows.size == 0:
        return np.empty(0, dtype=np.int64)
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise TypeError(
            f"Split {number} of cv holds {rows.dtype} of shape {rows.shape}: give row numbers, one "
            f"axis of whole numbers from 0 to {n_rows - 1}."
        )
    outside = rows[(rows < 0) | (rows >= n_rows)]
    if len(outside):
        raise ValueError(
            f"Split {number} of cv names row {outside[0]}, and X has rows 0 to {n_rows - 1}."
            " Give numbers of these."
        )
    return np.unique(rows).astype(np.int64)
