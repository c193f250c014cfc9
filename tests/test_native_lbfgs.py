"""L-BFGS with the gradient from the native module takes PyTorch's steps."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from test_native_engine import LOSSES, _module, _targets
from torch import nn

import linnet
import linnet.losses
from linnet.data import Rows
from linnet.engine.least_squares import FlatNetwork
from linnet.engine.native_engine import loss_tuple
from linnet.losses import GaussianLoss
from linnet.solvers import LBFGS

pytest.importorskip("linnet._native", reason="the native module is not installed")


def problem(name, *, weighted):
    loss, rng, K = LOSSES[name], np.random.default_rng(0), 3
    X = torch.tensor(rng.normal(size=(53, 4)))
    y = _targets(loss, 53, K, torch.float64, rng)
    n_outputs = 2 * K if isinstance(loss, GaussianLoss) else K
    module = _module((4, 6, n_outputs), nn.Tanh(), torch.float64)
    weight = torch.tensor(rng.uniform(0.5, 1.5, 53)) if weighted else None
    return loss, module, X, y, None if weight is None else weight / weight.mean()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_every_gradient_is_that_of_autograd(name, weighted):
    function, module, X, y, weight = problem(name, weighted=weighted)
    loss, trained = linnet.losses.resolve(function), list(module.parameters())
    expected = loss(module(X), y, weight)
    expected.backward()
    rows = Rows(
        torch.cat([X] * 30), torch.cat([y] * 30), None if weight is None else weight.repeat(30)
    )
    network = FlatNetwork(module, trained, rows)  # of more than one block of rows
    out = np.empty((network.n_weights, 1))
    total = network.network.gradient(
        network.X, network.y, network.weight, loss_tuple(loss, rows), network.offsets, out, 2
    )
    times = 30 if loss.is_sum else 1
    found = total / (1 if loss.is_sum else len(rows))
    np.testing.assert_allclose(found, expected.item() * times, rtol=1e-10)
    gradient = torch.cat([p.grad.reshape(-1) for p in trained]).numpy() * times
    np.testing.assert_allclose(out[:, 0], gradient, rtol=1e-9, atol=1e-11)


# A line search takes roots of differences that vanish on losses with kinks.
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_takes_the_steps_that_torch_takes(name, weighted):
    loss, module, X, y, weight = problem(name, weighted=weighted)
    histories = []
    for engine in ("torch", "native"):
        found = copy.deepcopy(module)
        solver = LBFGS(found.parameters(), weight_decay=0.01)
        history = linnet.train(
            found, X, y, loss=loss, optimizer=solver, epochs=6, batch_size=53, engine=engine,
            sample_weight=weight, clip_grad_norm=5.0,
        )  # fmt: skip
        assert history.engine == engine
        histories.append(history)
    np.testing.assert_allclose(histories[0].train_loss, histories[1].train_loss, rtol=2e-5)


def quadratic(dtype=torch.float64):
    rng = np.random.default_rng(0)
    X, slopes = rng.normal(size=(80, 5)), np.linspace(1, 2, 5)
    torch.manual_seed(0)
    return nn.Linear(5, 1).to(dtype), X, (X @ slopes).reshape(-1, 1)


@pytest.mark.parametrize("engine", ["torch", "native"])
def test_it_stops_by_its_own_criterion_and_says_which(engine):
    module, X, y = quadratic()
    history = linnet.train(
        module, X, y, optimizer="lbfgs", epochs=200, batch_size=80, engine=engine
    )
    assert history.outcome in (linnet.Outcome.SMALL_GRADIENT, linnet.Outcome.CONVERGED)
    assert history.n_epochs < 100
    np.testing.assert_allclose(module.weight.detach()[0], np.linspace(1, 2, 5), rtol=1e-5)


def test_a_solver_says_so_in_a_loop_of_ones_own():
    w = nn.Parameter(torch.tensor([[3.0]], dtype=torch.float64))
    solver = LBFGS([w])

    def closure():
        solver.zero_grad()
        loss = ((w - 1) ** 2).sum()
        loss.backward()
        return loss

    steps = 0
    while not solver.converged:
        solver.step(closure)
        steps += 1
    assert steps < 10
    assert solver.reason == "The solver's criterion is met: the gradient is as good as zero."


def test_weights_of_seven_digits_are_trained_in_sixteen():
    module, X, y = quadratic(torch.float32)
    history = linnet.train(module, X, y, optimizer="lbfgs", epochs=60, batch_size=80)
    assert history.engine == "native" and module.weight.dtype == torch.float32
    assert history.train_loss[-1] < 1e-8
    np.testing.assert_allclose(module.weight.detach()[0], np.linspace(1, 2, 5), rtol=5e-5)


def test_training_passes_from_one_engine_to_the_other():
    module, X, y = quadratic(torch.float32)
    solver = LBFGS(module.parameters())
    losses = [
        linnet.train(
            module, X, y, optimizer=solver, epochs=3, batch_size=80, engine=engine
        ).train_loss[-1]
        for engine in ("native", "torch", "native")
    ]
    assert losses[2] < losses[1] < losses[0]


def test_any_number_of_threads_gives_the_same_bits():
    weights = []
    for n_threads in (1, 2, 5):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 1))
        _, X, y = quadratic()
        X, y = np.tile(X, (30, 1)), np.tile(y, (30, 1))
        linnet.train(
            module, X, y, optimizer="lbfgs", epochs=5, batch_size=2400, n_threads=n_threads
        )
        weights.append(module[0].weight.detach().clone())
    assert torch.equal(weights[0], weights[1]) and torch.equal(weights[0], weights[2])


def test_dropout_goes_to_torch():
    module = nn.Sequential(nn.Linear(5, 4), nn.Dropout(0.1), nn.Linear(4, 1))
    _, X, y = quadratic()
    history = linnet.train(module, X, y, optimizer="lbfgs", epochs=2, batch_size=80)
    assert history.engine_reason == "PyTorch, for the outputs depend on chance: 1 is a Dropout."
