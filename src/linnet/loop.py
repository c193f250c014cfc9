"""The only loop over epochs: when a training ends, and which weights it leaves."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from linnet import interruption
from linnet.checkpoint import CheckpointedTraining
from linnet.data import Rows, Stream
from linnet.engine import NativeEngine, TorchEngine, renewed
from linnet.engine.torch_engine import is_finite
from linnet.history import EpochResult, History, Outcome
from linnet.randomness import seeded
from linnet.training_state import TrainingState, Weights, copied, copy_weights


@dataclass
class Loop:
    """Trains epoch by epoch until something ends it, and leaves the right weights in the module.

    Attributes
    ----------
    worker : TorchEngine or NativeEngine
        Does the epochs.
    state : TrainingState
        With its optimizer, generator and history.
    engine : str
        As asked for.
    validation : Rows, Stream or None
        On the device of the module.
    kept : CheckpointedTraining or None
    shuffle : bool
    tol : float
        Improvements of the monitored loss up to this one count as none.
    patience : float
        Epochs without improvement that end the training.
    scheduler : torch.optim.lr_scheduler.LRScheduler or None
        Stepped after every epoch.
    deadline : float
        In seconds of `time.monotonic`.
    on_epoch : callable or None
        See `linnet.train`.
    show : callable or None
        ``show(history)`` after each epoch.
    """

    worker: TorchEngine | NativeEngine
    state: TrainingState
    engine: str
    validation: Rows | Stream | None
    kept: CheckpointedTraining | None
    shuffle: bool
    tol: float
    patience: float
    scheduler: Any
    deadline: float
    on_epoch: Callable[[History], object] | None
    show: Callable[[History], None] | None
    _history: History = field(init=False)
    _start: Weights = field(init=False)
    _live: Weights | None = field(init=False)

    def run(self, epochs: int, ended: Outcome | None) -> None:
        """Train; `ended` says why no epoch is left, where an earlier call has come to its end."""
        state, module = self.state, self.worker.module
        assert state.history is not None
        self._history = history = state.history
        self._start = copy_weights(module)
        if state.best_weights is None:
            state.best_weights = copy_weights(module)  # where nothing better comes
        # Natively nothing but the engine touches the weights: one look shows them all the time.
        is_native = isinstance(self.worker, NativeEngine) and self.on_epoch is None
        self._live = module.state_dict() if is_native else None
        history.outcome, n_before = None, history.n_epochs
        try:
            outcome = self._train(epochs)
            if outcome is None:
                outcome = Outcome.EPOCHS_DONE if ended is None else ended
            if not (is_finite(module) and _gives_finite(self.worker)):
                outcome = Outcome.NOT_FINITE  # broken by the very last step
            history.outcome = outcome
            if self.kept is not None and epochs:
                self.kept.after_epoch(state, module, outcome)
        except BaseException as problem:
            if self.kept is not None:
                self.kept.write()
            # Of an epoch that was cut off, some figures may stand in the history already.
            n_whole = min(len(curve) for curve in history.curves.values())
            history.curves = {name: curve[:n_whole] for name, curve in history.curves.items()}
            is_main = threading.current_thread() is threading.main_thread()
            if not (is_main and isinstance(problem, KeyboardInterrupt)):
                self._restore(n_before)
                raise
            history.outcome = Outcome.INTERRUPTED
        self._leave_weights(history.outcome, n_before)

    def _train(self, epochs: int) -> Outcome | None:
        """Return what ended the training; None where all epochs were done."""
        for _ in range(epochs):
            interruption.check()
            outcome = self._epoch()
            if outcome is not None:
                return outcome
            if self.on_epoch is not None:
                self.worker = renewed(self.worker, self.engine, self._history)
            if self.kept is not None:
                self.kept.after_epoch(self.state, self.worker.module, None)
        return None

    def _epoch(self) -> Outcome | None:
        worker, state, history = self.worker, self.state, self._history
        generator, validation = state.generator, self.validation
        started = time.perf_counter()
        order = torch.randperm(len(worker.rows), generator=generator) if self.shuffle else None
        seed = int(torch.randint(2**62, (), generator=generator))
        result = worker.epoch(order, seed, self.deadline)
        del order  # eight bytes a row, which the validation rows may need
        loss = worker.evaluate(validation) if validation is not None else math.nan
        if state.left_out is not None and isinstance(validation, Rows):
            state.left_out.see(worker.module, validation.X)
        history.add_epoch(
            train_loss=result.loss,
            validation_loss=loss,
            learning_rate=result.learning_rate,
            gradient_norm=result.gradient_norm,
            seconds=time.perf_counter() - started,
        )
        history.effective_parameters = getattr(state.optimizer, "effective_parameters", None)
        monitored = result.loss if validation is None else loss
        outcome = self._judge(result, monitored)
        if outcome is None and self.scheduler is not None:
            self._step_scheduler(monitored)
        if self.show is not None:
            self.show(history)
        if outcome is None and state.stale_epochs >= self.patience:
            is_train = validation is None
            outcome = Outcome.NO_IMPROVEMENT if is_train else Outcome.VALIDATION_LEAST
        if outcome is None and time.monotonic() > self.deadline:
            outcome = Outcome.TIME_UP
        # A comparison of NumPy's numbers gives np.True_, which is not True itself.
        stops = self.on_epoch(history) if self.on_epoch is not None else False
        if isinstance(stops, bool | np.bool_) and stops and outcome is None:
            outcome = Outcome.STOPPED_BY_CALLBACK
        return outcome

    def _judge(self, result: EpochResult, monitored: float) -> Outcome | None:
        """Count stale epochs and keep the best weights; say why the training ends, if it does."""
        state = self.state
        # The loss of an epoch was measured before its last step, which may have broken the weights.
        if not (math.isfinite(result.loss) and math.isfinite(monitored) and result.is_finite):
            return Outcome.NOT_FINITE
        improved = monitored < state.best_loss - self.tol
        state.stale_epochs = 0 if improved else state.stale_epochs + 1
        if monitored < state.best_loss:
            weights = self.worker.module.state_dict() if self._live is None else self._live
            state.best_weights = copied(weights, state.best_weights)
            state.best_loss = monitored
        return None if result.criterion is None else Outcome(result.criterion[0])

    def _step_scheduler(self, monitored: float) -> None:
        if not isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step()
            return
        assert self.state.optimizer is not None
        groups = self.state.optimizer.param_groups
        before = [group["lr"] for group in groups]
        self.scheduler.step(monitored)
        if [group["lr"] for group in groups] != before:
            self.state.stale_epochs = 0

    def _leave_weights(self, outcome: Outcome, n_before: int) -> None:
        state, module = self.state, self.worker.module
        assert state.optimizer is not None and state.best_weights is not None
        if outcome is Outcome.NOT_FINITE:
            state.optimizer.state.clear()  # its moments are not finite either
        if outcome in (Outcome.NOT_FINITE, Outcome.INTERRUPTED):
            self._restore(n_before)
        elif self.validation is not None:
            state.latest_weights = copy_weights(module)
            module.load_state_dict(state.best_weights)
        if outcome is Outcome.NOT_FINITE and not _gives_finite(self.worker):
            # Finite weights may be so large that the outputs are not.
            state.best_loss, state.best_weights = math.inf, self._start
            module.load_state_dict(self._start)

    def _restore(self, n_before: int) -> None:
        """Put the best weights so far into a module whose training failed.

        Without validation rows, a call that finished no epoch leaves the weights it was given.
        """
        state = self.state
        assert state.best_weights is not None
        is_as_before = self._history.n_epochs == n_before and self.validation is None
        self.worker.module.load_state_dict(self._start if is_as_before else state.best_weights)
        state.latest_weights = None


def _gives_finite(worker: TorchEngine | NativeEngine) -> bool:
    """Whether the outputs for a batch of the training rows are finite, where that can be told."""
    if isinstance(worker.rows, Stream):
        return True
    X = worker.rows.first(worker.batch_size).clone()  # which a forward may change in place
    worker.module.eval()
    with torch.no_grad(), seeded(0, worker.device):
        outputs = worker.module(X)
    return not isinstance(outputs, torch.Tensor) or bool(torch.isfinite(outputs).all())
