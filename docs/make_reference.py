"""Write docs/api/*.md from the docstrings: a page for each public class and function.

    python docs/make_reference.py

`make docs` runs it; a test fails when a page no longer says what its docstring says.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import textwrap
from enum import Enum
from pathlib import Path
from typing import Any, get_origin

import linnet

FOLDER = Path(__file__).parent / "api"

# Names that are not at the front door, but that docstrings refer to.
FURTHER_IN = (
    "linnet.network.mlp",
    "linnet.plots.save_figure",
    "linnet.table.Columns",
    "linnet.plots.TuningDisplay",
    "linnet.training.TrainingState",
    "linnet.tuning.Tuning",
    "linnet.tuning.TuningRecord",
)
_HEADING = re.compile(r"^(\S.*)\n-{3,}$", re.MULTILINE)
_ENTRIES = ("Parameters", "Attributes", "Returns", "Raises", "Warns")


def public_names() -> list[str]:
    """Return the dotted name of everything that has a page."""
    front = [f"linnet.{name}" for name in linnet.__all__ if not name.startswith("_")]
    return [*front, *FURTHER_IN]


def pages() -> dict[str, str]:
    """Return the text of each page by its file name."""
    return {f"{name.rpartition('.')[2]}.md": page(name) for name in public_names()}


def page(name: str) -> str:
    """Return the page of a class or function, given by its dotted name."""
    room, _, short = name.rpartition(".")
    thing = getattr(importlib.import_module(room), short)
    parts = [f"# {short}", f"```python\nfrom {room} import {short}\n```"]
    parts += [_signature(short, thing), *described(thing, level=2)]
    if inspect.isclass(thing):
        parts += [_members(thing), *_methods(thing)]
    note = "<!-- Written by docs/make_reference.py from the docstrings: change those. -->"
    return "\n\n".join(part for part in [note, *parts] if part) + "\n"


def described(thing: Any, *, level: int) -> list[str]:
    """Return a docstring as Markdown, its sections under headings of a level."""
    start, *rest = _HEADING.split(inspect.getdoc(thing) or "")
    parts = [_prose(start)]
    for title, body in zip(rest[::2], rest[1::2], strict=True):
        text = textwrap.dedent(body).strip("\n")
        if title == "Examples":
            text = f"```python\n{text}\n```"
        else:
            text = _entries(text, title) if title in _ENTRIES else _prose(text)
        parts += [f"{'#' * level} {title}", text]
    return parts


def _signature(short: str, thing: Any) -> str:
    if inspect.isclass(thing) and issubclass(thing, Enum):
        return ""
    try:
        signature = inspect.signature(thing)
    except ValueError:
        return ""
    bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    bare = [p for p in bare if p.name not in ("self", "cls")]
    if len(bare) > 8 and not inspect.isfunction(thing):
        return ""  # an estimator's thirty parameters are listed below, with their defaults
    text = f"{short}{signature.replace(parameters=bare, return_annotation=signature.empty)}"
    text = re.sub(r"<class '[\w.]*?(\w+)'>", r"\1", text).replace("<factory>", "...")
    wrapped = textwrap.wrap(
        text, 96, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    return "```python\n" + "\n".join(wrapped) + "\n```"


def _entries(text: str, title: str) -> str:
    """Turn ``name : type`` and the indented text under it into a list."""
    items = []
    for block in re.split(r"\n(?=\S)", text):
        head, _, body = block.partition("\n")
        names, colon, kind = head.partition(" : ")
        is_type = title == "Returns" and not colon
        item = f"- {_inline(names)}" if is_type else f"- `{names}`"
        item += f" : {_inline(kind)}" if colon else ""
        told = _prose(textwrap.dedent(body))
        if told:
            item += "  \n" + textwrap.indent(told, "  ")
        items.append(item)
    return "\n".join(items)


def _members(cls: type) -> str:
    if not issubclass(cls, Enum):
        return ""
    rows = [f"| `{m.name}` | `{m.value}` | {_inline(m.sentence)} |" for m in cls]
    return "\n".join(["## Members", "", "| member | code | sentence |", "|---|---|---|", *rows])


def _methods(cls: type) -> list[str]:
    parts, elsewhere = [], []
    told = inspect.getdoc(cls) or ""
    for name in sorted(dir(cls)):
        member = inspect.getattr_static(cls, name)
        if name.startswith("_") or issubclass(cls, Enum):
            continue
        if isinstance(member, property | functools.cached_property):
            # Most properties stand among the attributes of the class.
            if not re.search(rf"\b{name}\b", told.partition("Attributes\n")[2]):
                parts += [f"### {name}", *described(member, level=4)]
            continue
        function = getattr(member, "__func__", member)
        if not callable(function) or get_origin(function):  # of a type
            continue
        if function.__module__.startswith("sklearn"):
            elsewhere.append(f"`{name}`")
            continue
        parts += [f"### {name}", _signature(name, function), *described(function, level=4)]
    if elsewhere:
        parts.append(f"From scikit-learn's base classes: {', '.join(elsewhere)}.")
    return ["## Methods", *parts] if parts else []


def _prose(text: str) -> str:
    paragraphs = [p for p in re.split(r"\n\s*\n", text.strip()) if p.strip()]
    return "\n\n".join(_inline(" ".join(p.split())) for p in paragraphs)


def _inline(text: str) -> str:
    """Turn the marks of a docstring into those of Markdown, and escape what else would be one."""
    text = re.sub(r":(?:meth|func|class):`([^`]+)`", r"`\1`", text.replace("``", "`"))
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(
        piece if piece.startswith("`") else re.sub(r"([*<|])", r"\\\1", piece) for piece in pieces
    )


def main() -> None:
    """Write every page, and remove those of names that are gone."""
    FOLDER.mkdir(exist_ok=True)
    texts = pages()
    for old in FOLDER.glob("*.md"):
        if old.name not in texts:
            old.unlink()
    for name, text in texts.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"Wrote {len(texts)} pages into {FOLDER}.")


if __name__ == "__main__":
    main()
