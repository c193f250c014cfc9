"""Networks from sizes: plain torch modules, with initial weights from a generator of their own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from linnet.network import ACTIVATIONS, INITIALIZATIONS, mlp


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_each_activation_stands_between_the_layers(name):
    net = mlp(3, (8, 4), 2, activation=name, output_activation=name)
    linear = [m for m in net if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [(3, 8), (8, 4), (4, 2)]
    assert len(net) == (3 if name == "identity" else 6)
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    expected = x
    for layer in linear:
        expected = ACTIVATIONS[name]()(layer(expected))
    assert torch.equal(net(x), expected)
    net(x).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_dropout_stands_after_hidden_layers_only():
    kinds = [type(m).__name__ for m in mlp(3, (8, 4), 2, dropout=0.1)]
    assert kinds == ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]


def test_a_network_without_hidden_layers_is_linear():
    assert [type(m).__name__ for m in mlp(3, (), 2)] == ["Linear"]


def test_one_hidden_layer_may_be_a_plain_number():
    assert str(mlp(3, 8, 2)) == str(mlp(3, (8,), 2))
    assert str(mlp(3, np.array([8, 4]), 2)) == str(mlp(3, [8, 4], 2))


BOUNDS = {  # (weight, bias) of a layer of 300 inputs and 200 outputs before relu
    "glorot_uniform": (math.sqrt(6 / 500), math.sqrt(6 / 500)),
    "he_uniform": (math.sqrt(6 / 300), 0),
    "torch": (1 / math.sqrt(300), 1 / math.sqrt(300)),
}


@pytest.mark.parametrize("name", sorted({*INITIALIZATIONS} - {"nguyen_widrow"}))
def test_each_initialization_fills_its_bounds(name):
    layer = mlp(300, (200,), 1, initialization=name)[0]
    weight, bias = BOUNDS[name]
    assert 0.99 * weight < layer.weight.abs().max() <= weight
    assert float(layer.weight.detach().var()) == pytest.approx(weight**2 / 3, rel=0.03)
    assert 0.9 * bias <= layer.bias.abs().max() <= bias


def test_the_logistic_function_has_scikit_learns_bounds():
    layer = mlp(300, (200,), 1, activation="logistic")[0]
    assert float(layer.weight.detach().abs().max()) == pytest.approx(math.sqrt(2 / 500), rel=0.01)


@pytest.mark.parametrize("name", INITIALIZATIONS)
def test_a_generator_decides_the_weights_and_the_global_one_is_left_alone(name):
    def net(seed):
        return mlp(3, (8,), 1, initialization=name, generator=torch.Generator().manual_seed(seed))

    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert torch.equal(net(1)[0].weight, net(1)[0].weight)
    assert not torch.equal(net(1)[0].weight, net(2)[0].weight)
    assert not torch.equal(mlp(3, (8,), 1)[0].weight, mlp(3, (8,), 1)[0].weight)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "sizes",
    [(3, (0,), 1), (3, (-1,), 1), (3, (2.5,), 1), (0, (2,), 1), (3, (2,), 0), (3, ("a",), 1)],
)
def test_sizes_that_are_no_counts_are_refused(sizes):
    n_inputs, hidden, n_outputs = sizes
    with pytest.raises(ValueError) as error:
        mlp(n_inputs, hidden, n_outputs)
    assert str(error.value) == (
        f"A network of sizes {n_inputs}-{hidden[0]}-{n_outputs} cannot be built: each size is a "
        "whole number of 1 or more, such as hidden_layer_sizes=(64, 64)."
    )


def test_an_unknown_activation_is_answered_with_the_nearest():
    with pytest.raises(ValueError) as error:
        mlp(3, (8,), 1, activation="Relo")
    assert str(error.value) == (
        "activation='Relo' is not known, did you mean 'relu'? Allowed are "
        + ", ".join(map(repr, ACTIVATIONS))
        + "."
    )


@pytest.mark.parametrize("dropout", [1, -0.1, float("nan")])
def test_dropout_is_a_fraction(dropout):
    with pytest.raises(ValueError) as error:
        mlp(3, (8,), 1, dropout=dropout)
    assert str(error.value) == (
        f"dropout={dropout!r} is not allowed: give a fraction from 0 (none) to below 1, such as "
        "dropout=0.1."
    )
