"""Solvers: each lowers the losses that it should, and L-BFGS does so as its references say."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import scipy.optimize
import torch
from torch import nn

from linnet.solvers import LBFGS, SOLVERS, make


def closure_of(solver, loss_of):
    def closure():
        solver.zero_grad()
        loss = loss_of()
        loss.backward()
        return loss

    return closure


def rosenbrock(w):
    """Rosenbrock 1960, eq. 4, as least squares; its least value 0 is at (1, 1)."""
    return (10 * (w[1] - w[0] ** 2)) ** 2 + (1 - w[0]) ** 2


class Powers(nn.Module):
    """The distance of w from 1, to a power, of which Levenberg-Marquardt squares half."""

    def __init__(self, w, power):
        super().__init__()
        self.w, self.power = w, power

    def forward(self, x):
        return x * ((self.w - 1) ** (self.power // 2))


def step_down(name, solver, w, power):
    """Step towards the least of the sum of (w - 1)**power; return the loss."""
    if name == "lm":  # which makes the Jacobian itself
        return 2 * solver.step(Powers(w, power), torch.ones(1, 1), torch.zeros(1, 2))
    return solver.step(closure_of(solver, lambda: (w - 1).pow(power).sum())).item()


RATES = {"lbfgs": {}, "lm": {}, "adagrad": {"lr": 0.5}}


@pytest.mark.parametrize("name", SOLVERS)
def test_each_solver_lowers_a_quadratic(name):
    w = nn.Parameter(torch.tensor([[3.0, -2.0]]))
    solver = make(name, [w], **(RATES.get(name, {"lr": 0.05})))
    for _ in range(200):
        last = step_down(name, solver, w, 2)
    assert last < 0.1 * 13


@pytest.mark.parametrize("name", SOLVERS)
def test_each_solver_goes_on_from_its_saved_state(name):
    def start():
        w = nn.Parameter(torch.tensor([[3.0, -2.0]]))
        return w, make(name, [w])

    def step(w, solver, n):
        for _ in range(n):
            step_down(name, solver, w, 4)

    w, solver = start()
    step(w, solver, 6)
    w2, first = start()
    step(w2, first, 3)
    w3, second = pickle.loads(pickle.dumps((w2, first)))
    step(w3, second, 3)
    assert torch.equal(w, w3)
    w4, third = copy.deepcopy((w2, first))
    step(w4, third, 3)
    assert torch.equal(w, w4)


def test_lbfgs_takes_no_state_of_another_search():
    solver = LBFGS([nn.Parameter(torch.zeros(2))])
    state = copy.deepcopy(solver.state_dict())
    state["param_groups"][0][
        "max_eval"
    ] = -1e308  # torch's search would end in an error of Python's
    with pytest.raises(ValueError) as error:
        solver.load_state_dict(state)
    assert str(error.value) == "max_eval=-1e+308 has to be 25."


def test_lbfgs_finds_the_least_of_rosenbrocks_function():
    w = nn.Parameter(torch.tensor([-1.2, 1.0], dtype=torch.float64))
    solver = LBFGS([w])
    for _ in range(60):
        solver.step(closure_of(solver, lambda: rosenbrock(w)))
    torch.testing.assert_close(w.detach(), torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-5)


def test_lbfgs_finds_what_scipy_finds_on_a_penalised_least_squares_problem():
    rng = np.random.default_rng(0)
    A, b = rng.normal(size=(40, 5)), rng.normal(size=40)
    w = nn.Parameter(torch.zeros(5, 1, dtype=torch.float64))
    solver = LBFGS([w], weight_decay=0.7)
    rows, targets = torch.from_numpy(A), torch.from_numpy(b)

    def loss():
        return ((rows @ w)[:, 0] - targets).square().sum()

    for _ in range(60):
        solver.step(closure_of(solver, loss))
    expected = scipy.optimize.minimize(
        lambda v: ((A @ v - b) ** 2).sum() + 0.35 * (v**2).sum(), np.zeros(5), tol=1e-10
    )
    np.testing.assert_allclose(w.detach().numpy()[:, 0], expected.x, rtol=1e-5)


def test_the_gradient_of_the_penalty_is_that_of_finite_differences():
    generator = torch.Generator().manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    X = torch.randn(20, 3, generator=generator, dtype=torch.float64)
    y = X.sum(1, keepdim=True)
    decay, parameters = 0.3, list(net.parameters())

    def penalised():
        with torch.no_grad():
            penalty = sum(p.square().sum() for p in parameters if p.ndim > 1)
            return float((net(X) - y).square().mean() + decay / 2 * penalty)

    expected, h = [], 1e-6
    for p in parameters:
        for i in range(p.numel()):
            with torch.no_grad():
                p.view(-1)[i] += h
                above = penalised()
                p.view(-1)[i] -= 2 * h
                below = penalised()
                p.view(-1)[i] += h
            expected.append((above - below) / (2 * h))

    before = (net(X) - y).square().mean().item()
    solver = LBFGS(net.parameters(), weight_decay=decay)
    plain = solver.step(closure_of(solver, lambda: (net(X) - y).square().mean()))
    gradient = solver.state[parameters[0]]["prev_flat_grad"]
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-7)
    assert plain.item() == before


def test_frozen_parameters_are_neither_changed_nor_penalised():
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    net[0].requires_grad_(False)
    frozen = copy.deepcopy(net[0].state_dict())
    solver = LBFGS(net.parameters(), weight_decay=0.1)
    for _ in range(3):
        solver.step(closure_of(solver, lambda: net(torch.ones(5, 3)).square().mean()))
    assert all(torch.equal(frozen[name], value) for name, value in net[0].state_dict().items())


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_the_fused_steps_are_torchs_plain_ones(name):
    plain_class = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    w = nn.Parameter(torch.tensor([[3.0, -2.0, 0.5]]))
    plain_w = copy.deepcopy(w)
    ours, plain = make(name, [w], lr=0.01), plain_class[name]([plain_w], lr=0.01)
    for _ in range(50):
        ours.step(closure_of(ours, lambda: w.pow(4).sum()))
        plain.step(closure_of(plain, lambda: plain_w.pow(4).sum()))
    torch.testing.assert_close(w, plain_w, rtol=1e-6, atol=1e-7)


def test_a_factory_and_groups_of_parameters_are_used_as_they_are():
    net = nn.Linear(2, 1)
    groups = [{"params": [net.weight], "weight_decay": 0.1}, {"params": [net.bias]}]
    solver = make(torch.optim.AdamW, groups, lr=0.5)
    assert [g["weight_decay"] for g in solver.param_groups] == [0.1, 0.01]
    assert {g["lr"] for g in solver.param_groups} == {0.5}


def test_a_mistyped_solver_is_answered_with_the_nearest():
    with pytest.raises(ValueError) as error:
        make("adma", [nn.Parameter(torch.ones(1))])
    assert str(error.value) == (
        "solver='adma' is not known, did you mean 'adam'? Allowed are "
        + ", ".join(map(repr, SOLVERS))
        + "."
    )


def test_something_that_makes_no_optimizer_is_told():
    parameters = [nn.Parameter(torch.ones(1))]
    with pytest.raises(TypeError) as error:
        make(3, parameters)
    assert str(error.value) == (
        f"solver=3 is neither a name nor a factory. Give a name ({', '.join(SOLVERS)}) or a "
        "callable that takes the parameters, such as torch.optim.AdamW."
    )
    with pytest.raises(TypeError) as error:
        make(list, parameters)
    assert str(error.value) == (
        "solver=<class 'list'> gave a list; it has to give a torch.optim.Optimizer, as "
        "torch.optim.AdamW does."
    )


def test_auto_is_told_to_be_of_the_estimators():
    with pytest.raises(ValueError) as error:
        make("auto", [nn.Parameter(torch.ones(1))], called="optimizer")
    assert str(error.value) == (
        "optimizer='auto' is for MLPRegressor and its like, which choose a solver by the rows and "
        "the network. Write optimizer='lm' for a small network under squared error, else "
        "optimizer='adamw'."
    )
