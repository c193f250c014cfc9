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


_LM = (
    "Its arguments are params, mu, mu_dec, mu_inc, mu_max, min_grad, goal, weight_decay, geodesic, "
    "bayesian."
)
_LBFGS = (
    "Its arguments are params, lr, weight_decay, history_size, tolerance_grad, tolerance_change."
)


@pytest.mark.parametrize(
    ("solver", "options", "sentence"),
    [
        (
            LevenbergMarquardt,
            {"lr": 0.1},
            "LevenbergMarquardt has no argument lr: it has no learning rate; mu damps its steps, "
            f"and adapts itself. {_LM}",
        ),
        (
            LevenbergMarquardt,
            {"mu_decrease": 0.1, "dampen": 1},
            f"LevenbergMarquardt has no argument mu_decrease, did you mean 'mu_dec'? dampen. {_LM}",
        ),
        (
            LBFGS,
            {"max_iter": 20, "line_search_fn": "strong_wolfe", "max_eval": 3},
            "LBFGS has no argument max_iter: a step is one iteration, so call `step` in a loop. "
            "line_search_fn: it is always 'strong_wolfe'. max_eval: it is always 25. "
            f"{_LBFGS}",
        ),
    ],
)
def test_arguments_that_a_solver_does_not_have_are_told(solver, options, sentence):
    with pytest.raises(TypeError) as error:
        solver(problem()[0].parameters(), **options)
    assert str(error.value) == sentence


@pytest.mark.parametrize("solver", [LevenbergMarquardt, LBFGS])
def test_what_is_no_list_of_parameters_is_told(solver):
    name = solver.__name__
    for given in (nn.Tanh().parameters(), []):
        with pytest.raises(ValueError) as error:
            solver(given)
        assert str(error.value) == (
            f"There are no parameters that {name} could change. Give those of a module with layers "
            "such as torch.nn.Linear: module.parameters()."
        )
    with pytest.raises(TypeError) as error:
        solver(nn.Linear(2, 1))
    assert str(error.value) == (
        f"{name} got a Linear for the parameters. Write {name}(module.parameters())."
    )


def test_lbfgs_takes_one_group():
    module, *_ = problem()
    groups = [{"params": list(layer.parameters())} for layer in (module[0], module[2])]
    sentence = (
        "LBFGS takes one group of parameters, for its line search moves all of them together. Give "
        "all parameters in one list when it is made."
    )
    with pytest.raises(ValueError) as error:
        LBFGS(groups)
    assert str(error.value) == sentence
    solver = LBFGS(groups[:1])
    with pytest.raises(ValueError) as error:
        solver.add_param_group(groups[1])
    assert str(error.value) == sentence


def test_lbfgs_refuses_parameters_without_a_size():
    with pytest.raises(ValueError) as error:
        LBFGS(nn.LazyLinear(1).parameters())
    assert str(error.value) == (
        "2 of 2 parameters have no size yet, for their layer is lazy. Call module(X) once before "
        "the solver is made."
    )


@pytest.mark.parametrize(
    ("group", "sentence"),
    [
        (
            {"params": nn.Linear(100, 50).parameters()},
            "Levenberg-Marquardt takes at most 5,000 parameters, and these are 5,071: each step "
            "solves a system of that size. Make the network smaller, or choose 'lbfgs' or 'adamw'.",
        ),
        (
            {"params": nn.LazyLinear(3).parameters()},
            "2 of 2 parameters have no size yet, for their layer is lazy. Call module(X) once "
            "before the solver is made.",
        ),
        (
            {"params": nn.Linear(2, 1).parameters(), "weight_decay": -1},
            "weight_decay=-1 has to be a number of 0 or more.",
        ),
    ],
)
def test_groups_that_come_later_are_looked_at_too(group, sentence):
    module, *_ = problem()
    solver = LevenbergMarquardt(module.parameters())
    with pytest.raises(ValueError) as error:
        solver.add_param_group(group)
    assert str(error.value) == sentence
    assert len(solver.param_groups) == 1


def test_a_group_that_comes_later_is_trained_too_and_its_state_goes_on():
    module, X, y = problem()
    before = [p.detach().clone() for p in module.parameters()]

    def of_two_groups():
        solver = LevenbergMarquardt(module[0].parameters())
        solver.add_param_group({"params": module[2].parameters(), "weight_decay": 0.1})
        return solver

    first, second = of_two_groups(), of_two_groups()
    step(first, module, X, y)
    assert all(not torch.equal(p, q) for p, q in zip(module.parameters(), before, strict=True))
    second.load_state_dict(first.state_dict())
    assert second.mu == first.mu
    assert [group["weight_decay"] for group in second.param_groups] == [0.0, 0.1]


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
