"""What the shell prints, and where: tables and JSON on standard output, talk on standard error."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from typing import Any


def printable(text: object) -> str:
    """Return text in which what would steer a terminal is written out, such as an escape.

    Names and values come from files that other people made.
    """
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in str(text))


def say(text: str, style: str | None = None) -> None:
    """Print a sentence on standard error."""
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True, soft_wrap=True).print(Text(printable(text), style=style or ""))


def print_table(
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    title: str | None = None,
    to_stderr: bool = False,
) -> None:
    """Print a table; numbers stand to the right, and nothing is cut off when it is piped."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    stream = sys.stderr if to_stderr else sys.stdout
    table = Table(
        title=title and Text(printable(title)),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for i, name in enumerate(header):
        is_number = bool(rows) and all(isinstance(row[i], float | int) for row in rows)
        table.add_column(Text(printable(name)), justify="right" if is_number else "left")
    for row in rows:
        table.add_row(*(Text(printable(figure(value))) for value in row))
    console = Console(file=stream)
    width = console.width if console.is_terminal else 10_000
    Console(file=stream, width=width).print(table)


def figure(value: object) -> str:
    """Return a number with four digits, a whole number with thousands, and others as they are."""
    if isinstance(value, bool) or not isinstance(value, float | int):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return "–" if math.isnan(value) else f"{value:.4g}"


def print_json(document: dict[str, Any]) -> None:
    """Print one JSON document; what is NaN or infinite becomes null."""
    print(json.dumps(_finite(document), indent=2, allow_nan=False, ensure_ascii=True))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return _finite(value.item()) if hasattr(value, "item") else str(value)


def say_warnings(caught: Sequence[Any]) -> None:
    """Say each caught warning once, as a note."""
    for text in dict.fromkeys(str(warning.message) for warning in caught):
        say(f"Note: {text}", style="yellow")
