"""The loss by epoch: training, validation, and the best epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from linnet.plots.canvas import (
    BLUE,
    GREY,
    ORANGE,
    VERMILION,
    label,
    legend_above,
    panel_axes,
    span,
    tidy_ticks,
)

# Up to this many epochs every one gets a dot; beyond, dots would merge into a thick line.
MOST_EPOCHS_WITH_DOTS = 40


class LossCurveDisplay:
    """Training and validation loss by epoch.

    It is recommended to use :meth:`from_history` or :meth:`from_estimator`.

    Parameters
    ----------
    train_loss : array-like of shape (E,)
        Training loss of each epoch. Values that are not finite are marked, not drawn.
    validation_loss : array-like of shape (E,), default=None
        Validation loss of each epoch; NaN where it was not measured.
    best_epoch : int, default=None
        Index of the best epoch, from 0. By default that of the least validation loss or, without
        validation, of the least training loss.
    loss_name : str, default=None
        Name of the loss, such as "squared_error".
    unit : str, default=None
        Unit of the loss.

    Attributes
    ----------
    train_loss, validation_loss : ndarray of shape (E,)
        The losses; ``validation_loss`` is None without validation.
    best_epoch : int or None
        Index of the best epoch, from 0; None where no loss is finite.
    line_ : matplotlib Line2D
        Training loss.
    validation_line_, best_ : matplotlib Line2D or None
        Validation loss and the mark of the best epoch, None where there is none.
    not_finite_ : matplotlib Line2D or None
        Marks of the epochs whose loss is not finite.
    legend_ : matplotlib Legend
    ax_, figure_ : matplotlib Axes, Figure

    Raises
    ------
    ValueError
        If there is no epoch, the lengths differ, or ``best_epoch`` is no epoch.

    Examples
    --------
    >>> from linnet.plots import LossCurveDisplay
    >>> display = LossCurveDisplay([1.0, 0.4, 0.2], [1.1, 0.5, 0.6])
    >>> display.best_epoch
    1
    """

    figsize = (6.4, 4.8)
    panel_grid = (1, 1)
    n_panels = 1

    def __init__(
        self,
        train_loss: Any,
        validation_loss: Any = None,
        *,
        best_epoch: int | None = None,
        loss_name: str | None = None,
        unit: str | None = None,
    ) -> None:
        self.train_loss = _curve(train_loss, "train_loss")
        n_epochs = len(self.train_loss)
        if n_epochs == 0:
            raise ValueError("train_loss is empty; a loss curve needs at least one epoch.")
        self.validation_loss = None
        if validation_loss is not None:
            self.validation_loss = _curve(validation_loss, "validation_loss")
            if len(self.validation_loss) != n_epochs:
                raise ValueError(
                    f"train_loss has {n_epochs} epochs and validation_loss "
                    f"{len(self.validation_loss)}; give one value of each for every epoch."
                )
        if best_epoch is None:
            best_epoch = _least(self._judged)
        elif not 0 <= best_epoch < n_epochs:
            raise ValueError(
                f"best_epoch is {best_epoch}; with {n_epochs} epochs it lies between 0 and "
                f"{n_epochs - 1}."
            )
        self.best_epoch = None if best_epoch is None else int(best_epoch)
        self.loss_name = loss_name
        self.unit = unit

    @property
    def _judged(self) -> np.ndarray:
        """The curve whose least value is the best epoch."""
        return self.train_loss if self.validation_loss is None else self.validation_loss

    @classmethod
    def from_history(
        cls, history: Any, *, unit: str | None = None, ax: Any = None, draw: bool = True
    ) -> LossCurveDisplay:
        """The loss curve of a history.

        Parameters
        ----------
        history : History
            Or any object with ``train_loss`` and, where known, ``validation_loss``,
            ``best_epoch`` and ``loss`` (the name of the loss).
        unit : str, default=None
            Unit of the loss.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        draw : bool, default=True
            False computes only; draw later with :meth:`plot` or :func:`linnet.plots.save_figure`.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        TypeError
            If the object keeps no ``train_loss``.

        Examples
        --------
        >>> from types import SimpleNamespace
        >>> history = SimpleNamespace(train_loss=[1.0, 0.5], loss="squared_error")
        >>> LossCurveDisplay.from_history(history, draw=False).loss_name
        'squared_error'
        """
        if not hasattr(history, "train_loss"):
            raise TypeError(
                f"A {type(history).__name__} keeps no train_loss; pass a linnet.History, "
                "or use LossCurveDisplay.from_estimator for an estimator."
            )
        display = cls(
            history.train_loss,
            _measured(getattr(history, "validation_loss", None)),
            best_epoch=getattr(history, "best_epoch", None),
            loss_name=getattr(history, "loss", None),
            unit=unit,
        )
        return display.plot(ax) if draw else display

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, unit: str | None = None, ax: Any = None, draw: bool = True
    ) -> LossCurveDisplay:
        """The loss curve of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``history_``, or with ``loss_curve_`` as scikit-learn's MLPRegressor has
            it. Of a Pipeline the last step is taken, of a search the best estimator.
        unit, ax, draw
            As in :meth:`from_history`.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator keeps no loss.

        Examples
        --------
        >>> from sklearn.neural_network import MLPRegressor
        >>> network = MLPRegressor(max_iter=500, tol=0.1).fit([[0.0], [1.0], [2.0]], [0, 1, 2])
        >>> display = LossCurveDisplay.from_estimator(network, draw=False)
        >>> len(display.train_loss) == network.n_iter_
        True
        """
        check_is_fitted(estimator)
        network = _innermost(estimator)
        if getattr(network, "history_", None) is not None:
            return cls.from_history(network.history_, unit=unit, ax=ax, draw=draw)
        if getattr(network, "loss_curve_", None) is None:
            raise TypeError(
                f"{type(network).__name__} keeps no loss by epoch (neither history_ nor "
                "loss_curve_); pass the losses themselves: LossCurveDisplay(train_loss)."
            )
        loss = getattr(network, "loss", None)
        display = cls(
            network.loss_curve_,
            _measured(getattr(network, "validation_loss_curve_", None)),
            loss_name=loss if isinstance(loss, str) else None,
            unit=unit,
        )
        return display.plot(ax) if draw else display

    def plot(
        self, ax: Any = None, *, scale: str = "auto", line_kwargs: dict[str, Any] | None = None
    ) -> LossCurveDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        scale : {"auto", "log", "linear"}, default="auto"
            Scale of the losses; "auto" is logarithmic when they span more than a factor of ten
            and are all positive.
        line_kwargs : dict, default=None
            Passed to ``Axes.plot`` for both curves.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        ValueError
            If ``scale`` is none of the three.

        Examples
        --------
        >>> LossCurveDisplay([1.0, 0.1]).plot().ax_.get_xlabel()
        'epoch'
        """
        if scale not in ("auto", "log", "linear"):
            raise ValueError(f"scale is {scale!r}; choose 'auto', 'log' or 'linear'.")
        (ax,) = panel_axes(ax, (1, 1), n_panels=1, figsize=self.figsize)
        style = line_kwargs or {}
        self.line_ = _draw_curve(ax, self.train_loss, "training", {"color": BLUE, **style})
        self.validation_line_ = None
        if self.validation_loss is not None:
            # Between two measured epochs the line goes straight on.
            measured = ~np.isnan(self.validation_loss)
            self.validation_line_ = _draw_curve(
                ax,
                self.validation_loss[measured],
                "validation",
                {"color": ORANGE, **style},
                epochs=np.flatnonzero(measured) + 1,
            )
        logarithmic = self._set_loss_axis(ax, scale)
        self._draw_best(ax)
        self._draw_not_finite(ax)
        self._set_epoch_axis(ax)
        ax.grid(True, color="0.9", linewidth=0.8)
        ax.set_axisbelow(True)
        ax.set_ylabel(self._loss_label(logarithmic))
        lines = [line for line in self._lines() if line is not None]
        self.legend_ = legend_above(ax, lines)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _lines(self) -> list[Any]:
        return [self.line_, self.validation_line_, self.best_, self.not_finite_]

    def _loss_label(self, logarithmic: bool) -> str:
        name = "loss" if not self.loss_name else f"loss: {self.loss_name.replace('_', ' ')}"
        notes = [note for note in (self.unit, "log scale" if logarithmic else None) if note]
        return label(name, ", ".join(notes))

    def _finite_losses(self) -> np.ndarray:
        curves = [self.train_loss]
        if self.validation_loss is not None:
            curves.append(self.validation_loss)
        losses = np.concatenate(curves)
        return losses[np.isfinite(losses)]

    def _set_loss_axis(self, ax: Any, scale: str) -> bool:
        """Set scale and limits of the losses; return whether the scale is logarithmic."""
        losses = self._finite_losses()
        positive = losses[losses > 0]
        wide = losses.size > 0 and losses.min() > 0 and losses.max() > 10 * losses.min()
        if positive.size and (scale == "log" or (scale == "auto" and wide)):
            ax.set_yscale("log")
            low, high = span(np.log10(positive))
            ax.set_ylim(10**low, 10**high)
            return True
        tidy_ticks(ax.yaxis)
        ax.set_ylim(*span(losses))
        if losses.size == 0:
            ax.set_yticks([])
        return False

    def _set_epoch_axis(self, ax: Any) -> None:
        from matplotlib.ticker import MaxNLocator

        n_epochs = len(self.train_loss)
        margin = max(0.02 * n_epochs, 0.5)
        # There is no epoch 0, so its tick stays out.
        ax.set_xlim(1 - min(margin, 0.9), n_epochs + margin)
        steps = [1, 2, 5, 10]
        ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=steps, min_n_ticks=1))
        ax.set_xlabel("epoch")

    def _draw_best(self, ax: Any) -> None:
        self.best_ = None
        if self.best_epoch is None:
            return
        loss = self._judged[self.best_epoch]
        self.best_ = ax.plot(
            self.best_epoch + 1,
            loss,
            linestyle="none",
            marker="o",
            markersize=9,
            markerfacecolor="none",
            markeredgecolor=GREY,
            markeredgewidth=1.8,
            zorder=3,
            label=f"best: epoch {self.best_epoch + 1} ({loss:.3g})",
        )[0]

    def _draw_not_finite(self, ax: Any) -> None:
        bad = ~np.isfinite(self.train_loss)
        if self.validation_loss is not None:
            bad |= np.isinf(self.validation_loss)
        self.not_finite_ = None
        if not bad.any():
            return
        self.not_finite_ = ax.plot(
            np.flatnonzero(bad) + 1,
            np.full(bad.sum(), 0.02),
            linestyle="none",
            marker="x",
            color=VERMILION,
            transform=ax.get_xaxis_transform(),
            label=f"not finite ({bad.sum()} epochs)" if bad.sum() > 1 else "not finite (1 epoch)",
        )[0]


def _curve(values: Any, name: str) -> np.ndarray:
    curve = np.asarray(values, dtype=float)
    if curve.ndim != 1:
        raise ValueError(f"{name} has shape {curve.shape}; give one value for each epoch, (E,).")
    return curve


def _measured(validation_loss: Any) -> np.ndarray | None:
    """The validation losses, or None where none was ever measured."""
    if validation_loss is None:
        return None
    losses = np.asarray(validation_loss, dtype=float)
    return None if np.isnan(losses).all() else losses


def _least(losses: np.ndarray) -> int | None:
    finite = np.isfinite(losses)
    return int(np.argmin(np.where(finite, losses, np.inf))) if finite.any() else None


def _innermost(estimator: Any) -> Any:
    """The estimator that was trained, inside of a search, a Pipeline or a target transformer."""
    while True:
        if hasattr(estimator, "history_") or hasattr(estimator, "loss_curve_"):
            return estimator
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "regressor_"):
            estimator = estimator.regressor_
        else:
            return estimator


def _draw_curve(
    ax: Any,
    losses: np.ndarray,
    name: str,
    style: dict[str, Any],
    epochs: np.ndarray | None = None,
) -> Any:
    """Draw one curve; an epoch whose neighbours are not finite is shown by its dot."""
    if epochs is None:
        epochs = np.arange(1, len(losses) + 1)
    drawn = np.where(np.isfinite(losses), losses, np.nan)
    missing = np.concatenate([[True], np.isnan(drawn), [True]])
    alone = missing[:-2] & missing[2:] & ~missing[1:-1]
    dots = alone if len(losses) > MOST_EPOCHS_WITH_DOTS else ~missing[1:-1]
    markers = {"marker": "o", "markersize": 3.5, "markevery": np.flatnonzero(dots).tolist()}
    return ax.plot(epochs, drawn, label=name, **{"linewidth": 1.6, **markers, **style})[0]
