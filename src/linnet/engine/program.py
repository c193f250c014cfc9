"""A torch module as a program of the native engine: what it does, step by step, over values.

`torch.fx` traces the module; each step becomes a node over numbered values of shape (H, B). What
the native engine does not know is told with the place where it stands.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

from linnet.network import Sin

# Codes shared with native/kernels.hpp and native/network.hpp.
LINEAR, ACTIVATION, ADD, MULTIPLY_BY = range(4)
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
)
CODES = {name: code for code, name in enumerate(ACTIVATIONS)}

Node = tuple[int, int, int, int, int, int, int, float, float]


@dataclass
class Program:
    """What a module does.

    Attributes
    ----------
    heights : list of int
        H of each value; value 0 is the input.
    nodes : list of tuple
        (kind, in0, in1, out, weight, bias, activation, p0, p1), in order; -1 where there is none.
    output : int
        Number of the value that is the output.
    parameters : list of Tensor
        Weights (O, I) and biases (O,), each once though it may be used often.
    """

    heights: list[int]
    nodes: list[Node] = field(default_factory=list)
    output: int = 0
    parameters: list[torch.Tensor] = field(default_factory=list)

    def value(self, height: int) -> int:
        """Add a value of H rows and return its number."""
        self.heights.append(height)
        return len(self.heights) - 1

    def parameter(self, tensor: torch.Tensor) -> int:
        """Return the number of a parameter, adding it when it is new."""
        for number, known in enumerate(self.parameters):
            if known is tensor:
                return number
        self.parameters.append(tensor)
        return len(self.parameters) - 1


def trace(module: nn.Module, n_inputs: int) -> tuple[Program | None, list[str]]:
    """Return the program of a module for inputs (N, D), or None and what stands in the way.

    Parameters
    ----------
    module : torch.nn.Module
    n_inputs : int
        D.

    Examples
    --------
    >>> from torch import nn
    >>> from linnet.engine.program import trace
    >>> program, _ = trace(nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)), 2)
    >>> program.heights
    [2, 8, 8, 1]
    >>> trace(nn.Sequential(nn.Linear(2, 8), nn.Softmax(dim=1)), 2)[1]
    ['1: Softmax is not known to the native engine']
    """
    hooked = [name or "the module" for name, m in module.named_modules() if has_hooks(m)]
    if hooked:
        return None, [f"{name}: has hooks, which only PyTorch calls" for name in hooked]
    if is_chain(module):
        # No forward of the user's is called, and torch.fx, which replaces Module.__call__ for all
        # threads while it traces, is not needed.
        program = Program([n_inputs])
        translation = _Translation(module, program)
        program.output = translation.chain("", module, 0)
        return (None, translation.faults) if translation.faults else (program, [])
    modes = {m: m.training for m in module.modules()}
    try:
        module.train()
        training, faults = _program(module, n_inputs)
        module.eval()
        evaluating, _ = _program(module, n_inputs)
    except Exception as fault:  # a forward of the user's may raise anything when it is traced
        first = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
        return None, [f"the module cannot be traced: {first}"]
    finally:
        for m, mode in modes.items():
            m.training = mode
    if faults:
        return None, faults
    if training.nodes != evaluating.nodes:
        return None, ["the module does other things in training than in evaluation"]
    return training, []


def is_chain(module: nn.Module) -> bool:
    """Whether a module is a torch.nn.Sequential, whose layers say all that it does."""
    return type(module) is nn.Sequential


def _program(module: nn.Module, n_inputs: int) -> tuple[Program, list[str]]:
    graph = fx.Tracer().trace(module)
    program = Program([n_inputs])
    translation = _Translation(module, program)
    for node in graph.nodes:
        translation.add(node)
    return program, translation.faults


def has_hooks(module: nn.Module) -> bool:
    """Whether a module has hooks of its own, which only PyTorch calls."""
    names = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(module, name) for name in names)


class _Translation:
    """Turns the nodes of a traced graph into those of a program, one after the other."""

    def __init__(self, module: nn.Module, program: Program):
        self.module, self.program = module, program
        self.values: dict[fx.Node, int] = {}
        self.faults: list[str] = []

    def add(self, node: fx.Node) -> None:
        try:
            getattr(self, f"_{node.op}")(node)
        except _Unknown as fault:
            self.faults.append(str(fault))
            # Told once; what follows is looked at as though this step had kept the shape.
            first = next((a for a in node.args if isinstance(a, fx.Node)), None)
            self.values[node] = self.values.get(first, 0) if first is not None else 0

    def _placeholder(self, node: fx.Node) -> None:
        if self.values:
            raise _Unknown(f"{node.name}: a second input is not known to the native engine")
        self.values[node] = 0

    def _get_attr(self, node: fx.Node) -> None:
        pass  # looked up where it is used

    def _output(self, node: fx.Node) -> None:
        if not isinstance(node.args[0], fx.Node):
            raise _Unknown("output: several outputs are not known to the native engine")
        self.program.output = self._in(node, 0)

    def _call_module(self, node: fx.Node) -> None:
        layer = self.module.get_submodule(str(node.target))
        place = str(node.target)
        if len(node.args) != 1 or node.kwargs:
            raise _Unknown(f"{place}: a call with more than one input is not known")
        at = self._in(node, 0)
        self.values[node] = self._layer(place, layer, at)

    def chain(self, place: str, layers: nn.Module, at: int) -> int:
        """Add the layers of a Sequential, one after the other; return the last value."""
        # named_children() would leave out a layer that comes a second time.
        for name, layer in layers._modules.items():
            assert layer is not None
            inner = f"{place}.{name}" if place else name
            try:
                at = (
                    self.chain(inner, layer, at)
                    if type(layer) is nn.Sequential
                    else self._layer(inner, layer, at)
                )
            except _Unknown as fault:
                self.faults.append(str(fault))
        return at

    def _layer(self, place: str, layer: nn.Module, at: int) -> int:
        if "forward" in vars(layer):
            raise _Unknown(f"{place}: has a forward of its own")
        if type(layer) is nn.Linear:
            return self._linear(place, at, layer.weight, layer.bias)
        if type(layer) is nn.Flatten and (layer.start_dim, layer.end_dim) != (1, -1):
            raise _Unknown(f"{place}: Flatten is known only from the first to the last")
        if type(layer) in (nn.Identity, nn.Flatten):
            return at
        if type(layer) is nn.Dropout and layer.p == 0:
            return at
        if type(layer) not in _MODULES:
            raise _Unknown(f"{place}: {type(layer).__name__} is not known to the native engine")
        return self._activation(at, *_MODULES[type(layer)](layer))

    def _call_function(self, node: fx.Node) -> None:
        name = getattr(node.target, "__name__", str(node.target))
        if node.target in (operator.add, torch.add, operator.iadd):
            self._add(node)
        elif node.target in (operator.mul, torch.mul):
            self._multiply(node)
        elif node.target is F.linear:
            arguments = _arguments(node, ("input", "weight", "bias"))
            weight, bias = (self._attribute(arguments.get(k)) for k in ("weight", "bias"))
            if weight is None:
                raise _Unknown(f"{node.name}: linear with a computed weight is not known")
            self.values[node] = self._linear(node.name, self._in(node, 0), weight, bias)
        elif node.target in _FUNCTIONS:
            self._function(node, _FUNCTIONS[node.target])
        else:
            raise _Unknown(f"{node.name}: {name} is not known to the native engine")

    def _call_method(self, node: fx.Node) -> None:
        if node.target in ("relu", "tanh", "sigmoid", "sin", "cos") and len(node.args) == 1:
            self.values[node] = self._activation(self._in(node, 0), str(node.target), 0.0, 0.0)
        elif node.target == "add":
            self._add(node)
        else:
            raise _Unknown(f"{node.name}: .{node.target}() is not known to the native engine")

    def _function(self, node: fx.Node, read: Callable[..., tuple[str, float, float]]) -> None:
        if any(isinstance(a, fx.Node) for a in node.args[1:]):
            raise _Unknown(f"{node.name}: computed arguments are not known to the native engine")
        keywords = {k: v for k, v in node.kwargs.items() if k != "inplace"}
        self.values[node] = self._activation(self._in(node, 0), *read(*node.args[1:], **keywords))

    def _add(self, node: fx.Node) -> None:
        if len(node.args) != 2 or node.kwargs or not all(isinstance(a, fx.Node) for a in node.args):
            raise _Unknown(f"{node.name}: adding anything but two layers is not known")
        a, b = self._in(node, 0), self._in(node, 1)
        if self.program.heights[a] != self.program.heights[b]:
            raise _Unknown(f"{node.name}: adding layers of different width is not known")
        out = self.program.value(self.program.heights[a])
        self.program.nodes.append((ADD, a, b, out, -1, -1, 0, 0.0, 0.0))
        self.values[node] = out

    def _multiply(self, node: fx.Node) -> None:
        numbers = [a for a in node.args if isinstance(a, int | float)]
        if len(numbers) != 1 or len(node.args) != 2 or node.kwargs:
            raise _Unknown(f"{node.name}: multiplying by anything but a number is not known")
        at = self._in(node, 0 if isinstance(node.args[0], fx.Node) else 1)
        out = self.program.value(self.program.heights[at])
        factor = float(numbers[0])
        self.program.nodes.append((MULTIPLY_BY, at, -1, out, -1, -1, 0, factor, 0.0))
        self.values[node] = out

    def _in(self, node: fx.Node, position: int) -> int:
        given = node.args[position] if position < len(node.args) else node.kwargs.get("input")
        if given not in self.values:
            raise _Unknown(f"{node.name}: its input is not the output of a layer")
        return self.values[given]  # pyright: ignore[reportArgumentType]

    def _attribute(self, given: Any) -> torch.Tensor | None:
        if not isinstance(given, fx.Node) or given.op != "get_attr":
            return None
        return operator.attrgetter(str(given.target))(self.module)

    def _linear(self, place: str, at: int, weight: torch.Tensor, bias: torch.Tensor | None) -> int:
        n_outputs, n_inputs = weight.shape
        if n_inputs != self.program.heights[at]:
            raise _Unknown(f"{place}: takes {n_inputs} inputs, not {self.program.heights[at]}")
        w = self.program.parameter(weight)
        b = -1 if bias is None else self.program.parameter(bias)
        out = self.program.value(n_outputs)
        self.program.nodes.append((LINEAR, at, -1, out, w, b, 0, 0.0, 0.0))
        return out

    def _activation(self, at: int, name: str, p0: float, p1: float) -> int:
        out = self.program.value(self.program.heights[at])
        self.program.nodes.append((ACTIVATION, at, -1, out, -1, -1, CODES[name], p0, p1))
        return out


class _Unknown(Exception):
    """A step that the native engine does not know."""


def _arguments(node: fx.Node, names: tuple[str, ...]) -> dict[str, Any]:
    return {**dict(zip(names, node.args, strict=False)), **node.kwargs}


def _plain(name: str) -> Callable[..., tuple[str, float, float]]:
    return lambda *_: (name, 0.0, 0.0)


def _gelu(approximate: str = "none") -> tuple[str, float, float]:
    return ("gelu_tanh" if approximate == "tanh" else "gelu", 0.0, 0.0)


def _leaky_relu(negative_slope: float = 0.01, *_: Any) -> tuple[str, float, float]:
    return "leaky_relu", float(negative_slope), 0.0


def _elu(alpha: float = 1.0, *_: Any) -> tuple[str, float, float]:
    return "elu", float(alpha), 0.0


def _softplus(beta: float = 1.0, threshold: float = 20.0) -> tuple[str, float, float]:
    return "softplus", float(beta), float(threshold)


def _hardtanh(min_val: float = -1.0, max_val: float = 1.0, *_: Any) -> tuple[str, float, float]:
    return "hardtanh", float(min_val), float(max_val)


# Layer -> (name, p0, p1), read off the layer.
_MODULES: dict[type[nn.Module], Callable[[Any], tuple[str, float, float]]] = {
    **{
        layer: _plain(name)
        for layer, name in (
            (nn.ReLU, "relu"),
            (nn.SELU, "selu"),
            (nn.SiLU, "silu"),
            (nn.Mish, "mish"),
            (nn.Tanh, "tanh"),
            (nn.Sigmoid, "sigmoid"),
            (nn.Softsign, "softsign"),
            (Sin, "sin"),
        )
    },
    nn.LeakyReLU: lambda layer: _leaky_relu(layer.negative_slope),
    nn.ELU: lambda layer: _elu(layer.alpha),
    nn.GELU: lambda layer: _gelu(layer.approximate),
    nn.Softplus: lambda layer: _softplus(layer.beta, layer.threshold),
    nn.Hardtanh: lambda layer: _hardtanh(layer.min_val, layer.max_val),
}
_FUNCTIONS: dict[Any, Callable[..., tuple[str, float, float]]] = {
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
    F.leaky_relu: _leaky_relu,
    F.elu: _elu,
    F.gelu: _gelu,
    F.softplus: _softplus,
    F.hardtanh: _hardtanh,
}
