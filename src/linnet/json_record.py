"""Records as JSON: text, or a file of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from linnet.whole_file import whole_file

# What reading JSON may take beside three times its own size.
_MOST_BYTES = 24_000_000
_MOST_BYTES_OF_ANY_LETTERS = 8_000_000


def write(record: dict[str, Any], path: str | os.PathLike[str] | None) -> str:
    """Return a record as JSON text, and write it to `path` if one is given.

    Raises
    ------
    OSError
        If it cannot be written; an earlier file stays as it was.
    """
    text = json.dumps(record, indent=1, allow_nan=False)
    if path is None:
        return text
    path = Path(path)
    if path.exists() and not path.is_file():  # such as /dev/stdout
        path.write_text(text + "\n", encoding="utf-8")
        return text
    with whole_file(path) as part:
        part.write_text(text + "\n", encoding="utf-8")
    return text


def read(source: str | os.PathLike[str], refused: Callable[[str], str]) -> Any:
    """Read JSON text (it begins with a brace), or a file of it.

    Raises
    ------
    ValueError
        If it is no JSON: ``refused(reason)`` is the sentence.
    OSError
        If the file cannot be read.
    """
    is_text = isinstance(source, str) and source.lstrip().startswith("{")
    try:
        text = str(source) if is_text else _text_of(Path(source))
        return parse(text)
    except (ValueError, RecursionError) as problem:  # not UTF-8, not JSON, or nested too deep
        raise ValueError(refused(f"it is not JSON: {problem}")) from problem


def parse(text: str, **options: Any) -> Any:
    """Read JSON text, unless it would take many times its own memory.

    Raises
    ------
    ValueError
        If it is no JSON, or is more brackets than values.
    RecursionError
        If it is nested too deep.
    """
    # What Python takes for an object, a list, an entry and a text, in bytes.
    memory = 250 * text.count("{") + 90 * text.count("[") + 40 * (text.count(",") + text.count(":"))
    memory += 30 * text.count('"')
    if memory > _MOST_BYTES + 3 * len(text):
        raise ValueError("it is more brackets and commas than values")
    return json.loads(text, **options)


def _text_of(path: Path) -> str:
    content = path.read_bytes()
    # Of letters beyond ASCII, which linnet writes as escapes, one makes a text four times as large.
    if len(content) > _MOST_BYTES_OF_ANY_LETTERS and not content.isascii():
        raise ValueError("it has letters beyond ASCII, and many bytes")
    return content.decode()
