"""A feed-forward network as a program of the native engine: nodes over numbered values (H, B).

Letters: H units of a value, O and I outputs and inputs of a linear layer, D inputs, F units that
each input is spread over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import torch

# Codes shared with native/kernels.hpp and native/program.hpp.
ACTIVATIONS = (
    "identity",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "gelu_tanh",
    "silu",
    "mish",
    "tanh",
    "sigmoid",
    "softplus",
    "softsign",
    "hardtanh",
    "sin",
    "cos",
    "celu",
)
CODES = {name: code for code, name in enumerate(ACTIVATIONS)}


class Kind(IntEnum):
    """What a node does; native/program.hpp says it in formulas."""

    LINEAR = 0
    ACTIVATION = 1
    COMBINE = 2
    PRODUCT = 3
    COPY = 4
    SCALE = 5
    DROPOUT = 6
    LAYER_NORM = 7
    BATCH_NORM = 8
    RMS_NORM = 9


# H of what a layer gives that is not known.
UNKNOWN_HEIGHT = 0

Node = tuple[int, int, int, int, int, int, int, float, float, float]


class Unknown(Exception):
    """A step that the native engine does not know; the message is its place and what it is."""


@dataclass
class Program:
    """What a module does.

    Attributes
    ----------
    heights : list of int
        H of each value; value 0 is the input.
    nodes : list of tuple
        (kind, in0, in1, out, weight, bias, number, p0, p1, p2), in order; -1 where there is none.
    output : int
        Number of the value that is the output.
    parameters : list of Tensor
        Weights (O, I), biases (O,) and the like, each once though it may be used often.
    counters : list of Tensor
        Whole numbers (1,) that count the batches of each batch normalisation.
    """

    heights: list[int]
    nodes: list[Node] = field(default_factory=list)
    output: int = 0
    parameters: list[torch.Tensor] = field(default_factory=list)
    counters: list[torch.Tensor] = field(default_factory=list)

    def value(self, height: int) -> int:
        """Add a value of H rows and return its number."""
        self.heights.append(height)
        return len(self.heights) - 1

    def parameter(self, tensor: torch.Tensor | None) -> int:
        """Return the number of a parameter, adding it when it is new; -1 for None."""
        if tensor is None:
            return -1
        for number, known in enumerate(self.parameters):
            if known is tensor:
                return number
        self.parameters.append(tensor)
        return len(self.parameters) - 1

    def linear(self, at: int, weight: torch.Tensor, bias: torch.Tensor | None) -> int:
        """Add ``weight @ x + bias``; weight (O, I), bias (O,)."""
        if weight.shape[1] != self.heights[at]:
            raise Unknown(f"takes {weight.shape[1]} inputs, not {self.heights[at]}")
        out = self.value(len(weight))
        numbers = self.parameter(weight), self.parameter(bias)
        return self._add(Kind.LINEAR, at, out=out, parameters=numbers)

    def activation(self, at: int, name: str, p0: float = 0.0, p1: float = 0.0) -> int:
        """Add an activation by its name in `ACTIVATIONS`."""
        return self._add(Kind.ACTIVATION, at, number=CODES[name], knobs=(p0, p1))

    def combine(self, a: int, b: int = -1, p: float = 1.0, q: float = 0.0, r: float = 0.0) -> int:
        """Add ``p a + q b + r``."""
        self._check_heights(a, b)
        return self._add(Kind.COMBINE, a, b, knobs=(p, q, r))

    def product(self, a: int, b: int) -> int:
        """Add ``a b``, number by number."""
        self._check_heights(a, b)
        return self._add(Kind.PRODUCT, a, b)

    def concatenate(self, parts: list[int]) -> int:
        """Add the values one under the other."""
        out, row = self.value(sum(self.heights[part] for part in parts)), 0
        for part in parts:
            self._add(Kind.COPY, part, out=out, number=row)
            row += self.heights[part]
        return out

    def scale(self, at: int, weight: torch.Tensor, bias: torch.Tensor | None) -> int:
        """Add ``x[d] weight[d, f] + bias[d, f]`` for each d and f; weight, bias (D, F) or (D,)."""
        if len(weight) != self.heights[at]:
            raise Unknown(f"scales {len(weight)} inputs, not {self.heights[at]}")
        out = self.value(weight.numel())
        numbers = self.parameter(weight), self.parameter(bias)
        return self._add(Kind.SCALE, at, out=out, parameters=numbers)

    def dropout(self, at: int, rate: float) -> int:
        """Add a dropout, which draws its mask by its number among the dropouts."""
        number = sum(node[0] == Kind.DROPOUT for node in self.nodes)
        mask = self.value(self.heights[at])
        return self._add(Kind.DROPOUT, at, mask, number=number, knobs=(rate,))

    def layer_norm(
        self, at: int, eps: float, weight: torch.Tensor | None, bias: torch.Tensor | None
    ) -> int:
        """Add a layer normalisation with its weight and bias (H,)."""
        at = self._add(Kind.LAYER_NORM, at, knobs=(eps,))
        return at if weight is None else self.scale(at, weight, bias)

    def rms_norm(self, at: int, eps: float, weight: torch.Tensor | None) -> int:
        """Add a division by the root mean square, with its weight (H,)."""
        at = self._add(Kind.RMS_NORM, at, knobs=(eps,))
        return at if weight is None else self.scale(at, weight, None)

    def batch_norm(self, at: int, layer: torch.nn.BatchNorm1d) -> int:
        """Add a batch normalisation with its running statistics, weight and bias (H,)."""
        assert layer.running_mean is not None and layer.running_var is not None
        assert layer.num_batches_tracked is not None
        if layer.num_features != self.heights[at]:
            raise Unknown(f"takes {layer.num_features} inputs, not {self.heights[at]}")
        statistics = self.parameter(layer.running_mean), self.parameter(layer.running_var)
        if any(known is layer.num_batches_tracked for known in self.counters):
            raise Unknown("the batch normalisation comes twice")
        self.counters.append(layer.num_batches_tracked)
        momentum = -1.0 if layer.momentum is None else float(layer.momentum)
        at = self._add(
            Kind.BATCH_NORM,
            at,
            parameters=statistics,
            number=len(self.counters) - 1,
            knobs=(layer.eps, momentum),
        )
        return at if not layer.affine else self.scale(at, layer.weight, layer.bias)

    def _check_heights(self, a: int, b: int) -> None:
        if b >= 0 and self.heights[a] != self.heights[b]:
            raise Unknown(f"layers of width {self.heights[a]} and {self.heights[b]} do not fit")

    def _add(
        self,
        kind: Kind,
        in0: int,
        in1: int = -1,
        *,
        out: int | None = None,
        parameters: tuple[int, int] = (-1, -1),
        number: int = 0,
        knobs: tuple[float, ...] = (),
    ) -> int:
        """Add a node, by default over a new value of the height of its input."""
        if out is None:
            out = self.value(self.heights[in0])
        p0, p1, p2 = (*map(float, knobs), 0.0, 0.0, 0.0)[:3]
        self.nodes.append((int(kind), in0, in1, out, *parameters, number, p0, p1, p2))
        return out

    def prune(self) -> None:
        """Leave out what does not lead to the output; its parameters get no gradient in torch."""
        alive: set[int] = {self.output}
        kept: list[Node] = []
        for node in reversed(self.nodes):
            if node[3] in alive:
                alive.update(i for i in node[1:3] if i >= 0)
                kept.append(node)
        used = sorted({i for node in kept for i in node[4:6] if i >= 0})
        at = {old: new for new, old in enumerate(used)} | {-1: -1}
        self.nodes = [(*n[:4], at[n[4]], at[n[5]], *n[6:]) for n in reversed(kept)]
        self.parameters = [self.parameters[i] for i in used]
