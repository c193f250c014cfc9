"""What a checkpoint keeps of one training, and back from it: all of it or nothing."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from linnet.damaged_state import (
    FAULTS,
    check_alike,
    check_optimizer_state,
    check_scheduler_state,
    check_weights,
    is_raised_by,
)
from linnet.history import History, Outcome
from linnet.plain_state import from_plain, to_plain
from linnet.printable import printable
from linnet.training_state import TrainingState, Weights, copied, copy_weights


class Before:
    """What a begun training was before it took a file's values.

    Parameters
    ----------
    state : TrainingState
    module : torch.nn.Module
    """

    def __init__(self, state: TrainingState, module: nn.Module):
        assert state.optimizer is not None
        self._state, self._weights = dict(vars(state)), copy_weights(module)
        # Loading makes new tensors and groups, so that these stay as they are.
        self._optimizer = state.optimizer.state_dict()
        self._scheduler = None
        if state.scheduler is not None:
            self._scheduler = copy.deepcopy(state.scheduler.state_dict())

    def restore(self, state: TrainingState, module: nn.Module) -> None:
        """Put it back."""
        vars(state).update(self._state)
        module.load_state_dict(self._weights)
        assert state.optimizer is not None
        state.optimizer.load_state_dict(self._optimizer)
        if self._scheduler is not None:
            state.scheduler.load_state_dict(self._scheduler)


def copy_of(state: TrainingState, outcome: Outcome | None) -> TrainingState:
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


def describe(
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


def fill(
    state: TrainingState,
    module: nn.Module,
    description: dict[str, Any],
    tensors: dict[str, torch.Tensor],
) -> Outcome | None:
    """Put a file's values into a begun state and its module; return how the training ended.

    Raises
    ------
    ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError
        If they are of no use. Some may have been taken by then.
    """
    parts = ("module", "best_weights", "optimizer", "scheduler", "generator", "scores", "left_out")
    read = {name: from_plain(description[name], tensors) for name in parts}
    history = History.from_dict(description["history"])
    generator = torch.Generator()
    generator.set_state(read["generator"])
    best_loss, scores = float(description["best_loss"]), [float(s) for s in read["scores"]]
    stale_epochs = description["stale_epochs"]
    if not isinstance(stale_epochs, int) or not 0 <= stale_epochs <= history.n_epochs:
        raise ValueError("stale_epochs is no number of epochs")
    assert state.optimizer is not None
    weights = module.state_dict()
    check_weights(read["module"], weights, "module")
    if read["best_weights"] is not None:
        check_weights(read["best_weights"], weights, "best_weights")
    check_optimizer_state(read["optimizer"], state.optimizer)
    outputs, left_out = _outputs_of(state), state.left_out
    if left_out is not None and outputs is not None:
        check_alike(read["left_out"], outputs, "left_out")
        kept = {name: value.numpy() for name, value in read["left_out"].items()}
        left_out = replace(left_out, waiting=[], **kept).copy()
    if state.scheduler is not None:
        check_scheduler_state(read["scheduler"], state.scheduler)
        before = vars(state.scheduler)
        for name, value in read["scheduler"].items():
            if isinstance(before.get(name), Counter):  # MultiStepLR's milestones
                read["scheduler"][name] = Counter(value)
        state.scheduler.load_state_dict(read["scheduler"])
    module.load_state_dict(read["module"])
    state.optimizer.load_state_dict(read["optimizer"])
    outcome, history.outcome = history.outcome, None
    state.generator, state.history = generator, history
    state.best_loss, state.best_weights = best_loss, read["best_weights"]
    state.stale_epochs, state.scores, state.left_out = stale_epochs, scores, left_out
    return outcome


def _outputs_of(state: TrainingState) -> dict[str, torch.Tensor] | None:
    """Return what is kept of validation rows, (N, K), and of the others of each, (N,)."""
    kept = state.left_out
    if kept is None:
        return None
    kept.compare()
    return {name: torch.from_numpy(getattr(kept, name)) for name in ("outputs", "least")}


@contextmanager
def faults_of_file_told(
    state: TrainingState, module: nn.Module, before: Before | None
) -> Iterator[None]:
    """Take what goes wrong in the first epoch of a resumed training for a fault of its checkpoint.

    What an optimizer keeps besides its settings is known to itself alone: its first step shows it.
    A scheduler may come upon what the file holds of it in any step.

    Parameters
    ----------
    state : TrainingState
        Begun.
    module : torch.nn.Module
    before : Before or None
        What there was before the file's values were taken; None where no file was read.

    Raises
    ------
    ValueError
        Where it goes wrong. In the first epoch all is put back.
    """
    assert state.history is not None
    n_before = state.history.n_epochs
    try:
        yield
    except FAULTS as e:
        if before is None:
            raise
        is_of_scheduler = is_raised_by(state.scheduler, state.optimizer, e)
        n_done = state.history.n_epochs - n_before
        if n_done > 0 and not is_of_scheduler:
            raise
        if n_done <= 1:
            before.restore(state, module)
        told = printable(str(e).splitlines()[0])[:300] if str(e) else ""
        part = "optimizer"
        if is_of_scheduler:
            part = f"scheduler {type(state.scheduler).__name__}"
        raise ValueError(
            f"The training cannot go on from its checkpoint ({type(e).__name__}: {told}): what the "
            f"file holds of the {part} is damaged. Begin anew, with another name for the file."
        ) from e
