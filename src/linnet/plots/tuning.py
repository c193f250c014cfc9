"""A search for settings: the loss of every candidate by epoch, and over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from linnet.plots.canvas import BLUE, GREY, VERMILION, label, legend_above, panel_axes, span

# Losses beyond so many times the greatest of the defaults are left out: candidates that break.
_MOST_SHOWN = 3.0
_OTHERS = "#A0A0A0"


class TuningDisplay:
    """The losses on rows held out of all candidates of a search.

    Left, the first training of each candidate; right, its mean loss after each further training. A
    mean climbs where a further fold holds rows that are harder to predict than those before. All
    candidates have the same folds in the same order: compare points of the same number of folds.

    It is recommended to use :meth:`from_record` or :meth:`from_tuning`.

    Parameters
    ----------
    curves : sequence of array-like of shape (E,)
        For each candidate the loss after each epoch, on the first fold. The first candidate has the
        default settings.
    seconds : sequence of array-like of shape (T,)
        For each candidate, when each of its trainings ended.
    losses : sequence of array-like of shape (T,)
        Its mean loss over the folds done by then.
    best_index : int
        Which candidate won.
    loss_name : str, default=None
        Name of the loss, such as "squared_error".

    Attributes
    ----------
    curves, seconds, losses : list of ndarray
    best_index : int
    curve_lines_, time_lines_ : list of matplotlib Line2D
        One for each candidate, in the left and in the right panel.
    legend_ : matplotlib Legend
    axes_ : ndarray of two matplotlib Axes
    figure_ : matplotlib Figure

    Raises
    ------
    ValueError
        If there is no candidate, the lengths differ, or ``best_index`` is no candidate.

    Examples
    --------
    >>> from linnet.plots import TuningDisplay
    >>> display = TuningDisplay([[1.0, 0.5], [1.0, 0.3]], [[2.0], [4.0]], [[0.5], [0.3]], 1)
    >>> display.n_candidates
    2
    """

    figsize = (8.0, 4.4)
    panel_grid = (1, 2)
    n_panels = 2

    def __init__(
        self,
        curves: Sequence[Any],
        seconds: Sequence[Any],
        losses: Sequence[Any],
        best_index: int,
        *,
        loss_name: str | None = None,
    ) -> None:
        self.curves, self.seconds, self.losses = (
            [np.asarray(values, dtype=float).ravel() for values in given]
            for given in (curves, seconds, losses)
        )
        if not self.curves:
            raise ValueError("curves is empty; a search has at least one candidate.")
        lengths = {len(self.curves), len(self.seconds), len(self.losses)}
        if len(lengths) > 1 or any(
            len(a) != len(b) for a, b in zip(self.seconds, self.losses, strict=True)
        ):
            raise ValueError(
                "curves, seconds and losses differ in length; give one of each for every "
                "candidate, and as many seconds as losses."
            )
        if not 0 <= best_index < len(self.curves):
            raise ValueError(
                f"best_index is {best_index}; with {len(self.curves)} candidates it lies between 0 "
                f"and {len(self.curves) - 1}."
            )
        self.best_index, self.loss_name = int(best_index), loss_name

    @property
    def n_candidates(self) -> int:
        """Number of candidates."""
        return len(self.curves)

    @classmethod
    def from_record(cls, record: Any, *, ax: Any = None, draw: bool = True) -> TuningDisplay:
        """The losses of the record of a search.

        Parameters
        ----------
        record : TuningRecord
            As ``linnet.tune(...).record_``, or read by ``TuningRecord.from_json``.
        ax : array-like of two matplotlib Axes, default=None
            Where to draw; None makes a figure.
        draw : bool, default=True
            False computes only; draw later with :meth:`plot` or :func:`linnet.plots.save_figure`.

        Returns
        -------
        display : TuningDisplay

        Raises
        ------
        TypeError
            If the object keeps no ``candidates``.
        """
        if not hasattr(record, "candidates"):
            raise TypeError(
                f"A {type(record).__name__} keeps no candidates; pass a TuningRecord, such as "
                "linnet.tune(...).record_."
            )
        curves, seconds, losses = [], [], []
        for candidate in record.candidates:
            trials = sorted(candidate.finished, key=lambda trial: trial.started + trial.seconds)
            weights = np.cumsum([trial.weight for trial in trials])
            sums = np.cumsum([trial.weight * trial.loss for trial in trials])
            seconds.append([trial.started + trial.seconds for trial in trials])
            losses.append(sums / weights)
            first = min(candidate.trials, key=lambda trial: trial.fold, default=None)
            curves.append([] if first is None else first.validation_loss)
        display = cls(curves, seconds, losses, record.best_index, loss_name=record.loss)
        return display.plot(ax) if draw else display

    @classmethod
    def from_tuning(cls, tuning: Any, *, ax: Any = None, draw: bool = True) -> TuningDisplay:
        """The losses of what `linnet.tune` returned.

        Parameters
        ----------
        tuning : Tuning
        ax, draw
            As in :meth:`from_record`.

        Returns
        -------
        display : TuningDisplay

        Raises
        ------
        TypeError
            If the object keeps no ``record_``.
        """
        if not hasattr(tuning, "record_"):
            raise TypeError(
                f"A {type(tuning).__name__} keeps no record_; pass what linnet.tune returned."
            )
        return cls.from_record(tuning.record_, ax=ax, draw=draw)

    def plot(self, ax: Any = None) -> TuningDisplay:
        """Draw the curves: the winner in vermilion, the defaults in blue, others in grey.

        Parameters
        ----------
        ax : array-like of two matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : TuningDisplay
        """
        axes = panel_axes(ax, self.panel_grid, n_panels=2, figsize=self.figsize)
        self.curve_lines_, self.time_lines_ = [], []
        for number, curve in enumerate(self.curves):
            style = self._style(number)
            epochs = np.arange(1, len(curve) + 1)
            self.curve_lines_ += axes[0].plot(epochs, _finite(curve), **style)
            self.time_lines_ += axes[1].plot(
                self.seconds[number],
                _finite(self.losses[number]),
                **style,
                marker="o",
                markersize=5 if style["color"] != _OTHERS else 4,
                markeredgewidth=0,
            )
        limits = self._limits()
        for panel in axes:
            panel.grid(True, color="0.9", linewidth=0.8)
            panel.set_axisbelow(True)
            if limits is not None:
                panel.set_yscale("log")
                panel.set_ylim(*limits)
        name = f"{(self.loss_name or 'loss').replace('_', ' ')} on rows held out"
        axes[0].set_xlabel("epoch of the first training")
        axes[0].set_ylabel(label(name, width=40))
        axes[1].set_xlabel("seconds since the start of the search")
        axes[1].set_ylabel("mean of the folds done so far")
        axes[1].set_xlim(0, 1.03 * max((s.max() for s in self.seconds if len(s)), default=1.0))
        self.axes_, self.figure_ = axes, axes[0].figure
        self.legend_ = legend_above(axes[0], self._keys(), room=44)
        legend_above(axes[1], self._point_keys(), room=44)
        return self

    def _style(self, number: int) -> dict[str, Any]:
        if number == self.best_index:
            return {"color": VERMILION, "linewidth": 2.2, "zorder": 4}
        if number == 0:
            return {"color": BLUE, "linewidth": 2.0, "zorder": 3}
        return {"color": _OTHERS, "linewidth": 0.9, "zorder": 2}

    def _keys(self) -> list[Any]:
        """One line of each kind, with its name."""
        names = {self.best_index: "the defaults, kept" if self.best_index == 0 else "winner"}
        names.setdefault(0, "defaults")
        n_others = self.n_candidates - len(names)
        keys = []
        for number, name in names.items():
            self.curve_lines_[number].set_label(name)
            keys.append(self.curve_lines_[number])
        if n_others:
            other = next(i for i in range(self.n_candidates) if i not in names)
            self.curve_lines_[other].set_label(f"{n_others} other{'s' * (n_others > 1)}")
            keys.append(self.curve_lines_[other])
        return keys

    def _point_keys(self) -> list[Any]:
        from matplotlib.lines import Line2D

        name = "a training: one more fold, of other rows"
        return [Line2D([], [], color=GREY, marker="o", linestyle="none", markersize=4, label=name)]

    def _limits(self) -> tuple[float, float] | None:
        """Return limits of a logarithmic scale; None where a loss is not positive."""
        values = np.concatenate([*self.curves, *self.losses])
        values = values[np.isfinite(values)]
        if not len(values) or values.min() <= 0:
            return None
        default = self.curves[0][np.isfinite(self.curves[0])]
        most = min(values.max(), _MOST_SHOWN * default.max()) if len(default) else values.max()
        low, high = span(np.log10([values.min(), max(most, values.min())]))
        return 10**low, 10**high


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)
