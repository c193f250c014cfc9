"""Where a training stands: its optimizer, random numbers, history and best weights.

`train` starts from an empty state and goes on from a filled one.
"""

from __future__ import annotations

import copy
import math
import platform
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

import linnet
from linnet import solvers
from linnet.history import History
from linnet.left_out import LeftOut
from linnet.preflight import check_optimizer

Weights = dict[str, Any]


@dataclass
class TrainingState:
    """Where a training stands: hand it to `train` again to go on as though it had never stopped.

    A new one is empty. `train` fills it and, given a filled one, goes on with its optimizer, its
    random numbers, its history and its best weights.

    Attributes
    ----------
    optimizer : torch.optim.Optimizer or None
    scheduler : torch.optim.lr_scheduler.LRScheduler or None
    generator : torch.Generator or None
        Decides the order of the rows and the seeds of dropout.
    history : History or None
    best_loss : float
        Least monitored loss so far.
    best_weights : dict or None
        The module's state at that loss.
    latest_weights : dict or None
        The module's state where the training stopped, if the best was restored over it.
    stale_epochs : int
        Epochs since the monitored loss last improved by more than `tol`.
    scores : list of float
        Of the validation rows after each epoch, where an estimator keeps them.
    warns : bool
        Whether `train` warns where it was interrupted or its loss is not finite; of many trainings
        side by side, who began them tells it once.
    left_out : LeftOut or None
        What the validation rows chose without each of them, where that is asked for.
    """

    optimizer: torch.optim.Optimizer | None = None
    scheduler: Any = None
    generator: torch.Generator | None = None
    history: History | None = None
    best_loss: float = math.inf
    best_weights: Weights | None = None
    latest_weights: Weights | None = None
    stale_epochs: int = 0
    scores: list[float] = field(default_factory=list)
    warns: bool = True
    left_out: LeftOut | None = None

    def __getstate__(self) -> dict[str, Any]:
        # torch's generators cannot be copied or pickled; their state, a tensor, can.
        state = dict(self.__dict__)
        state["generator"] = None if self.generator is None else self.generator.get_state()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if state["generator"] is not None:
            self.generator = torch.Generator()
            self.generator.set_state(state["generator"])


def begin(
    state: TrainingState,
    module: nn.Module,
    optimizer: Any,
    scheduler: Any,
    scheduler_step: str,
    generator: torch.Generator,
    seed: int | None,
) -> History:
    """Fill an empty state, or take the module back to where a filled one stopped.

    Returns the history, that of the epochs so far.
    """
    if state.history is not None:
        assert state.optimizer is not None
        check_optimizer(state.optimizer, module)
        if state.latest_weights is not None:
            module.load_state_dict(state.latest_weights)
            state.latest_weights = None
        return state.history
    optimizer = _make_optimizer(optimizer, module)
    scheduler = _make_scheduler(scheduler, optimizer, scheduler_step)
    state.optimizer, state.scheduler, state.generator = optimizer, scheduler, generator
    state.history = History(seed=seed, versions=versions())
    return state.history


def _make_scheduler(scheduler: Any, optimizer: torch.optim.Optimizer, scheduler_step: str) -> Any:
    if scheduler is not None and isinstance(optimizer, solvers.LevenbergMarquardt):
        raise ValueError(
            "Levenberg-Marquardt has no learning rate that a scheduler could change. Leave "
            "scheduler out."
        )
    if callable(scheduler) and not isinstance(scheduler, LRScheduler | ReduceLROnPlateau):
        scheduler = scheduler(optimizer)
    if scheduler is None:
        return None
    if not hasattr(scheduler, "step"):
        raise TypeError(
            f"scheduler={scheduler!r} has no step method. Give one of torch.optim.lr_scheduler's "
            "over your optimizer, or a callable that makes one from the optimizer."
        )
    if getattr(scheduler, "optimizer", optimizer) is not optimizer:
        raise ValueError(
            "The scheduler belongs to another optimizer than the one that trains, so it would "
            "change nothing. Make it from the optimizer that you give, or give a callable: "
            f"scheduler=lambda optimizer: {type(scheduler).__name__}(optimizer, ...)."
        )
    if scheduler_step == "batch" and isinstance(scheduler, ReduceLROnPlateau):
        raise ValueError(
            "ReduceLROnPlateau needs the loss of a whole epoch, so scheduler_step='batch' is not "
            "allowed with it. Write scheduler_step='epoch'."
        )
    return scheduler


def _make_optimizer(optimizer: Any, module: nn.Module) -> torch.optim.Optimizer:
    trained = [p for p in module.parameters() if p.requires_grad]
    if not trained:
        raise ValueError(
            "The module has no parameters to train. Give one with layers such as nn.Linear, and "
            "with requires_grad=True."
        )
    if not isinstance(optimizer, torch.optim.Optimizer):
        return solvers.make(optimizer, trained, called="optimizer")
    check_optimizer(optimizer, module)
    return optimizer


def copy_weights(module: nn.Module) -> Weights:
    """Return a copy of a module's state."""
    return copied(module.state_dict())


def copied(weights: Weights, into: Weights | None = None) -> Weights:
    """Copy a module's state, over an earlier copy of it where there is one."""
    values = list(weights.values())
    if into is not None and into.keys() == weights.keys() and all(map(torch.is_tensor, values)):
        for copied, value in zip(into.values(), values, strict=True):
            copied.copy_(value)
        return into
    return {
        name: value.detach().clone() if isinstance(value, torch.Tensor) else copy.deepcopy(value)
        for name, value in weights.items()
    }


def versions() -> dict[str, str]:
    """Return the versions that decide what a training gives."""
    return {
        "linnet": linnet.__version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
