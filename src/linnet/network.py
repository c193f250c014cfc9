"""Feed-forward networks as plain torch modules, built from sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any, ClassVar

import torch
from torch import nn

from linnet.spelling import check_choice


class Sin(nn.Module):
    """The sine of each input, as an activation (Sitzmann et al. 2020, SIREN)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(x)


class FeatureScale(nn.Module):
    """A factor for each input, learned; 1 at the start.

    With a high learning rate it finds early which inputs matter (Holzmüller, Grinsztajn and
    Steinwart 2024, 'Better by default', section 3).

    Parameters
    ----------
    n_inputs : int
        D.

    Examples
    --------
    >>> import torch
    >>> from linnet.network import FeatureScale
    >>> FeatureScale(3)(torch.ones(2, 3)).shape
    torch.Size([2, 3])
    """

    def __init__(self, n_inputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_inputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight

    def extra_repr(self) -> str:
        return str(len(self.weight))


class PeriodicEmbedding(nn.Module):
    """Cosines of each input at frequencies that are learned, next to the input itself.

    ``[x, cos(2 pi (frequencies x + phases))]``: a network sees small differences of an input better
    so (Gorishniy, Rubachev and Babenko 2022, 'On embeddings for numerical features in tabular deep
    learning', eq. 3; with phases as in Holzmüller, Grinsztajn and Steinwart 2024, section 3).

    Parameters
    ----------
    n_inputs : int
        D.
    n_frequencies : int, default=8
        Cosines of each input, F. The output has D (1 + F) units.
    scale : float, default=0.1
        Standard deviation of the frequencies at the start, in periods for each unit of the input.
    generator : torch.Generator, optional
        Source of the random numbers; a fresh one, seeded by the system, by default.

    Examples
    --------
    >>> import torch
    >>> from linnet.network import PeriodicEmbedding
    >>> PeriodicEmbedding(3, n_frequencies=4)(torch.zeros(5, 3)).shape
    torch.Size([5, 15])
    """

    def __init__(
        self,
        n_inputs: int,
        n_frequencies: int = 8,
        scale: float = 0.1,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if generator is None:
            generator = torch.Generator()
            generator.seed()
        shape = (n_inputs, n_frequencies)
        self.frequencies = nn.Parameter(scale * torch.randn(shape, generator=generator))
        self.phases = nn.Parameter(torch.rand(shape, generator=generator) - 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        angles = 2 * math.pi * (x.unsqueeze(-1) * self.frequencies + self.phases)
        return torch.cat([x, torch.cos(angles).flatten(1)], dim=1)

    def extra_repr(self) -> str:
        n_inputs, n_frequencies = self.frequencies.shape
        return f"{n_inputs}, n_frequencies={n_frequencies}"


class Ensemble(nn.Module):
    """Several networks side by side: the mean of what they say, and how far they differ.

    Parameters
    ----------
    members : iterable of nn.Module
        M networks that map (N, D) to outputs (N, K).
    link : str, default="identity"
        What makes a prediction of a member's outputs: a key of `Ensemble.LINKS`.

    Attributes
    ----------
    members : nn.ModuleList
    temperature : Tensor of shape ()
        Outputs are divided by it before the link; 1 at the start.

    Examples
    --------
    >>> import torch
    >>> from linnet.network import Ensemble, mlp
    >>> ensemble = Ensemble([mlp(3, (8,), 1) for _ in range(4)])
    >>> mean, spread = ensemble(torch.zeros(5, 3))
    >>> mean.shape, spread.shape
    (torch.Size([5, 1]), torch.Size([5, 1]))
    """

    LINKS: ClassVar[dict[str, Callable[[torch.Tensor], torch.Tensor]]] = {
        "identity": lambda outputs: outputs,
        "exp": torch.exp,
        "sigmoid": torch.sigmoid,
        "softmax": lambda outputs: torch.softmax(outputs, dim=-1),
    }
    temperature: torch.Tensor

    def __init__(self, members: Iterable[nn.Module], link: str = "identity"):
        super().__init__()
        check_choice("link", link, self.LINKS)
        self.members = nn.ModuleList(members)
        self.link = link
        self.register_buffer("temperature", torch.tensor(1.0))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation (M - 1 in the denominator) over members, (N, K)."""
        return self.combine([member(x) for member in self.members])

    def combine(self, outputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation (N, K) of the members' raw outputs, each (N, K)."""
        link, temperature = self.LINKS[self.link], self.temperature.to(outputs[0].dtype)
        values = torch.stack([link(output / temperature) for output in outputs])
        spread = values.std(dim=0) if len(outputs) > 1 else torch.zeros_like(values[0])
        return values.mean(dim=0), spread

    def extra_repr(self) -> str:
        return f"link={self.link!r}"


# scikit-learn's four names (identity, logistic, tanh, relu) and PyTorch's.
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "hardtanh": nn.Hardtanh,
    "sin": Sin,
}

INITIALIZATIONS = ("glorot_uniform", "he_uniform", "torch", "nguyen_widrow")


def mlp(
    n_inputs: int,
    hidden_layer_sizes: int | Sequence[int],
    n_outputs: int,
    *,
    activation: str = "relu",
    output_activation: str = "identity",
    dropout: float = 0.0,
    initialization: str = "glorot_uniform",
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """Build a multilayer perceptron: linear layers with an activation between each two.

    Parameters
    ----------
    n_inputs : int
        Number of inputs, D.
    hidden_layer_sizes : int or sequence of int
        Neurons of each hidden layer, H; an empty one gives a linear model.
    n_outputs : int
        Number of outputs, K.
    activation : str, default="relu"
        Activation after each hidden layer: a key of `linnet.network.ACTIVATIONS`.
    output_activation : str, default="identity"
        Activation after the last layer.
    dropout : float, default=0.0
        Fraction of hidden activations set to zero in training, in [0, 1).
    initialization : {"glorot_uniform", "he_uniform", "torch", "nguyen_widrow"}
        How weights start. "glorot_uniform" (Glorot and Bengio 2010, eq. 16) draws weights and
        biases as scikit-learn's MLP does; "he_uniform" (He et al. 2015, eq. 10) suits ReLU in deep
        networks, biases zero; "torch" draws as `torch.nn.Linear` does; "nguyen_widrow" (Nguyen and
        Widrow 1990, section 4) spreads the slopes of tanh units evenly over inputs from -1 to 1.
    generator : torch.Generator, optional
        Source of the random numbers; a fresh one, seeded by the system, by default. The global
        generator is not touched.

    Returns
    -------
    torch.nn.Sequential
        Maps (N, D) to (N, K).

    Raises
    ------
    ValueError
        If a size is not positive, or an activation or initialisation is unknown.

    Examples
    --------
    >>> from linnet.network import mlp
    >>> mlp(2, (80,), 1, activation="tanh")
    Sequential(
      (0): Linear(in_features=2, out_features=80, bias=True)
      (1): Tanh()
      (2): Linear(in_features=80, out_features=1, bias=True)
    )
    """
    check_choice("activation", activation, ACTIVATIONS)
    check_choice("output_activation", output_activation, ACTIVATIONS)
    check_choice("initialization", initialization, INITIALIZATIONS)
    if not 0 <= dropout < 1:
        raise ValueError(
            f"dropout={dropout!r} is not allowed: give a fraction from 0 (none) to below 1, "
            "such as dropout=0.1."
        )
    hidden = hidden_layer_sizes
    sizes: list[Any] = [
        n_inputs,
        *(hidden if isinstance(hidden, Iterable) else [hidden]),
        n_outputs,
    ]
    if not all(isinstance(size, Integral) and int(size) >= 1 for size in sizes):
        raise ValueError(
            f"A network of sizes {'-'.join(map(str, sizes))} cannot be built: each size is a whole "
            "number of 1 or more, such as hidden_layer_sizes=(64, 64)."
        )
    if generator is None:
        generator = torch.Generator()
        generator.seed()
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        is_last = i == len(sizes) - 2
        name = output_activation if is_last else activation
        if initialization == "nguyen_widrow":
            layers.append(_nguyen_widrow(int(fan_in), int(fan_out), is_last, generator))
        else:
            layers.append(_linear(int(fan_in), int(fan_out), name, initialization, generator))
        if name != "identity":
            layers.append(ACTIVATIONS[name]())
        if dropout > 0 and not is_last:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


def _linear(
    fan_in: int, fan_out: int, activation: str, initialization: str, generator: torch.Generator
) -> nn.Linear:
    layer = _unset_linear(fan_in, fan_out)
    if initialization == "glorot_uniform":
        # The factor 2 for the logistic function is scikit-learn's.
        factor = 2.0 if activation in ("logistic", "sigmoid") else 6.0
        weight_bound = bias_bound = math.sqrt(factor / (fan_in + fan_out))
    elif initialization == "he_uniform":
        weight_bound, bias_bound = math.sqrt(6.0 / fan_in), 0.0
    else:
        weight_bound = bias_bound = 1.0 / math.sqrt(fan_in)
    with torch.no_grad():
        layer.weight.uniform_(-weight_bound, weight_bound, generator=generator)
        layer.bias.uniform_(-bias_bound, bias_bound, generator=generator)
    return layer


def _nguyen_widrow(
    fan_in: int, fan_out: int, is_last: bool, generator: torch.Generator
) -> nn.Linear:
    layer = _unset_linear(fan_in, fan_out)
    with torch.no_grad():
        if is_last:
            layer.weight.uniform_(-0.5, 0.5, generator=generator)
            layer.bias.uniform_(-0.5, 0.5, generator=generator)
            return layer
        # Directions at random, of such a length that the units' slopes just overlap; biases from
        # one end of the range to the other.
        length = 0.7 * fan_out ** (1 / fan_in)
        layer.weight.uniform_(-1, 1, generator=generator)
        layer.weight.mul_(length / torch.linalg.vector_norm(layer.weight, dim=1, keepdim=True))
        ends = torch.linspace(-length, length, fan_out) if fan_out > 1 else torch.zeros(1)
        layer.bias.copy_(ends * torch.sign(layer.weight[:, 0]))
    return layer


def _unset_linear(fan_in: int, fan_out: int) -> nn.Linear:
    # Made without weights and given unset ones, so that nothing is drawn from the global generator.
    # (nn.utils.skip_init does the same, but loads sympy, which takes a third of a second.)
    layer = nn.Linear(fan_in, fan_out, device="meta")
    layer.weight = nn.Parameter(torch.empty(fan_out, fan_in))
    layer.bias = nn.Parameter(torch.empty(fan_out))
    return layer
