"""The commands of the shell in one application, and what its errors say."""

from __future__ import annotations

import io
import os
import sys
from itertools import zip_longest
from typing import Any, get_args, get_type_hints

import typer
from typer.core import TyperCommand

from linnet.cli.demo import demo
from linnet.cli.evaluate import evaluate
from linnet.cli.fit import fit
from linnet.cli.info import info
from linnet.cli.plot import plot
from linnet.cli.predict import predict
from linnet.cli.show import show
from linnet.cli.talk import say
from linnet.cli.tune import tune
from linnet.cli.words import in_shell_words
from linnet.termination import quick_presses_are_one


class _Command(TyperCommand):
    """A command that says in plain words which number is none."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as fault:
            fault.message = self._no_number(fault.param, given) or fault.message
            raise

    def _no_number(self, option: Any, given: list[str]) -> str | None:
        """Return what is wrong with an option's value if it has to be a number and is none."""
        hint = get_type_hints(self.callback).get(getattr(option, "name", ""))
        kind = next((kind for kind in (hint, *get_args(hint)) if kind in (int, float)), None)
        value = _value_of(option.opts, given)
        if kind is None or value is None:
            return None
        try:
            kind(value)
        except ValueError:
            name, example = option.opts[0], option.default
            example = _EXAMPLES[kind] if example is None else example
            what = "whole number" if kind is int else "number"
            return f"{name} {value!r} is no {what}. Write one, such as {name} {example:g}."
        return None


_EXAMPLES = {int: 8, float: 0.5}


def _value_of(names: list[str], given: list[str]) -> str | None:
    """Return what was last given for an option, as ``--name value`` or ``--name=value``."""
    found = None
    for argument, after in zip_longest(given, given[1:]):
        name, is_joined, value = argument.partition("=")
        if name in names:
            found = value if is_joined else after
    return found


app = typer.Typer(
    name="linnet",
    help="Train neural networks on tables: from a file to a trained network, its pictures and its "
    "predictions.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain help: boxes leave no room for the names of options at 80 columns.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (demo, fit, tune, predict, evaluate, plot, show, info):
    app.command(cls=_Command)(command)


def _version(value: bool) -> None:
    if value:
        import linnet

        print(f"linnet {linnet.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    pass


def run() -> None:
    """Run the command line; a user's mistake ends in one sentence and an exit code."""
    # Else the first file that is opened would be taken for the closed stream. These are not closed:
    # they are the process's streams from now on.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    # A terminal or a pipe that knows few letters gets question marks for the others, not a fault.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        with quick_presses_are_one():
            try:
                app()
            finally:
                sys.stdout.flush()  # what a pipe or a disk does not take is to be known here
    except BrokenPipeError:  # the reader has gone
        _drop_output()
        sys.exit(1)
    except (ValueError, TypeError, OSError, MemoryError, RuntimeError) as fault:
        sentence = _sentence(fault)
        if sentence is None or os.environ.get("LINNET_TRACEBACK"):
            raise
        say(f"linnet: {in_shell_words(sentence)}", style="bold red")
        _drop_output()
        sys.exit(1)


def _drop_output() -> None:
    """Let go of output that cannot be written: Python would try again at its end, and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _sentence(fault: Exception) -> str | None:
    """Return what an error says to a user; None for one that is a fault of linnet's own."""
    if isinstance(fault, RecursionError):
        return "The file is nested too deeply to be read. Give one that linnet wrote."
    # torch's allocators raise RuntimeError.
    if isinstance(fault, MemoryError) or (
        isinstance(fault, RuntimeError)
        and any(word in str(fault) for word in ("alloc", "out of memory", "Storage size"))
    ):
        return "There is not enough memory for this. Give fewer rows or columns, or --hidden less."
    if isinstance(fault, RuntimeError):
        return None
    if isinstance(fault, OSError) and fault.strerror:
        # A sentence of linnet's own, or the few words of the system.
        told = fault.strerror.removesuffix(".") + "."
        return f"{fault.filename}: {told}" if fault.filename else told
    return str(fault)
