"""The engine that trains feed-forward networks in the native module: one call an epoch.

Parameters and the optimizer's state are torch's own tensors, changed in place, so that
``module.state_dict()`` and ``optimizer.state_dict()`` are true after every epoch.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from linnet import interruption
from linnet.data import Rows, Stream
from linnet.engine.processors import processors
from linnet.engine.program import Program
from linnet.engine.signature import KNOBS, signature
from linnet.engine.thread_count import ThreadCount
from linnet.engine.torch_engine import TorchEngine
from linnet.engine.tracing import trace
from linnet.history import EpochResult
from linnet.losses import GaussianLoss, Loss, PoissonLoss, QuantileLoss

# Codes shared with native/kernels.hpp, and the attribute that holds the loss's knob.
LOSSES: dict[type, tuple[int, str | None]] = {
    nn.MSELoss: (0, None),
    nn.L1Loss: (1, None),
    nn.SmoothL1Loss: (2, "beta"),
    nn.HuberLoss: (3, "delta"),
    nn.CrossEntropyLoss: (4, "label_smoothing"),
    nn.BCEWithLogitsLoss: (5, None),
    PoissonLoss: (6, None),
    QuantileLoss: (7, "quantile"),
    GaussianLoss: (8, None),
}
_SGD, _ADAM, _ADAMW = range(3)
SOLVERS: dict[type, int] = {
    torch.optim.SGD: _SGD,
    torch.optim.Adam: _ADAM,
    torch.optim.AdamW: _ADAMW,
}


@dataclass
class NativeEngine:
    """Trains and evaluates a network in the native module.

    The attributes are those of `TorchEngine`; `why_not` says beforehand whether it can.
    """

    module: nn.Module
    loss: Loss
    optimizer: torch.optim.Optimizer
    rows: Rows | Stream
    batch_size: int
    device: torch.device
    clip_grad_norm: float | None = None
    clip_grad_value: float | None = None
    batch_scheduler: Any = None
    name = "native"

    def __post_init__(self) -> None:
        assert isinstance(self.rows, Rows)
        program, faults = trace(self.module, self.rows.X.shape[1])
        assert program is not None, faults
        self._parameters = program.parameters
        self._groups = _group_of(self.optimizer)
        self._trained = [p.requires_grad and p in self._groups for p in program.parameters]
        self._network = build(
            program, self._trained, [self._groups.get(p, 0) for p in program.parameters]
        )
        self._solver = _solver(self.optimizer)
        work = self.batch_size * sum(p.numel() for p in program.parameters)
        self._threads = ThreadCount(torch.get_num_threads(), work)
        self._arrays, self._n_rows = _arrays(self.rows), len(self.rows)
        self._modules = list(self.module.modules())
        self._classes = _class_weights(self.loss, self.rows)
        self._states: list[tuple[torch.Tensor, dict[str, Any], list[str]]] = []
        self._moments: list[torch.Tensor] = []  # those that the network knows
        self._counts: list[float] = []  # steps done when the state was handed over
        self._n_steps = 0  # since then
        self._made_for = self._what_is_trained()

    def epoch(
        self, order: torch.Tensor | None, seed: int, deadline: float = math.inf
    ) -> EpochResult:
        """Train on every row once; see `TorchEngine.epoch`."""
        if not all(module.training for module in self._modules):
            self.module.train()
        assert isinstance(self.rows, Rows)
        order = self.rows.numbers(order)
        order = torch.arange(self._n_rows) if order is None else order
        before = self._schedule()
        groups = self._plan_steps()
        self._hand_over_state()
        chosen = self._threads.choose()
        with processors(chosen, fewer=True) as n_threads:
            started = time.perf_counter()
            total, norm, n_rows, n_steps, is_finite = self._network.train_epoch(
                *self._arrays,
                order.numpy(),
                self._loss_tuple(),
                self._solver,
                groups,
                self.batch_size,
                self.clip_grad_norm or 0.0,
                self.clip_grad_value or 0.0,
                seed,
                n_threads,
                min(deadline - time.monotonic(), 1e9),
            )
        if n_threads == chosen:
            self._threads.took(time.perf_counter() - started)
        self._n_steps += n_steps
        if before is not None and n_steps < len(groups):
            self._set_back(*before, n_steps)
        self._network.raise_interruption()
        rate = groups[min(n_steps, len(groups)) - 1][0][0]
        return EpochResult(total / max(1, n_rows), norm, rate, n_rows, is_finite)

    def is_outdated(self) -> bool:
        """Whether layers, weights' memory or the optimizer's groups were changed from outside.

        What can be taken over without a new engine, such as other moments, is.
        """
        assert isinstance(self.rows, Rows)
        counts = [state["step"].item() for _, state, _ in self._states if "step" in state]
        if counts != [count + self._n_steps for count in self._counts]:
            self._states = []  # handed over anew, for a count was changed in place
        self._classes = _class_weights(self.loss, self.rows)
        return self._what_is_trained() != self._made_for

    def _what_is_trained(self) -> list[Any]:
        module, own = self.module, []
        for layer in module.modules():
            if not type(layer).__module__.startswith("torch.nn."):
                own += [
                    (k, v) for k, v in vars(layer).items() if type(v) in KNOBS and k != "training"
                ]
        grads = [(id(p), p.requires_grad, p.dtype) for p in module.parameters()]
        groups = [[id(p) for p in group["params"]] for group in self.optimizer.param_groups]
        return [*signature(module), *own, *grads, *groups]

    def evaluate(self, rows: Rows | Stream) -> float:
        """Return the mean loss over other rows, without training."""
        if isinstance(rows, Stream) or ignores(self.loss, rows):
            worker = TorchEngine(
                self.module, self.loss, self.optimizer, rows, self.batch_size, self.device
            )
            return worker.evaluate(rows)
        self.module.eval()
        arrays = _arrays(rows)
        with processors(torch.get_num_threads(), fewer=True) as n_threads:
            total = self._network.evaluate(*arrays, self._loss_tuple(), n_threads)
        self._network.raise_interruption()
        return total / len(rows)

    def _schedule(self) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
        """Return where a scheduler of batches stands, and the settings of the groups."""
        if self.batch_scheduler is None:
            return None
        groups = [
            {name: value for name, value in group.items() if name != "params"}
            for group in self.optimizer.param_groups
        ]
        return _copied((self.batch_scheduler.state_dict(), groups))

    def _set_back(
        self, schedule: dict[str, Any], groups: list[dict[str, Any]], n_steps: int
    ) -> None:
        """Let the scheduler have made so many steps of an epoch that ended early."""
        self.batch_scheduler.load_state_dict(schedule)
        for group, settings in zip(self.optimizer.param_groups, groups, strict=True):
            group.update(settings)
        for _ in range(n_steps):
            self.batch_scheduler.step()

    def _plan_steps(self) -> list[list[tuple]]:
        """Return what the optimizer's groups say at each step; once, if it does not change."""
        # The scheduler asks whether the optimizer has stepped; it has, natively.
        self.optimizer._opt_called = True  # pyright: ignore[reportAttributeAccessIssue]
        if self.batch_scheduler is None:
            return [[_settings(group) for group in self.optimizer.param_groups]]
        steps = []
        for _ in range(math.ceil(len(self.rows) / self.batch_size)):
            steps.append([_settings(group) for group in self.optimizer.param_groups])
            self.batch_scheduler.step()
        return steps

    def _loss_tuple(self) -> LossTuple:
        return _loss_tuple(self.loss, self._classes)

    def _hand_over_state(self) -> None:
        """Point the native module at the optimizer's tensors, made where they are missing."""
        all_states, moments = self.optimizer.state, iter(self._moments)
        if self._states and all(
            all_states.get(parameter) is state and all(state.get(n) is next(moments) for n in names)
            for parameter, state, names in self._states
        ):
            return
        self._states, self._moments, self._counts, self._n_steps = [], [], [], 0
        self._network.clear_states()
        for number, parameter in enumerate(self._parameters):
            if not self._trained[number]:
                continue
            group = self.optimizer.param_groups[self._groups[parameter]]
            if self._solver == _SGD and not group["momentum"]:
                continue
            state = all_states[parameter]
            names, n_steps = _moments(state, parameter, self._solver, group)
            tensors = [state[name] for name in names]
            arrays = [matrix(tensor) for tensor in tensors[:3]]
            count = state["step"].reshape(1).numpy() if "step" in state else None
            arrays += [None] * (3 - len(arrays))
            self._network.set_state(number, *arrays, n_steps, count)
            self._states.append((parameter, state, names))
            self._counts += [n_steps] if count is not None else []
            self._moments += tensors


# The code of a loss, its knob, weights of classes, and whether it is a sum.
LossTuple = tuple[int, float, Any, bool]


def _loss_tuple(loss: Loss, classes: Any) -> LossTuple:
    code, knob = LOSSES[type(loss.function)]
    value = 0.0 if knob is None else float(getattr(loss.function, knob))
    return code, value, classes, loss.is_sum


def loss_tuple(loss: Loss, rows: Rows) -> LossTuple:
    """Return a loss as the native module takes it, for rows of their type."""
    return _loss_tuple(loss, _class_weights(loss, rows))


def _moments(
    state: dict[str, Any], parameter: torch.Tensor, solver: int, group: dict[str, Any]
) -> tuple[list[str], float]:
    """Return the names of a parameter's moments, made if they are missing, and the steps done."""
    if solver == _SGD:
        # torch keeps no count, but begins with the gradient itself, undamped.
        n_steps = 0.0 if state.get("momentum_buffer") is None else 1.0
        if not n_steps:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        return ["momentum_buffer"], n_steps
    names = ["exp_avg", "exp_avg_sq"] + ["max_exp_avg_sq"] * bool(group["amsgrad"])
    # torch counts in float64 where that is its default type; it takes either.
    state["step"] = torch.as_tensor(state.get("step", 0.0), dtype=torch.float32)
    for name in names:
        if name not in state:
            state[name] = torch.zeros_like(parameter)
    return names, float(state["step"])


def ignores(loss: Loss, rows: Rows) -> bool:
    """Whether a cross-entropy leaves some of the rows out, or compares them with probabilities."""
    function = loss.function
    if not isinstance(function, nn.CrossEntropyLoss):
        return False
    is_of_classes = rows.y.ndim == 1 and not rows.y.is_floating_point()
    return not is_of_classes or bool((rows.y == function.ignore_index).any())


def _class_weights(loss: Loss, rows: Rows) -> Any:
    """Return the weights of classes, or of positive labels, as an array (K,); None without."""
    weight = getattr(loss.function, "weight", None)
    weight = getattr(loss.function, "pos_weight", None) if weight is None else weight
    if weight is None:
        return None
    K = weight.numel() if rows.y.ndim == 1 else rows.y.shape[1]
    return weight.detach().to(rows.X.dtype).expand(K).contiguous().numpy()


def build(program: Program, trained: list[bool], groups: list[int]) -> Any:
    """Return the native network of a program, over the parameters' own memory."""
    from linnet import _native

    is_double = program.parameters[0].dtype == torch.float64
    return (_native.Network64 if is_double else _native.Network32)(
        program.heights,
        program.nodes,
        program.output,
        [matrix(p) for p in program.parameters],
        trained,
        groups,
        [counter.reshape(1).numpy() for counter in program.counters],
        interruption.check,
    )


def is_decoupled(optimizer: torch.optim.Optimizer, group: dict[str, Any]) -> bool:
    """Whether Adam's weight decay leaves the gradient alone, as that of AdamW does."""
    return bool(group.get("decoupled_weight_decay", isinstance(optimizer, torch.optim.AdamW)))


def _solver(optimizer: torch.optim.Optimizer) -> int:
    if is_decoupled(optimizer, optimizer.param_groups[0]):
        return _ADAMW
    return SOLVERS[type(optimizer)]


def _group_of(optimizer: torch.optim.Optimizer) -> dict[torch.Tensor, int]:
    return {p: i for i, group in enumerate(optimizer.param_groups) for p in group["params"]}


def _copied(value: Any) -> Any:
    """Copy what a scheduler knows, ten times faster than copy.deepcopy where it is plain data."""
    kind = type(value)
    if kind in (int, float, bool, str, type(None)):
        return value
    if kind in (list, tuple):
        return kind([_copied(item) for item in value])
    if kind is dict:
        return {name: _copied(item) for name, item in value.items()}
    return copy.deepcopy(value)


def _settings(group: dict[str, Any]) -> tuple:
    beta1, beta2 = group.get("betas", (0.0, 0.0))
    return (
        float(group["lr"]),
        float(group["weight_decay"]),
        float(group.get("momentum", 0.0)),
        float(group.get("dampening", 0.0)),
        float(beta1),
        float(beta2),
        float(group.get("eps", 0.0)),
        bool(group.get("nesterov", False)),
        bool(group.get("amsgrad", False)),
        bool(group.get("maximize", False)),
    )


def matrix(tensor: torch.Tensor) -> Any:
    """Return the tensor's own memory as a matrix (O, I), a bias as (O, 1)."""
    array = tensor.detach().numpy()
    return array.reshape(len(array), -1)


def _arrays(rows: Rows) -> tuple[Any, Any, Any]:
    y = rows.y.reshape(len(rows.y), -1).to(rows.X.dtype).contiguous().numpy()
    weight = None if rows.weight is None else rows.weight.to(rows.X.dtype).contiguous().numpy()
    return rows.X.contiguous().numpy(), y, weight
