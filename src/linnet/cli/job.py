"""What ``linnet fit`` and ``linnet tune`` are asked for, and what is checked before any work."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from linnet.checkpoint import opened
from linnet.cli.words import in_shell_words
from linnet.cli.writing import check_other_file
from linnet.ensemble import EnsembleClassifier, EnsembleRegressor
from linnet.estimators import MLPClassifier, MLPRegressor
from linnet.estimators.parameters import check_parameters
from linnet.whole_file import check_writable

# For numbers, and for classes.
KINDS: dict[str, tuple[Any, Any]] = {
    "ensemble": (EnsembleRegressor, EnsembleClassifier),
    "one network": (MLPRegressor, MLPClassifier),
}


@dataclass
class Job:
    """What was asked for; see the options of ``linnet fit``."""

    file: Path
    target: str
    output: Path
    features: list[str] | None
    task: str | None
    test_size: float
    settings: dict[str, Any]
    is_ensemble: bool
    drop_missing_target: bool
    encoding: str
    delimiter: str | None
    overwrite: bool
    is_preset: bool = False  # which is for numbers
    interval: float | None = None  # the share of rows that intervals are to hold, if it was given
    # What `linnet.tune` is given besides, for a search.
    search: dict[str, Any] | None = None
    # What `fit` is given besides: checkpoint, checkpoint_every and resume.
    keeping: dict[str, Any] = field(default_factory=dict)


def model_path(output: Path | None, file: Path) -> Path:
    """Return where the model goes: as asked for, or beside by the name of the table."""
    return Path(f"{file.name.split('.')[0]}.linnet") if output is None else output


def check_request(kind: Any, settings: dict[str, Any], test_size: float) -> None:
    """Raise typer.BadParameter for options out of their range, before anything is read."""
    if not 0 <= test_size < 1:
        raise typer.BadParameter(f"--test-size {test_size:g}: write a fraction from 0 to below 1.")
    try:
        check_parameters(kind(**settings))
    except ValueError as fault:
        raise typer.BadParameter(in_shell_words(str(fault))) from None


def check_model(output: Path, file: Path, *, overwrite: bool) -> None:
    """Raise, before any work is done, what writing the model would end in."""
    check_writable(output, overwrite=overwrite)
    check_other_file(output, file)
    if output.suffix.lower() != ".linnet":
        raise ValueError(f"{output}: models are written as .linnet. Give a name with this ending.")


def check_keeping(keeping: dict[str, Any], output: Path) -> None:
    """Raise, before any work is done, what keeping the training in a file would end in."""
    try:
        kept = opened(keeping["checkpoint"], keeping["checkpoint_every"], resume=keeping["resume"])
    except ValueError as fault:
        raise typer.BadParameter(in_shell_words(str(fault))) from None
    if kept is not None and os.path.realpath(kept.path) == os.path.realpath(output):
        raise typer.BadParameter(
            f"--checkpoint and --output both name {output}. Give the checkpoint another name, such "
            f"as {output.with_suffix('.checkpoint')}."
        )
