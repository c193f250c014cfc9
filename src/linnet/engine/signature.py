"""Whether a module still has the layers and the memory that something was made for."""

from __future__ import annotations

from typing import Any

from torch import nn

from linnet.engine.tracing import has_hooks


def signature(module: nn.Module) -> list[Any]:
    """Return all that a program is made of: kinds of layers, their knobs, hooks and memory.

    Holds no layer and no hook, for what is kept for a module must not keep it alive.
    """
    found: list[Any] = []
    layers = [module]
    for layer in layers:
        kind = type(layer)
        found += (kind, has_hooks(layer), "forward" in vars(layer))
        # torch lists the names of a layer's knobs in its class.
        knobs = [getattr(layer, name, None) for name in getattr(kind, "__constants__", ())]
        found += [knob for knob in knobs if type(knob) in KNOBS]
        for tensor in (*layer._parameters.values(), *layer._buffers.values()):
            if tensor is not None:
                found += (tensor.data_ptr(), tensor.shape, tensor.stride())
        if layer._modules:
            children = [child for child in layer._modules.values() if child is not None]
            found += map(id, children)
            layers += [child for child in children if child not in layers]
    return found


KNOBS = frozenset((int, float, str, bool, tuple))
