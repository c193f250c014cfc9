"""Levenberg-Marquardt takes modules whose outputs depend on their own row alone, and no others."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import linnet
from linnet import LevenbergMarquardt, ModuleRegressor
from linnet.solvers.independence import dependence
from linnet.solvers.residuals import ModuleResiduals


class Between(nn.Module):
    """Two linear layers, and something between them."""

    def __init__(self, something, *, last=None):
        super().__init__()
        self.first, self.last, self.something = nn.Linear(2, 5), nn.Linear(5, 1), something
        if last is not None:
            nn.init.constant_(self.last.weight, last)

    def forward(self, x):
        return self.last(self.something(self, self.first(x)))


class Recurrent(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.gru, self.last = nn.GRU(1, 3, batch_first=True, **options), nn.Linear(3, 1)

    def forward(self, x):
        return self.last(self.gru(x.unsqueeze(2))[0][:, -1])


def branching(module, h):
    return torch.tanh(h) if float(h.detach().sum()) > -1e9 else h


def with_norm(*layers):
    return nn.Sequential(nn.Linear(2, 5), *layers, nn.Linear(5, 1))


ON_ROWS, ON_CHANCE = "a row's outputs depend on the other rows", "the outputs depend on chance"
MODULES = {
    "x - x.mean(0)": (lambda: Between(lambda m, h: h - h.mean(0)), ON_ROWS, ON_ROWS),
    "the same, its last weights zero": (
        lambda: Between(lambda m, h: h - h.mean(0), last=0.0), ON_ROWS, ON_ROWS,
    ),
    "softmax over the rows": (lambda: Between(lambda m, h: h.softmax(0)), ON_ROWS, ON_ROWS),
    "dropout in a forward": (
        lambda: Between(lambda m, h: F.dropout(h, 0.2, m.training)), ON_CHANCE, "",
    ),
    "dropout always": (lambda: Between(lambda m, h: F.dropout(h, 0.2)), ON_CHANCE, ON_CHANCE),
    "NumPy's numbers": (
        lambda: Between(lambda m, h: h * float(np.random.default_rng().normal())),
        ON_CHANCE, ON_CHANCE,
    ),
    "Dropout": (lambda: with_norm(nn.Dropout(0.1)), f"{ON_CHANCE}: 1 is a Dropout", ""),
    "Dropout(0)": (lambda: with_norm(nn.Dropout(0.0)), "", ""),
    "RReLU": (lambda: with_norm(nn.RReLU()), f"{ON_CHANCE}: 1 is a RReLU", ""),
    "BatchNorm": (lambda: with_norm(nn.BatchNorm1d(5)), f"{ON_ROWS}: 1 is a BatchNorm1d", ""),
    "BatchNorm without averages": (
        lambda: with_norm(nn.BatchNorm1d(5, track_running_stats=False)),
        *[f"{ON_ROWS}: 1 is a BatchNorm1d"] * 2,
    ),
    "LayerNorm": (lambda: with_norm(nn.LayerNorm(5)), "", ""),
    "GRU": (Recurrent, "", ""),
    "GRU with dropout": (
        lambda: Recurrent(num_layers=2, dropout=0.3), f"{ON_CHANCE}: gru is a GRU", "",
    ),
    "a branch": (lambda: Between(branching), "", ""),
    "float32 inside": (
        lambda: Between(lambda m, h: h.float()),
        *["the module cannot take rows one by one and in float64 (mat1 and mat2 must have the "
        "same dtype, but got Float and Double)"] * 2,
    ),
}  # fmt: skip


def rows(n=40):
    X = torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
    return X, torch.sin(2 * X[:, :1]) + X[:, 1:]


def numpys_state():
    return np.random.mtrand._rand.get_state()[1].tolist()  # of the generator that all share


@pytest.mark.parametrize("name", MODULES)
def test_dependence_is_found_and_nothing_is_changed(name):
    build, *expected = MODULES[name]
    torch.manual_seed(0)
    module, (X, _) = build(), rows()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    torch_state, state = torch.get_rng_state(), (random.getstate(), numpys_state())
    found = [dependence(module.train(mode), X) for mode in (True, False)]
    assert found == expected
    assert torch.equal(torch_state, torch.get_rng_state())
    assert random.getstate() == state[0] and numpys_state() == state[1]
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())


def test_rows_that_are_equal_do_not_hide_it():
    X = torch.ones(3000, 2)
    X[2000:] = 2.0
    assert dependence(Between(lambda m, h: h - h.mean(0)), X) == ON_ROWS


@pytest.mark.parametrize("name", ["GRU", "a branch", "RReLU", "BatchNorm"])
def test_a_module_of_independent_rows_is_trained_whatever_is_in_it(name):
    torch.manual_seed(0)
    module, (X, y) = MODULES[name][0]().eval(), rows(12)
    solver = LevenbergMarquardt(module.parameters())
    before = (module(X) - y).square().mean().item()
    for _ in range(4):
        loss = solver.step(module, X, y)
    assert loss < 0.7 * before
    assert loss == pytest.approx((module(X) - y).square().mean().item(), rel=1e-5)


@pytest.mark.parametrize("name", ["GRU", "a branch"])
def test_the_jacobian_without_torch_func_is_that_of_finite_differences(name):
    torch.manual_seed(0)
    module, (X, y) = MODULES[name][0](), rows(7)
    weight = torch.linspace(0.5, 2, len(X))
    parameters = list(module.parameters())
    w = torch.cat([p.detach().reshape(-1) for p in parameters]).double().numpy()
    problem = ModuleResiduals(module, parameters, X, y, weight)

    def residuals(w):
        return problem._residuals(problem._pieces(w), slice(None)).numpy()

    h = 1e-6
    columns = [(residuals(w + h * e) - residuals(w - h * e)) / (2 * h) for e in np.eye(len(w))]
    J = problem.jacobian(w)
    np.testing.assert_allclose(J, np.stack(columns, axis=1), atol=1e-8)
    v = w + 0.1
    np.testing.assert_allclose(problem.pull_back(w, v), J.T @ residuals(v), rtol=1e-9, atol=1e-11)


# Messages --------------------------------------------------------------------------------------


def test_a_loop_of_the_users_own_is_told_what_to_write():
    (X, y), module = rows(), with_norm(nn.BatchNorm1d(5), nn.Dropout(0.1))
    solver = LevenbergMarquardt(module.parameters())
    with pytest.raises(ValueError) as error:
        solver.step(module, X, y)
    assert str(error.value) == (
        "Levenberg-Marquardt cannot train this module: a row's outputs depend on the other rows: 1 "
        "is a BatchNorm1d. A row's outputs have to depend on that row alone, and not on chance. "
        "Leave that out, call module.eval() first where it is for training only, or take another "
        "optimizer, such as torch.optim.AdamW."
    )
    solver.step(module.eval(), X, y)
    with pytest.raises(ValueError):
        solver.step(module.train(), X, y)  # asked anew, for the mode has changed


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.jit.script is out of fashion
@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (
            MODULES["float32 inside"][0],
            "Levenberg-Marquardt computes in float64, where this module fails: mat1 and mat2 must "
            "have the same dtype, but got Float and Double. Where its forward changes the type of "
            "a tensor, as x.float() does, write x.to(weight.dtype) with a weight of the layer that "
            "follows, or leave the change out; or choose another optimizer, such as "
            "torch.optim.AdamW.",
        ),
        (
            lambda: torch.jit.script(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))),
            "Levenberg-Marquardt cannot train TorchScript, which takes no other weights than its "
            "own. Give the module that was scripted, or choose another optimizer, such as "
            "torch.optim.AdamW.",
        ),
    ],
)
def test_a_module_that_takes_no_weights_of_float64_is_told_so(build, sentence):
    (X, y), module = rows(), build()
    with pytest.raises(ValueError) as error:
        LevenbergMarquardt(module.parameters()).step(module, X, y)
    assert str(error.value) == sentence
    with pytest.raises(ValueError) as error:
        linnet.train(module, X, y, optimizer="lm", epochs=2)
    assert str(error.value) == sentence


def test_the_remedy_for_float32_inside_holds():
    torch.manual_seed(0)
    (X, y), module = rows(), Between(lambda m, h: h.to(m.last.weight.dtype))
    before = (module(X) - y).square().mean().item()
    loss = LevenbergMarquardt(module.parameters()).step(module, X, y)
    assert loss < before and loss == pytest.approx((module(X) - y).square().mean().item(), rel=1e-5)


def test_train_refuses_it_though_the_module_came_in_evaluation_mode():
    X, y = rows()
    module = Between(lambda m, h: F.dropout(h, 0.2, m.training)).eval()
    with pytest.raises(ValueError) as error:
        linnet.train(module, X, y, optimizer="lm", epochs=2)
    assert str(error.value) == (
        "Levenberg-Marquardt cannot train this module: the outputs depend on chance. A row's "
        "outputs have to depend on that row alone, and not on chance. Leave that out, or choose "
        "'adamw'."
    )
    assert not module.training


@pytest.mark.parametrize(
    ("name", "reason"), [("x - x.mean(0)", ON_ROWS), ("dropout in a forward", ON_CHANCE)]
)
def test_auto_falls_back_to_adamw_and_says_why(name, reason):
    X, y = (part.numpy() for part in rows())
    model = ModuleRegressor(
        lambda n, k: MODULES[name][0](), solver="auto", max_iter=2, n_iter_no_change=5,
        random_state=0, learning_rate="cosine",
    ).fit(X, y[:, 0])  # fmt: skip
    assert model.history_.notes[0] == (
        f"solver='auto': AdamW, its rate falling as cosine, for {reason}."
    )
    tree = ModuleRegressor(lambda n, k: Between(branching), solver="auto", random_state=0)
    tree = tree.set_params(max_iter=300).fit(X, y[:, 0])
    assert tree.history_.notes[0].startswith("solver='auto': Levenberg-Marquardt")
    assert tree.history_.engine == "torch"


@pytest.mark.parametrize("name", ["BatchNorm", "dropout in a forward"])
def test_lbfgs_is_left_to_pytorch_where_rows_depend_on_more(name):
    module, (X, y) = MODULES[name][0](), rows()
    history = linnet.train(module, X, y, optimizer="lbfgs", epochs=2)
    assert history.engine == "torch"
    plain = linnet.train(Between(lambda m, h: torch.tanh(h)), X, y, optimizer="lbfgs", epochs=2)
    assert plain.engine == "native"
