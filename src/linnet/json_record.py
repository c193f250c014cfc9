"""Records as JSON: text, or a file of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write(record: dict[str, Any], path: str | os.PathLike[str] | None) -> str:
    """Return a record as JSON text, and write it to `path` if one is given."""
    text = json.dumps(record, indent=1, allow_nan=False)
    if path is not None:
        Path(path).write_text(text + "\n", encoding="utf-8")
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
        text = str(source) if is_text else Path(source).read_text(encoding="utf-8")
        return json.loads(text)
    except (ValueError, RecursionError) as problem:  # not UTF-8, not JSON, or nested too deep
        raise ValueError(refused(f"it is not JSON: {problem}")) from problem
