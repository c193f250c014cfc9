"""Options that several commands share, so that each has one name and one help everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

TableFile = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="Table to read: CSV, TSV, Parquet, Feather, NPY or NPZ, by its suffix."
    ),
]
ModelFile = Annotated[
    Path, typer.Argument(metavar="MODEL", help="Model file that linnet fit wrote.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace existing output files.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
Encoding = Annotated[str, typer.Option(help="Encoding of a text file, such as latin-1.")]
Delimiter = Annotated[
    str | None,
    typer.Option(help="Column delimiter of a text file.", show_default="found out"),
]
Rows = Annotated[
    str | None,
    typer.Option(
        help="Which rows: all, or test for those that the fit held out (of the table that it "
        "read).",
        show_default="test for the table of the fit, else all",
    ),
]
Progress = Annotated[bool, typer.Option("--progress/--no-progress", help="Show a progress bar.")]


def names(text: str | None) -> list[str] | None:
    """Return the column names of a list such as ``age,height``."""
    if text is None:
        return None
    return [name.strip() for name in text.split(",") if name.strip()]


def sizes(text: str) -> tuple[int, ...]:
    """Return the layer sizes of a list such as ``64,64``.

    Raises
    ------
    typer.BadParameter
        If it is no list of whole numbers of 1 or more.
    """
    try:
        values = tuple(int(part) for part in text.split(","))
        if min(values) < 1:
            raise ValueError
    except ValueError:
        raise typer.BadParameter(
            f"--hidden {text!r} is no list of layer sizes. Write whole numbers of 1 or more with "
            "commas between them, such as --hidden 64,64."
        ) from None
    return values
