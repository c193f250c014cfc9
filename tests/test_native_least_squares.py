"""The native normal equations and gradients are PyTorch's, whatever the layers and the threads."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from test_native_layers import MODULES
from torch import nn

import linnet
from linnet.data import Rows
from linnet.engine.least_squares import FlatNetwork, NativeResiduals
from linnet.solvers.residuals import ModuleResiduals

pytest.importorskip("linnet._native", reason="the native module is not installed")

NETWORKS = {name: make for name, make in MODULES.items() if name != "batch_norm"} | {
    "wide": lambda: nn.Sequential(nn.Linear(4, 70), nn.Tanh(), nn.Linear(70, 2), nn.Sigmoid()),
    "one_number": lambda: nn.Sequential(nn.Linear(4, 1, bias=False)),
}


def problem(name, n_rows, *, weighted):
    torch.manual_seed(0)
    module = NETWORKS[name]().double().eval()
    generator = torch.Generator().manual_seed(1)
    X = torch.randn(n_rows, 4, generator=generator, dtype=torch.float64)
    y = torch.randn(module(X).shape, generator=generator, dtype=torch.float64)
    weight = torch.rand(n_rows, generator=generator, dtype=torch.float64) if weighted else None
    trained = list(module.parameters())[::-1]  # in an order of the optimizer's own
    if len(trained) > 2:
        trained.pop(1).requires_grad_(False)
    w = torch.cat([p.detach().reshape(-1) for p in trained]).numpy()
    return module, trained, Rows(X, y, weight), w


@pytest.mark.parametrize("n_rows", [1, 7, 333])
@pytest.mark.parametrize("name", NETWORKS)
def test_normal_equations_are_those_of_torch_func(name, n_rows):
    module, trained, rows, w = problem(name, n_rows, weighted=n_rows > 1)
    theirs = ModuleResiduals(module, trained, rows.X, rows.y, rows.weight)
    ours = NativeResiduals(FlatNetwork(module, trained, rows), 1)
    expected, found = theirs.normal_equations(w), ours.normal_equations(w)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-10, atol=1e-10 * np.abs(a).max())
    np.testing.assert_allclose(ours.sum_of_squares(w), theirs.sum_of_squares(w), rtol=1e-12)
    v = w + 0.05
    expected = theirs.pull_back(w, v)
    np.testing.assert_allclose(
        ours.pull_back(w, v), expected, rtol=1e-9, atol=1e-10 * np.abs(expected).max()
    )


def test_a_network_of_more_numbers_than_a_block_has_them_too():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Linear(4, 40), nn.Tanh(), nn.Linear(40, 20), nn.Linear(20, 3)
    ).double()
    X, y = torch.randn(500, 4).double(), torch.randn(500, 3).double()
    trained = list(module.parameters())
    w = torch.cat([p.detach().reshape(-1) for p in trained]).numpy()
    ours = NativeResiduals(FlatNetwork(module, trained, Rows(X, y)), 2)
    theirs = ModuleResiduals(module, trained, X, y)
    for a, b in zip(theirs.normal_equations(w), ours.normal_equations(w), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-10, atol=1e-10 * np.abs(a).max())


@pytest.mark.parametrize("name", ["wide", "residual"])
def test_any_number_of_threads_gives_the_same_bits(name):
    results = []
    for n_threads in (1, 2, 3, 8):
        module, trained, rows, w = problem(name, 777, weighted=True)
        ours = NativeResiduals(FlatNetwork(module, trained, rows), n_threads)
        squares, JJ, Jr = ours.normal_equations(w)
        results.append((squares, JJ.copy(), Jr.copy(), ours.pull_back(w, w + 0.1)))
    for result in results[1:]:
        for a, b in zip(results[0], result, strict=True):
            np.testing.assert_array_equal(a, b)


def test_train_gives_the_same_bits_with_any_number_of_threads():
    weights = []
    for n_threads in (1, 2, 5):
        module, _, rows, _ = problem("wide", 300, weighted=False)
        linnet.train(module, rows.X, rows.y, optimizer="lm", epochs=8, n_threads=n_threads)
        weights.append(module.state_dict())
    for other in weights[1:]:
        assert all(torch.equal(value, other[key]) for key, value in weights[0].items())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_both_engines_take_the_same_steps(dtype):
    module, _, rows, _ = problem("residual", 60, weighted=False)
    histories, trained = [], []
    for engine in ("torch", "native"):
        found = copy.deepcopy(module).to(dtype)
        histories.append(
            linnet.train(
                found,
                rows.X,
                rows.y,
                optimizer="lm",
                epochs=10,
                engine=engine,
                sample_weight=np.linspace(0.5, 1.5, 60),
                X_val=rows.X[:20],
                y_val=rows.y[:20],
            )
        )
        trained.append(found)
    assert [h.engine for h in histories] == ["torch", "native"]
    np.testing.assert_allclose(histories[0].train_loss, histories[1].train_loss, rtol=1e-6)
    np.testing.assert_allclose(histories[0].learning_rate, histories[1].learning_rate, rtol=1e-4)
    for p, q in zip(*(m.parameters() for m in trained), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)


def test_a_module_that_the_native_engine_does_not_know_is_trained_by_torch():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(3, 1, dtype=torch.float64))

        def forward(self, x):
            return torch.logsumexp(x * self.w.T, dim=1, keepdim=True)

    X = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    true = Odd()
    with torch.no_grad():
        true.w.copy_(torch.tensor([[0.5], [-1.0], [2.0]]))
        y = true(X)
    module = Odd()
    history = linnet.train(module, X, y, optimizer="lm", epochs=100)
    assert history.engine == "torch"
    assert history.engine_reason.startswith("PyTorch, for ")
    torch.testing.assert_close(module.w, true.w, rtol=1e-6, atol=1e-8)
