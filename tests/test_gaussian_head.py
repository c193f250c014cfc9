"""One network with two outputs for each target: a mean and the logarithm of a variance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.metrics import r2_score
from torch import nn

import linnet
from linnet import EnsembleRegressor, MLPRegressor, ModuleClassifier, ModuleRegressor
from linnet.error_bars import ErrorBars

SETTINGS = {
    "loss": "gaussian",
    "activation": "tanh",
    "learning_rate_init": 0.01,
    "learning_rate": "cosine",
    "max_iter": 150,
    "n_iter_no_change": float("inf"),
    "batch_size": 50,
    "random_state": 0,
}


def noisy_rows(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return X (N, 1), y (N,) and the standard deviation (N,) of y's noise, 5 to 25."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n_rows, 1))
    std = 15 + 10 * np.sin(3 * X[:, 0])
    return X, 1000 + 100 * X[:, 0] + std * rng.normal(size=n_rows), std


@pytest.fixture(scope="module")
def fitted():
    X, y, _ = noisy_rows(1500, 0)
    plain = MLPRegressor((32,), **SETTINGS).fit(X, y)
    judged = MLPRegressor((32,), early_stopping=True, validation_fraction=0.3, **SETTINGS)
    return {"plain": plain, "judged": judged.fit(X, y)}


@pytest.mark.parametrize("which", ["plain", "judged"])
def test_mean_and_standard_deviation_are_those_of_the_noise(fitted, which):
    X, _, std = noisy_rows(500, 1)
    mean, found = fitted[which].predict(X, return_std=True)
    assert (mean == fitted[which].predict(X)).all()
    assert np.sqrt(np.mean((mean - (1000 + 100 * X[:, 0])) ** 2)) < 3
    np.testing.assert_allclose(found, std, rtol=0.35)
    assert np.corrcoef(found, std)[0, 1] > 0.97


@pytest.mark.parametrize("which", ["plain", "judged"])
def test_intervals_hold_their_share_where_noise_is_small_and_where_it_is_large(fitted, which):
    X, y, std = noisy_rows(4000, 2)
    low, high = fitted[which].predict_interval(X, 0.9).T
    inside = (low <= y) & (y <= high)
    assert inside.mean() == pytest.approx(0.9, abs=0.03)
    assert inside[std < 15].mean() == pytest.approx(0.9, abs=0.05)
    assert inside[std >= 15].mean() == pytest.approx(0.9, abs=0.05)


def test_score_is_r2_of_the_mean(fitted):
    X, y, _ = noisy_rows(500, 3)
    model = fitted["plain"]
    assert model.score(X, y) == pytest.approx(r2_score(y, model.predict(X)))


def test_the_loss_is_minus_the_logarithm_of_the_normal_density(fitted):
    # Of the rows that chose the best epoch, in standardised units of y, as scipy computes it.
    model = fitted["judged"]
    X, y, _ = noisy_rows(1500, 0)
    rows = model.history_.split["validation"]
    outputs = model._outputs(X[rows])
    mean, log_variance = outputs.numpy().T
    z = model.target_.encode(y[rows])[:, 0]
    expected = -norm.logpdf(z, mean, np.exp(log_variance / 2)).mean()
    assert min(model.validation_loss_curve_) == pytest.approx(expected, rel=1e-4)


def test_without_validation_rows_errors_are_normal(fitted):
    X = noisy_rows(50, 4)[0]
    model = fitted["plain"]
    mean, std = model.predict(X, return_std=True)
    quantiles = model.predict_quantiles(X, [0.1, 0.5, 0.975])
    expected = norm.ppf([[0.1, 0.5, 0.975]], mean[:, None], std[:, None])
    np.testing.assert_allclose(quantiles, expected, rtol=1e-12)


def test_validation_rows_widen_what_the_head_says_of_itself():
    # A head that has learnt 60 rows of 10 columns by heart is too sure of itself; others tell.
    rng = np.random.default_rng(5)
    X = rng.normal(size=(2460, 10))
    y = X[:, 0] + rng.normal(size=2460)
    settings = {**SETTINGS, "max_iter": 100}
    sure = MLPRegressor((32,), **settings).fit(X[:60], y[:60])
    told = MLPRegressor((32,), **settings)
    told.fit(X[:60], y[:60], X_val=X[60:460], y_val=y[60:460])
    inside = {}
    for name, model in (("sure", sure), ("told", told)):
        low, high = model.predict_interval(X[460:]).T
        inside[name] = ((low <= y[460:]) & (y[460:] <= high)).mean()
    assert inside["sure"] < 0.7
    assert inside["told"] == pytest.approx(0.9, abs=0.04)


@pytest.mark.parametrize("which", ["plain", "judged"])
def test_a_file_keeps_the_head(fitted, which, tmp_path):
    X = noisy_rows(20, 8)[0]
    model = fitted[which]
    linnet.save(model, tmp_path / "head.linnet")
    again = linnet.load(tmp_path / "head.linnet")
    for before, after in zip(
        model.predict(X, return_std=True), again.predict(X, return_std=True), strict=True
    ):
        assert (before == after).all()
    assert (model.predict_interval(X) == again.predict_interval(X)).all()


@pytest.mark.parametrize("loss", ["gaussian", linnet.losses.GaussianLoss()])
def test_a_module_of_ones_own_ends_with_means_and_logarithms(loss, tmp_path):
    X, y, _ = noisy_rows(300, 9)
    Y = np.column_stack([y, -2 * y])

    def build(n_inputs, n_outputs):
        return nn.Sequential(nn.Linear(n_inputs, 16), nn.Tanh(), nn.Linear(16, 2 * n_outputs))

    rates = {"learning_rate_init": 0.01, "learning_rate": "cosine"}
    model = ModuleRegressor(build, loss=loss, random_state=0, **rates)
    mean, std = model.fit(X, Y).predict(X, return_std=True)
    assert mean.shape == std.shape == (300, 2)
    np.testing.assert_allclose(std[:, 1], 2 * std[:, 0], rtol=0.5)
    assert model.predict_interval(X).shape == (300, 2, 2)
    linnet.save(model, tmp_path / "own.linnet")
    again = linnet.load(tmp_path / "own.linnet", module=build(1, 2))
    assert (again.predict(X, return_std=True)[1] == std).all()


def test_far_from_all_rows_bounds_are_numbers(fitted):
    X = np.array([[1e30], [-1e30]])
    assert not np.isnan(fitted["judged"].predict_quantiles(X, [0.05, 0.5, 0.95])).any()


def test_normal_error_bars_survive_their_state():
    bars = ErrorBars.from_state(3, 2, ErrorBars.normal(2).state_dict())
    np.testing.assert_allclose(bars.quantile(0.05), norm.ppf([0.05, 0.05]))
    sigma = torch.tensor([[1.0, 2.0]])
    assert (bars.standard_deviation(sigma) == sigma).all()


@pytest.mark.parametrize(
    ("attempt", "sentence"),
    [
        (
            lambda X, y: MLPRegressor(loss="gaussian", solver="lm").fit(X, y),
            "Levenberg-Marquardt minimises the mean squared error, and the loss is gaussian. Write "
            "loss='squared_error', or solver='adamw' or solver='lbfgs'.",
        ),
        (
            lambda X, y: MLPRegressor(loss="gaussian", output_activation="tanh").fit(X, y),
            "output_activation='tanh' cannot reach every standardised target. Write scale_y=False "
            "and give y in the range of that activation, or output_activation='identity'.",
        ),
        (
            lambda X, y: MLPRegressor(loss="gaussian", output_activation="tanh", scale_y=False).fit(
                X, y
            ),
            "output_activation='tanh' would hold for the variance of loss='gaussian' too. Write "
            "output_activation='identity', or another loss.",
        ),
        (
            lambda X, y: EnsembleRegressor(loss="gaussian").fit(X, y),
            "loss='gaussian' is for one network, MLPRegressor: an ensemble learns the variance "
            "from rows held out, with any loss. Write loss='squared_error'.",
        ),
        (
            lambda X, y: ModuleClassifier(nn.Linear(1, 2), loss="gaussian").fit(X, y > 1000),
            "The loss gaussian is for numbers, of which it takes a mean and a variance, and y "
            "holds classes. Write loss='log_loss', or use ModuleRegressor.",
        ),
        (
            lambda X, y: ModuleRegressor(nn.Linear(1, 1), loss="gaussian").fit(X, y),
            "The module's output has shape (N, 1), but y holds targets of shape (N, 1), and the "
            "loss takes a mean and the logarithm of a variance for each. Let the module end with "
            "nn.Linear(..., 2).",
        ),
    ],
    ids=["lm", "bounded", "output_activation", "ensemble", "classes", "outputs"],
)
def test_where_it_does_not_fit_one_sentence_says_so(attempt, sentence):
    X, y, _ = noisy_rows(40, 0)
    with pytest.raises(ValueError) as caught:
        attempt(X, y)
    assert str(caught.value) == sentence
