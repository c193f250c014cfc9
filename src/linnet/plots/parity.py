"""Predicted against actual values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from linnet.plots.canvas import (
    BLUE,
    GREY,
    LIGHT_BLUE,
    heading,
    label,
    panel_axes,
    plain_text,
    shortened,
    span,
    tidy_ticks,
)
from linnet.plots.points import MOST_POINTS, cloud_style, drawn_note, drawn_rows
from linnet.plots.predictions import Predictions, interval_ends, regression_predictions


class ParityDisplay:
    """Predicted against actual values, with the diagonal on which a perfect model lies.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (N,) or (N, K)
        Actual and predicted values. Each output has a panel; of more than four, the first four.
    target_name : str or sequence of K str, default=None
        Name of the target; by default the name of ``y_true`` where it is a Series or a frame.
    unit : str or sequence of K str, default=None
        Unit of the target.
    interval : array-like of shape (N, 2) or (N, K, 2), default=None
        Lower and upper ends around the predictions, drawn as bars.
    coverage : float, default=0.9
        Share of new rows that these intervals are to hold.

    Attributes
    ----------
    y_true, y_pred : ndarray of shape (N, K)
    interval : ndarray of shape (N, K, 2) or None
    inside : ndarray of shape (K,) or None
        Share of the rows whose actual value lies in its interval.
    r2 : ndarray of shape (K,)
        Coefficient of determination, 1 - sum (y - ŷ)² / sum (y - mean y)²; NaN where y_true is
        constant.
    rmse : ndarray of shape (K,)
        Root mean squared error, in units of the target.
    scatter_, line_ : matplotlib PathCollection and Line2D
        Points and diagonal; lists of them for several panels.
    ax_, figure_ : matplotlib Axes and Figure
        ``ax_`` is an ndarray of Axes for several panels.

    Raises
    ------
    ValueError
        If shapes differ, there is no row, or a value is not finite.
    TypeError
        If the values are no numbers.

    Examples
    --------
    >>> from linnet.plots import ParityDisplay
    >>> display = ParityDisplay([1.0, 2.0, 3.0], [1.0, 2.0, 4.0], unit="MPa")
    >>> display.r2
    array([0.5])
    """

    def __init__(
        self,
        y_true: Any,
        y_pred: Any,
        *,
        target_name: str | Sequence[str] | None = None,
        unit: str | Sequence[str] | None = None,
        interval: Any = None,
        coverage: float = 0.9,
    ) -> None:
        self.predictions = Predictions(
            y_true, y_pred, target_name=target_name, unit=unit, display="ParityDisplay"
        )
        self.y_true, self.y_pred = self.predictions.y_true, self.predictions.y_pred
        self.interval, self.inside, self.coverage = None, None, coverage
        if interval is not None:
            self.interval = interval_ends(interval, self.y_pred.shape)
            low, high = self.interval[..., 0], self.interval[..., 1]
            self.inside = ((low <= self.y_true) & (self.y_true <= high)).mean(axis=0)
        self.n_panels = self.predictions.n_panels
        self.panel_grid = self.predictions.panel_grid
        self.figsize = {1: (6.0, 6.0), 2: (9.6, 5.2)}.get(self.n_panels, (8.4, 8.8))
        squared = (self.y_true - self.y_pred) ** 2  # (N, K)
        self.rmse = np.sqrt(squared.mean(axis=0))
        total = ((self.y_true - self.y_true.mean(axis=0)) ** 2).sum(axis=0)
        constant = np.ptp(self.y_true, axis=0) == 0
        self.r2 = 1 - squared.sum(axis=0) / np.where(constant, np.nan, total)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        target_name: str | Sequence[str] | None = None,
        unit: str | Sequence[str] | None = None,
        coverage: float | None = 0.9,
        ax: Any = None,
        draw: bool = True,
        **plot_kwargs: Any,
    ) -> ParityDisplay:
        """Parity of a fitted regressor on rows X with targets y.

        Parameters
        ----------
        estimator : estimator
            Fitted regressor.
        X : array-like or frame of shape (N, D)
        y : array-like of shape (N,) or (N, K)
        target_name, unit
            As in the class.
        coverage : float or None, default=0.9
            Share of new rows that the bars hold, where the estimator knows its errors; None draws
            none.
        ax : matplotlib Axes or sequence of Axes, default=None
            Where to draw, one Axes for each panel; None makes a figure.
        draw : bool, default=True
            False computes only; draw later with :meth:`plot` or :func:`linnet.plots.save_figure`.
        **plot_kwargs
            Passed to :meth:`plot`.

        Returns
        -------
        display : ParityDisplay

        Raises
        ------
        TypeError
            If the estimator is a classifier.
        NotFittedError
            If it is not fitted.

        Examples
        --------
        >>> from sklearn.linear_model import LinearRegression
        >>> X, y = [[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0]
        >>> model = LinearRegression().fit(X, y)
        >>> ParityDisplay.from_estimator(model, X, y, draw=False).y_pred.shape
        (3, 1)
        """
        y_pred = regression_predictions(estimator, X, y, cls.__name__)
        bars: dict[str, Any] = {}
        if coverage is not None and hasattr(estimator, "error_bars_"):
            bars = {"interval": estimator.predict_interval(X, coverage), "coverage": coverage}
        display = cls(y, y_pred, target_name=target_name, unit=unit, **bars)
        return display.plot(ax, **plot_kwargs) if draw else display

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        *,
        target_name: str | Sequence[str] | None = None,
        unit: str | Sequence[str] | None = None,
        interval: Any = None,
        coverage: float = 0.9,
        ax: Any = None,
        draw: bool = True,
        **plot_kwargs: Any,
    ) -> ParityDisplay:
        """Parity of given predictions; parameters as in the class and :meth:`from_estimator`.

        Examples
        --------
        >>> ParityDisplay.from_predictions([1, 2, 3], [1, 2, 4], draw=False).rmse.round(3)
        array([0.577])
        """
        display = cls(
            y_true, y_pred, target_name=target_name, unit=unit, interval=interval, coverage=coverage
        )
        return display.plot(ax, **plot_kwargs) if draw else display

    def plot(
        self,
        ax: Any = None,
        *,
        max_points: int | None = MOST_POINTS,
        scatter_kwargs: dict[str, Any] | None = None,
        line_kwargs: dict[str, Any] | None = None,
    ) -> ParityDisplay:
        """Draw the points and the diagonal.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of Axes, default=None
            Where to draw, one Axes for each panel; None makes a figure.
        max_points : int or None, default=10000
            Most points drawn (a random choice, the same each time); None draws all. R² and RMSE
            are always those of all rows.
        scatter_kwargs, line_kwargs : dict, default=None
            Passed to ``Axes.scatter`` and, for the diagonal, ``Axes.plot``.

        Returns
        -------
        display : ParityDisplay

        Examples
        --------
        >>> ParityDisplay([1, 2, 3], [1, 2, 4]).plot().ax_.get_title()
        'R² = 0.500, RMSE = 0.577, N = 3'
        """
        axes = panel_axes(ax, self.panel_grid, n_panels=self.n_panels, figsize=self.figsize)
        rows = drawn_rows(len(self.y_true), max_points)
        scatters, lines = [], []
        for k, panel in enumerate(axes):
            limits = span(self.y_true[:, k], self.y_pred[:, k])
            style = {"color": GREY, "linewidth": 1.2, "linestyle": "--", "zorder": 1}
            lines.append(panel.plot(limits, limits, **{**style, **(line_kwargs or {})})[0])
            if self.interval is not None:
                low, high = self.interval[rows, k].T
                style = {"color": LIGHT_BLUE, "linewidth": 0.8, "alpha": 0.6, "zorder": 0.5}
                panel.vlines(self.y_true[rows, k], low, high, **style)
            style = {"color": BLUE, **cloud_style(len(rows)), **(scatter_kwargs or {})}
            scatters.append(panel.scatter(self.y_true[rows, k], self.y_pred[rows, k], **style))
            self._finish_panel(panel, k, limits, len(rows))
        single = self.n_panels == 1
        self.scatter_ = scatters[0] if single else scatters
        self.line_ = lines[0] if single else lines
        self.ax_ = axes[0] if single else axes
        self.figure_ = axes[0].figure
        return self

    def _finish_panel(self, ax: Any, k: int, limits: tuple[float, float], n_drawn: int) -> None:
        ax.set(xlim=limits, ylim=limits, aspect="equal", adjustable="box")
        for axis in (ax.xaxis, ax.yaxis):
            tidy_ticks(axis, 6 if self.n_panels == 1 else 5)
        name, unit = self.predictions.names[k] or "", self.predictions.units[k]
        width = 46 if self.n_panels == 1 else 30
        ax.set_xlabel(label(f"actual {name}".strip(), unit, width=width))
        ax.set_ylabel(label(f"predicted {name}".strip(), unit, width=width))
        heading(ax, self._scores(k, n_drawn))

    def _scores(self, k: int, n_drawn: int) -> str:
        unit = self.predictions.units[k]
        rmse = f"RMSE = {self.rmse[k]:.3g}" + (f" {plain_text(unit)}" if unit else "")
        undefined = np.isnan(self.r2[k])
        r2 = "R² undefined (actual values constant)" if undefined else f"R² = {self.r2[k]:.3f}"
        note = drawn_note(n_drawn, len(self.y_true))
        crowded = undefined or n_drawn < len(self.y_true) or self.n_panels > 1 or len(rmse) > 24
        scores = f"{r2}\n{rmse}, {note}" if crowded else f"{r2}, {rmse}, {note}"
        if self.inside is not None:
            scores += f"\n{100 * self.coverage:g}% intervals hold {self.inside[k]:.1%}"
        name = self.predictions.panel_name(k)
        return f"{plain_text(shortened(name, 40))}\n{scores}" if name else scores
