"""Preflight: what can be wrong is told before anything is trained.

Letters: N rows, B rows of a batch.
"""

from __future__ import annotations

import copy
import os
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from linnet import losses
from linnet.data import Rows, Stream
from linnet.randomness import seeded


def check_parameters(
    module: object,
    epochs: int,
    batch_size: int,
    tol: float,
    patience: int | None,
    clip_grad_norm: float | None,
    clip_grad_value: float | None,
    max_time: float | None,
    n_threads: int | None,
    on_epoch: object,
) -> None:
    """Raise one error that names every parameter out of its range."""
    if isinstance(module, type):
        name = module.__name__
        raise TypeError(f"module={name} is a class; give an instance of it: {name}(...).")
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"module={module!r} is no torch.nn.Module. Give one, such as nn.Sequential(...) or "
            "linnet.network.mlp(n_inputs, (64, 64), n_outputs)."
        )
    whole, positive = (int, np.integer), (int, float, np.number)
    wrong = [
        f"{name}={value!r} has to be {allowed}"
        for name, value, kinds, least, allowed in (
            ("epochs", epochs, whole, 0, "a whole number of 0 or more"),
            ("batch_size", batch_size, whole, 1, "a whole number of 1 or more"),
            ("tol", tol, positive, 0, "a number of 0 or more"),
            ("patience", patience, (*whole, type(None)), 1, "a whole number of 1 or more, or None"),
            ("clip_grad_norm", clip_grad_norm, (*positive, type(None)), 1e-300, "above 0, or None"),
            (
                "clip_grad_value",
                clip_grad_value,
                (*positive, type(None)),
                1e-300,
                "above 0, or None",
            ),
            ("max_time", max_time, (*positive, type(None)), 0, "seconds, 0 or more, or None"),
            ("n_threads", n_threads, (*whole, type(None)), 1, "1 or more, or None"),
        )
        if isinstance(value, bool)
        or not isinstance(value, kinds)
        or (value is not None and not value >= least)
    ]
    if wrong:
        raise ValueError("; ".join(wrong) + ".")
    if on_epoch is not None and not callable(on_epoch):
        raise TypeError(
            f"on_epoch={on_epoch!r} cannot be called. Give a function of the history, such as "
            "on_epoch=lambda history: history.train_loss[-1] < 0.01."
        )


def check_flags(**flags: object) -> None:
    """Raise ValueError where something else than True or False is given, such as "no"."""
    wrong = [
        f"{name}={value!r} has to be True or False"
        for name, value in flags.items()
        if not isinstance(value, bool | np.bool_)
    ]
    if wrong:
        raise ValueError("; ".join(wrong) + ".")


def check_checkpoint(checkpoint: object, every: object, resume: bool) -> None:
    """Raise one error for what is wrong with where, and how often, a training is kept.

    Raises
    ------
    TypeError
        If `checkpoint` is no path.
    ValueError
        If `every` is no number of seconds, or `resume` is asked for without a file.
    """
    if checkpoint is not None and not isinstance(checkpoint, str | os.PathLike):
        raise TypeError(
            f"checkpoint={checkpoint!r} is no path. Give the name of a file, such as "
            "'training.checkpoint'."
        )
    if isinstance(every, bool) or not isinstance(every, int | float | np.number) or not every >= 0:
        raise ValueError(f"checkpoint_every={every!r} has to be seconds, 0 or more.")
    if resume and checkpoint is None:
        raise ValueError(
            "resume=True needs the file to go on from: give checkpoint='training.checkpoint' too."
        )


def check_optimizer(optimizer: torch.optim.Optimizer, module: nn.Module) -> None:
    """Raise ValueError if the optimizer trains none of the module's parameters."""
    own = {id(p) for p in module.parameters()}
    if not any(id(p) in own for group in optimizer.param_groups for p in group["params"]):
        raise ValueError(
            "The optimizer holds none of the module's parameters, so nothing would be trained. "
            "Make it from this module: torch.optim.Adam(module.parameters())."
        )


def try_out(
    module: nn.Module,
    function: losses.Loss,
    rows: Rows | Stream,
    batch_size: int,
    names: tuple[str, str] = ("X", "y"),
    generator: torch.Generator | None = None,
) -> Rows | Stream:
    """Show the module a batch, so that what does not fit is told before anything is trained.

    Lazy layers take their sizes from it, and the generator decides their weights. Returns the rows
    with inputs of a type that the module takes, whole numbers where it can, and targets of a type
    that the loss takes. A DataLoader cannot be asked without moving it on: only for lazy layers.

    Raises
    ------
    ValueError
        If the module cannot take the inputs, or the loss cannot take the outputs and targets.
    """
    seed = 0
    if lazy_names(module):
        seed = int(torch.randint(2**62, (), generator=generator))
    elif isinstance(rows, Stream):
        return rows
    parameter = next(module.parameters(), torch.empty(0))
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad(), seeded(seed, parameter.device):
            x = _first_inputs(rows, batch_size).to(parameter.device)
            shape = tuple(rows.X.shape if isinstance(rows, Rows) else x.shape)
            kind, outputs = _first_answer(module, x, parameter.dtype, shape, names[0])
    finally:
        module.train(was_training)
    check_no_lazy(module)
    if isinstance(rows, Stream):
        return rows
    y = function.read_targets(outputs, rows.y, names[1])
    return Rows(rows.X.to(kind), y, rows.weight, rows.chosen)


def lazy_names(module: nn.Module) -> list[str]:
    """Return the names of parameters that have no size before the first forward."""
    return [name for name, p in module.named_parameters() if is_lazy(p)]


def check_no_lazy(module: nn.Module) -> None:
    """Raise ValueError if a batch has gone through the module and left a layer without a size."""
    names = lazy_names(module)
    if names:
        raise ValueError(
            f"{', '.join(names)}: without a size still, for the first batch did not reach the "
            "layer. Leave out a layer that forward does not use, or give it its size, such as "
            "nn.Linear(8, 1) instead of nn.LazyLinear(1)."
        )


def _first_inputs(rows: Rows | Stream, batch_size: int) -> torch.Tensor:
    if isinstance(rows, Rows):
        return rows.first(batch_size)
    for x, _, _ in rows.batches(batch_size):
        return x
    raise ValueError("The DataLoader gives no batches. Give one whose dataset has items.")


def _first_answer(
    module: nn.Module, x: torch.Tensor, dtype: torch.dtype, shape: tuple[int, ...], name: str
) -> tuple[torch.dtype, Any]:
    """Return the outputs for a batch of rows of such a shape, and the type of the inputs."""
    if not x.is_floating_point():
        with suppress(RuntimeError):
            return x.dtype, module(x.clone())
        x = x.to(dtype)
    try:
        return x.dtype, module(x.clone())
    except (RuntimeError, ValueError, IndexError) as problem:
        remedy = f"Give {name} the shape and type that the module's first layer needs"
        if x.ndim == 1:
            remedy = f"Give {name} as a column if a row is one number, {name}.reshape(-1, 1)"
        raise ValueError(
            f"The module cannot take {name} of shape {shape} in batches of {len(x)}: "
            f"{first_line(problem)}. {remedy}, or change that layer."
        ) from problem


def first_line(problem: Exception) -> str:
    """Return the first line of what an error says, or its name if it says nothing."""
    return (str(problem).splitlines() or [type(problem).__name__])[0].rstrip(".")


def check_last_batch(module: nn.Module, rows: Rows | Stream, batch_size: int) -> None:
    """Raise ValueError if some batch is one row, from which BatchNorm cannot tell a variance."""
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if isinstance(rows, Stream) or not norms:
        return
    batch_size = min(batch_size, len(rows))
    if batch_size > 1 and len(rows) % batch_size != 1:
        return
    device = next(module.parameters()).device
    try:  # images of several pixels, and layers that are frozen, can do with one row
        with torch.no_grad(), seeded(0, device):
            copy.deepcopy(module).train()(rows.first(1).to(device, copy=True))
    except ValueError as problem:
        raise ValueError(
            f"{len(rows)} rows in batches of {batch_size} leave a last batch of one row, from "
            "which BatchNorm cannot tell a variance. Change batch_size by one, or leave out a row."
        ) from problem
