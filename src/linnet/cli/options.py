"""Options that several commands share, so that each has one name and one help everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linnet.spelling import check_choice

TASKS = ("regression", "classification")
COLUMN_TYPES = ("number", "category", "boolean", "date", "identifier", "ignore")

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

# Of the commands that fit ------------------------------------------------------------------------

Target = Annotated[str, typer.Option("--target", "-t", help="Column to predict.")]
ModelOutput = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Model file.", show_default="FILE's name .linnet"),
]
Features = Annotated[
    str | None,
    typer.Option(help="Columns to predict from, a,b,c.", show_default="all but the target"),
]
ColumnTypes = Annotated[
    list[str] | None,
    typer.Option(
        "--column-type",
        metavar="NAME=TYPE",
        help="Type of a column: number, category, boolean, date, ignore. May be repeated.",
        show_default="inferred",
    ),
]
Task = Annotated[
    str | None,
    typer.Option(
        help="regression or classification.",
        show_default="from the target",
        callback=lambda given: choice("--task", given, TASKS),
    ),
]
TestSize = Annotated[
    float, typer.Option(help="Fraction of rows held out for the scores; 0 for none.")
]
Members = Annotated[int | None, typer.Option(help="Networks of the ensemble.", show_default="8")]
Loss = Annotated[str | None, typer.Option(help="Loss.", show_default="squared_error or log_loss")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Engine = Annotated[str, typer.Option(help="auto, native or torch.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads.", show_default="by the network")]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        help="File that keeps where the training stands, to go on after a crash.",
        show_default="none",
    ),
]
CheckpointEvery = Annotated[
    float | None,
    typer.Option(
        help="Seconds between two writings of it.", show_default="30, more where they take long"
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on from the checkpoint, or begin where there is none."),
]
DropMissingTarget = Annotated[
    bool, typer.Option("--drop-missing-target", help="Leave out rows without a target.")
]

Rows = Annotated[
    str | None,
    typer.Option(
        help="Which rows: all, or test for those that the fit held out of the table that it read.",
        show_default="test for the table of the fit, else all",
        callback=lambda given: choice("--rows", given, ("all", "test")),
    ),
]
Interval = Annotated[
    float | None,
    typer.Option(
        help="Share of new rows that intervals are to hold.",
        show_default="0.9, where the model knows its errors",
        callback=lambda given: share("--interval", given),
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        "--random-state",
        help="Decides everything random.",
        callback=lambda given: seed(given),
    ),
]
Progress = Annotated[bool, typer.Option("--progress/--no-progress", help="Show a progress bar.")]


def choice(option: str, given: str | None, allowed: tuple[str, ...]) -> str | None:
    """Return what was given for an option, if it is allowed or nothing.

    Raises
    ------
    typer.BadParameter
        With the nearest allowed word.
    """
    if given is not None:
        try:
            check_choice(option, given, allowed)
        except ValueError as fault:
            raise typer.BadParameter(str(fault).replace(f"{option}=", f"{option} ")) from None
    return given


def share(option: str, given: float | None) -> float | None:
    """Return what was given for an option, if it is a share or nothing.

    Raises
    ------
    typer.BadParameter
        If it is not between 0 and 1.
    """
    if given is not None and not 0 < given < 1:
        example = given / 100 if 10 <= given < 100 else 0.9
        raise typer.BadParameter(
            f"{option} {given:g}: write a share between 0 and 1, such as {example:g}."
        )
    return given


def seed(given: int) -> int:
    """Return a seed.

    Raises
    ------
    typer.BadParameter
        If it is not one that NumPy takes.
    """
    if not 0 <= given < 2**32:
        raise typer.BadParameter(
            f"--seed {given}: write a whole number from 0 to {2**32 - 1}, such as 0."
        )
    return given


def types(given: list[str] | None) -> dict[str, str] | None:
    """Return column types from a list of ``NAME=TYPE``.

    Raises
    ------
    typer.BadParameter
        If one is not of this form, or a type is unknown.
    """
    if not given:
        return None
    pairs = [item.rpartition("=") for item in given]
    if any(not name or not kind for name, _, kind in pairs):
        raise typer.BadParameter(
            f"--column-type {', '.join(given)}: write NAME=TYPE, such as zip=category."
        )
    for name, _, kind in pairs:
        choice(f"--column-type {name}", kind, COLUMN_TYPES)
    return {name: kind for name, _, kind in pairs}


def names(text: str | None) -> list[str] | None:
    """Return the column names of a list such as ``age,height``, each once.

    Raises
    ------
    typer.BadParameter
        If it holds no name.
    """
    if text is None:
        return None
    found = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not found:
        raise typer.BadParameter(
            f"--features {text!r} names no column. Write names with commas between them, such as "
            "--features age,height."
        )
    return found


def sizes(text: str) -> tuple[int, ...]:
    """Return the layer sizes of a list such as ``64,64``.

    Raises
    ------
    typer.BadParameter
        If it is no list of whole numbers from 1 to 1,000,000.
    """
    try:
        values = tuple(int(part) for part in text.split(","))
        if not all(1 <= value <= 1_000_000 for value in values):
            raise ValueError
    except ValueError:
        raise typer.BadParameter(
            f"--hidden {text!r} is no list of layer sizes. Write whole numbers from 1 to 1,000,000 "
            "with commas between them, such as --hidden 64,64."
        ) from None
    return values
