"""What tables can hold at their worst: finite answers, or errors in linnet's own words.

tests/hard_problems.py draws the problems; docs/reliability.md tells how many were run.
"""

import numpy as np
import pytest
import torch
from hard_problems import NAMES, attempt
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.metrics import r2_score
from torch import nn

from linnet import (
    EnsembleClassifier,
    EnsembleRegressor,
    MLPClassifier,
    MLPRegressor,
    ModuleRegressor,
)
from linnet.error_bars import ErrorBars, HeldOutErrors
from linnet.estimators.scores import r2_scorer


def problem(n=60, d=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, X[:, 0] + 0.3 * rng.normal(size=n)


def network(**how):
    settings = {"solver": "lbfgs", "max_iter": 5, "random_state": 0, "n_iter_no_change": np.inf}
    return MLPRegressor((4,), "tanh", **{**settings, **how})


def ensemble(kind=EnsembleRegressor, **how):
    settings = {"n_members": 2, "hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}
    return kind(**{**settings, **how}, n_threads=1)


# At random ----------------------------------------------------------------------------------------


def _run(name, seeds):
    endings = {seed: attempt(name, seed) for seed in seeds}
    faults = {f"{name}:{seed}": e.sentence for seed, e in endings.items() if e.how == "fault"}
    assert faults == {}
    return [ending.how for ending in endings.values()]


@pytest.mark.parametrize("name", NAMES)
def test_hard_problems_end_with_a_finite_answer_or_an_error_of_linnets(name):
    endings = _run(name, range(100_000, 100_000 + (15 if name.startswith("Ensemble") else 30)))
    assert endings.count("answer") > len(endings) / 3


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 10_000, 20_000])
def test_many_hard_problems_end_well(name, seed):
    _run(name, range(seed, seed + 560))


# What was found that way --------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1e-310, 1e-200, 1e200, 1e307])
@pytest.mark.parametrize("model", [network(), ensemble()], ids=["network", "ensemble"])
def test_targets_of_any_size_are_predicted_and_scored_alike(model, size):
    X, y = problem()
    usual = model.fit(X, y).score(X, y)
    assert model.fit(X, y * size).score(X, y * size) == pytest.approx(usual, abs=1e-6)
    assert np.isfinite(model.predict(X)).all()
    low, high = model.predict_interval(X).T if hasattr(model, "error_bars_") else (-1, 1)
    assert np.isfinite(low).all() and (low <= high).all() if np.ndim(low) else True


@pytest.mark.parametrize("size", [1e-310, 1e-200, 1e200, 1e307])
def test_r2_of_validation_rows_is_that_of_scikit_learn_at_any_size(size):
    _, y = problem()
    p = y + 0.1 * np.sin(np.arange(60))
    assert r2_scorer(y * size, None)(p * size) == pytest.approx(r2_score(y, p), abs=1e-6)


def test_r2_of_regressors_is_that_of_scikit_learn():
    X, y = problem()
    weight = np.arange(60) % 3
    model = network().fit(X, y)
    assert model.score(X, y) == r2_score(y, model.predict(X))
    assert model.score(X, y, weight) == r2_score(y, model.predict(X), sample_weight=weight)
    with pytest.raises(ValueError) as fault:
        model.score(X, np.column_stack([y, y]))
    assert str(fault.value) == "y has 2 outputs; this model was fitted on 1. Give as many."


def test_a_column_from_end_to_end_of_float64_is_learnt():
    X, y = problem()
    far = X.copy()
    far[:, 0] = np.where(X[:, 0] > 0, 1.7e308, -1.7e308)
    near = X.copy()
    near[:, 0] = np.sign(X[:, 0])
    predicted = [network(dtype="float64").fit(Z, y).predict(Z) for Z in (far, near)]
    np.testing.assert_allclose(*predicted, rtol=1e-6)


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_weights_of_any_size_count_by_their_ratio(size):
    X, y = problem()
    weight = 1.0 + np.arange(60) % 3
    for model in (network(alpha=0.0), ensemble()):
        usual = model.fit(X, y, weight).predict(X)
        again = model.fit(X, y, weight * size).predict(X)
        np.testing.assert_allclose(again, usual, rtol=1e-3, atol=1e-3)


def test_validation_rows_are_drawn_from_rows_that_count():
    X, y = problem()
    weight = np.zeros(60)
    weight[5:25] = 1.0
    split = network(early_stopping=True).fit(X, y, weight).history_.split
    assert sorted(np.r_[split["train"], split["validation"]]) == list(range(5, 25))


def test_rows_far_from_all_others_are_predicted():
    X, y = problem()
    model = ensemble().fit(X, y)
    far = np.array([[1e300, -1e300, 1e300], [1e30, 1e30, 0.0]])
    mean, std = model.predict(far, return_std=True)
    assert np.isfinite(mean).all() and np.isfinite(std).all()


class FarLogarithm(nn.Module):
    """Gives NaN for negative inputs, but for the rows of the fit none."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, x):
        return self.linear(x) + 0 * torch.log(x[:, :1] + 100)


def test_predictions_that_are_not_finite_are_told_by_their_rows():
    X, y = problem()
    model = ModuleRegressor(FarLogarithm(), solver="sgd", random_state=0).fit(X, y)
    far = X[:5].copy()
    far[[2, 4]] = -1e4
    with pytest.raises(ValueError) as fault:
        model.predict(far)
    assert str(fault.value) == (
        "The network gives NaN or infinity for 2 rows of 5, the first of them row 2 (counted from "
        "0): too far from the rows of the fit, or the training failed (see history_.outcome). "
        "Leave them out, or fit with scaled inputs and a smaller learning_rate_init."
    )


def test_an_ensemble_whose_members_all_break_keeps_their_first_weights():
    X, y = problem()
    model = ensemble(solver="sgd", learning_rate_init=1e30)
    with pytest.warns(ConvergenceWarning, match="became infinite or NaN"):
        model.fit(X, y)
    assert len(model.module_.members) == 2
    assert np.isfinite(model.predict(X)).all()


def test_a_classifier_does_not_warn_of_many_classes():
    X, _ = problem()
    MLPClassifier((4,), max_iter=2, solver="lbfgs", n_iter_no_change=np.inf).fit(X, np.arange(60))


def test_a_column_of_classes_is_told_and_taken():
    X, y = problem()
    with pytest.warns(DataConversionWarning) as caught:
        ensemble(EnsembleClassifier).fit(X, (y > 0).reshape(-1, 1))
    assert str(caught[0].message) == (
        "A column-vector y was passed when a 1d array was expected: y of shape (60, 1) is taken as "
        "(60,). Give y.ravel()."
    )


@pytest.mark.parametrize("weight", [[1.0, np.nan] * 30, [1.0, np.inf] * 30])
def test_weights_that_are_not_finite_are_told(weight):
    X, y = problem()
    with pytest.raises(ValueError) as fault:
        network().fit(X, y, weight)
    assert str(fault.value) == (
        "sample_weight has 30 values that are NaN or infinite, the first in row 1 (counted from "
        "0): remove these rows or fill in finite numbers."
    )


def test_counts_so_large_that_the_training_fails_have_no_error_bars():
    X, y = problem()
    X_val, y_val = 1e9 * X[:10], np.abs(y[:10])  # whose predicted counts are exp of millions
    how = {"loss": "poisson", "scale_X": False, "solver": "sgd", "max_iter": 1}
    model = MLPRegressor((4,), **how, random_state=0)
    with pytest.warns(ConvergenceWarning, match="became infinite or NaN"):
        model.fit(X, np.abs(y), X_val=X_val, y_val=y_val)
    with pytest.raises(ValueError) as fault:
        model.predict(X, return_std=True)
    assert str(fault.value) == (
        "The predictions for the validation rows are infinite or beyond 1e150, so that nothing is "
        "known of the errors for new rows. Fit with a smaller learning_rate_init, or with scaled "
        "inputs."
    )


def test_error_bars_are_learnt_of_predictions_beyond_float32():
    rng = np.random.default_rng(0)
    outputs, errors = 1e60 * rng.normal(size=(100, 1)), 1e60 * rng.normal(size=(100, 1))
    held_out = HeldOutErrors(np.zeros((100, 2)), outputs, errors, np.arange(100))
    with pytest.warns(ConvergenceWarning, match="became infinite or NaN"):  # of their networks
        bars = ErrorBars.fit(held_out, n_members=1, seed=0, n_threads=1, local=True)
    mean = torch.from_numpy(outputs)
    sigma = bars.sigma(torch.zeros(100, 2), mean, torch.zeros_like(mean))
    assert torch.isfinite(bars.standard_deviation(sigma)).all()
