"""L-BFGS and Levenberg-Marquardt in a loop of the user's own: states, faults and what is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import linnet
from linnet import LBFGS, LevenbergMarquardt


def problem(seed=0):
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1))
    X = torch.randn(30, 2)
    return module, X, torch.sin(2 * X[:, :1]) + 0.3 * torch.randn(30, 1)


def step(solver, module, X, y):
    if isinstance(solver, LevenbergMarquardt):
        return solver.step(module, X, y)

    def closure():
        solver.zero_grad()
        loss = (module(X) - y).square().mean()
        loss.backward()
        return loss

    return solver.step(closure)


@pytest.mark.parametrize(
    "make",
    [
        LBFGS,
        LevenbergMarquardt,
        lambda parameters: LevenbergMarquardt(parameters, bayesian=True),
        lambda parameters: LevenbergMarquardt(parameters, mu_dec=0.1, mu_inc=10),
    ],
)
def test_a_saved_state_goes_on_with_the_same_bits(make, tmp_path):
    module, X, y = problem()
    module[2].bias.requires_grad_(False)
    solver = make(module.parameters())
    for _ in range(12):
        step(solver, module, X, y)
    torch.save({"module": module.state_dict(), "solver": solver.state_dict()}, tmp_path / "state")
    other, *_ = problem(seed=1)
    other[2].bias.requires_grad_(False)
    resumed = make(other.parameters())
    kept = torch.load(tmp_path / "state", weights_only=True)
    other.load_state_dict(kept["module"])
    resumed.load_state_dict(kept["solver"])
    for _ in range(12):
        assert step(solver, module, X, y) == step(resumed, other, X, y)
    for p, q in zip(module.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)
    if isinstance(solver, LevenbergMarquardt):
        assert resumed.effective_parameters == solver.effective_parameters


def test_states_of_others_are_told():
    module, *_ = problem()
    solver, sentences = LevenbergMarquardt(module.parameters()), []
    for state in (
        torch.optim.Adam(module.parameters()).state_dict(),
        LevenbergMarquardt(module[0].parameters()).state_dict(),
        [1],
    ):
        with pytest.raises(ValueError) as error:
            solver.load_state_dict(state)
        sentences.append(str(error.value))
    remedy = "Give what LevenbergMarquardt.state_dict() gave, of the same parameters."
    assert sentences == [
        "The state has no bayesian, effective_parameters, geodesic, goal, last_gain, min_grad, mu, "
        f"mu_dec, mu_inc, mu_max: it is of another solver. {remedy}",
        f"The state is of groups of [2] parameters, and the solver has [4]. {remedy}",
        f"This list is no optimizer's state. {remedy}",
    ]
    with pytest.raises(ValueError) as error:
        LBFGS(module.parameters()).load_state_dict(solver.state_dict())
    assert str(error.value) == (
        "The state has no history_size, line_search_fn, lr, max_eval, max_iter, tolerance_change, "
        "tolerance_grad: it is of another solver. Give what LBFGS.state_dict() gave, of the same "
        "parameters."
    )


def test_lbfgs_says_that_a_loss_is_not_finite_and_leaves_the_weights():
    module, X, y = problem()
    solver = LBFGS(module.parameters())
    step(solver, module, X, y)
    before = [p.detach().clone() for p in module.parameters()]
    assert step(solver, module, X, torch.full_like(y, torch.nan)).isnan()
    assert not solver.converged and solver.criterion is None
    assert solver.reason == (
        "The loss or its gradient is infinite or NaN where the step begins: the weights stay. "
        "Likely causes: inputs or targets that are not finite or not scaled."
    )
    assert all(torch.equal(p, q) for p, q in zip(module.parameters(), before, strict=True))
    first = float(step(solver, module, X, y))
    assert solver.reason == "" and float(step(solver, module, X, y)) < first


def test_closures_that_are_none_are_told():
    module, X, y = problem()
    solver = LBFGS(module.parameters())
    for given, told in ((None, "NoneType"), (module, "Sequential")):
        with pytest.raises(TypeError) as error:
            solver.step(given)
        assert str(error.value) == (
            f"LBFGS.step got {told} for the closure. Give a function that calls zero_grad and "
            "backward and returns the loss, as its docstring shows."
        )
    for closure, told in (
        (lambda: (module(X) - y).square().mean().backward(), "NoneType"),
        (lambda: (module(X) - y).square(), "Tensor"),
    ):
        with pytest.raises(TypeError) as error:
            solver.step(closure)
        assert str(error.value) == (
            f"The closure of LBFGS.step returned {told}, not a loss of one number. Write `return "
            "loss` at its end, after loss.backward()."
        )
    solver.zero_grad()
    with pytest.raises(ValueError) as error:
        solver.step(lambda: (module(X) - y).square().mean())
    assert str(error.value) == (
        "The closure of LBFGS.step left no gradient in the solver's parameters. Let it compute the "
        "loss from them and call loss.backward() before it returns the loss."
    )


def test_the_knobs_of_lbfgs_are_told_at_once():
    module, *_ = problem()
    with pytest.raises(ValueError) as error:
        LBFGS(
            module.parameters(), lr="1", history_size=0, weight_decay=-1, tolerance_grad=np.nan,
            tolerance_change=True,
        )  # fmt: skip
    assert str(error.value) == (
        "lr='1' has to be a number above 0; weight_decay=-1 has to be a number of 0 or more; "
        "history_size=0 has to be a whole number of 1 or more; tolerance_grad=nan has to be a "
        "number of 0 or more; tolerance_change=True has to be a number of 0 or more."
    )


@pytest.mark.parametrize("engine", ["torch", "native"])
def test_clipped_gradients_of_levenberg_marquardt_are_noted(engine):
    module, X, y = problem()
    history = linnet.train(
        module, X, y, optimizer="lm", epochs=2, batch_size=30, clip_grad_norm=1, clip_grad_value=2,
        engine=engine,
    )  # fmt: skip
    assert history.notes == [
        "clip_grad_norm=1 and clip_grad_value=2: without effect, for Levenberg-Marquardt does not "
        "step along the gradient; its damping keeps steps short."
    ]
