"""``linnet plot``: the pictures of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linnet.cli.options import (
    Delimiter,
    Encoding,
    Force,
    Interval,
    Json,
    ModelFile,
    Rows,
    choice,
    names,
)
from linnet.cli.talk import print_json, say

KINDS = ("loss", "parity", "residuals", "errors", "confusion", "surface")


def plot(
    model: ModelFile,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Table to draw; without it only the loss is drawn."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the pictures; made if absent.")
    ] = Path("pictures"),
    kinds: Annotated[
        str | None,
        typer.Option(
            "--kind",
            help=f"Some of {', '.join(KINDS)}.",
            show_default="all that fit the model",
        ),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            help="One or two number columns for the surface, a,b.",
            show_default="both, if there are two",
        ),
    ] = None,
    unit: Annotated[str | None, typer.Option(help="Unit of the target, such as MPa.")] = None,
    width: Annotated[
        int, typer.Option(min=100, max=10_000, help="Width of a picture in pixels.")
    ] = 800,
    interval: Interval = None,
    rows: Rows = None,
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Draw a model: loss, predictions, residuals, errors, surface.

    Example: linnet plot concrete.linnet examples/concrete.csv --features age_days,cement
    """
    from linnet.cli.pictures import Drawing, draw

    wanted = names(kinds)
    for kind in wanted or ():
        choice("--kind", kind, KINDS)
    written = draw(
        Drawing(
            model=model,
            file=file,
            folder=output,
            kinds=wanted,
            features=names(features),
            unit=unit,
            width=width,
            rows=rows,
            interval=interval,
            encoding=encoding,
            delimiter=delimiter,
            overwrite=force,
        )
    )
    for path in written:
        say(f"Wrote {path}.", style="green")
    if as_json:
        print_json({"command": "plot", "files": [str(path) for path in written]})
