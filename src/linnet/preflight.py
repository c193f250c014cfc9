"""Preflight: what can be wrong is told before anything is trained.

Letters: N rows, B rows of a batch.
"""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import nn

from linnet import losses
from linnet.data import Rows, Stream
from linnet.engine.torch_engine import seeded


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
            ("clip_grad_value", clip_grad_value, (*positive, type(None)), 1e-300, "above 0, or None"),
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
) -> Rows | Stream:
    """Show the module a batch, so that what does not fit is told before anything is trained.

    Returns the rows with inputs of a type that the module takes, whole numbers where it can, and
    targets of a type that the loss takes. A DataLoader cannot be asked without moving it on.

    Raises
    ------
    ValueError
        If the module cannot take the inputs, or the loss cannot take the outputs and targets.
    """
    if isinstance(rows, Stream):
        return rows
    parameter = next(module.parameters(), torch.empty(0))
    x = rows.X[:batch_size].to(parameter.device)
    kinds = [x.dtype] if x.is_floating_point() else [x.dtype, parameter.dtype]
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad(), seeded(0, parameter.device):
            kind, outputs = _first_answer(module, x, kinds)
    except RuntimeError as problem:
        raise ValueError(
            f"The module cannot take {names[0]} of shape {tuple(rows.X.shape)} in batches of "
            f"{len(x)}: {str(problem).splitlines()[0]}. Give {names[0]} the shape and type that "
            "the module's first layer needs, or change that layer."
        ) from problem
    finally:
        module.train(was_training)
    y = function.read_targets(outputs, rows.y, names[1])
    return Rows(rows.X.to(kind), y, rows.weight)


def _first_answer(
    module: nn.Module, x: torch.Tensor, kinds: list[torch.dtype]
) -> tuple[torch.dtype, Any]:
    for kind in kinds[:-1]:
        with suppress(RuntimeError):
            return kind, module(x.to(kind, copy=True))
    return kinds[-1], module(x.to(kinds[-1], copy=True))


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
            copy.deepcopy(module).train()(rows.X[:1].to(device, copy=True))
    except ValueError as problem:
        raise ValueError(
            f"{len(rows)} rows in batches of {batch_size} leave a last batch of one row, from "
            "which BatchNorm cannot tell a variance. Change batch_size by one, or leave out a row."
        ) from problem
