"""The engine that trains feed-forward networks in the native module: one call an epoch.

Parameters and the optimizer's state are torch's own tensors, changed in place, so that
``module.state_dict()`` and ``optimizer.state_dict()`` are true after every epoch.
"""

from __future__ import annotations

import importlib.util
import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from linnet.data import Rows, Stream
from linnet.engine.program import Program, has_hooks, trace
from linnet.engine.torch_engine import TorchEngine
from linnet.history import EpochResult
from linnet.losses import Loss, PoissonLoss, QuantileLoss

# Codes shared with native/kernels.hpp.
_LOSSES: dict[type, tuple[int, str | None]] = {
    nn.MSELoss: (0, None),
    nn.L1Loss: (1, None),
    nn.SmoothL1Loss: (2, "beta"),
    nn.HuberLoss: (3, "delta"),
    nn.CrossEntropyLoss: (4, None),
    nn.BCEWithLogitsLoss: (5, None),
    PoissonLoss: (6, None),
    QuantileLoss: (7, "quantile"),
}
_SGD, _ADAM, _ADAMW = range(3)
_SOLVERS: dict[type, int] = {
    torch.optim.SGD: _SGD,
    torch.optim.Adam: _ADAM,
    torch.optim.AdamW: _ADAMW,
}

# Width from which PyTorch was as fast or faster on one thread (784-1024-1024-10, batches of 512).
_NARROWER_THAN = 1024


@dataclass
class NativeEngine:
    """Trains and evaluates a network in the native module.

    The attributes are those of `TorchEngine`; `plan` says beforehand whether it can.
    """

    module: nn.Module
    loss: Loss
    optimizer: torch.optim.Optimizer
    rows: Rows | Stream
    batch_size: int
    device: torch.device
    clip_grad_norm: float | None = None
    batch_scheduler: Any = None
    name = "native"

    def __post_init__(self) -> None:
        from linnet import _native

        assert isinstance(self.rows, Rows)
        program, faults = trace(self.module, self.rows.X.shape[1])
        assert program is not None, faults
        self._parameters = program.parameters
        self._groups = _group_of(self.optimizer)
        is_double = program.parameters[0].dtype == torch.float64
        kind = _native.Network64 if is_double else _native.Network32
        self._trained = [p.requires_grad and p in self._groups for p in program.parameters]
        self._network = kind(
            program.heights,
            program.nodes,
            program.output,
            [matrix(p) for p in program.parameters],
            self._trained,
            [self._groups.get(p, 0) for p in program.parameters],
        )
        self._code, self._p0 = _loss_code(self.loss)
        self._solver = _SOLVERS[type(self.optimizer)]
        self._n_threads = torch.get_num_threads()
        self._arrays = _arrays(self.rows)

    def epoch(
        self, order: torch.Tensor | None, seed: int, deadline: float = math.inf
    ) -> EpochResult:
        """Train on every row once; see `TorchEngine.epoch`."""
        self.module.train()
        self._code, self._p0 = _loss_code(self.loss)  # on_epoch may have changed its knob
        order = torch.arange(len(self.rows)) if order is None else order
        groups = self._plan_steps()
        self._hand_over_state()
        left = min(deadline - time.monotonic(), 1e9)
        total, norm, n_rows, n_steps = self._network.train_epoch(
            *self._arrays,
            order.numpy(),
            self._code,
            self._p0,
            self.loss.is_sum,
            self._solver,
            groups,
            self.batch_size,
            self.clip_grad_norm or 0.0,
            self._n_threads,
            left,
        )
        self._count_steps(n_steps)
        rate = groups[min(n_steps, len(groups)) - 1][0][0]
        return EpochResult(total / max(1, n_rows), norm, rate, n_rows)

    def evaluate(self, rows: Rows | Stream) -> float:
        """Return the mean loss over other rows, without training."""
        if isinstance(rows, Stream):
            worker = TorchEngine(
                self.module, self.loss, self.optimizer, rows, self.batch_size, self.device
            )
            return worker.evaluate(rows)
        self.module.eval()
        total = self._network.evaluate(*_arrays(rows), self._code, self._p0, self.loss.is_sum)
        return total / len(rows)

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

    def _hand_over_state(self) -> None:
        """Point the native module at the optimizer's tensors, made where they are missing."""
        self._network.clear_states()
        for number, parameter in enumerate(self._parameters):
            if not self._trained[number]:
                continue
            group = self.optimizer.param_groups[self._groups[parameter]]
            if self._solver == _SGD and not group["momentum"]:
                continue
            state = self.optimizer.state[parameter]
            if self._solver == _SGD:
                is_first = state.get("momentum_buffer") is None
                if is_first:
                    state["momentum_buffer"] = torch.zeros_like(parameter)
                first = matrix(state["momentum_buffer"])
                self._network.set_state(number, first, None, None, 0.0 if is_first else 1.0)
                continue
            if not state:
                state["step"] = torch.tensor(0.0)
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)
                if group["amsgrad"]:
                    state["max_exp_avg_sq"] = torch.zeros_like(parameter)
            first, second = matrix(state["exp_avg"]), matrix(state["exp_avg_sq"])
            greatest = matrix(state["max_exp_avg_sq"]) if group["amsgrad"] else None
            self._network.set_state(number, first, second, greatest, float(state["step"]))

    def _count_steps(self, n_steps: int) -> None:
        if self._solver == _SGD:
            return
        for number, parameter in enumerate(self._parameters):
            if self._trained[number]:
                self.optimizer.state[parameter]["step"] += n_steps


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
    return faults


def is_slower(module: nn.Module) -> str | None:
    """Return the reason why PyTorch trains a module faster, if it does."""
    widest = max((max(p.shape, default=1) for p in module.parameters()), default=1)
    if widest >= _NARROWER_THAN:
        return f"layers of {widest} units are faster in PyTorch"
    return None


def _loss_faults(loss: Loss, rows: Rows) -> list[str]:
    function: Any = loss.function
    if isinstance(function, nn.Module) and has_hooks(function):
        return [f"the loss {loss.name} has hooks"]
    if type(function) not in _LOSSES:
        return [f"the loss {loss.name} is not known to the native engine"]
    if getattr(function, "weight", None) is not None:
        return [f"the loss {loss.name} has class weights"]
    if getattr(function, "pos_weight", None) is not None:
        return [f"the loss {loss.name} has pos_weight"]
    if getattr(function, "reduction", "mean") not in ("mean", "sum"):
        return [f"the loss {loss.name} has reduction={function.reduction!r}"]
    if isinstance(function, nn.CrossEntropyLoss):
        if function.label_smoothing or rows.y.ndim != 1:
            return ["the cross-entropy has smoothed labels or probabilities as targets"]
        if rows.y.numel() and int(rows.y.min()) < 0:
            return ["the cross-entropy ignores some rows"]
    elif rows.y.ndim != 2:
        return [f"the targets have {rows.y.ndim} dimensions, not 2"]
    return []


def _optimizer_faults(optimizer: torch.optim.Optimizer) -> list[str]:
    if type(optimizer) not in _SOLVERS:
        return [f"the optimizer {type(optimizer).__name__} is not known to the native engine"]
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
    if not program.parameters:
        faults.append("the module has no layers")
    elif rows.y.ndim == 2 and rows.y.shape[1] != program.heights[program.output]:
        faults.append("the outputs do not have the shape of the targets")
    return faults


def _loss_code(loss: Loss) -> tuple[int, float]:
    code, knob = _LOSSES[type(loss.function)]
    return code, 0.0 if knob is None else float(getattr(loss.function, knob))


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
