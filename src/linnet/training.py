"""`train`: reads the rows, chooses the engine, and hands both to the loop over epochs.

Letters: N rows, D inputs, K outputs, B rows of a batch, E epochs.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from linnet import losses, solvers, user_warnings
from linnet.checkpoint import Checkpoint, CheckpointedTraining, opened
from linnet.data import Rows, Stream, read_rows
from linnet.engine import (
    ENGINES,
    choose,
    choose_device,
    choose_threads,
)
from linnet.engine.placement import moved, threads
from linnet.fingerprint import describe, fingerprint
from linnet.forks import is_forked
from linnet.history import History, Outcome
from linnet.kept_state import faults_of_file_told
from linnet.loop import Loop
from linnet.preflight import (
    check_flags,
    check_last_batch,
    check_parameters,
    try_out,
)
from linnet.progress import EpochBar
from linnet.randomness import draw_seed, make_generator
from linnet.spelling import check_choice
from linnet.termination import ended_by_sigterm
from linnet.training_state import (
    TrainingState,
    begin,
    versions,
)

__all__ = ["TrainingState", "draw_seed", "train", "versions"]


def train(
    module: nn.Module,
    X: Any,
    y: Any = None,
    *,
    loss: Any = "squared_error",
    optimizer: Any = "adam",
    epochs: int = 100,
    batch_size: int = 32,
    shuffle: bool = True,
    sample_weight: Any = None,
    X_val: Any = None,
    y_val: Any = None,
    sample_weight_val: Any = None,
    tol: float = 0.0,
    patience: int | None = None,
    scheduler: Any = None,
    scheduler_step: str = "epoch",
    clip_grad_norm: float | None = None,
    clip_grad_value: float | None = None,
    max_time: float | None = None,
    random_state: Any = None,
    device: str | torch.device = "auto",
    engine: str = "auto",
    n_threads: int | None = None,
    on_epoch: Callable[[History], object] | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | Checkpoint | CheckpointedTraining | None = None,
    checkpoint_every: float | None = None,
    resume: bool = False,
    state: TrainingState | None = None,
) -> History:
    """Train a torch module in place.

    Parameters
    ----------
    module : torch.nn.Module
        Maps inputs (B, ...) to outputs (B, K). Changed in place, and left in evaluation mode on
        the device where it was. Lazy layers take their sizes from the first batch.
    X : array-like, Tensor, frame, Dataset or DataLoader
        Inputs (N, ...). A Dataset gives (input, target) items and is read once; a DataLoader is
        asked for its batches in each epoch, and decides their size and order itself.
    y : array-like or Tensor, optional
        Targets of the outputs' shape, (N, K); for classes whole numbers (N,).
    loss : str, torch loss or callable, default="squared_error"
        A key of `linnet.losses.LOSSES`, such as "log_loss"; ``nn.MSELoss()``; or any
        ``loss(prediction, target)``.
    optimizer : str, torch.optim.Optimizer or callable, default="adam"
        A key of `linnet.solvers.SOLVERS`; an optimizer over the module's parameters; or a callable
        that makes one from them, such as ``torch.optim.AdamW``.
    epochs : int, default=100
        Greatest number of passes over the rows.
    batch_size : int, default=32
        Rows of a step, B; more than N is clipped to N, which the history notes.
    shuffle : bool, default=True
        Draw a new order of the rows for each epoch.
    sample_weight : array-like of shape (N,), optional
        Weights of the rows, scaled to mean 1.
    X_val, y_val, sample_weight_val : optional
        Validation rows, evaluated after each epoch. With them the best epoch's weights are
        restored at the end, whatever ended the training.
    tol : float, default=0.0
        The least improvement of the monitored loss (validation, else training) that counts.
    patience : int, optional
        Stop after so many epochs without such an improvement; never, by default.
    scheduler : torch.optim.lr_scheduler.LRScheduler or callable, optional
        Of the optimizer; or a callable that makes one from it. A ReduceLROnPlateau gets the
        monitored loss, and each lowered rate starts `patience` anew.
    scheduler_step : {"epoch", "batch"}, default="epoch"
        When the scheduler is stepped.
    clip_grad_norm : float, optional
        Greatest Euclidean norm of a step's gradient.
    clip_grad_value : float, optional
        Greatest size of each number of a step's gradient; applied after `clip_grad_norm`. Both are
        without effect on Levenberg-Marquardt, which the history notes.
    max_time : float, optional
        Seconds after which the training ends, within an epoch too.
    random_state : int, numpy RandomState or Generator, torch.Generator, optional
        Decides order, dropout and the weights of lazy layers; other initial weights are the
        module's own. By default a seed is drawn from the system and kept in the history. Global
        generators are left as found; trainings in threads take turns with them, epoch by epoch.
    device : {"auto", "cpu", "cuda", "mps"}, default="auto"
        Where to train; the data lies there once.
    engine : {"auto", "torch", "native"}, default="auto"
        Who does the arithmetic.
    n_threads : int, optional
        CPU threads during the training. By default as set in torch, but one for networks so small
        that handing work to a second thread takes longer than the work; always one in a process
        that was forked, where torch would wait for ever for a second.
    on_epoch : callable, optional
        ``on_epoch(history)`` is called after each epoch; returning True stops the training.
    progress : bool, default=False
        Show a progress bar on the standard error stream.
    checkpoint : str, path or linnet.checkpoint.Checkpoint, optional
        File that keeps where the training stands, so that it can go on after a crash with the same
        result as without one. Ctrl-C and SIGTERM write it first. No file, by default.
    checkpoint_every : float, optional
        Seconds between two writings, however long they take. By default 30, and more where they
        would take over 0.5 % of the time.
    resume : bool, default=False
        Go on from the file `checkpoint` where it exists, up to `epochs` in all; without it an
        existing file is an error.
    state : TrainingState, optional
        Filled by this call, and gone on from if filled by an earlier one.

    Returns
    -------
    History
        Losses, rates, norms and times of each epoch, and why the training ended.

    Raises
    ------
    ValueError
        If shapes, lengths or values do not fit, or a name is unknown.
    TypeError
        If an argument is of a kind that cannot be used.
    OSError
        If the checkpoint exists and `resume` is False, or cannot be written.
    Exception
        What `on_epoch`, the module or the loss raises. The module then holds the best weights so
        far.

    Warns
    -----
    ConvergenceWarning
        If the training was interrupted, or the loss became infinite or NaN.

    Examples
    --------
    >>> import linnet, numpy as np, torch
    >>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
    >>> nn = torch.nn
    >>> module = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
    >>> history = linnet.train(module, X, X**2, epochs=5, random_state=0)
    >>> history.n_epochs, history.outcome.value
    (5, 'epochs_done')
    """
    check_flags(shuffle=shuffle, progress=progress)
    check_parameters(
        module,
        epochs,
        batch_size,
        tol,
        patience,
        clip_grad_norm,
        clip_grad_value,
        max_time,
        n_threads,
        on_epoch,
    )
    if state is not None and not isinstance(state, TrainingState):
        raise TypeError(
            f"state={state!r} is no TrainingState. Write state = linnet.training.TrainingState() "
            "before the first call, and give it to each."
        )
    check_choice("scheduler_step", scheduler_step, ("epoch", "batch"))
    function = losses.resolve(loss)
    check_choice("engine", engine, ENGINES)
    file, kept = None, None
    if isinstance(checkpoint, CheckpointedTraining):
        kept = checkpoint  # one of several, whose file was compared by who began them
    else:
        file = opened(checkpoint, checkpoint_every, resume=resume)
    state = TrainingState() if state is None else state
    seed = None
    generator = state.generator
    if state.history is None or generator is None:
        generator, seed = make_generator(random_state)
    with threads():
        rows, validation = _read(
            (X, y, sample_weight),
            (X_val, y_val, sample_weight_val),
            module=module,
            function=function,
            batch_size=batch_size,
            generator=generator,
        )
        target_device = choose_device(device, module, batch_size)
        history = begin(state, module, optimizer, scheduler, scheduler_step, generator, seed)
        assert state.optimizer is not None
        if history.n_epochs and history.has_validation != (validation is not None):
            # Losses on other rows: the best of the one kind says nothing of the other.
            state.best_loss, state.best_weights, state.stale_epochs = math.inf, None, 0
        if isinstance(rows, Rows) and isinstance(state.optimizer, solvers.TAKE_ALL_ROWS):
            rows = rows.gathered()  # for they take sums over whole arrays
        batch_size = _fit_batch(state.optimizer, rows, batch_size, history)
        clips = {"clip_grad_norm": clip_grad_norm, "clip_grad_value": clip_grad_value}
        _note_clips(state.optimizer, clips, history)
        check_last_batch(module, rows, batch_size)
        engine_class, reason = choose(
            engine, module, function, state.optimizer, rows, target_device
        )
    n_left, ended = epochs, None
    if file is not None:
        settings = {
            "the loss": describe(function.function, function.name),
            "batch_size": batch_size,
            "shuffle": shuffle,
            "scheduler_step": scheduler_step,
            "tol": tol,
            "patience": patience,
            "clip_grad_norm": clip_grad_norm,
            "clip_grad_value": clip_grad_value,
            "the engine": engine_class.name,
        }
        if random_state is not None and history.seed is not None:
            settings["random_state"] = history.seed
        file.compare(fingerprint(module, state, rows, validation, **settings))
        kept = file.training()
    if kept is not None:
        n_before = history.n_epochs
        ended = kept.go_on(state, module)
        assert state.history is not None
        history = state.history
        n_left = max(0, epochs - (history.n_epochs - n_before)) if ended is None else 0
    history.loss, history.n_rows, history.batch_size = function.name, len(rows), batch_size
    history.engine, history.engine_reason = engine_class.name, reason
    history.device, history.has_validation = str(target_device), validation is not None
    per_batch = state.scheduler if scheduler_step == "batch" else None
    home = next((p.device for p in module.parameters()), torch.device("cpu"))
    modules = [m for m in (module, function.function) if isinstance(m, nn.Module)]
    n_threads = choose_threads(n_threads, module, batch_size, engine_class)
    if is_forked() and (n_threads or 1) > 1:
        note = f"n_threads={n_threads} is taken as 1, in a process that was forked."
        history.notes += [] if note in history.notes else [note]
    with (
        ended_by_sigterm() if kept is not None else nullcontext(),
        threads(n_threads),
        moved(modules, state.optimizer, target_device, home),
        _ended(module),
        faults_of_file_told(state, module, None if kept is None else kept.before),
    ):
        worker = engine_class(
            module=module,
            loss=function,
            optimizer=state.optimizer,
            rows=rows.to(target_device),
            batch_size=batch_size,
            device=target_device,
            clip_grad_norm=clip_grad_norm,
            clip_grad_value=clip_grad_value,
            batch_scheduler=per_batch,
        )
        bar = EpochBar(epochs, len(rows)) if progress else nullcontext()
        with bar as shown:
            Loop(
                worker,
                state,
                engine=engine,
                validation=None if validation is None else validation.to(target_device),
                kept=kept,
                shuffle=shuffle,
                tol=tol,
                patience=math.inf if patience is None else patience,
                scheduler=state.scheduler if scheduler_step == "epoch" else None,
                deadline=math.inf if max_time is None else time.monotonic() + max_time,
                on_epoch=on_epoch,
                show=None if shown is None else shown.update,
            ).run(n_left, ended)
    if state.warns and history.outcome in (Outcome.NOT_FINITE, Outcome.INTERRUPTED):
        user_warnings.warn(history.outcome.sentence, ConvergenceWarning)
    return history


def _read(
    training: tuple[Any, Any, Any],
    validation: tuple[Any, Any, Any],
    *,
    module: nn.Module,
    function: losses.Loss,
    batch_size: int,
    generator: torch.Generator,
) -> tuple[Rows | Stream, Rows | Stream | None]:
    """Return training and validation rows in types that the module and the loss take."""
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
    rows = read_rows(*training, dtype=dtype, batch_size=batch_size)
    X_val, y_val, weight_val = validation
    if X_val is None:
        if y_val is not None or weight_val is not None:
            given = "y_val" if y_val is not None else "sample_weight_val"
            raise ValueError(f"{given} is given without X_val: give both, or neither.")
        return try_out(module, function, rows, batch_size, generator=generator), None
    names = ("X_val", "y_val", "sample_weight_val")
    held_out = read_rows(*validation, dtype=dtype, names=names)
    return (
        try_out(module, function, rows, batch_size, generator=generator),
        try_out(module, function, held_out, batch_size, ("X_val", "y_val")),
    )


@contextmanager
def _ended(module: nn.Module) -> Iterator[None]:
    """Leave a module in evaluation mode, whatever ended its training."""
    try:
        yield
    finally:
        module.eval()


def _fit_batch(
    optimizer: torch.optim.Optimizer, rows: Rows | Stream, batch_size: int, history: History
) -> int:
    if isinstance(rows, Stream):
        return int(rows.loader.batch_size or batch_size)
    n_rows, note = len(rows), ""
    if batch_size > n_rows:
        note = f"batch_size={batch_size} is more than the {n_rows} training rows: "
    elif batch_size < n_rows and isinstance(optimizer, solvers.TAKE_ALL_ROWS):
        kind = "L-BFGS" if isinstance(optimizer, solvers.LBFGS) else "Levenberg-Marquardt"
        note = f"batch_size={batch_size} is too small for {kind}, which needs all rows at once: "
    if note:
        note += f"taken as {n_rows}."
        if note not in history.notes:
            history.notes.append(note)
        return n_rows
    return batch_size


def _note_clips(
    optimizer: torch.optim.Optimizer, clips: dict[str, float | None], history: History
) -> None:
    given = [f"{name}={value}" for name, value in clips.items() if value is not None]
    if given and isinstance(optimizer, solvers.LevenbergMarquardt):
        note = (
            f"{' and '.join(given)}: without effect, for Levenberg-Marquardt does not step along "
            "the gradient; its damping keeps steps short."
        )
        history.notes += [] if note in history.notes else [note]
