"""The sheet that a display draws on: axes, labels, limits, colours, and the picture file."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from linnet.printable import printable
from linnet.whole_file import whole_file

# Okabe and Ito (2008), "Color Universal Design": told apart with every common kind of colour
# blindness, and by lightness when printed in grey.
BLUE = "#0072B2"
ORANGE = "#E69F00"
VERMILION = "#D55E00"
GREEN = "#009E73"
GREY = "#555555"
LIGHT_BLUE = "#8FC1E3"  # of intervals behind points
LIGHT_BROWN = "#F0C9A8"  # of bands around a curve
CLASS_COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", VERMILION, "#F0E442", "#000000")


def plain_text(text: object) -> str:
    """Text in one line that matplotlib shows as it stands: dollar signs start no formula."""
    return printable(text).replace("$", r"\$")


def shortened(text: object, width: int) -> str:
    """Text cut to ``width`` characters, with an ellipsis where something was cut."""
    text = str(text)
    return text if len(text) <= width else text[: width - 1] + "…"


def label(name: object, unit: str | None = None, *, width: int = 44, lines: int = 2) -> str:
    """An axis label, "name (unit)", wrapped to at most ``lines`` lines of ``width`` characters.

    Examples
    --------
    >>> label("strength", "MPa")
    'strength (MPa)'
    """
    name, suffix = str(name), f" ({unit})" if unit else ""
    room = max(width * lines - len(suffix), 8)
    wrapped = textwrap.wrap(shortened(name, room) + suffix, width)
    # The name is cut until all fits, the unit never.
    while len(wrapped) > lines and room > 8:
        room -= 1
        wrapped = textwrap.wrap(shortened(name, room) + suffix, width)
    return "\n".join(map(plain_text, wrapped))


def panel_axes(
    ax: Any, shape: tuple[int, int], *, n_panels: int, figsize: tuple[float, float]
) -> np.ndarray:
    """The ``n_panels`` axes to draw on: the caller's, or those of a new figure.

    Parameters
    ----------
    ax : Axes, array-like of Axes or None
        None makes a figure with ``plt.subplots``, as scikit-learn's displays do.
    shape : tuple of int
        Rows and columns of the new figure; panels left over are removed.
    n_panels : int
        How many axes are needed.
    figsize : tuple of float
        Width and height of the new figure, in inches.

    Returns
    -------
    axes : ndarray of shape (n_panels,)

    Raises
    ------
    ValueError
        If the caller's axes are not as many as the panels.
    """
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(*shape, figsize=figsize, layout="constrained", squeeze=False)
        for spare in ax.ravel()[n_panels:]:
            spare.remove()
        ax = ax.ravel()[:n_panels]
    axes = np.array(ax, dtype=object).ravel()
    if len(axes) != n_panels:
        given = "one Axes" if len(axes) == 1 else f"{len(axes)} Axes"
        raise ValueError(
            f"ax holds {given} and this display has {n_panels} panels; "
            f"pass ax=None or a sequence of {n_panels} Axes."
        )
    return axes


def span(*arrays: np.ndarray, margin: float = 0.05) -> tuple[float, float]:
    """Axis limits around all finite values, never of zero width.

    Examples
    --------
    >>> span(np.array([0.0, 10.0]), margin=0.1)
    (-1.0, 11.0)
    >>> span(np.array([2.0]))
    (1.0, 3.0)
    """
    finite = np.concatenate([np.asarray(a, float).ravel() for a in arrays])
    finite = finite[np.isfinite(finite)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    # Below a few units in the last place, tick positions could not be told apart.
    least = 1e-12 * max(abs(low), abs(high))
    pad = margin * (high - low) if high - low > least else 0.5 * abs(low) or 1.0
    return low - pad, high + pad


def tidy_ticks(axis: Any, n_ticks: int = 6) -> None:
    """Few ticks, and very large or small values as a power of ten at the end of the axis."""
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    formatter = ScalarFormatter(useMathText=True)
    formatter.set_powerlimits((-3, 5))
    axis.set_major_locator(MaxNLocator(n_ticks, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(formatter)


def heading(ax: Any, text: str) -> None:
    """A title over an axes whose limits are set, clear of a power of ten at its top left."""
    ax.set_title(text, fontsize="medium", pad=18 if _has_power_of_ten(ax) else None)


def legend_above(ax: Any, handles: Sequence[Any], *, room: int = 72) -> Any:
    """A legend above an axes whose limits are set, where it can cover no data.

    Entries stand in one row where ``room`` characters hold them, else in fewer columns.
    """
    # The coloured key and the gap take the room of some seven characters.
    lengths = [7 + len(str(handle.get_label())) for handle in handles]
    n_columns = len(handles) if sum(lengths) <= room else max(room // max(lengths), 1)
    return ax.legend(
        handles=list(handles),
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=n_columns,
        frameon=False,
        borderaxespad=1.6 if _has_power_of_ten(ax) else 0.2,
        columnspacing=1.4,
        handlelength=1.6,
    )


def _has_power_of_ten(ax: Any) -> bool:
    formatter = ax.yaxis.get_major_formatter()
    formatter.set_locs(ax.yaxis.get_majorticklocs())
    return bool(formatter.get_offset())


def save_figure(
    display: Any, path: str | os.PathLike[str], *, width: int = 800, overwrite: bool = False
) -> Path:
    """Write a display, or any matplotlib figure, to a picture file; no screen is needed.

    A display that has not been drawn yet is drawn on a figure of its own, outside of pyplot: no
    window opens and no figure stays behind.

    Parameters
    ----------
    display : display or matplotlib.figure.Figure
        What to write.
    path : str or path-like
        The file; its suffix chooses the format (.png, .pdf, .svg, .jpg, ...).
    width : int, default=800
        Width of the picture in pixels, at least 100 (formats made of pixels).
    overwrite : bool, default=False
        Whether an existing file may be replaced.

    Returns
    -------
    path : Path

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is False.
    FileNotFoundError
        If the folder does not exist.
    ValueError
        If the format is unknown or the width is too small.

    Examples
    --------
    >>> import tempfile
    >>> from linnet.plots import ParityDisplay, save_figure
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_figure(ParityDisplay([1, 2, 3], [1.1, 2.2, 2.7]), f"{folder}/parity.png").name
    'parity.png'
    """
    path = Path(path)
    _check_picture_path(path, width, overwrite=overwrite)
    figure = getattr(display, "figure_", None)
    if figure is None:
        figure = display if hasattr(display, "savefig") else _drawn_off_screen(display)
    with whole_file(path) as part:
        figure.savefig(part, dpi=width / figure.get_figwidth(), format=path.suffix[1:].lower())
    return path


def _check_picture_path(path: Path, width: int, *, overwrite: bool) -> None:
    from matplotlib.backend_bases import FigureCanvasBase

    formats = FigureCanvasBase.get_supported_filetypes()
    if path.suffix.lower().lstrip(".") not in formats:
        raise ValueError(
            f"The picture {path.name!r} has no known format; "
            f"let its name end in one of {', '.join('.' + name for name in sorted(formats))}."
        )
    if width < 100:
        raise ValueError(f"width is {width} pixels; the least is 100.")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"The folder {str(path.parent)!r} does not exist; make it before saving {path.name!r}."
        )
    if path.exists() and not overwrite:
        raise FileExistsError(f"{str(path)!r} exists; pass overwrite=True to replace it.")


def _drawn_off_screen(display: Any) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=display.figsize, layout="constrained")
    axes = figure.subplots(*display.panel_grid, squeeze=False).ravel()
    n_panels = display.n_panels
    for spare in axes[n_panels:]:
        spare.remove()
    display.plot(ax=axes[:n_panels])
    return figure
