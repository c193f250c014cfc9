"""The engine that trains feed-forward networks in the native module: one call an epoch.

Parameters and the optimizer's state are torch's own tensors, changed in place, so that
``module.state_dict()`` and ``optimizer.state_dict()`` are true after every epoch.
"""

from __future__ import annotations

import copy
import importlib.util
import math
import time
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from linnet.data import Rows, Stream
from linnet.engine.placement import threads
from linnet.engine.program import Program
from linnet.engine.thread_count import ThreadCount
from linnet.engine.torch_engine import TorchEngine
from linnet.engine.tracing import KNOBS, has_hooks, is_chain, signature, trace
from linnet.history import EpochResult
from linnet.losses import GaussianLoss, Loss, PoissonLoss, QuantileLoss

# Codes shared with native/kernels.hpp, and the attribute that holds the loss's knob.
_LOSSES: dict[type, tuple[int, str | None]] = {
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
_SOLVERS: dict[type, int] = {
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
        self._made_for = self._what_is_trained()

    def epoch(
        self, order: torch.Tensor | None, seed: int, deadline: float = math.inf
    ) -> EpochResult:
        """Train on every row once; see `TorchEngine.epoch`."""
        if not all(module.training for module in self._modules):
            self.module.train()
        order = torch.arange(self._n_rows) if order is None else order
        before = self._schedule()
        groups = self._plan_steps()
        self._hand_over_state()
        n_threads, started = self._threads.choose(), time.perf_counter()
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
        self._threads.took(time.perf_counter() - started)
        if before is not None and n_steps < len(groups):
            self._set_back(*before, n_steps)
        self._network.raise_interruption()
        rate = groups[min(n_steps, len(groups)) - 1][0][0]
        return EpochResult(total / max(1, n_rows), norm, rate, n_rows, is_finite)

    def is_outdated(self) -> bool:
        """Whether layers, weights' memory or the optimizer's groups were changed from outside.

        What can be taken over without a new engine, such as other moments, is.
        """
        self._states = []  # handed over anew, for a count may have been changed in place
        self._classes = _class_weights(self.loss, self.rows)
        return self._what_is_trained() != self._made_for

    def _what_is_trained(self) -> list[Any]:
        module, own = self.module, []
        for layer in module.modules():
            if not type(layer).__module__.startswith("torch.nn."):
                own += [(k, v) for k, v in vars(layer).items() if type(v) in KNOBS and k != "training"]
        grads = [(id(p), p.requires_grad, p.dtype) for p in module.parameters()]
        groups = [[id(p) for p in group["params"]] for group in self.optimizer.param_groups]
        return [*signature(module), *own, *grads, *groups]

    def evaluate(self, rows: Rows | Stream) -> float:
        """Return the mean loss over other rows, without training."""
        if isinstance(rows, Stream) or _ignores(self.loss, rows):
            worker = TorchEngine(
                self.module, self.loss, self.optimizer, rows, self.batch_size, self.device
            )
            return worker.evaluate(rows)
        self.module.eval()
        total = self._network.evaluate(*_arrays(rows), self._loss_tuple(), torch.get_num_threads())
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
        return copy.deepcopy((self.batch_scheduler.state_dict(), groups))

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

    def _loss_tuple(self) -> tuple[int, float, Any, bool]:
        """Return the code of the loss, its knob, weights of classes, and whether it is a sum."""
        code, knob = _LOSSES[type(self.loss.function)]
        value = 0.0 if knob is None else float(getattr(self.loss.function, knob))
        return code, value, self._classes, self.loss.is_sum

    def _hand_over_state(self) -> None:
        """Point the native module at the optimizer's tensors, made where they are missing."""
        all_states, moments = self.optimizer.state, iter(self._moments)
        if self._states and all(
            all_states.get(parameter) is state and all(state.get(n) is next(moments) for n in names)
            for parameter, state, names in self._states
        ):
            return
        self._states, self._moments = [], []
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
            self._moments += tensors


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


def why_not(
    module: nn.Module,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    rows: Rows | Stream,
    device: torch.device,
) -> list[str]:
    """Return what keeps the native engine from training this, with its place; [] if nothing does.

    Parameters
    ----------
    module, loss, optimizer, rows, device
        As for `TorchEngine`.
    """
    if importlib.util.find_spec("linnet._native") is None:
        return ["the native module is not installed (linnet info says how to get it)"]
    faults = []
    if device.type != "cpu":
        faults.append(f"the device is {device}")
    if torch.is_autocast_enabled("cpu"):
        faults.append("autocast is on")
    if isinstance(rows, Stream):
        return [*faults, "the rows come from a DataLoader"]
    if rows.X.ndim != 2 or not rows.X.is_floating_point():
        return [*faults, "the inputs are not floating numbers (N, D)"]
    faults += _loss_faults(loss, rows)
    faults += _optimizer_faults(optimizer)
    program, untraceable = trace(module, rows.X.shape[1])
    faults += untraceable
    if program is not None:
        faults += _parameter_faults(module, program, rows)
    if program is not None and not faults and not is_chain(module):
        faults += _trace_faults(module, program, rows.X)
    return faults


def _loss_faults(loss: Loss, rows: Rows) -> list[str]:
    function: Any = loss.function
    if isinstance(function, nn.Module) and has_hooks(function):
        return [f"the loss {loss.name} has hooks"]
    if "forward" in getattr(function, "__dict__", {}):
        return [f"the forward of the loss {loss.name} was replaced"]
    if type(function) not in _LOSSES:
        return [f"the loss {loss.name} is not known to the native engine"]
    if isinstance(function, nn.BCEWithLogitsLoss):
        if function.weight is not None:
            return [f"the loss {loss.name} has a weight for each number"]
        if function.pos_weight is not None and function.pos_weight.ndim > 1:
            return [
                f"the loss {loss.name} has a pos_weight of {function.pos_weight.ndim} dimensions"
            ]
    if getattr(function, "reduction", "mean") not in ("mean", "sum"):
        return [f"the loss {loss.name} has reduction={function.reduction!r}"]
    if isinstance(function, nn.CrossEntropyLoss):
        if rows.y.ndim != 1 or rows.y.is_floating_point():
            return ["the cross-entropy has probabilities as targets"]
        if _ignores(loss, rows):
            return ["the cross-entropy ignores some rows"]
    elif rows.y.ndim != 2:
        return [f"the targets have {rows.y.ndim} dimensions, not 2"]
    return []


def _ignores(loss: Loss, rows: Rows) -> bool:
    """Whether a cross-entropy leaves some of the rows out, or compares them with probabilities."""
    function = loss.function
    if not isinstance(function, nn.CrossEntropyLoss):
        return False
    is_of_classes = rows.y.ndim == 1 and not rows.y.is_floating_point()
    return not is_of_classes or bool((rows.y == function.ignore_index).any())


def _optimizer_faults(optimizer: torch.optim.Optimizer) -> list[str]:
    if type(optimizer) not in _SOLVERS:
        return [f"the optimizer {type(optimizer).__name__} is not known to the native engine"]
    if len({_is_decoupled(optimizer, group) for group in optimizer.param_groups}) > 1:
        return ["the optimizer's groups differ in decoupled_weight_decay"]
    # A learning-rate scheduler wraps step to count its calls; any other step is the user's.
    step = vars(optimizer).get("step")
    if step is not None and not hasattr(step, "_wrapped_by_lr_sched"):
        return ["the optimizer has a step of its own"]
    for state in optimizer.state.values():
        for value in state.values():
            if isinstance(value, torch.Tensor) and not value.is_contiguous():
                return ["the optimizer's state is not contiguous in memory"]
    hooks = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")
    if any(getattr(optimizer, name, None) for name in hooks):
        return ["the optimizer has hooks"]
    if any(group.get("differentiable") for group in optimizer.param_groups):
        return ["the optimizer is differentiable"]
    return []


def _parameter_faults(module: nn.Module, program: Program, rows: Rows) -> list[str]:
    faults = []
    names = {id(p): name for name, p in module.named_parameters()}
    for parameter in program.parameters:
        name = names.get(id(parameter), "a weight")
        if parameter.dtype not in (torch.float32, torch.float64) or parameter.dtype != rows.X.dtype:
            faults.append(f"{name}: is of type {parameter.dtype}")
        elif not parameter.is_contiguous():
            faults.append(f"{name}: is not contiguous in memory")
        elif getattr(parameter, "_backward_hooks", None) or getattr(
            parameter, "_post_accumulate_grad_hooks", None
        ):
            faults.append(f"{name}: has hooks")
    spans = sorted((p.data_ptr(), p.nbytes) for p in program.parameters)
    if any(at + size > after for (at, size), (after, _) in zip(spans, spans[1:], strict=False)):
        faults.append("weights share a part of their memory")
    if not program.parameters:
        faults.append("the module has no layers")
    return faults


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
    )


# Rows on which a traced module and its program are compared.
_COMPARED_ROWS = 16


def _trace_faults(module: nn.Module, program: Program, X: torch.Tensor) -> list[str]:
    """Compare a program with the module that it was traced from, on a few rows.

    A forward may draw random numbers, look at the type of its input or change a tensor in place;
    tracing sees none of that.
    """
    x = X[:_COMPARED_ROWS].contiguous()
    # With weights of zero, as last layers often begin with, all forwards are alike.
    generator = torch.Generator().manual_seed(0)
    named = {name: p for name, p in module.named_parameters() if p.dtype == x.dtype}
    weights = {name: _other(p, generator) for name, p in named.items()}
    other = {id(p): weights[name] for name, p in named.items()}
    changed = replace(program, parameters=[other.get(id(p), p) for p in program.parameters])
    network = build(changed, [False] * len(program.parameters), [0] * len(program.parameters))
    found = torch.empty(len(x), program.heights[program.output], dtype=x.dtype)
    network.predict(x.numpy(), found.numpy(), 1)
    tolerance = 1e-9 if x.dtype == torch.float64 else 1e-3
    for _ in range(2):
        expected = _predict_with(module, weights, x)
        if expected.shape != found.shape or not torch.allclose(
            expected,
            found,
            rtol=tolerance,
            atol=tolerance * float(found.abs().max()),
            equal_nan=True,
        ):
            return ["its forward does not do the same each time that it is called"]
    return []


def _other(p: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return a weight plus random numbers of the size that torch's layers begin with."""
    noise = torch.rand(p.shape, generator=generator, dtype=p.dtype) - 0.5
    return p.detach() + noise / math.sqrt(p[-1].numel() if p.ndim > 1 else 1)


def _predict_with(
    module: nn.Module, weights: dict[str, torch.Tensor], x: torch.Tensor
) -> torch.Tensor:
    """Return a module's outputs in evaluation, with other weights than its own."""
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad(), threads():
            return torch.func.functional_call(module, weights, (x.clone(),))
    finally:
        module.train(was_training)


def _is_decoupled(optimizer: torch.optim.Optimizer, group: dict[str, Any]) -> bool:
    return bool(group.get("decoupled_weight_decay", isinstance(optimizer, torch.optim.AdamW)))


def _solver(optimizer: torch.optim.Optimizer) -> int:
    if _is_decoupled(optimizer, optimizer.param_groups[0]):
        return _ADAMW
    return _SOLVERS[type(optimizer)]


def _group_of(optimizer: torch.optim.Optimizer) -> dict[torch.Tensor, int]:
    return {p: i for i, group in enumerate(optimizer.param_groups) for p in group["params"]}


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
    y = rows.y.reshape(len(rows), -1).to(rows.X.dtype).contiguous().numpy()
    weight = None if rows.weight is None else rows.weight.to(rows.X.dtype).contiguous().numpy()
    return rows.X.contiguous().numpy(), y, weight
