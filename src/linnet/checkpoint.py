"""Checkpoints: where a training stands, in one safe file, so that it can go on after a crash.

A file holds module, optimizer, scheduler, generator, best weights and history as they were after an
epoch, and a fingerprint of what was trained on what. It is written beside its place, flushed and
renamed, so that there is always one that is whole.
"""

from __future__ import annotations

import copy
import hashlib
import math
import os
import signal
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from linnet.damaged_state import check_alike
from linnet.data import Rows, Stream
from linnet.history import History, Outcome
from linnet.model_format import damaged, pack, unpack
from linnet.plain_state import from_plain, to_plain
from linnet.printable import printable
from linnet.training_state import TrainingState, Weights, copied, copy_weights
from linnet.whole_file import check_writable, whole_file

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


class Checkpoint:
    """Keeps a training in a file.

    Parameters
    ----------
    path : str or path
        The file.
    every : float
        Seconds between two writings, at least; more where they would take over 0.5 % of the time.
    resume : bool
        Whether an existing file is gone on from; otherwise it is an error.

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
        self.is_resumed = False
        self._fingerprint: dict[str, str] = {}
        self._copy: tuple[Weights, TrainingState] | None = None
        self._is_written = True  # whether the copy stands in the file
        self._next_copy = self._next_writing = 0.0

    def read(
        self, state: TrainingState, module: nn.Module, fingerprint: dict[str, str]
    ) -> Outcome | None:
        """Go on from the file, where there is one.

        Parameters
        ----------
        state : TrainingState
            Begun; its parts take the file's values.
        module : torch.nn.Module
            Takes the file's weights.
        fingerprint : dict of str to str
            What is trained, on what, and how; what the file says must be the same.

        Returns
        -------
        Outcome or None
            How the training in the file ended, if it did so for good.

        Raises
        ------
        ValueError
            If the file is no checkpoint, is damaged, or is of another training; with what differs.
        TypeError
            If the optimizer or the scheduler keeps what is no plain data.
        """
        self._fingerprint = fingerprint
        self._next_writing = time.monotonic() + self.every
        # What cannot be kept is told now, not after the first half minute.
        pack(*_describe(copy_weights(module), _copy_of(state, None), fingerprint))
        if not self.path.exists():
            return None
        description, tensors = unpack(self.path)
        kept = description.get("checkpoint_of")
        if not isinstance(kept, dict):
            raise ValueError(
                f"{self.path} holds a model, not the checkpoint of a training. Give another name."
            )
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
        try:
            outcome = _fill(state, module, description, tensors)
        except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as fault:
            raise damaged(self.path, str(fault).splitlines()[0] if str(fault) else "") from fault
        self.is_resumed = True
        return outcome if outcome in _FINAL else None

    def after_epoch(self, state: TrainingState, module: nn.Module, outcome: Outcome | None) -> None:
        """Copy the state after an epoch, and write it, where it is time."""
        if outcome is Outcome.NOT_FINITE:
            return  # the copy before it is the last that is of use
        started = time.monotonic()
        if outcome is None and started < self._next_copy:
            return
        self._copy = copy_weights(module), _copy_of(state, outcome)
        self._is_written = False
        took = time.monotonic() - started
        self._next_copy = started + max(_SECONDS_BETWEEN_COPIES, took / _SHARE_OF_TIME)
        if outcome is not None or started >= self._next_writing:
            self.write()

    def write(self) -> None:
        """Write the last copy, if there is one that is not in the file yet.

        Where that cannot be done it is told once, and the training goes on.
        """
        if self._copy is None or self._is_written:
            return
        started = time.monotonic()
        weights, state = self._copy
        try:
            description, tensors = _describe(weights, state, self._fingerprint)
            with whole_file(self.path) as part:
                part.write_bytes(pack(description, tensors))
            self._is_written = True
        except OSError as fault:
            warnings.warn(
                f"The checkpoint was not written: {fault.strerror} The training goes on; the "
                "file, if there was one, is as it was.",
                UserWarning,
                stacklevel=2,
            )
        ended = time.monotonic()
        self._next_writing = ended + max(self.every, (ended - started) / _SHARE_OF_TIME)


def fingerprint(
    module: nn.Module,
    state: TrainingState,
    rows: Rows | Stream,
    validation: Rows | Stream | None,
    **settings: Any,
) -> dict[str, str]:
    """Return what has to be the same where a training goes on, each by its name.

    Parameters
    ----------
    module, state, rows, validation
        What is trained, begun with what, on what.
    **settings
        Whatever else decides the result.
    """
    assert state.history is not None and state.optimizer is not None
    shapes = [(name, tuple(value.shape), str(value.dtype)) for name, value in _tensors_of(module)]
    described = f"{module}{shapes}".encode()
    optimizer = state.optimizer
    groups = [
        {name: value for name, value in group.items() if name not in ("params", "lr", "initial_lr")}
        for group in optimizer.param_groups
    ]
    scheduler = "none" if state.scheduler is None else type(state.scheduler).__name__
    rates = [group.get("initial_lr", group.get("lr")) for group in optimizer.param_groups]
    return {
        "the module": f"{type(module).__name__} {hashlib.blake2b(described).hexdigest()[:12]}",
        "the optimizer": f"{type(optimizer).__name__} {groups} with rates {rates}",
        "the scheduler": scheduler,
        "the training rows": _digest(rows),
        "the validation rows": "none" if validation is None else _digest(validation),
        **{name: str(value) for name, value in settings.items()},
        **{f"the version of {name}": text for name, text in state.history.versions.items()},
    }


def describe(function: Any, name: str) -> str:
    """Return a loss's name and settings, such as class weights, as text."""
    held = {**getattr(function, "_buffers", {}), **getattr(function, "__dict__", {})}
    settings = {
        key: value.tolist() if isinstance(value, torch.Tensor) else value
        for key, value in held.items()
        if not key.startswith("_") and key != "training"
    }
    return f"{name} {settings}" if settings else name


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Take SIGTERM for Ctrl-C while the block runs, and deliver it when the block has ended.

    Only the main thread can; elsewhere nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def remember(number: int, frame: object) -> None:
        came.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
        if came:
            os.kill(os.getpid(), signal.SIGTERM)


def _tensors_of(module: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [(n, v) for n, v in module.state_dict().items() if isinstance(v, torch.Tensor)]


def _digest(rows: Rows | Stream) -> str:
    if isinstance(rows, Stream):
        return f"a DataLoader of {len(rows)} rows"
    digest = hashlib.blake2b()
    for tensor in (rows.X, rows.y, rows.weight):
        if tensor is not None:
            digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return f"{len(rows)} rows {digest.hexdigest()[:12]}"


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
    )


def _describe(
    weights: Weights, state: TrainingState, fingerprint: dict[str, str]
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    assert state.history is not None
    tensors: dict[str, torch.Tensor] = {}
    description = {
        "checkpoint_of": fingerprint,
        "module": to_plain(weights, tensors, "module"),
        "best_weights": to_plain(state.best_weights, tensors, "best"),
        "optimizer": to_plain(state.optimizer, tensors, "optimizer"),
        "scheduler": to_plain(state.scheduler, tensors, "scheduler"),
        "generator": to_plain(state.generator, tensors, "generator"),
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
    read = {
        name: from_plain(description[name], tensors)
        for name in ("module", "best_weights", "optimizer", "scheduler", "generator")
    }
    history = History.from_dict(description["history"])
    generator = torch.Generator()
    generator.set_state(read["generator"])
    assert state.optimizer is not None
    weights, own = module.state_dict(), state.optimizer.state_dict()
    check_alike(read["module"], weights, "module")
    check_alike(read["best_weights"], weights, "best_weights")
    check_alike(read["optimizer"]["param_groups"], own["param_groups"], "optimizer")
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
    return outcome
