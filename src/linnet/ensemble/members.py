"""The members of an ensemble: which rows each is trained on, and their training in threads.

Letters: N rows, D inputs, K outputs, M members.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from linnet import losses, solvers, user_warnings
from linnet.checkpoint import Checkpoint
from linnet.crew import Crew
from linnet.data import Rows, read_rows
from linnet.engine import NativeEngine, choose, choose_device
from linnet.engine.prediction import predict
from linnet.ensemble.folds import Folds
from linnet.ensemble.settings import Settings
from linnet.estimators.schedules import Cosine
from linnet.fingerprint import describe, digest_rows, of_versions
from linnet.history import History, Outcome
from linnet.left_out import LeftOut
from linnet.network import FeatureScale, PeriodicEmbedding, mlp
from linnet.termination import ended_by_sigterm
from linnet.training import TrainingState, train, versions


def build(
    settings: Settings, n_inputs: int, n_outputs: int, generator: torch.Generator
) -> nn.Sequential:
    """Return a member's network, (N, D) to (N, K), with weights drawn from the generator."""
    layers: list[nn.Module] = [FeatureScale(n_inputs)]
    if settings.n_frequencies:
        layers.append(
            PeriodicEmbedding(
                n_inputs, settings.n_frequencies, settings.frequency_scale, generator=generator
            )
        )
    network = mlp(
        n_inputs * (1 + settings.n_frequencies),
        settings.hidden_layer_sizes,
        n_outputs,
        activation=settings.activation,
        dropout=settings.dropout,
        initialization=settings.initialization,
        generator=generator,
    )
    return nn.Sequential(*layers, *network)


def parameter_shapes(settings: Settings, n_inputs: int, n_outputs: int) -> list[tuple[int, ...]]:
    """Return the shapes of a member's parameters, without making it."""
    n_waves = settings.n_frequencies
    shapes: list[tuple[int, ...]] = [(n_inputs,)]
    shapes += [(n_inputs, n_waves)] * 2 if n_waves else []
    sizes = [n_inputs * (1 + n_waves), *settings.hidden_layer_sizes, n_outputs]
    for fan_in, fan_out in pairwise(sizes):
        shapes += [(fan_out, fan_in), (fan_out,)]
    return shapes


# Training -----------------------------------------------------------------------------------------


@dataclass
class Member:
    """One network, the rows that it was not trained on, and what it says of them.

    Attributes
    ----------
    module : torch.nn.Module
    history : History
    held_out : ndarray of shape (N_held_out,)
    outputs : ndarray of shape (N_held_out, K)
        Raw outputs for these rows, each at the epoch that the others of them choose.
    """

    module: nn.Module
    history: History
    held_out: np.ndarray
    outputs: np.ndarray


@dataclass
class Plan:
    """What all members share.

    Attributes
    ----------
    X : ndarray of shape (N, D)
        Encoded inputs.
    y : ndarray of shape (N, K), or (N,) of class numbers
    weight : ndarray of shape (N,) or None
    n_outputs : int
        K.
    loss : losses.Loss
        That of the labels as they are.
    settings : Settings
    seeds : list of M int
    folds : linnet.ensemble.folds.Folds
        Which rows each member is trained on, and which it holds out.
    dtype : torch.dtype
    options : dict
        What `linnet.train` is given besides, such as the device.
    rows : linnet.data.Rows
        X and y as tensors, which all members share.
    """

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None
    n_outputs: int
    loss: losses.Loss
    settings: Settings
    seeds: list[int]
    folds: Folds
    dtype: torch.dtype
    options: dict[str, Any] = field(default_factory=dict)
    rows: Rows | None = None

    def __post_init__(self) -> None:
        if self.rows is None:
            rows = read_rows(self.X, self.y, dtype=self.dtype)
            assert isinstance(rows, Rows)
            self.rows = rows

    def start(self, number: int) -> tuple[nn.Module, torch.optim.Optimizer, torch.Generator]:
        """Return a member's network with its first weights, its optimizer and its generator."""
        generator = torch.Generator().manual_seed(self.seeds[number])
        module = build(self.settings, self.X.shape[1], self.n_outputs, generator).to(self.dtype)
        return module, _optimizer(module, self.settings, self._n_batch(number)), generator

    def fingerprint(self) -> dict[str, str]:
        """Return what decides the result, each by its name; to compare checkpoints."""
        rows = [self.X, self.y] + ([] if self.weight is None else [self.weight])
        X, y, *weight = map(torch.from_numpy, rows)
        return {
            "n_members": str(len(self.seeds)),
            **{name: str(value) for name, value in self.settings.to_dict().items()},
            "the training rows": digest_rows(Rows(X, y, *weight)),
            **self.folds.fingerprint(),
            "the loss": describe(self.loss.function, self.loss.name),
            "the engine": _engine(self).name,
            **of_versions(versions()),
        }

    def _n_batch(self, number: int) -> int:
        return min(self.settings.batch_size, len(self.folds.trained(number)))

    def train(self, number: int, state: TrainingState, **how: Any) -> Member:
        """Train one member; its history lies in `state` even if it is cut off."""
        settings, held_out = self.settings, self.folds.held_out[number]
        module, optimizer, generator = self.start(number)
        assert self.rows is not None
        loss, y = self.learnt()
        # By their numbers: copies for all members at once would take as much memory as M tables.
        rows = self.rows if y is self.y else replace(self.rows, y=torch.from_numpy(y))
        rows = rows.choose(self.folds.trained(number), self.weight)
        batch_size = self._n_batch(number)
        n_steps = settings.max_iter * -(-len(rows) // batch_size)
        scheduler = None
        if settings.solver != "lbfgs":
            scheduler = LambdaLR(optimizer, Cosine(n_steps, settings.warm_up))
        X_held_out = self.X[held_out]
        weight = None if self.weight is None else self.weight[held_out]
        member = Member(module, History(), held_out, np.empty((0, self.n_outputs)))
        how = {**self.options, **how}
        state.left_out = LeftOut.of(loss, y[held_out], weight, self.n_outputs)
        try:
            train(
                module,
                rows,
                X_val=X_held_out,
                y_val=y[held_out],
                sample_weight_val=weight,
                loss=loss,
                optimizer=optimizer,
                scheduler=scheduler,
                scheduler_step="batch",
                epochs=settings.max_iter,
                batch_size=len(rows) if settings.solver == "lbfgs" else batch_size,
                patience=settings.n_iter_no_change,
                random_state=generator,
                state=state,
                **how,
            )
        except KeyboardInterrupt:
            # In a thread other than the main one `train` leaves the best weights and raises.
            if state.history is None:
                raise
            state.history.outcome = Outcome.INTERRUPTED
        assert state.history is not None
        member.history = state.history
        member.history.seed = self.seeds[number]
        outputs = predict(module, torch.from_numpy(X_held_out)).double()
        if state.left_out is not None:
            outputs = state.left_out.chosen(outputs)
        member.outputs = outputs.numpy()
        return member

    def learnt(self) -> tuple[losses.Loss, np.ndarray]:
        """Return the loss and the targets of the training, which may be of smoothed labels.

        A label is 1 - s + s / K for its class and s / K for the others (Szegedy et al. 2016,
        section 7); where each output says yes or no, K is 2.
        """
        s = self.settings.label_smoothing
        if not s:
            return self.loss, self.y
        if self.y.ndim == 1:
            return losses.resolve("log_loss", label_smoothing=s), self.y
        return self.loss, self.y * (1 - s) + s / 2


def _optimizer(module: nn.Module, settings: Settings, n_batch: int) -> torch.optim.Optimizer:
    rate = settings.learning_rate_init
    decoupled = settings.solver == "adamw"
    decay = settings.alpha if decoupled else settings.alpha / n_batch  # as the MLP estimators
    if settings.solver == "lbfgs":
        return solvers.make("lbfgs", list(module.parameters()), weight_decay=decay)
    adaptive = settings.solver in ("adam", "adamw", "nadam", "radam")
    groups: dict[tuple[float, float], list[torch.Tensor]] = {}

    def add(parameters: list[torch.Tensor], rate: float, weight_decay: float = 0.0) -> None:
        groups.setdefault((rate, weight_decay), []).extend(parameters)

    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            # As under the NTK parametrisation: an Adam step moves each unit's sum equally far,
            # whatever the number of its inputs. Weights shrink at the same pace in all layers.
            factor = math.sqrt(settings.reference_width / layer.in_features) if adaptive else 1.0
            shrinking = decay / factor if decoupled else decay
            add([layer.weight], rate * factor, shrinking)
            add([layer.bias], rate * (settings.bias_rate if adaptive else 1.0))
        elif isinstance(layer, FeatureScale):
            factor = settings.feature_scale_rate if adaptive else 1.0
            add([layer.weight], rate * factor)
        elif isinstance(layer, PeriodicEmbedding):
            factor = settings.frequency_rate if adaptive else 1.0
            add([layer.frequencies, layer.phases], rate * factor)
    options: dict[str, Any] = {"lr": rate}
    if adaptive:
        options["betas"] = (settings.beta_1, settings.beta_2)
    if settings.solver == "sgd":
        options |= {"momentum": 0.9, "nesterov": True}
    # As few groups as there are rates: a scheduler goes through all of them at each step.
    alike = [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]
    return solvers.make(settings.solver, alike, **options)


def train_members(
    plan: Plan,
    *,
    engine: str,
    device: Any,
    n_threads: int | None,
    max_time: float | None,
    checkpoint: Checkpoint | None = None,
    done: Callable[[int], None] = lambda number: None,
) -> list[Member]:
    """Train all members, as many at once as there are threads.

    Natively each member takes one thread. PyTorch's operations share the threads among themselves,
    so there the members come one after another.

    Parameters
    ----------
    plan : Plan
    engine, device, n_threads, max_time
        As in `linnet.train`.
    checkpoint : Checkpoint, optional
        Keeps all members, those that are at work and those that have ended.
    done : callable
        ``done(number)`` after each member.

    Returns
    -------
    list of Member
        In their order. After Ctrl-C those that have finished an epoch.

    Raises
    ------
    ValueError
        If the checkpoint is of another training.
    KeyboardInterrupt
        If it came before any member had finished an epoch.
    Exception
        What a member's training raised.
    """
    n_members = len(plan.seeds)
    plan.options = {"engine": engine, "device": device}
    deadline = None if max_time is None else time.monotonic() + max_time
    n_at_once, n_threads = threads_of(plan, n_threads)
    crew = Crew(n_members, n_at_once)
    states = [TrainingState(warns=False) for _ in range(n_members)]
    if checkpoint is not None:
        checkpoint.compare(plan.fingerprint())

    def work(number: int) -> Member:
        how: dict[str, Any] = {"n_threads": n_threads}
        if deadline is not None:
            # Members still to come have their share of the time that is left.
            n_rounds = -(-(n_members - number) // n_at_once)
            how["max_time"] = max(0.0, deadline - time.monotonic()) / n_rounds
        if checkpoint is not None:
            how["checkpoint"] = checkpoint.training(number, is_alone=False)
        member = plan.train(number, states[number], **how)
        if member.history.outcome is Outcome.INTERRUPTED:
            crew.interrupted = True  # in the main thread `train` itself answers Ctrl-C
        done(number)
        return member

    with nullcontext() if checkpoint is None else _kept(checkpoint):
        found = crew.run(work)
    whole = [m for m in found if m is not None]
    members = [m for m in whole if m.history.best_epoch is not None]
    if crew.interrupted and not members:
        raise KeyboardInterrupt
    if crew.interrupted:
        for member in members:
            member.history.outcome = Outcome.INTERRUPTED
        user_warnings.warn(Outcome.INTERRUPTED.sentence, ConvergenceWarning)
    n_broken = sum(m.history.outcome is Outcome.NOT_FINITE for m in whole)
    if n_broken:
        told = Outcome.NOT_FINITE.sentence
        told = f"In {n_broken} of {n_members} members {told[0].lower()}{told[1:]}"
        user_warnings.warn(told, ConvergenceWarning)
    return members or whole  # where no member's loss ever was finite, their first weights


@contextmanager
def _kept(checkpoint: Checkpoint) -> Iterator[None]:
    """Write a checkpoint when the members have ended, by SIGTERM too."""
    with ended_by_sigterm():
        try:
            yield
        finally:
            checkpoint.write()


def threads_of(plan: Plan, n_threads: int | None) -> tuple[int, int | None]:
    """Return how many members to train at once, and how many threads each takes."""
    if _engine(plan) is NativeEngine:
        return n_threads or torch.get_num_threads(), 1
    return 1, n_threads


def _engine(plan: Plan) -> Any:
    """Return the class of the engine that trains the members."""
    module, optimizer, _ = plan.start(0)
    rows = Rows(torch.from_numpy(plan.X[:2]), torch.from_numpy(plan.y[:2]).to(_kind(plan)))
    where = choose_device(plan.options["device"], module, plan.settings.batch_size)
    return choose(plan.options["engine"], module, plan.loss, optimizer, rows, where)[0]


def _kind(plan: Plan) -> torch.dtype:
    return plan.dtype if plan.y.dtype.kind == "f" else torch.int64
