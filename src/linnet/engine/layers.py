"""torch's layers and functions as nodes of a program.

Each table maps what torch calls it to a function of the program, the number of the value that goes
in, and the layer (or the function's further arguments), which returns the number of what comes out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from linnet.engine.program import UNKNOWN_HEIGHT, Program, Unknown
from linnet.network import FeatureScale, PeriodicEmbedding, Sin


def add_layer(program: Program, layer: nn.Module, at: int) -> int:
    """Add a layer to a program and return the number of its output.

    Raises
    ------
    Unknown
        If the native engine does not know the layer, or not so.
    """
    if type(layer) not in LAYERS:
        raise Unknown(f"{type(layer).__name__} is not known to the native engine")
    if program.heights[at] == UNKNOWN_HEIGHT:
        return at  # whether it fits cannot be told
    return LAYERS[type(layer)](program, at, layer)


def _linear_layer(program: Program, at: int, layer: Any) -> int:
    return program.linear(at, layer.weight, layer.bias)


def _identity(program: Program, at: int, layer: Any) -> int:
    return at


def _flatten(program: Program, at: int, layer: Any) -> int:
    if (layer.start_dim, layer.end_dim) not in ((1, -1), (1, 1)):
        raise Unknown("Flatten is known only from the first to the last")
    return at


def _dropout(program: Program, at: int, layer: Any) -> int:
    return program.dropout(at, layer.p) if layer.p > 0 else at


def _layer_norm_layer(program: Program, at: int, layer: Any) -> int:
    if tuple(layer.normalized_shape) != (program.heights[at],):
        raise Unknown(f"LayerNorm over {tuple(layer.normalized_shape)} is not known")
    return program.layer_norm(at, layer.eps, layer.weight, layer.bias)


def _rms_norm(program: Program, at: int, layer: Any) -> int:
    if tuple(layer.normalized_shape) != (program.heights[at],):
        raise Unknown(f"RMSNorm over {tuple(layer.normalized_shape)} is not known")
    if layer.eps is None and layer.weight is None:
        raise Unknown("RMSNorm with neither eps nor weight is not known")  # eps goes by its type
    eps = torch.finfo(layer.weight.dtype).eps if layer.eps is None else layer.eps
    return program.rms_norm(at, eps, layer.weight)


def _batch_norm(program: Program, at: int, layer: Any) -> int:
    if not layer.track_running_stats:
        raise Unknown("BatchNorm1d is known only with running statistics")
    return program.batch_norm(at, layer)


def _feature_scale(program: Program, at: int, layer: Any) -> int:
    return program.scale(at, layer.weight, None)


def _periodic(program: Program, at: int, layer: Any) -> int:
    angles = program.scale(at, layer.frequencies, layer.phases)
    waves = program.activation(program.combine(angles, p=2 * math.pi), "cos")
    return program.concatenate([at, waves])


def _plain(name: str) -> Callable[..., int]:
    return lambda program, at, *_, **__: program.activation(at, name)


def _gelu(program: Program, at: int, approximate: str = "none") -> int:
    return program.activation(at, "gelu_tanh" if approximate == "tanh" else "gelu")


def _leaky_relu(program: Program, at: int, negative_slope: float = 0.01, *_: Any) -> int:
    return program.activation(at, "leaky_relu", negative_slope)


def _elu(program: Program, at: int, alpha: float = 1.0, *_: Any) -> int:
    return program.activation(at, "elu", alpha)


def _celu(program: Program, at: int, alpha: float = 1.0, *_: Any) -> int:
    if alpha <= 0:
        raise Unknown(f"CELU with alpha={alpha} is not known to the native engine")
    return program.activation(at, "celu", alpha)


def _softplus(program: Program, at: int, beta: float = 1.0, threshold: float = 20.0) -> int:
    return program.activation(at, "softplus", beta, threshold)


def _hardtanh(
    program: Program, at: int, min_val: float = -1.0, max_val: float = 1.0, *_: Any
) -> int:
    return program.activation(at, "hardtanh", min_val, max_val)


def _relu6(program: Program, at: int, *_: Any) -> int:
    return program.activation(at, "hardtanh", 0.0, 6.0)


def _layer_norm(
    program: Program,
    at: int,
    normalized_shape: Any,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
) -> int:
    if tuple(normalized_shape) != (program.heights[at],) or (weight is None and bias is not None):
        raise Unknown(f"layer_norm over {tuple(normalized_shape)} is not known")
    return program.layer_norm(at, eps, weight, bias)


def _linear(
    program: Program, at: int, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> int:
    return program.linear(at, weight, bias)


LAYERS: dict[type[nn.Module], Callable[[Program, int, Any], int]] = {
    nn.Linear: _linear_layer,
    nn.Identity: _identity,
    nn.Flatten: _flatten,
    nn.Dropout: _dropout,
    nn.LayerNorm: _layer_norm_layer,
    nn.BatchNorm1d: _batch_norm,
    nn.RMSNorm: _rms_norm,
    FeatureScale: _feature_scale,
    PeriodicEmbedding: _periodic,
    nn.ReLU: _plain("relu"),
    nn.SELU: _plain("selu"),
    nn.SiLU: _plain("silu"),
    nn.Mish: _plain("mish"),
    nn.Tanh: _plain("tanh"),
    nn.Sigmoid: _plain("sigmoid"),
    nn.Softsign: _plain("softsign"),
    Sin: _plain("sin"),
    nn.ReLU6: lambda program, at, _: _relu6(program, at),
    nn.LeakyReLU: lambda program, at, layer: _leaky_relu(program, at, layer.negative_slope),
    nn.ELU: lambda program, at, layer: _elu(program, at, layer.alpha),
    nn.CELU: lambda program, at, layer: _celu(program, at, layer.alpha),
    nn.GELU: lambda program, at, layer: _gelu(program, at, layer.approximate),
    nn.Softplus: lambda program, at, layer: _softplus(program, at, layer.beta, layer.threshold),
    nn.Hardtanh: lambda program, at, layer: _hardtanh(program, at, layer.min_val, layer.max_val),
}

FUNCTIONS: dict[Any, Callable[..., int]] = {
    **{
        function: _plain(name)
        for name, functions in (
            ("relu", (F.relu, torch.relu)),
            ("selu", (F.selu, torch.selu)),
            ("silu", (F.silu,)),
            ("mish", (F.mish,)),
            ("tanh", (F.tanh, torch.tanh)),
            ("sigmoid", (F.sigmoid, torch.sigmoid)),
            ("softsign", (F.softsign,)),
            ("sin", (torch.sin,)),
            ("cos", (torch.cos,)),
        )
        for function in functions
    },
    F.linear: _linear,
    F.leaky_relu: _leaky_relu,
    F.elu: _elu,
    F.celu: _celu,
    torch.celu: _celu,
    F.gelu: _gelu,
    F.softplus: _softplus,
    F.hardtanh: _hardtanh,
    F.relu6: _relu6,
    F.layer_norm: _layer_norm,
    torch.layer_norm: _layer_norm,
}

# Methods of tensors, by the function that does the same.
METHODS: dict[str, Any] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "sin": torch.sin,
    "cos": torch.cos,
}
