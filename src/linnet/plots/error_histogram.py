"""How the errors are distributed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from linnet.plots.canvas import (
    CLASS_COLOURS,
    GREY,
    label,
    legend_above,
    panel_axes,
    plain_text,
    shortened,
    span,
    tidy_ticks,
)
from linnet.plots.predictions import Predictions, regression_predictions

USUAL_ORDER = ("train", "training", "validation", "test")


class ErrorHistogramDisplay:
    """Histogram of the errors (actual - predicted), with a line at zero.

    It says what MATLAB's ``ploterrhist`` says: errors in 20 bins of equal width, the groups
    (training, validation, test) stacked.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (N,) or (N, K)
        Actual and predicted values. Each output has a panel; of more than four, the first four.
    groups : array-like of N names, or dict of name to row indices, default=None
        The group of each row, such as ``history.split``. Rows that a dict leaves out form the
        group "other".
    bins : int, default=20
        Number of bins, at least 1.
    target_name : str or sequence of K str, default=None
        Name of the target; by default the name of ``y_true`` where it is a Series or a frame.
    unit : str or sequence of K str, default=None
        Unit of the target.

    Attributes
    ----------
    errors : ndarray of shape (N, K)
    bin_edges : ndarray of shape (K, bins + 1)
    group_names : list of G str
        An empty name is that of a display without groups.
    counts : ndarray of shape (K, G, bins)
        Rows of each group in each bin.
    bars_ : list of G matplotlib BarContainer
        A list of such lists for several panels.
    line_ : matplotlib Line2D
        Zero line; a list for several panels.
    legend_ : matplotlib Legend
        A list for several panels.
    ax_, figure_ : matplotlib Axes and Figure
        ``ax_`` is an ndarray of Axes for several panels.

    Raises
    ------
    ValueError
        If shapes differ, there is no row, a value is not finite, or the groups do not fit.
    TypeError
        If the values are no numbers.

    Examples
    --------
    >>> from linnet.plots import ErrorHistogramDisplay
    >>> display = ErrorHistogramDisplay([1, 2, 3], [1, 3, 2], bins=2)
    >>> display.counts
    array([[[1, 2]]])
    """

    def __init__(
        self,
        y_true: Any,
        y_pred: Any,
        *,
        groups: Any = None,
        bins: int = 20,
        target_name: str | Sequence[str] | None = None,
        unit: str | Sequence[str] | None = None,
    ) -> None:
        if bins < 1:
            raise ValueError(f"bins is {bins}; a histogram needs at least 1 bin.")
        self.predictions = Predictions(
            y_true, y_pred, target_name=target_name, unit=unit, display="ErrorHistogramDisplay"
        )
        self.errors = self.predictions.y_true - self.predictions.y_pred
        rows_of = _rows_of_groups(groups, len(self.errors))
        self.group_names = list(rows_of)
        self.bin_edges = np.array([_edges(error, bins) for error in self.errors.T])
        self.counts = np.array(
            [
                [np.histogram(error[rows], edges)[0] for rows in rows_of.values()]
                for error, edges in zip(self.errors.T, self.bin_edges, strict=True)
            ]
        )
        self.n_panels = self.predictions.n_panels
        self.panel_grid = self.predictions.panel_grid
        self.figsize = {1: (6.4, 4.8), 2: (9.6, 4.4)}.get(self.n_panels, (9.6, 8.0))

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        groups: Any = None,
        bins: int = 20,
        target_name: str | Sequence[str] | None = None,
        unit: str | Sequence[str] | None = None,
        ax: Any = None,
        draw: bool = True,
        **plot_kwargs: Any,
    ) -> ErrorHistogramDisplay:
        """Errors of a fitted regressor on rows X with targets y.

        Parameters
        ----------
        estimator : estimator
            Fitted regressor.
        X : array-like or frame of shape (N, D)
        y : array-like of shape (N,) or (N, K)
        groups, bins, target_name, unit
            As in the class.
        ax : matplotlib Axes or sequence of Axes, default=None
            Where to draw, one Axes for each panel; None makes a figure.
        draw : bool, default=True
            False computes only; draw later with :meth:`plot` or :func:`linnet.plots.save_figure`.
        **plot_kwargs
            Passed to :meth:`plot`.

        Returns
        -------
        display : ErrorHistogramDisplay

        Raises
        ------
        TypeError
            If the estimator is a classifier.
        NotFittedError
            If it is not fitted.

        Examples
        --------
        >>> from sklearn.dummy import DummyRegressor
        >>> X, y = [[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0]
        >>> model = DummyRegressor().fit(X, y)
        >>> split = {"train": [0, 2], "test": [1]}
        >>> display = ErrorHistogramDisplay.from_estimator(model, X, y, groups=split, draw=False)
        >>> display.counts.sum(axis=2)
        array([[2, 1]])
        """
        y_pred = regression_predictions(estimator, X, y, cls.__name__)
        display = cls(y, y_pred, groups=groups, bins=bins, target_name=target_name, unit=unit)
        return display.plot(ax, **plot_kwargs) if draw else display

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        *,
        groups: Any = None,
        bins: int = 20,
        target_name: str | Sequence[str] | None = None,
        unit: str | Sequence[str] | None = None,
        ax: Any = None,
        draw: bool = True,
        **plot_kwargs: Any,
    ) -> ErrorHistogramDisplay:
        """Errors of given predictions; parameters as in the class and :meth:`from_estimator`.

        Examples
        --------
        >>> display = ErrorHistogramDisplay.from_predictions(
        ...     [1, 2, 3], [1, 3, 2], groups=["train", "train", "test"], draw=False
        ... )
        >>> display.group_names
        ['train', 'test']
        """
        display = cls(y_true, y_pred, groups=groups, bins=bins, target_name=target_name, unit=unit)
        return display.plot(ax, **plot_kwargs) if draw else display

    def plot(
        self,
        ax: Any = None,
        *,
        bar_kwargs: dict[str, Any] | None = None,
        line_kwargs: dict[str, Any] | None = None,
    ) -> ErrorHistogramDisplay:
        """Draw the stacked bars and the zero line.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of Axes, default=None
            Where to draw, one Axes for each panel; None makes a figure.
        bar_kwargs, line_kwargs : dict, default=None
            Passed to ``Axes.bar`` and, for the zero line, ``Axes.axvline``.

        Returns
        -------
        display : ErrorHistogramDisplay

        Examples
        --------
        >>> ErrorHistogramDisplay([1, 2, 3], [1, 3, 2]).plot().ax_.get_ylabel()
        'number of rows'
        """
        axes = panel_axes(ax, self.panel_grid, n_panels=self.n_panels, figsize=self.figsize)
        bars, lines, legends = [], [], []
        for k, panel in enumerate(axes):
            bars.append(self._draw_bars(panel, k, bar_kwargs or {}))
            style = {"color": "black", "linewidth": 1.4, "linestyle": "--", **(line_kwargs or {})}
            lines.append(panel.axvline(0.0, label="zero error", **style))
            legends.append(self._finish_panel(panel, k, [*bars[k], lines[k]]))
        single = self.n_panels == 1
        self.bars_ = bars[0] if single else bars
        self.line_ = lines[0] if single else lines
        self.legend_ = legends[0] if single else legends
        self.ax_ = axes[0] if single else axes
        self.figure_ = axes[0].figure
        return self

    def _draw_bars(self, ax: Any, k: int, style: dict[str, Any]) -> list[Any]:
        edges, counts = self.bin_edges[k], self.counts[k]
        bottoms = np.cumsum(counts, axis=0) - counts  # (G, bins)
        return [
            ax.bar(
                edges[:-1],
                count,
                width=np.diff(edges),
                bottom=bottom,
                align="edge",
                label=plain_text(shortened(name or "errors", 24)),
                **{
                    "color": CLASS_COLOURS[g % len(CLASS_COLOURS)],
                    "edgecolor": "white",
                    "linewidth": 0.6,
                    **style,
                },
            )
            for g, (name, count, bottom) in enumerate(
                zip(self.group_names, counts, bottoms, strict=True)
            )
        ]

    def _finish_panel(self, ax: Any, k: int, handles: list[Any]) -> Any:
        from matplotlib.ticker import MaxNLocator

        # The zero line stays in sight even where every error has the same sign.
        ax.set_xlim(*span(self.bin_edges[k], np.zeros(1), margin=0.03))
        ax.set_ylim(0, 1.05 * max(self.counts[k].sum(axis=0).max(), 1))
        tidy_ticks(ax.xaxis)
        tidy_ticks(ax.yaxis)
        ax.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        name, unit = self.predictions.names[k], self.predictions.units[k]
        of_target = f"error of {shortened(name, 56)}: " if name else "error: "
        width = 56 if self.n_panels == 1 else 44
        ax.set_xlabel(label(of_target + "actual - predicted", unit, width=width))
        ax.set_ylabel("number of rows")
        ax.grid(True, axis="y", color="0.9", linewidth=0.8)
        ax.set_axisbelow(True)
        ax.tick_params(color=GREY)
        return legend_above(ax, handles, room=72 if self.n_panels == 1 else 52)


def _rows_of_groups(groups: Any, n_rows: int) -> dict[str, np.ndarray]:
    """Row indices of each group, by name; one group without a name where none are given."""
    if groups is None:
        return {"": np.arange(n_rows)}
    if isinstance(groups, Mapping):
        return _rows_of_split(groups, n_rows)
    names = np.asarray(groups).astype(str)
    if names.shape != (n_rows,):
        raise ValueError(
            f"groups has shape {names.shape} and there are {n_rows} rows; "
            "give one name for each row."
        )
    present = list(dict.fromkeys(names.tolist()))
    present.sort(key=lambda name: USUAL_ORDER.index(name) if name in USUAL_ORDER else 9)
    return {name: np.flatnonzero(names == name) for name in present}


def _rows_of_split(split: Mapping[Any, Any], n_rows: int) -> dict[str, np.ndarray]:
    rows_of = {
        str(name): np.asarray(rows, dtype=np.intp)
        for name, rows in split.items()
        if rows is not None and len(rows)
    }
    given = np.concatenate([*rows_of.values(), np.empty(0, np.intp)])
    if given.size and (given.min() < 0 or given.max() >= n_rows):
        wrong = given[(given < 0) | (given >= n_rows)][0]
        raise ValueError(
            f"groups names row {wrong} and there are {n_rows} rows; "
            f"row indices lie between 0 and {n_rows - 1}."
        )
    if len(np.unique(given)) < len(given):
        raise ValueError("groups names a row twice; a row belongs to one group.")
    others = np.setdiff1d(np.arange(n_rows), given)
    return {**rows_of, "other": others} if others.size else rows_of


def _edges(errors: np.ndarray, bins: int) -> np.ndarray:
    """Edges of equal bins over all errors, wide enough to differ from each other."""
    low, high = float(errors.min()), float(errors.max())
    # A bin below a few units in the last place has two equal edges.
    least = 1e-12 * bins * max(abs(low), abs(high))
    if high - low <= least:
        low, high = span(errors)
    return np.linspace(low, high, bins + 1)
