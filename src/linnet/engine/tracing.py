"""What a torch module does, as a program of the native engine.

The layers of a `torch.nn.Sequential` say all that it does. The forward of any other module is run
once with a placeholder in the place of the inputs, which `torch.fx` follows through Python's code.
What the native engine does not know is told with the place where it stands.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from linnet.engine.layers import FUNCTIONS, LAYERS, METHODS, add_layer
from linnet.engine.program import UNKNOWN_HEIGHT, Kind, Program, Unknown


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
    >>> from linnet.engine.tracing import trace
    >>> program, _ = trace(nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)), 2)
    >>> program.heights
    [2, 8, 8, 1]
    >>> trace(nn.Sequential(nn.Linear(2, 8), nn.Softmax(dim=1)), 2)[1]
    ['1: Softmax is not known to the native engine']
    """
    hooked = [name or "the module" for name, m in module.named_modules() if has_hooks(m)]
    if hooked:
        return None, [f"{name}: has hooks, which only PyTorch calls" for name in hooked]
    replaced = [name or "the module" for name, m in module.named_modules() if "forward" in vars(m)]
    if replaced:
        return None, [f"{name}: its forward was replaced" for name in replaced]
    modes = {m: m.training for m in module.modules()}
    try:
        module.train()
        stays = [name for name, m in module.named_modules() if not m.training]
        if stays:
            return None, [f"{name}: stays in evaluation" for name in stays]
        if is_chain(module):
            program = Program([n_inputs])
            faults: list[str] = []
            program.output = _chain(program, "", module, 0, faults)
            return (None, faults) if faults else (program, [])
        training, faults = _traced(module, n_inputs)
        module.eval()
        evaluating, others = _traced(module, n_inputs)
    except Exception as fault:  # a forward of the user's may raise anything when it is traced
        first = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
        return None, [f"the module cannot be traced: {first}"]
    finally:
        for m, mode in modes.items():
            m.training = mode
    if faults:
        return None, faults
    if others or training.nodes != evaluating.nodes or not _same(training, evaluating):
        return None, ["the module does other things in training than in evaluation"]
    training.prune()
    if len(training.counters) > sum(node[0] == Kind.BATCH_NORM for node in training.nodes):
        return None, ["a batch normalisation does not lead to the output"]
    return training, []


def _same(a: Program, b: Program) -> bool:
    """Whether two programs read the same tensors."""
    return list(map(id, a.parameters)) == list(map(id, b.parameters))


def is_chain(module: nn.Module) -> bool:
    """Whether a module is a torch.nn.Sequential of layers, which say all that it does."""
    return type(module) is nn.Sequential and all(
        type(layer) in LAYERS
        or (_is_of_torch(layer) and type(layer) is not nn.Sequential)
        or is_chain(layer)
        for layer in module
    )


def has_hooks(module: nn.Module) -> bool:
    """Whether something is called before or after a module's forward or backward."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or nn.modules.module._has_any_global_hook()
    )


def _chain(program: Program, place: str, chain: nn.Module, at: int, faults: list[str]) -> int:
    for name, layer in chain._modules.items():  # named_children tells a layer once only
        where = f"{place}.{name}" if place else name
        assert layer is not None
        if type(layer) is nn.Sequential:
            at = _chain(program, where, layer, at, faults)
            continue
        try:
            at = add_layer(program, layer, at)
        except Unknown as fault:
            faults.append(f"{where}: {fault}")
            at = program.value(UNKNOWN_HEIGHT)
    return at


def _is_of_torch(module: nn.Module) -> bool:
    return type(module).__module__.startswith("torch.nn.")


class _Leaf(nn.Module):
    """Stands for a layer of torch's while its module is traced."""

    def __init__(self, tracer: _Tracer, place: str, layer: nn.Module):
        super().__init__()
        self.__dict__.update(_tracer=tracer, _place=place, _layer=layer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_layer"], name)

    def forward(self, x: Any) -> Any:
        tracer: _Tracer = self.__dict__["_tracer"]
        tracer.layers[self.__dict__["_place"]] = self.__dict__["_layer"]
        return tracer.create_proxy("call_module", self.__dict__["_place"], (x,), {})


class _Watch(TorchDispatchMode):
    """Refuses arithmetic on tensors while a module is traced.

    The placeholder is no tensor, so whatever reaches this is done beside the layers: a weight that
    is computed from another, a random number, a buffer that counts.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.__name__.partition(".")[0]
        raise Unknown(f"its forward computes with its own tensors ({name})")


class _Tracer(fx.Tracer):
    """Follows a placeholder through a twin of a module.

    `fx.Tracer.trace` replaces Module.__call__ for all threads while it runs. Here layers of torch's
    are replaced in a twin instead, which shares the module's parameters and nothing else.
    """

    def __init__(self, is_training: bool) -> None:
        super().__init__()
        self.graph = fx.Graph()
        self.root = nn.Module()
        self.tensor_attrs = {}
        self.layers: dict[str, nn.Module] = {}
        self.tensors: dict[str, torch.Tensor] = {}
        self.is_training = is_training

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        # Gradients do not flow so in a part under torch.no_grad, nor in an autograd.Function.
        if not torch.is_grad_enabled():
            raise Unknown("a part of its forward has no gradients, or gradients of its own")
        return super().create_node(*args, **kwargs)

    def create_arg(self, a: Any) -> Any:
        if not isinstance(a, torch.Tensor):
            return super().create_arg(a)
        name = f"tensor_{id(a)}"
        self.tensors[name] = a
        return self.create_node("get_attr", name, (), {})

    def twin(self, module: nn.Module, place: str, known: dict[nn.Module, nn.Module]) -> nn.Module:
        if module in known:
            return known[module]
        if type(module) in LAYERS or (
            _is_of_torch(module)
            and not isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict)
        ):
            twin: nn.Module = _Leaf(self, place or type(module).__name__, module)
        else:
            twin = object.__new__(type(module))
            twin.__dict__.update(module.__dict__)
            twin.__dict__["_buffers"] = dict(module._buffers)
            twin.__dict__["_parameters"] = dict(module._parameters)
            twin.__dict__["_modules"] = {
                name: None
                if child is None
                else self.twin(child, f"{place}.{name}" if place else name, known)
                for name, child in module._modules.items()
            }
        known[module] = twin
        return twin


def _traced(module: nn.Module, n_inputs: int) -> tuple[Program, list[str]]:
    tracer = _Tracer(module.training)
    known: dict[nn.Module, nn.Module] = {}
    twin = tracer.twin(module, "", known)
    with torch.enable_grad(), _Watch():
        outputs = twin(tracer.create_proxy("placeholder", "x", (), {}))
    for original, copied in known.items():
        if not isinstance(copied, _Leaf) and _attributes(copied) != _attributes(original):
            raise Unknown(f"the forward of {type(original).__name__} changes its attributes")
    if not isinstance(outputs, fx.Proxy):
        return Program([n_inputs]), ["the module returns something other than one tensor"]
    translation = _Translation(tracer, n_inputs)
    for node in tracer.graph.nodes:
        translation.add(node)
    if not translation.faults:
        try:
            translation.program.output = translation.value(outputs.node)
        except Unknown as fault:
            translation.faults.append(f"the output: {fault}")
    return translation.program, translation.faults


def _attributes(module: nn.Module) -> dict[str, int]:
    """Return which objects a module holds, apart from its layers."""
    held = {**module.__dict__, **module._buffers, **module._parameters}
    left_out = ("_modules", "_buffers", "_parameters")
    return {name: id(value) for name, value in held.items() if name not in left_out}


class _Translation:
    """Turns the nodes of a graph into nodes of a program, and notes what is not known."""

    def __init__(self, tracer: _Tracer, n_inputs: int):
        self.tracer = tracer
        self.program = Program([n_inputs])
        self.values: dict[fx.Node, int] = {}
        self.tensors: dict[fx.Node, torch.Tensor] = {}
        self.faults: list[str] = []

    def add(self, node: fx.Node) -> None:
        try:
            if node.op == "placeholder":
                self.values[node] = 0
            elif node.op == "get_attr":
                self.tensors[node] = self.tracer.tensors[str(node.target)]
            elif node.op == "call_module":
                at = self.value(node.args[0])
                self.values[node] = add_layer(
                    self.program, self.tracer.layers[str(node.target)], at
                )
            elif not _is_of_shapes(node):
                self.values[node] = self._call(node)
        except Unknown as fault:
            place = node.target if node.op == "call_module" else node.name
            self.faults.append(f"{place}: {fault}")
            self.values[node] = self.program.value(UNKNOWN_HEIGHT)

    def value(self, given: Any) -> int:
        """Return the number of the value that a node of the graph gives."""
        if not isinstance(given, fx.Node) or given not in self.values:
            raise Unknown("its input is not the output of a layer")
        return self.values[given]

    def _call(self, node: fx.Node) -> int:
        function: Any = node.target
        if node.op == "call_method":
            function = METHODS.get(str(node.target), str(node.target))
        name = getattr(
            function, "__name__", f".{function}()" if isinstance(function, str) else "it"
        )
        if UNKNOWN_HEIGHT in self._heights(node):
            return self.program.value(UNKNOWN_HEIGHT)  # whether it fits cannot be told
        if function in FUNCTIONS:
            first = node.args[0] if node.args else node.kwargs.get("input")
            arguments = [self._constant(a) for a in node.args[1:]]
            skipped = ("input", "inplace")
            keywords = {k: self._constant(a) for k, a in node.kwargs.items() if k not in skipped}
            return FUNCTIONS[function](self.program, self.value(first), *arguments, **keywords)
        if function in _ARITHMETIC:
            return self._arithmetic(node, _ARITHMETIC[function])
        if function in (torch.cat, torch.concat, torch.concatenate):
            return self._concatenate(node)
        if function is F.dropout:
            return self._dropout(node)
        if function in ("flatten", torch.flatten, "view", "reshape", torch.reshape):
            return self._same_shape(node)
        raise Unknown(f"{name} is not known to the native engine")

    def _heights(self, node: fx.Node) -> list[int]:
        return [
            self.program.heights[self.values[n]] for n in node.all_input_nodes if n in self.values
        ]

    def _constant(self, given: Any) -> Any:
        if not isinstance(given, fx.Node):
            return given
        if given in self.tensors:
            return self.tensors[given]
        raise Unknown("computed arguments are not known to the native engine")

    def _arithmetic(self, node: fx.Node, form: Callable[..., int]) -> int:
        if len(node.args) != 2 or node.kwargs:
            raise Unknown("arithmetic with further arguments is not known to the native engine")
        sides = [
            a if isinstance(a, int | float) and not isinstance(a, bool) else self._operand(a)
            for a in node.args
        ]
        return form(self.program, *sides)

    def _operand(self, given: Any) -> _Value | torch.Tensor:
        if given in self.tensors:
            return self.tensors[given]
        return _Value(self.value(given))

    def _concatenate(self, node: fx.Node) -> int:
        parts: Any = node.args[0] if node.args else node.kwargs.get("tensors")
        axis = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
        if axis not in (1, -1):
            raise Unknown("concatenation is known only along the features (dim=1)")
        return self.program.concatenate([self.value(part) for part in parts])

    def _dropout(self, node: fx.Node) -> int:
        names = ("input", "p", "training", "inplace")
        given: dict[str, Any] = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
        rate, training = given.get("p", 0.5), given.get("training", True)
        is_training = self.tracer.is_training
        if training is not is_training:
            raise Unknown("dropout that does not follow the mode of its module is not known")
        at = self.value(given["input"])
        return self.program.dropout(at, float(rate)) if rate else at

    def _same_shape(self, node: fx.Node) -> int:
        """A view of (B, H) as (B, H) is the value itself."""
        at = self.value(node.args[0] if node.args else node.kwargs.get("input"))
        shape = list(node.args[1:])
        if node.target in ("flatten", torch.flatten):
            given = {**dict(zip(("start_dim", "end_dim"), shape, strict=False)), **node.kwargs}
            given.pop("input", None)
            if given in ({"start_dim": 1}, {"start_dim": 1, "end_dim": -1}):
                return at
        else:
            if len(shape) == 1 and isinstance(shape[0], tuple | list):
                shape = list(shape[0])
            rows = shape and (isinstance(shape[0], fx.Node) or shape[0] == -1)
            last = shape[-1] if shape else None
            fits = last == self.program.heights[at] or (last == -1 and shape[0] != -1)
            if len(shape) == 2 and rows and fits and not node.kwargs:
                return at
        raise Unknown("a view of another shape is not known to the native engine")


class _Value(int):
    """The number of a value, apart from the numbers of arithmetic."""


def _add(program: Program, a: Any, b: Any, sign: float = 1.0) -> int:
    if isinstance(a, _Value) and isinstance(b, _Value):
        return program.combine(a, b, 1.0, sign)
    if isinstance(a, _Value) and not isinstance(b, torch.Tensor):
        return program.combine(a, r=sign * b)
    if isinstance(b, _Value) and not isinstance(a, torch.Tensor):
        return program.combine(b, p=sign, r=a)
    raise Unknown("adding a tensor that no layer gives is not known to the native engine")


def _subtract(program: Program, a: Any, b: Any) -> int:
    return _add(program, a, b, -1.0)


def _multiply(program: Program, a: Any, b: Any) -> int:
    if isinstance(a, _Value) and isinstance(b, _Value):
        return program.product(a, b)
    value, factor = (a, b) if isinstance(a, _Value) else (b, a)
    if not isinstance(factor, torch.Tensor):
        return program.combine(value, p=factor)
    if factor.shape == (program.heights[value],):
        return program.scale(value, factor, None)
    raise Unknown("multiplying by a tensor that is no row of factors is not known")


def _divide(program: Program, a: Any, b: Any) -> int:
    if isinstance(a, _Value) and isinstance(b, int | float) and not isinstance(b, _Value) and b:
        return program.combine(a, p=1.0 / b)
    raise Unknown("dividing by anything but a number is not known to the native engine")


_ARITHMETIC: dict[Any, Callable[..., int]] = {
    **dict.fromkeys((operator.add, torch.add, operator.iadd, "add"), _add),
    **dict.fromkeys((operator.sub, torch.sub, operator.isub, "sub"), _subtract),
    **dict.fromkeys((operator.mul, torch.mul, operator.imul, "mul"), _multiply),
    **dict.fromkeys((operator.truediv, torch.div, operator.itruediv, "div"), _divide),
}


def _is_of_shapes(node: fx.Node) -> bool:
    """Whether a node asks for the shape of a value, as ``x.view(x.size(0), -1)`` does."""
    if node.op == "call_method" and node.target in ("size", "dim"):
        return True
    if node.target is getattr and node.args[1:] in (("shape",), ("ndim",)):
        return True
    if node.target is operator.getitem:
        return isinstance(node.args[0], fx.Node) and _is_of_shapes(node.args[0])
    return False
