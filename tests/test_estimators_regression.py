"""Regressors: losses, units, shapes, stopping, weights."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

from linnet import MLPRegressor, Outcome
from linnet.estimators.schedules import Adaptive
from linnet.estimators.targets import RegressionTarget
from linnet.network import ACTIVATIONS
from linnet.solvers import SOLVERS

RNG = np.random.default_rng(0)
X = RNG.uniform(-2, 2, size=(120, 2))
Y = np.sin(X[:, 0]) + X[:, 1] ** 2

ALL_EPOCHS = {"n_iter_no_change": np.inf, "random_state": 0}
GOOD = {"hidden_layer_sizes": (16,), "activation": "tanh", "solver": "lbfgs", "max_iter": 60}


def good(**parameters):
    return MLPRegressor(**{**GOOD, **ALL_EPOCHS, **parameters})


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_learns(activation):
    least = 0.3 if activation == "identity" else 0.9
    y = Y + X[:, 0] if activation == "identity" else Y
    assert good(activation=activation).fit(X, y).score(X, y) > least


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_learns(solver):
    model = good(solver=solver, learning_rate_init=0.03, batch_size=30, max_iter=80).fit(X, Y)
    assert model.score(X, Y) > 0.9


def test_a_solver_may_be_a_callable_that_makes_an_optimizer():
    solver = functools.partial(torch.optim.AdamW, lr=0.03, weight_decay=0.0)
    model = good(solver=solver, batch_size=30, max_iter=80).fit(X, Y)
    assert model.score(X, Y) > 0.9
    assert model.history_.learning_rate[-1] == 0.03
    assert good(solver=torch.optim.RMSprop, max_iter=2).fit(X, Y).n_iter_ == 2


@pytest.mark.parametrize(
    "loss", ["squared_error", "absolute_error", "smooth_l1", "huber", "quantile"]
)
def test_every_loss_learns_the_function(loss):
    model = good(loss=loss, solver="adam", learning_rate_init=0.03, batch_size=30, max_iter=80)
    assert model.fit(X, Y).score(X, Y) > 0.9


def test_poisson_predicts_positive_rates():
    rng = np.random.default_rng(1)
    rate = np.exp(X[:, 0])
    model = good(loss="poisson", hidden_layer_sizes=(4,), alpha=1.0)
    model.fit(X, rng.poisson(rate))
    predicted = model.predict(X)
    assert (predicted > 0).all()
    assert np.corrcoef(np.log(predicted), np.log(rate))[0, 1] > 0.9
    assert (model.predict(X * 100) >= 0).all()


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_a_quantile_lies_above_its_share_of_the_targets(quantile):
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, size=(1000, 1))
    y = x[:, 0] + rng.normal(size=1000)
    model = good(
        loss="quantile",
        quantile=quantile,
        solver="adam",
        learning_rate_init=0.02,
        learning_rate="cosine",
        hidden_layer_sizes=(8,),
        max_iter=30,
    )
    assert (y <= model.fit(x, y).predict(x)).mean() == pytest.approx(quantile, abs=0.04)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("offset", [0.0, 1000.0, -1000.0])
def test_predictions_are_in_the_units_of_y_at_any_scale_and_offset(scale, offset):
    inputs, y = scale * (X + offset), scale * (Y + offset)
    model = good(max_iter=30).fit(inputs, y)
    plain = good(max_iter=30).fit(X, Y)
    assert (model.predict(inputs) / scale - offset) == pytest.approx(plain.predict(X), abs=0.05)


def test_without_scaling_the_network_sees_the_numbers_as_they_are():
    model = good(scale_X=False, scale_y=False, max_iter=5, dtype="float64").fit(X, Y)
    with torch.no_grad():
        outputs = model.module_(torch.from_numpy(X))
    np.testing.assert_allclose(outputs[:, 0].numpy(), model.predict(X), rtol=1e-12)
    assert model.loss_curve_[-1] == pytest.approx(((model.predict(X) - Y) ** 2).mean(), rel=0.5)


@pytest.mark.parametrize(
    ("y", "shape"),
    [(Y, (120,)), (Y[:, None], (120, 1)), (np.c_[Y, 100 * X[:, 0], -Y], (120, 3))],
    ids=["(N,)", "(N, 1)", "(N, K)"],
)
def test_predictions_have_the_shape_of_y(y, shape):
    model = good().fit(X, y)
    assert model.predict(X).shape == shape
    assert model.predict(X[:1]).shape == (1, *shape[1:])
    assert model.score(X, y) > 0.95
    assert model.n_outputs_ == (shape[1] if len(shape) > 1 else 1)


def test_lists_tensors_and_sparse_matrices_give_the_bits_of_arrays():
    from scipy.sparse import csr_array

    expected = good(max_iter=3).fit(X, Y).predict(X)
    for inputs, y in (
        (X.tolist(), Y.tolist()),
        (torch.from_numpy(X), torch.from_numpy(Y).requires_grad_()),
        (csr_array(X), Y),
        (np.asfortranarray(X), Y),
    ):
        model = good(max_iter=3).fit(inputs, y)
        assert np.array_equal(model.predict(inputs), expected)
    half = torch.from_numpy(X).bfloat16()
    assert good(max_iter=3).fit(half, torch.from_numpy(Y).bfloat16()).predict(half).shape == (120,)


def test_dropout_changes_the_training_and_not_the_predictions():
    model = good(dropout=0.5, solver="adam", max_iter=3).fit(X, Y)
    assert np.array_equal(model.predict(X), model.predict(X))
    assert model.loss_curve_ != good(solver="adam", max_iter=3).fit(X, Y).loss_curve_


def test_a_weight_of_two_counts_as_two_rows():
    weight = np.where(X[:, 0] > 0, 2.0, 1.0)
    doubled = np.r_[np.arange(120), np.flatnonzero(weight == 2)]
    weighted = good(dtype="float64", max_iter=10).fit(X, Y, weight)
    repeated = good(dtype="float64", max_iter=10).fit(X[doubled], Y[doubled])
    assert weighted.predict(X) == pytest.approx(repeated.predict(X), rel=1e-6)


def test_early_stopping_holds_shuffled_rows_out_and_keeps_the_best_epoch():
    model = MLPRegressor(
        (32,),
        early_stopping=True,
        validation_fraction=0.25,
        learning_rate_init=0.1,
        max_iter=200,
        n_iter_no_change=4,
        random_state=0,
    ).fit(X, Y)
    train, held_out = model.history_.split["train"], model.history_.split["validation"]
    assert len(held_out) == 30
    assert sorted(np.r_[train, held_out]) == list(range(120))
    assert (np.diff(train) < 0).any()
    assert model.history_.outcome is Outcome.VALIDATION_LEAST
    scale = model.target_.scale[0]
    error = ((model.predict(X[held_out]) - Y[held_out]) / scale) ** 2
    assert model.best_loss_ == pytest.approx(error.mean(), rel=1e-4)
    assert model.best_loss_ == min(model.validation_loss_curve_)
    assert model.history_.best_epoch < model.n_iter_ - 1
    assert model.target_.mean[0] == pytest.approx(Y[train].mean())


def test_validation_rows_of_the_users_decide_when_to_stop():
    model = good(solver="adam", learning_rate_init=0.1, max_iter=20)
    model.fit(X[:90], Y[:90], X_val=X[90:], y_val=Y[90:], sample_weight_val=np.ones(30))
    assert len(model.validation_loss_curve_) == model.n_iter_
    assert model.history_.split == {}
    error = ((model.predict(X[90:]) - Y[90:]) / model.target_.scale[0]) ** 2
    assert model.best_loss_ == pytest.approx(error.mean(), rel=1e-4)


def test_without_validation_rows_there_is_no_validation_curve():
    model = good(max_iter=3).fit(X, Y)
    assert model.validation_loss_curve_ is None
    assert model.best_loss_ == min(model.loss_curve_)
    assert (model.n_iter_, model.t_) == (3, 360)


def test_an_unfinished_training_says_so():
    with pytest.warns(ConvergenceWarning) as told:
        MLPRegressor((4,), max_iter=3).fit(X, Y)
    assert [str(warning.message) for warning in told] == [
        "max_iter=3 epochs are done and the loss is still falling: the training has not converged. "
        "Give a larger max_iter or learning_rate_init."
    ]
    assert told[0].filename == __file__


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_a_schedule_that_ends_at_max_iter_is_finished_there(schedule):
    model = MLPRegressor((4,), max_iter=3, learning_rate=schedule).fit(X, Y)
    assert model.history_.outcome is Outcome.EPOCHS_DONE


def test_adaptive_divides_the_rate_by_five_each_time_that_the_loss_stalls():
    model = MLPRegressor(
        (4,),
        learning_rate="adaptive",
        learning_rate_init=0.01,
        n_iter_no_change=2,
        tol=1e3,
        max_iter=100,
        random_state=0,
    ).fit(X, Y)
    rates = model.history_.learning_rate
    ratio = rates[1:] / rates[:-1]
    assert set(np.round(ratio[rates[1:] > 1.1e-6], 6)) == {1.0, 0.2}
    assert rates[-1] == pytest.approx(1e-6)
    assert model.history_.outcome is Outcome.NO_IMPROVEMENT


def test_a_loss_that_falls_by_less_than_tol_an_epoch_counts_as_stalled():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    scheduler = Adaptive(optimizer, n_iter_no_change=3, tol=0.1)
    rates = []
    for loss in (1.0, 0.95, 0.9, 0.85, 0.8):
        scheduler.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [1.0, 1.0, 1.0, 0.2, 0.2]


@pytest.mark.parametrize("rate", [1e6, 1e30])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_a_huge_learning_rate_leaves_finite_predictions(rate, solver):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model = MLPRegressor((8, 8), solver=solver, learning_rate_init=rate, random_state=0)
        model.fit(X, Y)
    assert np.isfinite(model.predict(X)).all()
    if model.history_.outcome is Outcome.NOT_FINITE:
        assert [str(warning.message) for warning in told] == [Outcome.NOT_FINITE.sentence]
    else:
        assert solver == "adam"


def test_a_training_that_became_infinite_says_so():
    with pytest.warns(ConvergenceWarning, match="became infinite or NaN"):
        model = MLPRegressor(solver="sgd", learning_rate_init=1e30, max_iter=5).fit(X, Y)
    assert model.history_.outcome is Outcome.NOT_FINITE


def test_time_runs_out_within_the_training():
    model = MLPRegressor(max_time=0, max_iter=10**6).fit(X, Y)
    assert model.history_.outcome is Outcome.TIME_UP
    assert model.n_iter_ == 1


def test_a_network_without_hidden_layers_is_a_linear_model():
    y = 3 * X[:, 0] - X[:, 1] + 5
    model = good(hidden_layer_sizes=(), alpha=0).fit(X, y)
    assert model.n_layers_ == 2
    assert model.predict(X) == pytest.approx(y, abs=1e-3)


def test_a_bounded_output_is_reached_without_scaling_y():
    y = np.tanh(Y - 1)
    model = good(output_activation="tanh", scale_y=False).fit(X, y)
    assert np.abs(model.predict(10 * X)).max() <= 1
    assert model.score(X, y) > 0.95
    assert model.out_activation_ == "tanh"


def test_two_rows_and_a_thousand_columns_are_enough():
    model = good(max_iter=3).fit(X[:2], Y[:2])
    assert model.predict(X[:1]).shape == (1,)
    wide = RNG.normal(size=(20, 1000))
    assert good(max_iter=3).fit(wide, Y[:20]).predict(wide).shape == (20,)


def test_partial_fit_takes_one_row_at_a_time():
    model = MLPRegressor((4,), **ALL_EPOCHS)
    for i in range(5):
        model.partial_fit(X[i : i + 1], Y[i : i + 1])
    assert model.n_iter_ == 5
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("factor", [1.0, 1e305])
def test_targets_are_standardised_in_their_own_memory_to_the_same_bits(factor):
    y = np.linspace(0.0, 9.0, 10) ** 2 * factor
    target = RegressionTarget.fit(y, None, scaled=True)
    expected = target.encode(y.copy())
    found = target.encode(y, overwrite=True)
    assert np.shares_memory(found, y) and not np.shares_memory(target.encode(y), y)
    np.testing.assert_array_equal(found, expected)
