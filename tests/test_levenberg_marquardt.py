"""Levenberg-Marquardt finds minima that are known, and its steps are those of the formula."""

from __future__ import annotations

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from nist_strd import PROBLEMS, Curve
from sklearn.linear_model import BayesianRidge, Ridge
from torch import nn

import linnet
from linnet import LevenbergMarquardt, criteria
from linnet.solvers.levenberg_marquardt import MOST_PARAMETERS
from linnet.solvers.residuals import ModuleResiduals


def network(*sizes, seed=0, dtype=torch.float64):
    torch.manual_seed(seed)
    layers = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), nn.Tanh()]
    return nn.Sequential(*layers[:-1]).to(dtype)


def rows(n=60, K=1, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    X = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    y = torch.stack([torch.sin((k + 1) * X[:, 0]) + X[:, 1] * X[:, 2] for k in range(K)], 1)
    return X.to(dtype), y.to(dtype)


def vector(module):
    return torch.cat([p.detach().double().reshape(-1) for p in module.parameters()]).numpy()


def solve(solver, module, *data, steps=3000):
    for _ in range(steps):
        loss = solver.step(module, *data)
        if solver.converged:
            break
    return loss


# The far start of MGH10 takes a thousand steps.
STARTS = [
    pytest.param(name, start, marks=[pytest.mark.slow] * ((name, start) == ("MGH10", 0)))
    for name in PROBLEMS
    for start in (0, 1)
]


@pytest.mark.parametrize(("name", "start"), STARTS)
def test_nists_certified_parameters_are_found(name, start):
    problem = PROBLEMS[name]
    module = Curve(problem.model, problem.starts[start])
    solver = LevenbergMarquardt(module.parameters(), min_grad=0)
    X, y = problem.rows()
    loss = solve(solver, module, X, y)
    assert solver.reason == ("The solver's criterion is met: no step lowers the loss further.")
    np.testing.assert_allclose(module.b.detach(), problem.certified, rtol=1e-6)
    np.testing.assert_allclose(loss * len(y), problem.sum_of_squares, rtol=1e-9)


@pytest.mark.parametrize("name", ["MGH09", "Rat43", "Thurber"])
def test_trainlms_own_rule_finds_them_too(name):
    problem = PROBLEMS[name]
    module = Curve(problem.model, problem.starts[1])
    solver = LevenbergMarquardt(
        module.parameters(), mu_dec=0.1, mu_inc=10, geodesic=False, min_grad=0
    )
    solve(solver, module, *problem.rows())
    np.testing.assert_allclose(module.b.detach(), problem.certified, rtol=1e-5)


@pytest.mark.parametrize("n_slopes", [1, 5])
def test_the_jacobian_of_prelu_is_that_of_autograd(n_slopes):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 5), nn.PReLU(n_slopes), nn.Linear(5, 2)).double()
    X, y = torch.randn(7, 3).double(), torch.randn(7, 2).double()
    parameters = list(module.parameters())
    w = torch.cat([p.detach().reshape(-1) for p in parameters]).numpy()
    found = ModuleResiduals(module, parameters, X, y).jacobian(w)
    gradients = [torch.autograd.grad(r, parameters, retain_graph=True) for r in module(X).ravel()]
    expected = [torch.cat([g.reshape(-1) for g in row]).numpy() for row in gradients]
    np.testing.assert_allclose(found, np.stack(expected), atol=1e-14)


@pytest.mark.parametrize("of", ["weight_norm", "orthogonal"])
def test_torch_does_not_warn_of_steps_that_it_takes_row_by_row(of):
    layer = getattr(nn.utils.parametrizations, of)(nn.Linear(3, 2))
    module, (X, y) = nn.Sequential(layer, nn.Tanh(), nn.Linear(2, 1)), rows()
    history = linnet.train(
        module, X, y, optimizer=LevenbergMarquardt(module.parameters()), epochs=2
    )
    assert history.n_epochs == 2  # and no warning, which would be an error here
    with pytest.warns(UserWarning, match="batching rule"):  # torch is left as it was
        torch.func.vmap(torch.Tensor.tril_)(torch.ones(2, 3, 3))


def test_the_jacobian_is_that_of_finite_differences():
    module, (X, y) = network(3, 4, 2), rows(K=2)
    weight = torch.linspace(0.1, 2, len(X))
    problem = ModuleResiduals(module, list(module.parameters()), X, y, weight)
    w, h = vector(module), 1e-6

    def residuals(w):
        found = copy.deepcopy(module)
        torch.nn.utils.vector_to_parameters(torch.from_numpy(w), found.parameters())
        return ((found(X) - y) * weight.double().sqrt()[:, None]).detach().numpy().reshape(-1)

    expected = np.stack(
        [(residuals(w + h * e) - residuals(w - h * e)) / (2 * h) for e in np.eye(len(w))], axis=1
    )
    J = problem.jacobian(w)
    np.testing.assert_allclose(J, expected, atol=1e-8)
    squares, JJ, Jr = problem.normal_equations(w)
    np.testing.assert_allclose(squares, (residuals(w) ** 2).sum(), rtol=1e-12)
    np.testing.assert_allclose(JJ, J.T @ J, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(Jr, J.T @ residuals(w), rtol=1e-10, atol=1e-12)
    v = w + 0.1
    np.testing.assert_allclose(problem.pull_back(w, v), J.T @ residuals(v), rtol=1e-10, atol=1e-11)


def test_blocks_of_rows_add_up_to_all_rows(monkeypatch):
    module, (X, y) = network(3, 4, 2), rows(K=2)
    whole = ModuleResiduals(module, list(module.parameters()), X, y)
    monkeypatch.setattr("linnet.solvers.residuals._BLOCK_NUMBERS", 7 * 2 * 26)
    parts = ModuleResiduals(module, list(module.parameters()), X, y)
    assert [s.stop - s.start for s in parts._blocks()] == [7] * 9
    w = vector(module)
    for a, b in zip(whole.normal_equations(w), parts.normal_equations(w), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_a_step_is_that_of_the_formula_and_mu_moves_as_trainlms():
    module, (X, y) = network(3, 4, 1), rows()
    w, mu, decay = vector(module), 1.0, 0.02
    problem = ModuleResiduals(module, list(module.parameters()), X, y)
    J, n = problem.jacobian(w), len(X)
    r = (module(X) - y).detach().numpy()[:, 0]
    D = np.concatenate(
        [np.full(p.numel(), decay if p.ndim > 1 else 0) for p in module.parameters()]
    )
    d = np.linalg.solve(J.T @ J / n + np.diag(D / 2 + mu), -(J.T @ r / n + D / 2 * w))
    solver = LevenbergMarquardt(
        module.parameters(), mu, mu_dec=0.1, mu_inc=10, geodesic=False, weight_decay=decay
    )
    loss = solver.step(module, X, y)
    np.testing.assert_allclose(vector(module), w + d, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(solver.gradient_norm, 2 * np.linalg.norm(J.T @ r / n + D / 2 * w))
    np.testing.assert_allclose(loss, (module(X) - y).square().mean().item())
    assert solver.mu == pytest.approx(mu * 0.1)


def test_mu_is_not_lowered_after_a_step_that_was_refused_first():
    module, (X, y) = network(3, 8, 1), rows()
    w, n, mu = vector(module), len(X), 1e-9
    problem = ModuleResiduals(module, list(module.parameters()), X, y)
    squares, JJ, Jr = problem.normal_equations(w)
    n_refused, tried = 0, mu
    while problem.sum_of_squares(w - np.linalg.solve(JJ / n + tried * np.eye(len(w)), Jr / n)) > (
        squares
    ):
        n_refused += 1
        tried *= 2.0**n_refused
    solver = LevenbergMarquardt(module.parameters(), mu, geodesic=False)
    solver.step(module, X, y)
    assert n_refused >= 2
    assert tried <= solver.mu < 2 * tried
    before = solver.mu
    solver.step(module, X, y)  # not refused
    assert solver.mu < before


def test_no_step_raises_the_penalised_loss():
    module, (X, y) = network(3, 8, 1), rows()
    solver = LevenbergMarquardt(module.parameters(), weight_decay=0.01)

    def penalised():
        penalty = sum(p.square().sum() for p in module.parameters() if p.ndim > 1)
        return ((module(X) - y).square().mean() + 0.005 * penalty).item()

    losses = [penalised()]
    for _ in range(30):
        solver.step(module, X, y)
        losses.append(penalised())
    assert all(a > b for a, b in pairwise(losses))


def test_geodesic_acceleration_takes_fewer_steps_along_rosenbrocks_valley():
    class Valley(nn.Module):
        def __init__(self):
            super().__init__()
            self.b = nn.Parameter(torch.tensor([-1.2, 1.0], dtype=torch.float64))

        def forward(self, x):
            residuals = torch.stack([10 * (self.b[1] - self.b[0] ** 2), 1 - self.b[0]])
            return (x * residuals).sum(1, keepdim=True)

    steps = {}
    for geodesic in (False, True):
        module = Valley()
        solver = LevenbergMarquardt(module.parameters(), geodesic=geodesic, goal=1e-24, min_grad=0)
        X, y = torch.eye(2, dtype=torch.float64), torch.zeros(2, 1, dtype=torch.float64)
        steps[geodesic] = 0
        while not solver.converged:
            solver.step(module, X, y)
            steps[geodesic] += 1
        np.testing.assert_allclose(module.b.detach(), [1, 1], rtol=1e-6)
        assert solver.reason == "The loss has reached the goal."
    assert steps[True] < 0.8 * steps[False]


def test_weight_decay_gives_ridge_regression_and_weights_count_rows():
    X, y = rows()
    weight = torch.arange(len(X)).remainder(3).double()
    module = nn.Linear(3, 1).double()
    solver = LevenbergMarquardt(module.parameters(), weight_decay=0.1)
    solve(solver, module, X, y, weight)
    # scikit-learn's penalty is alpha sum(w**2) beside the sum of squares.
    ridge = Ridge(alpha=0.05 * len(X)).fit(X, y[:, 0], sample_weight=weight)
    np.testing.assert_allclose(module.weight.detach()[0], ridge.coef_, rtol=1e-6)
    np.testing.assert_allclose(module.bias.detach(), [ridge.intercept_], rtol=1e-6)


def test_bayesian_regularisation_of_a_linear_model_is_scikit_learns():
    X, y = rows(n=40)
    noise = torch.randn(40, 1, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    X, y = X - X.mean(0), X @ torch.tensor([[1.0], [0.5], [0.1]], dtype=torch.float64) + noise
    y = y - y.mean()
    module = nn.Linear(3, 1, bias=False).double()
    solver = LevenbergMarquardt(module.parameters(), bayesian=True)
    for _ in range(60):
        solver.step(module, X, y)
    ridge = BayesianRidge(
        max_iter=1000, tol=1e-12, alpha_1=0, alpha_2=0, lambda_1=0, lambda_2=0, fit_intercept=False
    ).fit(X, y[:, 0])
    np.testing.assert_allclose(module.weight.detach()[0], ridge.coef_, rtol=1e-5)
    decay = ridge.lambda_ / ridge.alpha_ * 2 / 40
    assert solver.param_groups[0]["weight_decay"] == pytest.approx(decay, rel=1e-4)
    eigenvalues = np.linalg.eigvalsh(X.T @ X)
    gamma = (ridge.alpha_ * eigenvalues / (ridge.lambda_ + ridge.alpha_ * eigenvalues)).sum()
    assert solver.effective_parameters == pytest.approx(gamma, rel=1e-5)


def test_bayesian_regularisation_leaves_noise_alone():
    generator = torch.Generator().manual_seed(0)
    X = torch.linspace(-1, 1, 40, dtype=torch.float64)[:, None]
    noise = 0.2 * torch.randn(40, 1, generator=generator, dtype=torch.float64)
    truth = torch.sin(3 * X)
    errors = {}
    for bayesian in (False, True):
        module = network(1, 20, 1)
        solver = LevenbergMarquardt(module.parameters(), bayesian=bayesian)
        for _ in range(60):
            solver.step(module, X, truth + noise)
        errors[bayesian] = (module(X) - truth).square().mean().item()
    assert errors[True] < 0.5 * errors[False]
    assert solver.effective_parameters is not None and 3 < solver.effective_parameters < 20


def test_frozen_and_tied_weights():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.last = nn.Linear(3, 3), nn.Linear(3, 1)

        def forward(self, x):
            return self.last(torch.tanh(self.layer(torch.tanh(self.layer(x)))))

    torch.manual_seed(0)
    module, (X, y) = Tied().double(), rows()
    module.last.requires_grad_(False)
    frozen = copy.deepcopy(module.last.state_dict())
    solver = LevenbergMarquardt(module.parameters())
    before = (module(X) - y).square().mean().item()
    for _ in range(20):
        loss = solver.step(module, X, y)
    assert loss < before and loss == pytest.approx((module(X) - y).square().mean().item())
    assert all(torch.equal(frozen[name], value) for name, value in module.last.state_dict().items())


def test_weights_of_seven_digits_go_on_from_their_exact_values():
    X, y = rows()
    double = network(3, 6, 1, dtype=torch.float32).double()
    single = copy.deepcopy(double).float()
    one, other = LevenbergMarquardt(double.parameters()), LevenbergMarquardt(single.parameters())
    for _ in range(10):
        exact = one.step(double, X, y)
        loss = other.step(single, X.float().double(), y)
    assert loss == pytest.approx(exact, rel=1e-4)
    for p, q in zip(double.parameters(), single.parameters(), strict=True):
        assert q.dtype == torch.float32
        torch.testing.assert_close(p.float(), q, rtol=1e-3, atol=1e-4)
    with torch.no_grad():
        single[0].weight.zero_()  # changed by another hand: that is where the next step begins
    before = (single.double()(X) - y).square().mean().item()
    single.float()
    assert other.step(single, X, y) < before


def test_a_nan_ends_with_the_weights_as_they_were():
    module, (X, y) = network(3, 4, 1), rows()
    before = vector(module)
    solver = LevenbergMarquardt(module.parameters())
    y[3] = torch.nan
    with pytest.raises(ValueError) as error:
        solver.step(module, X, y)
    assert str(error.value) == "y holds NaN or infinity. Leave such rows out."
    with torch.no_grad():
        module[0].bias[0] = torch.nan
    with pytest.raises(ValueError) as error:
        solver.step(module, *rows())
    assert str(error.value) == (
        "The mean squared residual is nan, and X and y are finite: weights are not, or the outputs "
        "are too large. Start from other weights, and scale X and y."
    )
    assert not solver.converged and solver.reason == ""
    with torch.no_grad():
        module[0].bias[0] = before[12]
    np.testing.assert_array_equal(vector(module), before)


# Messages --------------------------------------------------------------------------------------


def test_knobs_out_of_their_range_are_told_at_once():
    with pytest.raises(ValueError) as error:
        LevenbergMarquardt(network(3, 1).parameters(), mu=0, mu_dec=2, min_grad=-1)
    assert str(error.value) == (
        "mu=0 has to be a number above 0; mu_dec=2 has to be a number between 0 and 1, or None; "
        "min_grad=-1 has to be a number of 0 or more."
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"bayesian": "no", "geodesic": 1},
            "geodesic=1 has to be True or False; bayesian='no' has to be True or False.",
        ),
        (
            {"mu": 2, "mu_max": 1.0},
            "mu=2 is above mu_max=1.0, so that no step could be tried. Give a smaller mu, or a "
            "larger mu_max.",
        ),
        (
            {"params": nn.Linear(3, 1, dtype=torch.complex64).parameters()},
            "Levenberg-Marquardt takes real parameters, and 2 of 2 are complex. Keep real and "
            "imaginary part as two parameters (torch.view_as_real), or take another optimizer, "
            "such as torch.optim.AdamW.",
        ),
    ],
)
def test_what_no_step_could_be_done_with_is_told_at_once(options, sentence):
    with pytest.raises(ValueError) as error:
        LevenbergMarquardt(**{"params": network(3, 1).parameters(), **options})
    assert str(error.value) == sentence


class TwoOutputs(nn.Linear):
    def forward(self, x):
        return super().forward(x), x


@pytest.mark.parametrize(
    ("module", "given", "width", "sentence"),
    [
        (
            nn.Linear(3, 1),
            None,
            2,
            "The module fails on these rows, X (60, 2): mat1 and mat2 shapes cannot be multiplied "
            "(60x2 and 3x1). Give X as module(X) takes it.",
        ),
        (
            TwoOutputs(3, 1),
            None,
            3,
            "The module gives a tuple for these rows, and the outputs have to be one tensor "
            "(N, K). Wrap it in a module that returns that tensor alone.",
        ),
        (
            nn.Linear(3, 1),
            nn.MSELoss(),
            3,
            "The module, a MSELoss, has no parameters. The first argument is the network that is "
            "trained, and the loss is always the mean squared error: write "
            "solver.step(network, X, y).",
        ),
        (
            nn.Linear(3, 1).requires_grad_(False),
            None,
            3,
            "All parameters of the optimizer are frozen (requires_grad=False), so that nothing "
            "would be trained. Write requires_grad_(True) for those that are to be.",
        ),
    ],
)
def test_a_module_that_cannot_be_trained_is_told_by_its_own_fault(module, given, width, sentence):
    with pytest.raises(ValueError) as error:
        LevenbergMarquardt(module.parameters()).step(
            given or module, torch.ones(60, width), torch.ones(60, 1)
        )
    assert str(error.value) == sentence


def test_knobs_of_a_state_are_looked_at_before_they_are_taken():
    solver = LevenbergMarquardt(network(3, 1).parameters())
    state = copy.deepcopy(solver.state_dict())
    state["param_groups"][0] |= {"mu": 1.0, "mu_inc": True}  # mu would never grow
    with pytest.raises(ValueError) as error:
        solver.load_state_dict(state)
    assert str(error.value) == "mu_inc=True has to be a number above 1, or None."
    assert solver.mu == 0.001


def test_a_step_ends_though_mu_hardly_grows():
    module = nn.Linear(1, 1)
    X = torch.tensor([[-1.0], [0.0], [1.0]])
    y = torch.tensor([[1.0], [-2.0], [1.0]])  # the best line is 0, and lowers nothing
    with torch.no_grad():
        module.weight.zero_(), module.bias.zero_()
    solver = LevenbergMarquardt(module.parameters(), mu_inc=1 + 1e-9, min_grad=0)
    solver.step(module, X, y)
    assert solver.converged and solver.criterion is criteria.CONVERGED


def test_too_many_parameters_are_refused_with_the_remedy():
    with pytest.raises(ValueError) as error:
        LevenbergMarquardt(nn.Linear(MOST_PARAMETERS, 1).parameters())
    assert str(error.value) == (
        "Levenberg-Marquardt takes at most 5,000 parameters, and these are 5,001: each step solves "
        "a system of that size. Make the network smaller, or choose 'lbfgs' or 'adamw'."
    )


def test_a_closure_is_answered_with_what_to_write():
    for given, told in ((lambda: 0.0, "a function"), ("adam", "str")):
        with pytest.raises(TypeError) as error:
            LevenbergMarquardt(network(3, 1).parameters()).step(given)
        assert str(error.value) == (
            f"LevenbergMarquardt.step got {told} for the module; it takes no closure, for it makes "
            "the Jacobian by blocks of rows. Write solver.step(module, X, y)."
        )


@pytest.mark.parametrize(
    ("data", "kind", "sentence"),
    [
        (
            (np.ones((2, 3)), [[1.0], [2.0]]),
            TypeError,
            "X is a ndarray; y is a list: LevenbergMarquardt.step takes tensors. Write "
            "torch.as_tensor(...) around arrays and lists.",
        ),
        (
            (torch.ones(2, 3),),
            TypeError,
            "y is a NoneType: LevenbergMarquardt.step takes tensors. Write torch.as_tensor(...) "
            "around arrays and lists.",
        ),
        (
            (torch.ones(2, 3), torch.ones(3, 1)),
            ValueError,
            "The shapes are X (2, 3), y (3, 1): the numbers of rows differ. Give one of each.",
        ),
        (
            (torch.ones(()), torch.ones(3, 1)),
            ValueError,
            "The shapes are X (), y (3, 1): each needs rows. Give X (N, D) and y (N, K).",
        ),
        (
            (torch.ones(0, 3), torch.ones(0, 1)),
            ValueError,
            "The shapes are X (0, 3), y (0, 1): there are no rows. Give at least one.",
        ),
        (
            (torch.ones(2, 3), torch.ones(2, 1), torch.ones(2, 1)),
            ValueError,
            "The shapes are X (2, 3), y (2, 1), sample_weight (2, 1): weights are one a row. Give "
            "sample_weight (N,).",
        ),
        (
            (torch.full((2, 3), torch.inf), torch.ones(2, 1), -torch.ones(2)),
            ValueError,
            "X holds NaN or infinity; sample_weight holds numbers below 0. Leave such rows out.",
        ),
    ],
)
def test_rows_that_cannot_be_taken_are_told(data, kind, sentence):
    module = network(3, 1)
    with pytest.raises(kind) as error:
        LevenbergMarquardt(module.parameters()).step(module, *data)
    assert str(error.value) == sentence


def test_shapes_that_differ_and_parameters_of_others_are_told():
    module, (X, y) = network(3, 1), rows()
    solver = LevenbergMarquardt(module.parameters())
    with pytest.raises(ValueError) as error:
        solver.step(module, X, y[:, 0])
    assert str(error.value) == (
        "The module's output has shape (60, 1) and the target (60,): they must be equal. Give "
        "targets of the outputs' shape."
    )
    with pytest.raises(ValueError) as error:
        solver.step(network(3, 1), X, y)
    assert str(error.value) == (
        "The optimizer holds parameters that are not of this module. Make it from this module: "
        "LevenbergMarquardt(module.parameters())."
    )


# In train ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["torch", "native"])
def test_train_stops_by_the_solvers_own_criterion_and_says_which(engine):
    module, (X, y) = network(3, 3, 1), rows()
    solver = LevenbergMarquardt(module.parameters(), goal=0.4)
    history = linnet.train(module, X, y, optimizer=solver, epochs=500, engine=engine)
    assert history.outcome is linnet.Outcome.GOAL_REACHED and history.n_epochs < 500
    assert history.engine == engine
    assert history.notes == [
        "batch_size=32 is too small for Levenberg-Marquardt, which needs all rows at once: taken "
        "as 60."
    ]
    final = (module(X) - y).square().mean().item()
    assert history.train_loss[-1] == pytest.approx(final, rel=1e-9)
    assert (np.diff(history.train_loss) < 1e-12).all()
    assert history.learning_rate[0] == 0.001 and history.learning_rate[1] != 0.001
    module = network(3, 1)  # a linear one, which is done in a few steps
    again = linnet.train(module, X, y, optimizer="lm", epochs=500, engine=engine)
    assert again.outcome in (linnet.Outcome.CONVERGED, linnet.Outcome.SMALL_GRADIENT)


@pytest.mark.parametrize("engine", ["torch", "native"])
def test_train_keeps_the_weights_of_the_best_epoch(engine):
    generator = torch.Generator().manual_seed(0)
    module, (X, y) = network(3, 20, 1), rows()
    y = y + torch.randn(y.shape, generator=generator)
    history = linnet.train(
        module, X[:30], y[:30], X_val=X[30:], y_val=y[30:], optimizer="lm", epochs=100, patience=6,
        engine=engine,
    )  # fmt: skip
    assert history.outcome is linnet.Outcome.VALIDATION_LEAST
    assert history.best_epoch == history.n_epochs - 7
    found = (module(X[30:]) - y[30:]).square().mean().item()
    assert found == pytest.approx(history.best_loss, rel=1e-9)


def test_train_refuses_what_levenberg_marquardt_cannot_do():
    X, y = rows()
    sentences = []
    for options in (
        {"loss": "huber"},
        {"loss": nn.MSELoss(reduction="sum")},
        {"scheduler": torch.optim.lr_scheduler.StepLR},
        {"X": torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, y)), "y": None},
    ):
        with pytest.raises(ValueError) as error:
            linnet.train(network(3, 1), optimizer="lm", **{"X": X, "y": y, **options})
        sentences.append(str(error.value))
    assert sentences == [
        "Levenberg-Marquardt minimises the mean squared error, and the loss is huber. Write "
        "loss='squared_error', or optimizer='lbfgs' or 'adamw'.",
        "Levenberg-Marquardt minimises the mean squared error, and the loss is MSELoss with a sum. "
        "Write loss='squared_error', or optimizer='lbfgs' or 'adamw'.",
        "Levenberg-Marquardt has no learning rate that a scheduler could change. Leave scheduler "
        "out.",
        "Levenberg-Marquardt needs all rows at once, and these come from a DataLoader. Give X and "
        "y as arrays or tensors, or write optimizer='adamw'.",
    ]


def test_a_training_goes_on_from_its_checkpoint_with_the_same_bits(tmp_path):
    (X, y), file = rows(dtype=torch.float32), tmp_path / "training.linnet"
    once, parts = (network(3, 6, 1, dtype=torch.float32) for _ in range(2))
    linnet.train(once, X, y, optimizer="lm", epochs=10)
    for epochs in (4, 10):
        linnet.train(
            parts, X, y, optimizer="lm", epochs=epochs, checkpoint=file, resume=file.exists()
        )
    for p, q in zip(once.parameters(), parts.parameters(), strict=True):
        assert torch.equal(p, q)
