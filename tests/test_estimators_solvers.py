"""Solvers in the estimators: lm, auto, and the preset that does what MATLAB's fitnet does."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_score

import linnet
from linnet import LBFGS, History, LevenbergMarquardt, MLPClassifier, MLPRegressor, Outcome
from linnet.network import mlp


def sine(n=120):
    X = np.linspace(-3, 3, n).reshape(-1, 1)
    return X, 100 * np.sin(X.ravel()) + 7


def test_lm_fits_a_sine_to_many_digits():
    X, y = sine()
    model = MLPRegressor((8,), "tanh", solver="lm", alpha=0, max_iter=300, random_state=0)
    model.fit(X, y)
    assert np.abs(model.predict(X) - y).max() < 0.02
    assert model.history_.batch_size == len(X)
    assert model.history_.engine == "native"


def test_lm_penalises_as_lbfgs_does():
    X, y = load_diabetes(return_X_y=True)
    options = {"hidden_layer_sizes": (), "alpha": 50.0, "dtype": "float64", "tol": 0}
    options["n_iter_no_change"] = np.inf
    lm = MLPRegressor(solver="lm", random_state=0, max_iter=50, **options).fit(X, y)
    lbfgs = MLPRegressor(solver="lbfgs", random_state=0, max_iter=100, **options).fit(X, y)
    free = MLPRegressor(solver="lm", random_state=0, max_iter=50, **{**options, "alpha": 0}).fit(
        X, y
    )
    np.testing.assert_allclose(lm.coefs_[0], lbfgs.coefs_[0], atol=3e-4)
    assert np.abs(lm.coefs_[0] - free.coefs_[0]).max() > 0.1


def test_lm_is_not_stopped_by_tol_but_by_its_own_criterion():
    X, y = sine()
    model = MLPRegressor((3,), "tanh", solver="lm", tol=1e-2, max_iter=2000, random_state=0)
    model.fit(X, y)
    assert model.history_.outcome in (Outcome.SMALL_GRADIENT, Outcome.CONVERGED)


@pytest.mark.parametrize("solver", ["lm", "auto"])
def test_lm_that_is_cut_off_is_told_of_no_rate(solver):
    with pytest.warns(ConvergenceWarning) as caught:
        MLPRegressor((8,), "tanh", solver=solver, max_iter=3, random_state=0).fit(*sine())
    assert str(caught[0].message) == (
        "max_iter=3 epochs are done and the loss is still falling: the training has not "
        "converged. Give a larger max_iter."
    )


def test_lm_goes_on_with_warm_start():
    X, y = sine()
    options = {"hidden_layer_sizes": (6,), "activation": "tanh", "solver": "lm", "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        once = MLPRegressor(max_iter=12, **options).fit(X, y)
        twice = MLPRegressor(max_iter=6, warm_start=True, **options).fit(X, y).fit(X, y)
    np.testing.assert_array_equal(once.predict(X), twice.predict(X))
    assert twice.n_iter_ == 12


def test_the_knobs_of_lm_are_set_by_a_partial():
    X, y = sine()
    solver = functools.partial(LevenbergMarquardt, goal=1e-3, bayesian=True)
    model = MLPRegressor((8,), "tanh", solver=solver, max_iter=300, random_state=0).fit(X, y)
    assert model.history_.outcome is Outcome.GOAL_REACHED
    assert model.history_.notes == []
    with pytest.raises(AttributeError) as error:
        model.partial_fit(X, y)
    assert str(error.value) == (
        "partial_fit is not there for solver=LevenbergMarquardt, which needs all rows at once. "
        "Choose solver='adam', 'adamw' or 'sgd'."
    )


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_the_number_of_effective_parameters_is_told_and_kept(engine, tmp_path):
    X, y = sine()
    solver = functools.partial(LevenbergMarquardt, bayesian=True)
    options = {"solver": solver, "max_iter": 60, "n_iter_no_change": np.inf, "random_state": 0}
    model = MLPRegressor((20,), "tanh", engine=engine, **options)
    noise = np.random.default_rng(0).normal(size=len(y))
    model.fit(X, y + 0.1 * noise)
    found = model.effective_parameters_
    assert 3 < found < 30 < 61  # of the network's
    assert found == model.history_.effective_parameters
    model.solver = "lm"  # a function cannot be written
    model.save(tmp_path / "model.linnet")
    assert linnet.load(tmp_path / "model.linnet").effective_parameters_ == found
    again = History.from_json(model.history_.to_json())
    assert again.effective_parameters == found
    record = model.history_.to_dict()
    del record["effective_parameters"]  # as earlier versions wrote it
    assert History.from_dict(record).effective_parameters is None
    assert (
        MLPRegressor((3,), "tanh", solver="lm", random_state=0)
        .fit(X, y)
        .history_.to_dict()["effective_parameters"]
        is None
    )


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (
            MLPClassifier((500, 50), solver="lm"),  # its size is not the first thing to mend
            "Levenberg-Marquardt minimises the mean squared error, and the loss is "
            "binary_log_loss. Write solver='adamw' or solver='lbfgs'.",
        ),
        (
            MLPRegressor((500, 50), solver="lm", loss="huber"),
            "Levenberg-Marquardt minimises the mean squared error, and the loss is huber. Write "
            "loss='squared_error', or solver='adamw' or solver='lbfgs'.",
        ),
        (
            MLPRegressor((500, 50), solver="lm", dropout=0.1),
            "Levenberg-Marquardt cannot train this module: with dropout=0.1 the outputs depend on "
            "chance. A row's outputs have to depend on that row alone, and not on chance. Write "
            "dropout=0.0, or solver='adamw'.",
        ),
    ],
)
def test_lm_refuses_other_losses_and_dropout_with_what_to_write(model, sentence):
    X = np.random.default_rng(0).normal(size=(40, 2))
    with pytest.raises(ValueError) as error:
        model.fit(X, X[:, 0] > 0)
    assert str(error.value) == sentence


def test_what_has_no_effect_on_lm_and_lbfgs_is_noted():
    own = {"batch_size": 20, "learning_rate": "cosine", "learning_rate_init": 0.1, "alpha": 0.1}
    bayesian = functools.partial(LevenbergMarquardt, bayesian=True)
    told = []
    for options in (
        own | {"solver": "lm"},
        {"solver": bayesian, "alpha": 0.1},
        {"solver": "lm"},
        own | {"solver": "lbfgs"},
        {"solver": LBFGS, "alpha": 0.1},
        {"solver": "lbfgs"},
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = MLPRegressor((3,), max_iter=2, random_state=0, **options).fit(*sine())
        told.append(model.history_.notes)
    assert told == [
        [
            "batch_size=20, learning_rate='cosine', learning_rate_init=0.1: without effect on "
            "Levenberg-Marquardt, for it takes all rows at once and it has no learning rate."
        ],
        [
            "alpha=0.1: without effect on Levenberg-Marquardt, for a solver that is no name has "
            "its own weight_decay."
        ],
        [],
        [
            "batch_size=20, learning_rate='cosine', learning_rate_init=0.1: without effect on "
            "L-BFGS, for it takes all rows at once and its line search finds the length of a step."
        ],
        [
            "alpha=0.1: without effect on L-BFGS, for a solver that is no name has its own "
            "weight_decay."
        ],
        [],
    ]


# auto -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "note"),
    [
        (
            {"hidden_layer_sizes": (5,)},
            "solver='auto': Levenberg-Marquardt, for the loss is squared_error, 16 parameters are "
            "at most 2,000, and 120 rows x 16² parameters are 3.1e+04, of 4e+09 at most.",
        ),
        (
            {"hidden_layer_sizes": (50, 50)},
            "solver='auto': AdamW, its rate falling as cosine, for 2,701 parameters are more than "
            "2,000.",
        ),
        (
            {"hidden_layer_sizes": (5,), "loss": "huber"},
            "solver='auto': AdamW, its rate falling as cosine, for the loss is huber, not "
            "squared_error.",
        ),
        (
            {"hidden_layer_sizes": (5,), "dropout": 0.1},
            "solver='auto': AdamW, its rate falling as cosine, for the outputs depend on chance: 2 "
            "is a Dropout.",
        ),
    ],
)
def test_auto_chooses_by_size_and_loss_and_says_why(options, note):
    model = MLPRegressor(
        solver="auto", max_iter=4, n_iter_no_change=np.inf, random_state=0, **options
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(*sine())
    assert model.history_.notes[0] == note
    if "AdamW" in note:
        assert model.history_.learning_rate[-1] < model.history_.learning_rate[0]
        assert model.history_.batch_size == 120


def test_auto_takes_adamw_where_rows_times_parameters_squared_are_too_many(monkeypatch):
    monkeypatch.setattr("linnet.estimators.automatic.GREATEST_WORK", 1e4)
    model = MLPRegressor((5,), solver="auto", max_iter=2, random_state=0).fit(*sine())
    assert model.history_.notes == [
        "solver='auto': AdamW, its rate falling as cosine, for 120 rows x 16² parameters are "
        "3.1e+04, of 1e+04 at most."
    ]


def test_auto_can_be_fitted_in_parts():
    X, y = sine()
    model = MLPRegressor((5,), solver="auto", random_state=0).partial_fit(X, y)
    assert model.partial_fit(X, y).n_iter_ == 2
    assert model.history_.notes == [
        "solver='auto': AdamW, for partial_fit is given a part of the rows at a time."
    ]


# fitnet -----------------------------------------------------------------------------------------


def test_fitnet_divides_scales_and_stops_as_matlab_does():
    rng = np.random.default_rng(0)
    X = rng.uniform(-5, 20, size=(200, 2))
    y = X[:, 0] * 3 + np.sin(X[:, 1]) + rng.normal(size=200) / 2
    model = MLPRegressor.from_preset("fitnet", random_state=0).fit(X, y)
    split = model.history_.split
    assert {part: len(rows) for part, rows in split.items()} == {
        "train": 140, "validation": 30, "test": 30,
    }  # fmt: skip
    assert sorted(np.concatenate(list(split.values()))) == list(range(200))
    assert model.history_.outcome is Outcome.VALIDATION_LEAST
    assert model.history_.best_epoch == model.n_iter_ - 7  # six failures
    train, test = split["train"], split["test"]
    encoded = model.columns_.encode_array(X[train])
    np.testing.assert_allclose([encoded.min(0), encoded.max(0)], [[-1, -1], [1, 1]], atol=1e-6)
    targets = model.target_.encode(y[train], "y")
    np.testing.assert_allclose([targets.min(), targets.max()], [-1, 1], atol=1e-6)
    assert model.test_score_ == pytest.approx(r2_score(y[test], model.predict(X[test])))
    assert model.hidden_layer_sizes == (10,) and model.max_iter == 1000


def test_a_preset_is_plain_parameters_to_scikit_learn():
    model = MLPRegressor.from_preset("fitnet", hidden_layer_sizes=(4,), random_state=1)
    assert clone(model).get_params() == model.get_params()
    assert model.get_params()["hidden_layer_sizes"] == (4,)
    assert cross_val_score(model, *sine(), cv=3).shape == (3,)


def test_a_preset_that_is_mistyped_is_answered():
    with pytest.raises(ValueError) as error:
        MLPRegressor.from_preset("fitnett")
    assert str(error.value) == (
        "preset='fitnett' is not known, did you mean 'fitnet'? Allowed are 'fitnet'."
    )


@pytest.mark.parametrize("estimator", [MLPRegressor, MLPClassifier])
def test_a_preset_as_a_parameter_is_answered_with_what_to_write(estimator):
    with pytest.raises(TypeError) as error:
        estimator(preset="fitnet")
    assert str(error.value) == (
        f"{estimator.__name__} has no parameter 'preset': write MLPRegressor.from_preset('fitnet', "
        "...), which sets plain parameters."
    )


def test_rows_set_aside_change_nothing_that_is_learnt():
    X, y = sine()
    solver = functools.partial(LevenbergMarquardt, goal=1e-4)
    model = MLPRegressor.from_preset("fitnet", random_state=0, solver=solver).fit(X, y)
    spoilt = y.copy()
    spoilt[model.history_.split["test"]] = 1e3
    other = MLPRegressor.from_preset("fitnet", random_state=0, solver=solver).fit(X, spoilt)
    np.testing.assert_array_equal(model.predict(X), other.predict(X))
    assert other.test_score_ <= 0 < 0.9 < model.test_score_


def test_too_large_a_test_fraction_is_told_by_its_name():
    with pytest.raises(ValueError) as error:
        MLPRegressor(test_fraction=0.99).fit(*sine(20))
    assert str(error.value) == (
        "test_fraction=0.99 of 20 rows leaves fewer than 2 to train on. Give more rows, a smaller "
        "fraction, or early_stopping=False."
    )


def test_minmax_scaling_comes_back_in_the_units_of_y():
    X, y = sine()
    model = MLPRegressor(
        (8,), "tanh", scale_X="minmax", scale_y="minmax", solver="lm", max_iter=300, alpha=0,
        random_state=0,
    ).fit(X, y)  # fmt: skip
    assert np.abs(model.predict(X) - y).max() < 0.1
    with pytest.raises(ValueError, match="did you mean 'minmax'"):
        MLPRegressor(scale_X="min_max").fit(X, y)


# Nguyen-Widrow ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_inputs", "hidden"), [(1, 10), (3, 40), (2, 1)])
def test_nguyen_widrow_spreads_units_over_the_range(n_inputs, hidden):
    generator = torch.Generator().manual_seed(0)
    network = mlp(
        n_inputs, hidden, 1, activation="tanh", initialization="nguyen_widrow", generator=generator
    )
    weight, bias = network[0].weight.detach(), network[0].bias.detach()
    length = 0.7 * hidden ** (1 / n_inputs)  # Nguyen and Widrow 1990, section 4
    torch.testing.assert_close(weight.norm(dim=1), torch.full((hidden,), length))
    assert bias.abs().max() <= length * 1.0001
    if hidden > 1:
        along = (bias * weight[:, 0].sign()).sort().values
        torch.testing.assert_close(
            along.diff(), torch.full((hidden - 1,), 2 * length / (hidden - 1))
        )
    assert network[2].weight.abs().max() <= 0.5


def test_nguyen_widrow_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    mlp(2, (5,), 1, initialization="nguyen_widrow")
    assert torch.equal(torch.rand(3), expected)
