"""Checkpoints: where trainings stand, in one safe file, so that they can go on after a crash.

A file holds module, optimizer, scheduler, generator, best weights and history as they were after an
epoch, of one training or of several side by side, and a fingerprint of what was trained on what. It
is written beside its place, flushed and renamed, so that there is always one that is whole.
"""

from __future__ import annotations

import math
import os
import threading
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from linnet import user_warnings
from linnet.damaged_state import FAULTS
from linnet.fingerprint import differences
from linnet.history import Outcome
from linnet.kept_state import Before, copy_of, describe, fill
from linnet.model_format import CHECKPOINT, damaged, pack, unpack
from linnet.preflight import check_checkpoint, check_flags
from linnet.printable import printable
from linnet.randomness import draw_seed
from linnet.training_state import TrainingState, Weights, copy_weights
from linnet.whole_file import check_writable, remove_parts, whole_file

# Ctrl-C loses the epochs since the last copy in memory. Copies may take such a share of the time,
# and writing as much again, unless the user has said how often.
_SECONDS_BETWEEN_COPIES = 1.0
_SECONDS_BETWEEN_WRITINGS = 30.0
_SHARE_OF_TIME = 0.005
# After these a training does not go on, whatever `epochs` says.
_FINAL = (
    Outcome.NO_IMPROVEMENT,
    Outcome.VALIDATION_LEAST,
    Outcome.CONVERGED,
    Outcome.SMALL_GRADIENT,
    Outcome.GOAL_REACHED,
    Outcome.STOPPED_BY_CALLBACK,
    Outcome.NOT_FINITE,
)


class CheckpointWarning(UserWarning):
    """A checkpoint could not be written; the training goes on."""


class Checkpoint:
    """A file that keeps one training, or several that go side by side.

    Parameters
    ----------
    path : str or path
        The file.
    every : float or None
        Seconds between two writings. None for 30, or more where they would take over 0.5 % of the
        time.
    resume : bool
        Whether an existing file is gone on from; otherwise it is an error.

    Attributes
    ----------
    also : dict of str to str
        What has to be the same besides, where the training goes on; told by who begins it.

    Raises
    ------
    OSError
        If the file exists and `resume` is False, or it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], every: float | None, *, resume: bool):
        self.path = Path(path)
        check_writable(self.path, overwrite=True)
        if self.path.is_file() and not resume:
            raise FileExistsError(
                f"The checkpoint {path} already exists. Write resume=True to go on from it, or "
                "choose another name."
            )
        self.every = _SECONDS_BETWEEN_WRITINGS if every is None else float(every)
        self.is_slowed = every is None
        self.also: dict[str, str] = {}
        self.next_writing = math.inf
        self._fingerprint: dict[str, str] = {}
        # What the file held, and copies made since: of each training, by its number.
        self._read: dict[str, tuple[dict[str, Any], dict[str, torch.Tensor]]] = {}
        self._copies: dict[int, tuple[Weights, TrainingState]] = {}
        self._written: dict[int, tuple[Weights, TrainingState]] = {}
        self._lock = threading.Lock()
        self._told = ""

    def seed_for(self, random_state: Any) -> int:
        """Return the seed to train with: where none is given, that of the file."""
        if random_state is None and self.path.exists():
            seed = _unpack(self.path)[0]["checkpoint_of"].get("random_state", "")
            if seed.isdecimal() and len(seed) <= 10 and int(seed) < 2**32:
                return int(seed)
        return draw_seed(random_state)

    def compare(self, fingerprint: dict[str, str]) -> None:
        """Read the file, where there is one, and see that it is of this training.

        Parameters
        ----------
        fingerprint : dict of str to str
            What is trained, on what, and how; what the file says must be the same.

        Raises
        ------
        ValueError
            If the file is no checkpoint, is damaged, or is of another training; with what differs.
        """
        self._fingerprint = fingerprint = {**self.also, **fingerprint}
        self.next_writing = time.monotonic() + self.every
        remove_parts(self.path)  # of one that was killed while it wrote
        if not self.path.exists():
            return
        description, tensors = _unpack(self.path)
        kept = description["checkpoint_of"]
        differing = differences(kept, fingerprint)
        if differing:
            raise ValueError(
                f"{self.path} is the checkpoint of another training: {'; '.join(differing)}. Give "
                "what it was begun with, or another name to begin anew."
            )
        for number, described in description["trainings"].items():
            own = {n: t for n, t in tensors.items() if n.partition(".")[0] == number}
            self._read[number] = described, own

    def training(self, number: int = 0, *, is_alone: bool = True) -> CheckpointedTraining:
        """Return the place of one training in the file."""
        return CheckpointedTraining(self, number, is_alone=is_alone)

    def held(self, number: int) -> tuple[dict[str, Any], dict[str, torch.Tensor]] | None:
        """Return a copy of what the file held of a training."""
        if str(number) not in self._read:
            return None
        described, tensors = self._read[str(number)]
        # A training changes its tensors in place; the file's are written again until it is copied.
        return described, {name: tensor.clone() for name, tensor in tensors.items()}

    def keep(self, number: int, weights: Weights, state: TrainingState) -> None:
        """Take a copy of a training, which the next writing puts into the file."""
        self._copies[number] = weights, state

    def write(self, *, is_due: bool = False) -> None:
        """Write the last copies, if there is one that is not in the file yet.

        Where that cannot be done it is told once, and the training goes on.

        Parameters
        ----------
        is_due : bool, default=False
            Whether to write only if it is time still, once other threads have written.
        """
        with self._lock:
            copies = dict(self._copies)
            if all(copy is self._written.get(number) for number, copy in copies.items()):
                return
            started = time.monotonic()
            if is_due and started < self.next_writing:
                return
            try:
                content = self._content(copies)
                with whole_file(self.path) as part:
                    part.write_bytes(content)
                self._written, self._told = copies, ""
            except OSError as fault:
                self._tell(str(fault.strerror))
            ended = time.monotonic()
            pause = (ended - started) / _SHARE_OF_TIME if self.is_slowed else 0.0
            self.next_writing = ended + max(self.every, pause)

    def _content(self, copies: dict[int, tuple[Weights, TrainingState]]) -> bytes:
        described = dict(self._read)
        for number, (weights, state) in copies.items():
            described[str(number)] = describe(weights, state, f"{number}.")
        description = {
            "checkpoint_of": self._fingerprint,
            "trainings": {number: told for number, (told, _) in described.items()},
        }
        tensors: dict[str, torch.Tensor] = {}
        for _, own in described.values():
            tensors |= own
        return pack(description, tensors)

    def _tell(self, reason: str) -> None:
        """Warn that the file was not written, for each reason once."""
        if reason == self._told:
            return
        self._told = reason
        user_warnings.warn(
            f"The checkpoint was not written: {reason} The training goes on; the file, if there "
            "was one, is as it was.",
            CheckpointWarning,
        )


class CheckpointedTraining:
    """One training in a checkpoint.

    Parameters
    ----------
    file : Checkpoint
        Has been compared.
    number : int
        Of the training.
    is_alone : bool
        Whether the file is of this training alone, and is written when it ends.

    Attributes
    ----------
    before : Before or None
        What there was before the file's values were taken, where it held this training.
    """

    def __init__(self, file: Checkpoint, number: int, *, is_alone: bool):
        self.file, self.number, self.is_alone = file, number, is_alone
        self._next_copy = 0.0
        self.before: Before | None = None

    def go_on(self, state: TrainingState, module: nn.Module) -> Outcome | None:
        """Go on from the file, if it holds this training.

        Parameters
        ----------
        state : TrainingState
            Begun; its parts take the file's values.
        module : torch.nn.Module
            Takes the file's weights.

        Returns
        -------
        Outcome or None
            How the training in the file ended, if it did so for good.

        Raises
        ------
        ValueError
            If the file is damaged; all is then as it was.
        TypeError
            If the optimizer or the scheduler keeps what is no plain data.
        """
        # What cannot be kept is told now, not after the first half minute.
        pack(*describe(copy_weights(module), copy_of(state, None)))
        held = self.file.held(self.number)
        if held is None:
            return None
        before = Before(state, module)
        try:
            outcome = fill(state, module, *held)
        except FAULTS as fault:
            before.restore(state, module)
            told = printable(str(fault).splitlines()[0])[:300] if str(fault) else ""
            raise damaged(self.file.path, told, CHECKPOINT) from fault
        self.before = before
        return outcome if outcome in _FINAL else None

    def after_epoch(self, state: TrainingState, module: nn.Module, outcome: Outcome | None) -> None:
        """Copy the state after an epoch, and write it, where it is time."""
        if outcome is Outcome.NOT_FINITE:
            return  # the copy before it is the last that is of use
        started = time.monotonic()
        if outcome is None and started < self._next_copy:
            return
        self.file.keep(self.number, copy_weights(module), copy_of(state, outcome))
        took = time.monotonic() - started
        pause = max(_SECONDS_BETWEEN_COPIES, took / _SHARE_OF_TIME)
        self._next_copy = started + (pause if self.file.is_slowed else min(pause, self.file.every))
        if outcome is not None and self.is_alone:
            self.file.write()
        elif started >= self.file.next_writing:
            self.file.write(is_due=True)

    def write(self) -> None:
        """Write the last copy, if it is not in the file yet."""
        self.file.write()


def opened(checkpoint: Any, every: Any, *, resume: Any) -> Checkpoint | None:
    """Return the checkpoint of a training; None where none is asked for.

    Parameters
    ----------
    checkpoint : str, path, Checkpoint or None
        One that is open already is given back.
    every : float or None
        Seconds between two writings.
    resume : bool
        Whether an existing file is gone on from.

    Raises
    ------
    TypeError, ValueError
        If one of them is of another kind.
    OSError
        If the file exists and `resume` is False, or it cannot be written.
    """
    if isinstance(checkpoint, Checkpoint):
        return checkpoint
    check_flags(resume=resume)
    check_checkpoint(checkpoint, every, resume)
    return None if checkpoint is None else Checkpoint(checkpoint, every, resume=resume)


def _unpack(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return a checkpoint's description and tensors; raise ValueError if it is none."""
    description, tensors = unpack(path, CHECKPOINT)
    kept, trainings = description.get("checkpoint_of"), description.get("trainings")
    if kept is None:
        raise ValueError(
            f"{path} holds a model, not the checkpoint of a training. Give another name."
        )
    if not (
        isinstance(kept, dict)
        and isinstance(trainings, dict)
        and all(isinstance(text, str) for text in kept.values())
    ):
        raise damaged(path, "it does not say what was trained", CHECKPOINT)
    return description, tensors
