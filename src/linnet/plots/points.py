"""Point clouds of any size: how many points are drawn, how large, how transparent."""

from __future__ import annotations

import numpy as np

MOST_POINTS = 10_000  # beyond, a picture becomes slow and says no more


def drawn_rows(n_rows: int, most: int | None = MOST_POINTS) -> np.ndarray:
    """Indices of the rows to draw: all, or ``most`` of them at random, the same ones each time.

    Raises
    ------
    ValueError
        If ``most`` is less than 1.

    Examples
    --------
    >>> drawn_rows(3)
    array([0, 1, 2])
    >>> len(drawn_rows(10**6))
    10000
    """
    if most is None or n_rows <= most:
        return np.arange(n_rows)
    if most < 1:
        raise ValueError(f"max_points is {most}; draw at least 1 point, or None for all.")
    return np.sort(np.random.default_rng(0).choice(n_rows, size=most, replace=False))


def drawn_note(n_drawn: int, n_rows: int) -> str:
    """How many points there are and, where they differ, how many are drawn.

    Examples
    --------
    >>> drawn_note(206, 206)
    'N = 206'
    >>> drawn_note(10_000, 100_000)
    'N = 100,000, 10,000 drawn'
    """
    note = f"N = {n_rows:,}"
    return note if n_drawn == n_rows else f"{note}, {n_drawn:,} drawn"


def cloud_style(n_drawn: int) -> dict[str, float | bool]:
    """Size (points squared) and opacity that keep the densest parts of a cloud readable.

    Examples
    --------
    >>> cloud_style(50)
    {'s': 24.0, 'alpha': 0.8, 'linewidths': 0, 'rasterized': False}
    """
    crowding = max(n_drawn / 200, 1.0)
    return {
        "s": round(max(24 * crowding**-0.3, 6.0), 1),
        "alpha": round(max(0.8 * crowding**-0.5, 0.1), 2),
        "linewidths": 0,
        # Thousands of separate circles make a PDF or SVG too heavy to open.
        "rasterized": n_drawn > 2000,
    }
