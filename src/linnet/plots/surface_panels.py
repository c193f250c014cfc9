"""The panels of a surface: colours over two features, curves over one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from linnet.plots.canvas import (
    BLUE,
    CLASS_COLOURS,
    GREY,
    LIGHT_BROWN,
    heading,
    label,
    legend_above,
    plain_text,
    shortened,
    span,
    tidy_ticks,
)
from linnet.plots.points import cloud_style, drawn_note, drawn_rows

if TYPE_CHECKING:
    from linnet.plots.surface import SurfaceDisplay

# Share of a panel that its points may cover together, and the panel's area in points squared.
COVERED, PANEL_AREA = 0.75, 30_000


def draw_surfaces(
    display: SurfaceDisplay, axes: np.ndarray, cmap: Any, error_cmap: Any, most: int | None
) -> tuple[dict[str, Any], Any, Any, Any]:
    """Draw over two features; return the artists and the colour bars: common, error, deviation."""
    colours = _class_colours(display, cmap) if display.classes else _value_colours(display, cmap)
    rows = _drawable_rows(display, most)
    panel_of = dict(zip(display.panels, axes, strict=True))
    in_threes = len(axes) in (3, 5)
    for number, ax in enumerate(axes):
        first_in_row = not in_threes or number % 3 == 0
        _set_features(ax, display, y_labels=first_in_row, narrow=in_threes)
    artists: dict[str, Any] = {}
    if "data" in panel_of:
        artists["data"] = _points(panel_of["data"], display, rows, display.y, colours)
        note = drawn_note(len(rows), len(display.data))
        gap = " " if len(display.data_name + note) < 32 else "\n"
        heading(panel_of["data"], f"{plain_text(shortened(display.data_name, 32))}{gap}({note})")
    if "function" in panel_of:
        artists["function"] = _image(panel_of["function"], display, display.actual, colours)
        heading(panel_of["function"], "actual function")
    artists["network"] = _image(panel_of["network"], display, display.response, colours)
    heading(panel_of["network"], "network" + _held_note(display))
    if display.shows_probability:
        _border(panel_of["network"], display)
    if "error" in panel_of and display.classes:
        artists["error"] = _draw_mistakes(panel_of["error"], display, rows, colours)
    elif "error" in panel_of:
        artists["error"] = _draw_error(panel_of["error"], display, rows, error_cmap)
    if "std" in panel_of:
        artists["std"] = _draw_deviation(panel_of["std"], display)
    bars = _colour_bars(display, panel_of, artists)
    return artists, *bars


def draw_curves(display: SurfaceDisplay, axes: np.ndarray, most: int | None) -> dict[str, Any]:
    """Draw over one feature: data, function and network together, the error below."""
    x = display.axes[0]
    top, artists = axes[0], {}
    rows = _drawable_rows(display, most)
    if display.band is not None:
        style = {
            "color": LIGHT_BROWN,
            "linewidth": 0,
            "label": f"{100 * display.coverage:g}% interval",
        }
        artists["band"] = top.fill_between(x, *display.band.T, **style)
    if display.y is not None:
        style = {"color": BLUE, **cloud_style(len(rows)), "label": plain_text(display.data_name)}
        artists["data"] = top.scatter(display.data[rows, 0], display.y[rows], **style)
    if display.actual is not None:
        style = {"color": GREY, "linestyle": "--", "label": "actual function"}
        artists["function"] = top.plot(x, display.actual, **style)[0]
    name = "network" + _held_note(display)
    drawstyle = "steps-mid" if display.classes and not display.shows_probability else "default"
    style = {"color": "#B34700", "linewidth": 1.8, "drawstyle": drawstyle, "label": name}
    artists["network"] = top.plot(x, display.response, **style)[0]
    top.set_ylabel(_target_label(display))
    _label_class_ticks(top, display)
    legend_above(top, list(artists.values()))
    if len(axes) == 2:
        bottom = axes[1]
        bottom.axhline(0.0, color=GREY, linewidth=1.0, linestyle="--")
        if display.actual is not None:
            artists["error"] = bottom.plot(x, display.error, color=BLUE)[0]
        else:
            style = {"color": BLUE, **cloud_style(len(rows))}
            artists["error"] = bottom.scatter(display.data[rows, 0], display.error[rows], **style)
        largest = _largest(display.error)
        bottom.set_ylim(*span(np.array([-largest, largest])))
        tidy_ticks(bottom.yaxis)
        bottom.set_ylabel(label(_own_scale(display, "error"), display.unit, width=34))
    for ax in axes:
        ax.set_xlim(*span(x, margin=0.02))
        tidy_ticks(ax.xaxis)
        ax.set_xlabel(label(display.feature_names[0]))
    return artists


class _Colours:
    """A colour map with its norm, shared by all panels on one scale."""

    def __init__(self, cmap: Any, norm: Any) -> None:
        self.cmap, self.norm = cmap, norm


def _value_colours(display: SurfaceDisplay, cmap: Any) -> _Colours:
    from matplotlib.colors import Normalize

    parts = [v for v in (display.response, display.actual, display.y) if v is not None]
    return _Colours(cmap, Normalize(*span(*parts, margin=0.0)))


def _class_colours(display: SurfaceDisplay, cmap: Any) -> _Colours:
    from matplotlib import colormaps
    from matplotlib.colors import BoundaryNorm, ListedColormap, Normalize

    if display.shows_probability:
        return _Colours(cmap, Normalize(0.0, 1.0))
    n_classes = len(display.classes or ())
    if n_classes <= len(CLASS_COLOURS):
        listed = list(CLASS_COLOURS[:n_classes])
    else:
        listed = list(colormaps[cmap](np.linspace(0, 1, n_classes)))
    return _Colours(ListedColormap(listed), BoundaryNorm(np.arange(n_classes + 1) - 0.5, n_classes))


def _image(ax: Any, display: SurfaceDisplay, values: Any, colours: _Colours, **style: Any) -> Any:
    return ax.pcolormesh(
        *display.axes,
        np.ma.masked_invalid(values),
        cmap=colours.cmap,
        norm=colours.norm,
        shading="nearest",
        # Ten thousand separate quadrilaterals make a PDF or SVG too heavy to open.
        rasterized=True,
        **style,
    )


def _points(
    ax: Any, display: SurfaceDisplay, rows: np.ndarray, values: Any, colours: _Colours
) -> Any:
    size = float(np.clip(COVERED * PANEL_AREA / max(len(rows), 1), 2.0, 22.0))
    ax.set_facecolor("0.93")
    rows = _within(display, rows)
    return ax.scatter(
        *display.data[rows].T,
        c=values[rows],
        s=size,
        cmap=colours.cmap,
        norm=colours.norm,
        # An edge keeps the palest colour of a diverging map visible.
        edgecolors="0.35",
        linewidths=0.4 if size > 12 else 0,
        rasterized=len(rows) > 2000,
        clip_on=False,  # points on the border are whole
    )


def _within(display: SurfaceDisplay, rows: np.ndarray) -> np.ndarray:
    """The rows that lie in the panel, its border included."""
    least, greatest = ([f(axis) for axis in display.axes] for f in (np.min, np.max))
    data = display.data[rows]
    return rows[((data >= least) & (data <= greatest)).all(axis=1)]


def _border(ax: Any, display: SurfaceDisplay) -> None:
    """The line where both classes are as likely."""
    if display.response.min() < 0.5 < display.response.max():
        ax.contour(*display.axes, display.response, levels=[0.5], colors="white", linewidths=1.5)


def _draw_error(ax: Any, display: SurfaceDisplay, rows: np.ndarray, cmap: Any) -> Any:
    from matplotlib.colors import Normalize

    error = display.error
    largest = _largest(error)
    colours = _Colours(cmap, Normalize(-largest, largest))
    finite = error[np.isfinite(error)]
    rmse = float(np.sqrt(np.mean(finite**2))) if finite.size else np.nan
    heading(ax, f"error (RMSE = {rmse:.3g})")
    if display.actual is not None:
        return _image(ax, display, error, colours)
    return _points(ax, display, rows, error, colours)


def _draw_deviation(ax: Any, display: SurfaceDisplay) -> Any:
    from matplotlib.colors import Normalize

    heading(ax, "standard deviation")
    return _image(ax, display, display.std, _Colours("YlOrBr", Normalize(0, _largest(display.std))))


def _draw_mistakes(ax: Any, display: SurfaceDisplay, rows: np.ndarray, colours: _Colours) -> Any:
    """The rows of a wrong class, in the colour of their true one, over the pale regions."""
    wrong = display.y != display.y_pred
    rows = _within(display, rows[wrong[rows]])
    # Others have no place in the panel, such as rows with a missing value.
    note = "" if len(rows) == wrong.sum() else f", {len(rows):,} drawn"
    heading(ax, f"misclassified: {wrong.sum():,} of {len(wrong):,}{note}")
    _image(ax, display, display.response, colours, alpha=0.25)
    return ax.scatter(
        *display.data[rows].T,
        c=display.y[rows],
        s=30,
        marker="X",
        cmap=colours.cmap,
        norm=colours.norm,
        edgecolors="black",
        linewidths=0.6,
        clip_on=False,
    )


def _set_features(ax: Any, display: SurfaceDisplay, *, y_labels: bool, narrow: bool) -> None:
    """Limits, ticks and labels of the two features."""
    x, y = display.axes
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    for axis in (ax.xaxis, ax.yaxis):
        tidy_ticks(axis, 5)
    ax.set_xlabel(label(display.feature_names[0], width=22 if narrow else 30))
    if y_labels:
        ax.set_ylabel(label(display.feature_names[1], width=30))
    else:
        ax.tick_params(labelleft=False)
        ax.yaxis.get_offset_text().set_visible(False)


def _colour_bars(
    display: SurfaceDisplay, panel_of: dict[str, Any], artists: dict[str, Any]
) -> tuple[Any, Any, Any]:
    """One bar for the shared scale and, beside the error and the standard deviation, their own."""
    figure = panel_of["network"].figure
    single, in_row = len(panel_of) == 1, len(panel_of) == 3 or set(panel_of) == {"network", "std"}
    own = {"std"} if display.classes else {"error", "std"}
    sharing = [ax for name, ax in panel_of.items() if name not in own]
    # Below four panels the bar reaches under all of them, so that the panels keep one size.
    beside = list(panel_of.values()) if len(panel_of) >= 4 else sharing
    bar = figure.colorbar(
        artists["network"],
        ax=beside,
        location="right" if single else "bottom",
        label=_target_label(display),
        **({} if single else {"aspect": 40 if not in_row else 30, "fraction": 0.06, "pad": 0.03}),
    )
    _tidy_bar(bar, display)
    bars = {}
    for name in (name for name in panel_of if name in own):
        bars[name] = figure.colorbar(
            artists[name],
            ax=panel_of[name],
            location="bottom" if in_row else "right",
            label=label(_own_scale(display, name), display.unit, width=34),
            **({"aspect": 15, "fraction": 0.06, "pad": 0.03} if in_row else {}),
        )
        tidy_ticks(bars[name].long_axis, 5)
    return bar, bars.get("error"), bars.get("std")


def _tidy_bar(bar: Any, display: SurfaceDisplay) -> None:
    if display.classes is None or display.shows_probability:
        tidy_ticks(bar.long_axis)
        return
    # A minor tick says nothing between two classes.
    bar.minorticks_off()
    width = max(60 // len(display.classes), 4)
    names = [plain_text(shortened(name, width)) for name in display.classes]
    bar.set_ticks(np.arange(len(names)), labels=names)


def _target_label(display: SurfaceDisplay) -> str:
    if display.shows_probability:
        of_target = f"{display.target_name} = " if display.target_name else ""
        return label(f"probability of {of_target}{display.classes[1]}", width=60)
    default = "class" if display.classes else "y"
    return label(display.target_name or default, display.unit, width=60)


def _own_scale(display: SurfaceDisplay, name: str) -> str:
    if name == "std":
        return "standard deviation"
    return "network - actual function" if display.actual is not None else "network - data"


def _label_class_ticks(ax: Any, display: SurfaceDisplay) -> None:
    if display.classes and not display.shows_probability:
        names = [plain_text(shortened(name, 16)) for name in display.classes]
        ax.set_yticks(np.arange(len(names)), labels=names)
    else:
        tidy_ticks(ax.yaxis)


def _held_note(display: SurfaceDisplay) -> str:
    """What the other features are fixed at: the one by name, more of them by number."""
    if not display.held:
        return ""
    if len(display.held) > 1:
        return f" ({len(display.held)} features held fixed)"
    ((name, value),) = display.held.items()
    shown = f"{value:.4g}" if isinstance(value, float) else str(value)
    return plain_text(f" ({shortened(name, 16)} = {shortened(shown, 12)})")


def _drawable_rows(display: SurfaceDisplay, most: int | None) -> np.ndarray:
    """Indices of the rows to draw: those with a value of each feature, and not too many."""
    if display.y is None or display.data is None:
        return np.arange(0)
    known = np.flatnonzero(np.isfinite(display.data).all(axis=1))
    return known[drawn_rows(len(known), most)]


def _largest(error: np.ndarray) -> float:
    finite = np.abs(error[np.isfinite(error)])
    return float(finite.max()) if finite.size and finite.max() > 0 else 1.0
