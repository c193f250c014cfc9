"""Checkpoints: where trainings stand, in one safe file, so that they can go on after a crash.

A file holds module, optimizer, scheduler, generator, best weights and history as they were after an
epoch, of one training or of several side by side, and a fingerprint of what was trained on what. It
is written beside its place, flushed and renamed, so that there is always one that is whole.
"""

from __future__ import annotations

import copy
import math
import os
import threading
import time
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from linnet.damaged_state import check_alike
from linnet.history import History, Outcome
from linnet.model_format import CHECKPOINT, damaged, pack, unpack
from linnet.plain_state import from_plain, to_plain
from linnet.preflight import check_checkpoint, check_flags
from linnet.printable import printable
from linnet.randomness import draw_seed
from linnet.training_state import TrainingState, Weights, copied, copy_weights
from linnet.whole_file import check_writable, remove_parts, whole_file

# Ctrl-C loses the epochs since the last copy in memory. Copies may take such a share of the time,
# and writing as much again.
_SECONDS_BETWEEN_COPIES = 1.0
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
    every : float
        Seconds between two writings, at least; more where they would take over 0.5 % of the time.
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

    def __init__(self, path: str | os.PathLike[str], every: float, *, resume: bool):
        self.path = Path(path)
        if self.path.is_file() and not resume:
            raise FileExistsError(
                f"The checkpoint {path} already exists. Write resume=True to go on from it, or "
                "choose another name."
            )
        check_writable(self.path, overwrite=True)
        self.every = every
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
            if seed.isdecimal():
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
        differing = [
            f"{name} was {printable(kept.get(name))[:300]}, is {value}"
            for name, value in fingerprint.items()
            if kept.get(name) != value
        ]
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
            self.next_writing = ended + max(self.every, (ended - started) / _SHARE_OF_TIME)

    def _content(self, copies: dict[int, tuple[Weights, TrainingState]]) -> bytes:
        described = dict(self._read)
        for number, (weights, state) in copies.items():
            described[str(number)] = _describe(weights, state, f"{number}.")
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
        warnings.warn(
            f"The checkpoint was not written: {reason} The training goes on; the file, if there "
            "was one, is as it was.",
            CheckpointWarning,
            stacklevel=3,
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
    """

    def __init__(self, file: Checkpoint, number: int, *, is_alone: bool):
        self.file, self.number, self.is_alone = file, number, is_alone
        self._next_copy = 0.0

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
            If the file is damaged.
        TypeError
            If the optimizer or the scheduler keeps what is no plain data.
        """
        # What cannot be kept is told now, not after the first half minute.
        pack(*_describe(copy_weights(module), _copy_of(state, None)))
        held = self.file.held(self.number)
        if held is None:
            return None
        try:
            outcome = _fill(state, module, *held)
        except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as fault:
            told = str(fault).splitlines()[0] if str(fault) else ""
            raise damaged(self.file.path, told, CHECKPOINT) from fault
        return outcome if outcome in _FINAL else None

    def after_epoch(self, state: TrainingState, module: nn.Module, outcome: Outcome | None) -> None:
        """Copy the state after an epoch, and write it, where it is time."""
        if outcome is Outcome.NOT_FINITE:
            return  # the copy before it is the last that is of use
        started = time.monotonic()
        if outcome is None and started < self._next_copy:
            return
        self.file.keep(self.number, copy_weights(module), _copy_of(state, outcome))
        took = time.monotonic() - started
        self._next_copy = started + max(_SECONDS_BETWEEN_COPIES, took / _SHARE_OF_TIME)
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
    every : float
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


def _copy_of(state: TrainingState, outcome: Outcome | None) -> TrainingState:
    """Return a copy of what changes in a training; optimizer and scheduler as their state_dicts."""
    history = state.history
    assert history is not None and state.optimizer is not None and state.generator is not None
    curves = {name: list(curve) for name, curve in history.curves.items()}
    return TrainingState(
        optimizer=copy.deepcopy(state.optimizer.state_dict()),  # pyright: ignore[reportArgumentType]
        scheduler=None if state.scheduler is None else copy.deepcopy(state.scheduler.state_dict()),
        generator=state.generator.get_state(),  # pyright: ignore[reportArgumentType]
        history=replace(history, curves=curves, notes=list(history.notes), outcome=outcome),
        best_loss=state.best_loss,
        best_weights=None if state.best_weights is None else copied(state.best_weights),
        stale_epochs=state.stale_epochs,
        scores=list(state.scores),
        left_out=None if state.left_out is None else state.left_out.copy(),
    )


def _describe(
    weights: Weights, state: TrainingState, prefix: str = ""
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return a training as JSON data, and its tensors under names that begin with the prefix."""
    assert state.history is not None
    tensors: dict[str, torch.Tensor] = {}
    description = {
        "module": to_plain(weights, tensors, f"{prefix}module"),
        "best_weights": to_plain(state.best_weights, tensors, f"{prefix}best"),
        "optimizer": to_plain(state.optimizer, tensors, f"{prefix}optimizer"),
        "scheduler": to_plain(state.scheduler, tensors, f"{prefix}scheduler"),
        "generator": to_plain(state.generator, tensors, f"{prefix}generator"),
        "scores": to_plain(state.scores, tensors, f"{prefix}scores"),
        "left_out": to_plain(_outputs_of(state), tensors, f"{prefix}left_out"),
        "history": state.history.to_dict(),
        "best_loss": state.best_loss if math.isfinite(state.best_loss) else str(state.best_loss),
        "stale_epochs": state.stale_epochs,
    }
    return description, tensors


def _fill(
    state: TrainingState,
    module: nn.Module,
    description: dict[str, Any],
    tensors: dict[str, torch.Tensor],
) -> Outcome | None:
    """Put a file's values into a begun state and its module; return how the training ended."""
    kept = ("module", "best_weights", "optimizer", "scheduler", "generator", "scores", "left_out")
    read = {name: from_plain(description[name], tensors) for name in kept}
    history = History.from_dict(description["history"])
    generator = torch.Generator()
    generator.set_state(read["generator"])
    assert state.optimizer is not None
    weights, own = module.state_dict(), state.optimizer.state_dict()
    check_alike(read["module"], weights, "module")
    check_alike(read["best_weights"], weights, "best_weights")
    check_alike(read["optimizer"]["param_groups"], own["param_groups"], "optimizer")
    outputs = _outputs_of(state)
    if outputs is not None:
        whole = outputs.new_empty(history.n_epochs, *outputs.shape[1:])
        check_alike({"outputs": read["left_out"]}, {"outputs": whole}, "left_out")
    if state.scheduler is not None:
        check_alike(read["scheduler"], state.scheduler.state_dict(), "scheduler")
    # All is read before anything is changed, but for what does not fit the module.
    module.load_state_dict(read["module"])
    state.optimizer.load_state_dict(read["optimizer"])
    if state.scheduler is not None:
        before = vars(state.scheduler)
        kept = read["scheduler"]
        for name, value in kept.items():
            if isinstance(before.get(name), Counter):  # MultiStepLR's milestones
                kept[name] = Counter(value)
        state.scheduler.load_state_dict(kept)
    outcome, history.outcome = history.outcome, None
    state.generator, state.history = generator, history
    state.best_loss = float(description["best_loss"])
    state.best_weights = read["best_weights"]
    state.stale_epochs = int(description["stale_epochs"])
    state.scores = [float(score) for score in read["scores"]]
    if state.left_out is not None:
        state.left_out.epochs = list(read["left_out"].double().numpy())
    return outcome


def _outputs_of(state: TrainingState) -> torch.Tensor | None:
    """Return what is kept of validation rows after each epoch, (E, N, K)."""
    return None if state.left_out is None else state.left_out.tensor()
