"""What the shell prints, and where: tables and JSON on standard output, talk on standard error."""

from __future__ import annotations

import json
import math
import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from linnet.cli.words import in_shell_words
from linnet.printable import printable

# Scores as people write them.
SCORE_NAMES = {
    "r2": "R²",
    "rmse": "RMSE",
    "mae": "MAE",
    "log_loss": "log loss",
    "roc_auc": "ROC AUC",
}


def cell(text: str, most: int = 160) -> str:
    """Return a text of the user's as one line of a table, cut where it is very long."""
    text = text.replace("\n", "\\n")
    return text if len(text) <= most else f"{text[: most - 1]}…"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as "1 row" or "1,030 rows"."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def say(text: str, style: str | None = None) -> None:
    """Print a sentence on standard error, wrapped at words where that is a terminal."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    told = Text(printable(text), style=style or "")
    console.print(told, soft_wrap=not console.is_terminal)


def say_next(*commands: Sequence[object]) -> None:
    """Print lines of the shell on standard error, unwrapped so that they can be copied."""
    for command in commands:
        sys.stderr.write(printable("  " + shlex.join(map(str, command))) + "\n")


def print_table(
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    title: str | None = None,
    to_stderr: bool = False,
    lines: bool = False,
) -> None:
    """Print a table; numbers stand to the right, and nothing is cut off when it is piped.

    With `lines`, cells may have several.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    stream = sys.stderr if to_stderr else sys.stdout
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, show_header=any(header))
    for i, name in enumerate(header):
        is_number = bool(rows) and all(isinstance(row[i], float | int) for row in rows)
        table.add_column(Text(printable(name)), justify="right" if is_number else "left")
    for row in rows:
        table.add_row(*(Text(printable(figure(value), lines=lines)) for value in row))
    console = Console(file=stream)
    if not console.is_terminal:
        console = Console(file=stream, width=10_000)
    if to_stderr:
        console.print()
    if title:
        console.print(Text(printable(title), style="bold"))
    console.print(table)
    console.print()


def figure(value: object) -> str:
    """Return a number with four digits, a whole number with thousands, and others as they are."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, float | int):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return "–" if math.isnan(value) else f"{value:.4g}"


def score_table(scores: dict[str, dict[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    """Return header and rows of a table: for each model, by name, its scores."""
    kinds = next(iter(scores.values()))
    header = ["on rows never seen", *(SCORE_NAMES.get(kind, kind) for kind in kinds)]
    numbers = {name: [of.get(kind) for kind in kinds] for name, of in scores.items()}
    # A score that could not be worked out is none; NaN keeps its column one of numbers.
    return header, [
        [name, *(math.nan if value is None else value for value in row)]
        for name, row in numbers.items()
    ]


def print_json(document: dict[str, Any]) -> None:
    """Print one JSON document; what is NaN or infinite becomes null."""
    print(json.dumps(finite(document), indent=2, allow_nan=False, ensure_ascii=True))


def finite(value: Any) -> Any:
    """Return plain data for JSON, in which NaN and infinity are None and the rest is text."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return finite(value.item()) if hasattr(value, "item") else str(value)


@contextmanager
def caught_warnings(at_once: type[Warning]) -> Iterator[list[warnings.WarningMessage]]:
    """Collect all warnings, to be said at the end, but those that are said when they come."""

    def keep(message: Any, category: type[Warning], *place: Any) -> None:
        if issubclass(category, at_once):
            # Not by `say`, which would write into a progress bar.
            sys.stderr.write(printable(f"Note: {in_shell_words(str(message))}") + "\n")
        else:
            caught.append(warnings.WarningMessage(message, category, *place))

    caught: list[warnings.WarningMessage] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = keep
        yield caught


def say_warnings(caught: Sequence[Any], *, but: str = "") -> None:
    """Say each caught warning once, as a note, but for one that is told elsewhere."""
    for text in dict.fromkeys(str(warning.message) for warning in caught):
        if text != but:
            say(f"Note: {in_shell_words(text)}", style="yellow")
