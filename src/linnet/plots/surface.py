"""What a network has learnt over one or two of its inputs, beside the data and the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from linnet.plots.canvas import panel_axes
from linnet.plots.grid import FeatureGrid
from linnet.plots.predictions import names_of, target_column
from linnet.plots.surface_panels import draw_curves, draw_surfaces


class SurfaceDisplay:
    """Data, actual function, network and error over two features, or over one.

    It is recommended to use :meth:`from_estimator`. Data, function and network share one colour
    scale; the error has a diverging scale of its own, symmetric about 0. Over one feature,
    curves are drawn instead.

    Parameters
    ----------
    axes : sequence of one or two ndarray of shape (G,)
        Grid along each feature.
    response : ndarray of shape (G,) or (G, G)
        The network on the grid; the first feature lies along the last axis. Values of the
        target, the probability of ``classes[1]``, or indices into ``classes``.
    actual : ndarray of the shape of ``response``, default=None
        The actual function on the grid.
    data : ndarray of shape (N, 1) or (N, 2), default=None
        The rows' values of the features.
    y, y_pred : ndarray of shape (N,), default=None
        Actual target and prediction of each row; indices into ``classes`` for a classifier.
    feature_names : sequence of one or two str
        Names of the features.
    target_name : str, default=None
        Name of the target.
    unit : str, default=None
        Unit of the target.
    classes : sequence, default=None
        The classes, for a classifier.
    held : mapping of str to value, default=None
        Fixed values of the other features.
    data_name : str, default="data"
        What the rows are, such as "training data".
    band : ndarray of shape (G, 2), default=None
        Lower and upper ends of intervals over one feature.
    coverage : float, default=0.9
        Share of new rows that these intervals are to hold.
    std : ndarray of shape (G, G), default=None
        Standard deviation of the target around the network, over two features.

    Attributes
    ----------
    error : ndarray of shape (G,) or (G, G), or of shape (N,), or None
        Network - actual function on the grid where the function is known, otherwise
        prediction - target of each row. None for a classifier.
    panels : tuple of str
        The panels in order, some of "data", "function", "network", "error", "std".
    artists_ : dict of str to matplotlib artist
        The image, points or line of each panel; over one feature that of "data", "function",
        "network" (all in one panel) and "error".
    colorbar_, error_colorbar_, std_colorbar_ : matplotlib Colorbar or None
    ax_ : ndarray of matplotlib Axes, one for each panel
    figure_ : matplotlib Figure

    Raises
    ------
    ValueError
        If the shapes do not fit or no response is finite.

    Examples
    --------
    >>> import numpy as np
    >>> from linnet.plots import SurfaceDisplay
    >>> grid = np.linspace(-1, 1, 5)
    >>> display = SurfaceDisplay([grid, grid], np.outer(grid, grid), feature_names=["u", "v"])
    >>> display.panels
    ('network',)
    """

    def __init__(
        self,
        axes: Sequence[np.ndarray],
        response: np.ndarray,
        *,
        feature_names: Sequence[str],
        actual: Any = None,
        data: Any = None,
        y: Any = None,
        y_pred: Any = None,
        target_name: str | None = None,
        unit: str | None = None,
        classes: Sequence[Any] | None = None,
        held: Mapping[str, Any] | None = None,
        data_name: str = "data",
        band: Any = None,
        coverage: float = 0.9,
        std: Any = None,
    ) -> None:
        self.axes = [np.asarray(axis, dtype=float) for axis in axes]
        self.response = np.asarray(response, dtype=float)
        self.actual: Any = None if actual is None else np.asarray(actual, dtype=float)
        self.std: Any = None if std is None else np.asarray(std, dtype=float)
        shape = tuple(len(axis) for axis in reversed(self.axes))
        grids = {"response": self.response, "actual": self.actual, "std": self.std}
        for name, values in grids.items():
            if values is not None and values.shape != shape:
                raise ValueError(f"{name} has shape {values.shape}; the grid has {shape}.")
        if not np.isfinite(self.response).any():
            raise ValueError("The network gives no finite value anywhere on the grid.")
        self.feature_names = list(feature_names)
        self.data, self.y, self.y_pred = data, y, y_pred
        self.target_name, self.unit = target_name, unit
        self.classes: Any = None if classes is None else list(classes)
        self.held = dict(held or {})
        self.data_name = data_name
        self.band: Any = None if band is None else np.asarray(band, dtype=float)
        self.coverage = coverage
        if self.band is not None and self.band.shape != (*shape, 2)[-2:]:
            raise ValueError(
                f"band has shape {self.band.shape}; give the two ends over one feature, "
                f"({len(self.axes[0])}, 2)."
            )
        self.error: Any = self._error()

    def _error(self) -> np.ndarray | None:
        if self.classes is not None:
            return None
        if self.actual is not None:
            return self.response - self.actual
        return None if self.y is None or self.y_pred is None else self.y_pred - self.y

    @property
    def shows_probability(self) -> bool:
        """Whether ``response`` is the probability of ``classes[1]``."""
        return self.classes is not None and len(self.classes) == 2

    @property
    def panels(self) -> tuple[str, ...]:
        """Names of the panels, in order."""
        mistakes = self.classes is not None and self.y_pred is not None
        with_error = self.error is not None or mistakes
        if len(self.axes) == 1:
            return ("network", "error") if self.error is not None else ("network",)
        shown = {
            "data": self.y is not None,
            "function": self.actual is not None,
            "network": True,
            "error": with_error,
            "std": self.std is not None,
        }
        return tuple(name for name, is_shown in shown.items() if is_shown)

    @property
    def n_panels(self) -> int:
        """Number of panels."""
        return len(self.panels)

    @property
    def panel_grid(self) -> tuple[int, int]:
        """Rows and columns of a figure with these panels."""
        if len(self.axes) == 1:
            return (self.n_panels, 1)
        return {4: (2, 2), 5: (2, 3)}.get(self.n_panels, (1, self.n_panels))

    @property
    def figsize(self) -> tuple[float, float]:
        """Width and height of a figure with these panels, in inches."""
        if len(self.axes) == 1:
            return (6.4, 4.8) if self.n_panels == 1 else (6.4, 6.4)
        sizes = {1: (6.4, 5.2), 2: (8.4, 4.4), 3: (9.6, 4.4), 4: (8.0, 7.2), 5: (10.4, 7.2)}
        return sizes[self.n_panels]

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        features: Sequence[int | str] | None = None,
        function: Callable[[Any], Any] | None = None,
        fixed: Mapping[int | str, Any] | None = None,
        grid_resolution: int = 100,
        output: int = 0,
        feature_names: Sequence[str] | None = None,
        target_name: str | None = None,
        unit: str | None = None,
        data_name: str = "data",
        coverage: float | None = 0.9,
        ax: Any = None,
        draw: bool = True,
        **plot_kwargs: Any,
    ) -> SurfaceDisplay:
        """What a fitted estimator predicts over one or two features.

        Parameters
        ----------
        estimator : estimator
            Fitted regressor or classifier.
        X : array-like or frame of shape (N, D)
            Rows that give the range of the features, the medians of the others, and the points.
        y : array-like of shape (N,) or (N, K), default=None
            Targets of the rows; adds the data and, without ``function``, the residuals.
        features : sequence of one or two int or str, default=None
            Which features, by position or name; the first two by default.
        function : callable, default=None
            The actual function: takes what ``predict`` takes, (M, D), and returns (M,) or (M, 1).
            For regressors.
        fixed : mapping of int or str to value, default=None
            Values of other features; by default their medians, or the commonest value of what
            is no number.
        grid_resolution : int, default=100
            Points along each feature.
        output : int, default=0
            Which output, where there are several.
        feature_names : sequence of D str, default=None
            Names for the columns of an array; by default ``feature_names_in_`` or x0, x1, ...
        target_name : str, default=None
            Name of the target; by default the name of ``y`` where it is a Series or a frame.
        unit : str, default=None
            Unit of the target.
        data_name : str, default="data"
            What the rows are, such as "training data".
        coverage : float or None, default=0.9
            Share of new rows that a band over one feature holds, where the estimator knows its
            errors; None draws none, and no standard deviation over two features.
        ax : sequence of matplotlib Axes, default=None
            One Axes for each panel; None makes a figure.
        draw : bool, default=True
            False computes only; draw later with :meth:`plot` or :func:`linnet.plots.save_figure`.
        **plot_kwargs
            Passed to :meth:`plot`.

        Returns
        -------
        display : SurfaceDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If a feature does not exist, is no number or has one value only; if X and y differ
            in length; if the function or the estimator returns another shape.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.linear_model import LinearRegression
        >>> X = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> y = X[:, 0] + 2 * X[:, 1]
        >>> display = SurfaceDisplay.from_estimator(
        ...     LinearRegression().fit(X, y), X, y, grid_resolution=3, draw=False
        ... )
        >>> display.response.round(6) + 0.0
        array([[0. , 0.5, 1. ],
               [1. , 1.5, 2. ],
               [2. , 2.5, 3. ]])
        """
        check_is_fitted(estimator)
        classes = _classes(estimator, has_function=function is not None)
        if feature_names is None:
            feature_names = getattr(estimator, "feature_names_in_", None)
        grid = FeatureGrid(
            X, features, resolution=grid_resolution, fixed=fixed, feature_names=feature_names
        )
        inputs = grid.inputs()
        shape = tuple(len(axis) for axis in reversed(grid.axes))
        actual = None
        if function is not None:
            actual = _one_column(function(inputs), len(grid.axes[0]) ** len(grid.axes), "function")
        response = _response(estimator, inputs, classes, output)
        targets, predictions = None, None
        band, std = _uncertainty(estimator, inputs, len(grid.axes), output, coverage)
        if y is not None:
            targets = target_column(y, len(X), output, classes)
            predicted = estimator.predict(X)
            predictions = target_column(predicted, len(X), output, classes)
            if target_name is None:
                target_name = _name_of_output(y, output)
        display = cls(
            grid.axes,
            response.reshape(shape),
            feature_names=grid.names,
            actual=None if actual is None else actual.reshape(shape),
            data=grid.data,
            y=targets,
            y_pred=predictions,
            target_name=target_name,
            unit=unit,
            classes=classes,
            held=grid.held,
            data_name=data_name,
            band=band,
            coverage=coverage or 0.9,
            std=None if std is None else std.reshape(shape),
        )
        return display.plot(ax, **plot_kwargs) if draw else display

    def plot(
        self,
        ax: Any = None,
        *,
        cmap: str = "viridis",
        error_cmap: str = "PuOr",
        max_points: int | None = 10_000,
    ) -> SurfaceDisplay:
        """Draw the panels.

        Parameters
        ----------
        ax : sequence of matplotlib Axes, default=None
            One Axes for each panel; None makes a figure.
        cmap : str or Colormap, default="viridis"
            Colours of data, function and network.
        error_cmap : str or Colormap, default="PuOr"
            Colours of the error, from negative to positive.
        max_points : int or None, default=10000
            Most points drawn (a random choice, the same each time); None draws all.

        Returns
        -------
        display : SurfaceDisplay

        Raises
        ------
        ValueError
            If ``ax`` holds another number of Axes than there are panels.

        Examples
        --------
        >>> import numpy as np
        >>> grid = np.linspace(0, 1, 5)
        >>> display = SurfaceDisplay([grid], grid**2, actual=grid**2, feature_names=["u"])
        >>> [panel.get_ylabel() for panel in display.plot().ax_]
        ['y', 'network - actual function']
        """
        axes = panel_axes(ax, self.panel_grid, n_panels=self.n_panels, figsize=self.figsize)
        self.colorbar_ = self.error_colorbar_ = self.std_colorbar_ = None
        if len(self.axes) == 1:
            self.artists_ = draw_curves(self, axes, max_points)
        else:
            drawn = draw_surfaces(self, axes, cmap, error_cmap, max_points)
            self.artists_, self.colorbar_, self.error_colorbar_, self.std_colorbar_ = drawn
        self.ax_, self.figure_ = axes, axes[0].figure
        return self


def _classes(estimator: Any, *, has_function: bool) -> list[Any] | None:
    if not is_classifier(estimator):
        return None
    if has_function:
        raise ValueError(
            f"function is for regressors and {type(estimator).__name__} predicts classes; "
            "leave it out."
        )
    classes = getattr(estimator, "classes_", None)
    if classes is None or isinstance(classes, list) or np.ndim(classes) != 1:
        raise ValueError(
            f"{type(estimator).__name__} predicts several labels for each row; "
            "SurfaceDisplay draws one, so fit one classifier for each label."
        )
    return list(classes)


def _response(estimator: Any, inputs: Any, classes: list[Any] | None, output: int) -> np.ndarray:
    """Values, the probability of the second of two classes, or indices of classes: (M,)."""
    if classes is not None and len(classes) == 2 and hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(inputs))[:, 1]
    return target_column(estimator.predict(inputs), len(inputs), output, classes)


def _uncertainty(
    estimator: Any, inputs: Any, n_features: int, output: int, coverage: float | None
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return a band (G, 2) over one feature, or standard deviations (G * G,) over two."""
    if coverage is None or not hasattr(estimator, "error_bars_"):
        return None, None
    if n_features == 1:
        band = estimator.predict_interval(inputs, coverage)  # (G, 2) or (G, K, 2)
        return band[:, output] if band.ndim == 3 else band, None
    std = estimator.predict(inputs, return_std=True)[1]
    std = std[:, output] if std.ndim == 2 else std
    # One number everywhere, as of a single network, is no picture.
    return None, std if np.ptp(std) > 1e-9 * std.max() else None


def _one_column(values: Any, n_rows: int, name: str) -> np.ndarray:
    column = np.asarray(values, dtype=float)
    if column.shape not in ((n_rows,), (n_rows, 1)):
        raise ValueError(
            f"{name} returned shape {column.shape} for {n_rows} rows; "
            f"let it return ({n_rows},) or ({n_rows}, 1)."
        )
    return column.ravel()


def _name_of_output(y: Any, output: int) -> str | None:
    name = names_of(y)
    return name[output] if isinstance(name, list) else name
