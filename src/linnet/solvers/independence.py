"""Whether a module's outputs for a row depend on that row alone, as Levenberg-Marquardt needs.

Asked of the module itself: some rows go through it together, twice, and one by one.

Letters: N rows, n rows that are tried, K outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.func import functional_call

from linnet.randomness import seeded

# Rows that are tried, and those that they are picked from, for rows that are equal say nothing.
_TRIED, _LOOKED_AT = 4, 64
# Of the outputs' size: far above what the order of a sum changes in float64.
_ROUNDING = 1e-8

_Norm = nn.modules.batchnorm._BatchNorm
_RANDOM = (nn.modules.dropout._DropoutNd, nn.RReLU, nn.RNNBase)


def dependence(module: nn.Module, X: torch.Tensor) -> str:
    """Return what else than their row the outputs depend on, or an empty text.

    The module is asked in the mode that it is in, in float64, with weights that are moved a little
    where they stand, for zeros may hide much. Neither it nor torch's generator is changed.

    Parameters
    ----------
    module : torch.nn.Module
    X : Tensor of shape (N, ...)
        Rows of the training; a few of them are tried.
    """
    if any(isinstance(layer, _Norm) and _is_of_batch(layer) for layer in module.modules()):
        # Known by its kind, for it fails on one row alone.
        return f"a row's outputs depend on the other rows{_named(module, _Norm)}"
    device = X.device
    tensors = {name: _moved(p) for name, p in module.named_parameters()}
    tensors |= {name: doubled(buffer).clone() for name, buffer in module.named_buffers()}
    X = doubled(_unlike(X))

    def outputs(rows: torch.Tensor) -> torch.Tensor:
        # Copies, for a forward may change its input and its buffers in place.
        whole = functional_call(module, {n: t.clone() for n, t in tensors.items()}, (rows.clone(),))
        return whole.reshape(-1)

    try:
        with torch.no_grad(), seeded(0, device):
            before = _state(device)
            together, again = outputs(X), outputs(X)
            if not _same(together, again) or not torch.equal(before, _state(device)):
                return f"the outputs depend on chance{_named(module, _RANDOM)}"
            alone = torch.cat([outputs(row) for row in X.split(1)])
    except Exception as fault:  # a forward of the user's may raise anything
        return f"the module cannot take rows one by one and in float64 ({_first_line(fault)})"
    return "" if _same(together, alone) else "a row's outputs depend on the other rows"


def unable(module: nn.Module, X: torch.Tensor) -> str:
    """Return why a module that takes the rows cannot be asked in float64; else an empty text."""
    if any(isinstance(layer, torch.jit.ScriptModule) for layer in module.modules()):
        return (
            "Levenberg-Marquardt cannot train TorchScript, which takes no other weights than its "
            "own. Give the module that was scripted, or choose another optimizer, such as "
            "torch.optim.AdamW."
        )
    if failure(module, X):
        return ""
    tensors = {name: doubled(p.detach()) for name, p in module.named_parameters()}
    tensors |= {name: doubled(buffer).clone() for name, buffer in module.named_buffers()}
    try:
        with torch.no_grad(), seeded(0, X.device):
            functional_call(module, tensors, (doubled(X).clone(),))
    except Exception as fault:  # a forward of the user's may raise anything
        return (
            f"Levenberg-Marquardt computes in float64, where this module fails: "
            f"{_first_line(fault)}. Where its forward changes the type of a tensor, as x.float() "
            "does, write x.to(weight.dtype) with a weight of the layer that follows, or leave the "
            "change out; or choose another optimizer, such as torch.optim.AdamW."
        )
    return ""


def failure(module: nn.Module, X: torch.Tensor) -> str:
    """Return what is wrong where a module, as it is, cannot take the rows; else an empty text."""
    tensors = {name: p.detach() for name, p in module.named_parameters()}
    tensors |= {name: buffer.clone() for name, buffer in module.named_buffers()}
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), X.dtype)
    rows = X.to(dtype) if X.is_floating_point() else X
    try:
        with torch.no_grad(), seeded(0, X.device):
            outputs: object = functional_call(module, tensors, (rows.clone(),))
    except Exception as fault:  # a forward of the user's may raise anything
        return (
            f"The module fails on these rows, X {tuple(X.shape)}: {_first_line(fault)}. Give X as "
            "module(X) takes it."
        )
    if not isinstance(outputs, torch.Tensor):
        return (
            f"The module gives a {type(outputs).__name__} for these rows, and the outputs have to "
            "be one tensor (N, K). Wrap it in a module that returns that tensor alone."
        )
    return ""


@contextmanager
def in_training(module: nn.Module) -> Iterator[None]:
    """Put a module into training mode for a while."""
    modes = {layer: layer.training for layer in module.modules()}
    module.train()
    try:
        yield
    finally:
        for layer, mode in modes.items():
            layer.training = mode


def doubled(tensor: torch.Tensor) -> torch.Tensor:
    """Return real numbers as float64, others as they are."""
    return tensor.double() if tensor.is_floating_point() else tensor


def _first_line(fault: Exception) -> str:
    return (str(fault).splitlines() or [type(fault).__name__])[0].rstrip(".")


def _is_of_batch(norm: nn.Module) -> bool:
    return norm.training or norm.running_mean is None


def _unlike(X: torch.Tensor) -> torch.Tensor:
    """Return some rows of X that differ from each other, where there are some."""
    picked = torch.linspace(0, len(X) - 1, min(len(X), _LOOKED_AT), device=X.device).long()
    rows = torch.unique(X[picked], dim=0)
    return rows[:: max(1, -(-len(rows) // _TRIED))]


def _moved(parameter: torch.Tensor) -> torch.Tensor:
    value = doubled(parameter.detach())
    if not value.is_floating_point():
        return value
    generator = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn(value.shape, generator=generator, dtype=value.dtype).to(value.device)
    return torch.where(value == 0, noise, value * (1 + noise))


def _state(device: torch.device) -> torch.Tensor:
    cuda = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return torch.cat([torch.default_generator.get_state(), *cuda])


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    if a.shape != b.shape:
        return False
    size = float(a.nan_to_num(0.0, 0.0, 0.0).abs().max()) if a.numel() else 0.0
    return torch.allclose(a, b, rtol=_ROUNDING, atol=_ROUNDING * size, equal_nan=True)


def _named(module: nn.Module, kinds: type | tuple[type, ...]) -> str:
    """Return the places of layers of some kinds, in parentheses; nothing where there are none."""
    places = [
        f"{name or 'the module'} is a {type(layer).__name__}"
        for name, layer in module.named_modules()
        if isinstance(layer, kinds)
        and (layer.training or isinstance(layer, _Norm))
        and getattr(layer, "p", 1.0) > 0
        and getattr(layer, "dropout", 1.0) > 0
    ]
    return f": {', '.join(places)}" if places else ""
