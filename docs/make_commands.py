"""Renew docs/commands/*.md: the help of each command, and what its example prints.

    python docs/make_commands.py

`make docs` runs it. The words of a page are written by hand; this script fills in what stands
between ``<!-- help -->`` or ``<!-- example -->`` and ``<!-- end -->``. A test fails when that no
longer says what the commands say; in the examples it overlooks numbers, which differ by machine.
"""

from __future__ import annotations

import io
import os
import platform
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

from linnet import cli
from linnet.cli import app

FOLDER = Path(__file__).parent / "commands"
EXAMPLES = Path(__file__).parents[1] / "examples"
# In an order in which each finds the files that it needs.
COMMANDS = ("fit", "tune", "predict", "evaluate", "plot", "show", "demo", "info")
# What these find depends on the speed of the machine: no test compares their example.
BY_THE_CLOCK = ("tune",)
WIDTH = 110
# What to look at after a command, besides what it prints.
_LINES_OF = {"predict": ("predictions.csv", 3)}


def run(line: str) -> str:
    """Return what a line of the shell prints, both streams together, run in this process."""
    kept = io.BytesIO()
    printed = io.TextIOWrapper(kept, encoding="utf-8", write_through=True)
    with (
        mock.patch.object(sys, "argv", shlex.split(line)),
        # Else the usage would name the module that runs this, such as pytest.
        mock.patch.object(sys.modules["__main__"], "__package__", None, create=True),
        mock.patch.dict(os.environ, {"COLUMNS": str(WIDTH), "TERM": "dumb", "NO_COLOR": "1"}),
        redirect_stdout(printed),
        redirect_stderr(printed),
    ):
        try:
            cli.main()
        except SystemExit as end:
            if end.code:
                said = kept.getvalue().decode()
                raise RuntimeError(f"{line} ended with {end.code}: {said}") from end
    text = kept.getvalue().decode().replace(platform.platform(), platform.system())
    lines = [row.rstrip() for row in text.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def example_of(command: str) -> str:
    """Return the line of the shell that the help of a command gives as its example."""
    text = " ".join((getattr(app, command).__doc__ or "").split())
    return text.partition("Example: ")[2]


def helps() -> dict[str, str]:
    """Return the help of each command."""
    return {command: run(f"linnet {command} --help") for command in COMMANDS}


def outputs(but: tuple[str, ...] = ()) -> dict[str, str]:
    """Run the example of each command, but for some, and return what the shell would show."""
    shown = {}
    with tempfile.TemporaryDirectory() as folder, _working_in(folder):
        shutil.copytree(EXAMPLES, "examples", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
        for command in COMMANDS:
            if command in but:
                continue
            line = example_of(command)
            shown[command] = f"$ {line}\n{run(line)}"
            if command in _LINES_OF:
                name, n_lines = _LINES_OF[command]
                rows = Path(name).read_text(encoding="utf-8").splitlines()[:n_lines]
                shown[command] += "\n".join([f"\n$ head -{n_lines} {name}", *rows])
    return shown


@contextmanager
def _working_in(folder: str) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def block(page: str, kind: str) -> str:
    """Return what stands in a page between the marks of a kind, without the fence."""
    return _find(page, kind)[1]


def filled(page: str, kind: str, text: str) -> str:
    """Return a page with another text between the marks of a kind."""
    start, end = _find(page, kind).span(1)
    return page[:start] + text + page[end:]


def _find(page: str, kind: str) -> re.Match[str]:
    found = re.search(rf"<!-- {kind} -->\n```text\n(.*?)\n```\n<!-- end -->", page, re.DOTALL)
    if found is None:
        raise ValueError(f"The page has no block {kind!r}. Write <!-- {kind} --> and <!-- end -->.")
    return found


def main() -> None:
    """Fill in every page."""
    said, printed = helps(), outputs()
    for command in COMMANDS:
        path = FOLDER / f"{command}.md"
        page = path.read_text(encoding="utf-8")
        page = filled(filled(page, "help", said[command]), "example", printed[command])
        path.write_text(page, encoding="utf-8")
    print(f"Renewed {len(COMMANDS)} pages in {FOLDER}.")


if __name__ == "__main__":
    main()
