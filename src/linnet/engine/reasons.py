"""What keeps the native engine from training something, with the place where it stands."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Collection
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from linnet.data import Rows, Stream
from linnet.engine.native_engine import LOSSES, SOLVERS, build, ignores, is_decoupled
from linnet.engine.placement import threads
from linnet.engine.program import Program
from linnet.engine.tracing import has_hooks, is_chain, trace
from linnet.losses import Loss
from linnet.randomness import seeded


def why_not(
    module: nn.Module,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    rows: Rows | Stream,
    device: torch.device,
    known: Collection[type] = tuple(SOLVERS),
) -> list[str]:
    """Return what keeps the native engine from training this, with its place; [] if nothing does.

    Parameters
    ----------
    module, loss, optimizer, rows, device
        As for `TorchEngine`.
    known : collection of type
        The optimizers that there is a native way for.
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
    faults += _optimizer_faults(optimizer, known)
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
    if type(function) not in LOSSES:
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
        if ignores(loss, rows):
            return ["the cross-entropy ignores some rows"]
    elif rows.y.ndim != 2:
        return [f"the targets have {rows.y.ndim} dimensions, not 2"]
    return []


def _optimizer_faults(optimizer: torch.optim.Optimizer, known: Collection[type]) -> list[str]:
    if type(optimizer) not in known:
        return [f"the optimizer {type(optimizer).__name__} is not known to the native engine"]
    if len({is_decoupled(optimizer, group) for group in optimizer.param_groups}) > 1:
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
    if any(at + size > after for (at, size), (after, _) in pairwise(spans)):
        faults.append("weights share a part of their memory")
    if not program.parameters:
        faults.append("the module has no layers")
    return faults


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
    for seed in range(2):
        # Whatever a forward draws, torch's generator is left as found.
        with seeded(seed, x.device):
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
