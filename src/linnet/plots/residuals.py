"""Residuals against predicted values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from linnet.plots.canvas import (
    BLUE,
    GREY,
    VERMILION,
    heading,
    label,
    panel_axes,
    plain_text,
    shortened,
    span,
    tidy_ticks,
)
from linnet.plots.points import MOST_POINTS, cloud_style, drawn_note, drawn_rows
from linnet.plots.predictions import Predictions, regression_predictions

# A median of fewer points than this wanders with the noise rather than with the trend.
ROWS_PER_MEDIAN = 20
MOST_MEDIANS = 20


class ResidualDisplay:
    """Residuals (actual - predicted) against predicted values, with their running median.

    A median that leaves the zero line shows where the model is biased; a spread that changes
    along the axis shows where it is less sure.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (N,) or (N, K)
        Actual and predicted values. Each output has a panel; of more than four, the first four.
    target_name : str or sequence of K str, default=None
        Name of the target; by default the name of ``y_true`` where it is a Series or a frame.
    unit : str or sequence of K str, default=None
        Unit of the target.

    Attributes
    ----------
    y_true, y_pred, residuals : ndarray of shape (N, K)
    medians : list of K ndarray of shape (2, M)
        Predicted value (row 0) and residual (row 1): the medians of M groups of neighbouring
        predictions with as many rows each; M is 0 for fewer than 40 rows.
    scatter_, line_ : matplotlib PathCollection and Line2D
        Points and zero line; lists of them for several panels.
    median_line_ : matplotlib Line2D or None
        Running median, None where there are no medians; a list for several panels.
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
    >>> from linnet.plots import ResidualDisplay
    >>> ResidualDisplay([1.0, 2.0, 3.0], [1.0, 2.5, 3.0]).residuals.ravel()
    array([ 0. , -0.5,  0. ])
    """

    def __init__(
        self,
        y_true: Any,
        y_pred: Any,
        *,
        target_name: str | Sequence[str] | None = None,
        unit: str | Sequence[str] | None = None,
    ) -> None:
        self.predictions = Predictions(
            y_true, y_pred, target_name=target_name, unit=unit, display="ResidualDisplay"
        )
        self.y_true, self.y_pred = self.predictions.y_true, self.predictions.y_pred
        self.residuals = self.y_true - self.y_pred
        self.medians = [
            running_median(x, r) for x, r in zip(self.y_pred.T, self.residuals.T, strict=True)
        ]
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
        target_name: str | Sequence[str] | None = None,
        unit: str | Sequence[str] | None = None,
        ax: Any = None,
        draw: bool = True,
        **plot_kwargs: Any,
    ) -> ResidualDisplay:
        """Residuals of a fitted regressor on rows X with targets y.

        Parameters
        ----------
        estimator : estimator
            Fitted regressor.
        X : array-like or frame of shape (N, D)
        y : array-like of shape (N,) or (N, K)
        target_name, unit
            As in the class.
        ax : matplotlib Axes or sequence of Axes, default=None
            Where to draw, one Axes for each panel; None makes a figure.
        draw : bool, default=True
            False computes only; draw later with :meth:`plot` or :func:`linnet.plots.save_figure`.
        **plot_kwargs
            Passed to :meth:`plot`.

        Returns
        -------
        display : ResidualDisplay

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
        >>> ResidualDisplay.from_estimator(model, X, y, draw=False).residuals.ravel()
        array([-1.,  0.,  1.])
        """
        y_pred = regression_predictions(estimator, X, y, cls.__name__)
        display = cls(y, y_pred, target_name=target_name, unit=unit)
        return display.plot(ax, **plot_kwargs) if draw else display

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        *,
        target_name: str | Sequence[str] | None = None,
        unit: str | Sequence[str] | None = None,
        ax: Any = None,
        draw: bool = True,
        **plot_kwargs: Any,
    ) -> ResidualDisplay:
        """Residuals of given predictions; parameters as in the class and :meth:`from_estimator`.

        Examples
        --------
        >>> ResidualDisplay.from_predictions([1, 2], [1, 3], draw=False).residuals.ravel()
        array([ 0., -1.])
        """
        display = cls(y_true, y_pred, target_name=target_name, unit=unit)
        return display.plot(ax, **plot_kwargs) if draw else display

    def plot(
        self,
        ax: Any = None,
        *,
        max_points: int | None = MOST_POINTS,
        scatter_kwargs: dict[str, Any] | None = None,
        line_kwargs: dict[str, Any] | None = None,
    ) -> ResidualDisplay:
        """Draw the residuals, the zero line and the running median.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of Axes, default=None
            Where to draw, one Axes for each panel; None makes a figure.
        max_points : int or None, default=10000
            Most points drawn (a random choice, the same each time); None draws all. The median
            is always that of all rows.
        scatter_kwargs, line_kwargs : dict, default=None
            Passed to ``Axes.scatter`` and, for the zero line, ``Axes.axhline``.

        Returns
        -------
        display : ResidualDisplay

        Examples
        --------
        >>> ResidualDisplay([1, 2, 3], [1, 2, 4], unit="MPa").plot().ax_.get_ylabel()
        'residual: actual - predicted (MPa)'
        """
        axes = panel_axes(ax, self.panel_grid, n_panels=self.n_panels, figsize=self.figsize)
        rows = drawn_rows(len(self.y_true), max_points)
        scatters, lines, medians = [], [], []
        for k, panel in enumerate(axes):
            style = {"color": GREY, "linewidth": 1.2, "linestyle": "--", **(line_kwargs or {})}
            lines.append(panel.axhline(0.0, **style))
            style = {"color": BLUE, **cloud_style(len(rows)), **(scatter_kwargs or {})}
            scatters.append(panel.scatter(self.y_pred[rows, k], self.residuals[rows, k], **style))
            medians.append(_draw_medians(panel, self.medians[k]))
            self._finish_panel(panel, k, len(rows))
        single = self.n_panels == 1
        self.scatter_ = scatters[0] if single else scatters
        self.line_ = lines[0] if single else lines
        self.median_line_ = medians[0] if single else medians
        self.ax_ = axes[0] if single else axes
        self.figure_ = axes[0].figure
        return self

    def _finish_panel(self, ax: Any, k: int, n_drawn: int) -> None:
        largest = np.abs(self.residuals[:, k]).max()
        ax.set_xlim(*span(self.y_pred[:, k]))
        ax.set_ylim(*span(np.array([-largest, largest])))
        for axis in (ax.xaxis, ax.yaxis):
            tidy_ticks(axis)
        name, unit = self.predictions.names[k] or "", self.predictions.units[k]
        ax.set_xlabel(
            label(f"predicted {name}".strip(), unit, width=56 if self.n_panels == 1 else 44)
        )
        ax.set_ylabel(label("residual: actual - predicted", unit, width=36))
        text = drawn_note(n_drawn, len(self.y_true))
        if output := self.predictions.panel_name(k):
            text = f"{plain_text(shortened(output, 36))}, {text}"
        if self.medians[k].shape[1]:
            text += "; line: running median"
        heading(ax, text)


def running_median(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Medians of x and y in groups of neighbouring x with as many rows each.

    Parameters
    ----------
    x, y : ndarray of shape (N,)

    Returns
    -------
    medians : ndarray of shape (2, M)
        M is N // 20, at most 20, and 0 where that is less than 2 or x is constant.

    Examples
    --------
    >>> import numpy as np
    >>> running_median(np.arange(40.0), np.ones(40))
    array([[ 9.5, 29.5],
           [ 1. ,  1. ]])
    """
    n_groups = min(len(x) // ROWS_PER_MEDIAN, MOST_MEDIANS)
    if n_groups < 2 or np.ptp(x) == 0:
        return np.empty((2, 0))
    groups = np.array_split(np.argsort(x, kind="stable"), n_groups)
    return np.array([[np.median(v[group]) for group in groups] for v in (x, y)])


def _draw_medians(ax: Any, medians: np.ndarray) -> Any:
    if medians.shape[1] == 0:
        return None
    return ax.plot(*medians, color=VERMILION, linewidth=1.8, label="running median")[0]
