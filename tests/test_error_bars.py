"""Standard deviations, intervals and quantiles, compared with what is known of the noise."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from noisy_problems import PROBLEMS
from scipy.stats import norm, t
from sklearn.exceptions import ConvergenceWarning

from linnet import EnsembleRegressor, MLPRegressor, ModuleRegressor
from linnet.error_bars import ErrorBars, HeldOutErrors

SMALL = {"hidden_layer_sizes": (32,), "learning_rate_init": 0.02, "max_iter": 50}


def fitted(problem, n_rows, seed, n_test=4000, **parameters):
    """An ensemble, and test rows: inputs, targets and scales of the noise."""
    rng = np.random.default_rng((seed, n_rows))
    X, y, _ = PROBLEMS[problem](rng, n_rows)
    model = EnsembleRegressor(**{**SMALL, **parameters}, random_state=seed).fit(X, y)
    return model, PROBLEMS[problem](rng, n_test)


def share_inside(intervals, y):
    return (intervals[..., 0] <= y) & (y <= intervals[..., 1])


# Coverage ---------------------------------------------------------------------------------------


def coverages(cases, coverage=0.9):
    """The share inside for each problem, number of rows and seed, (R,)."""
    shares = []
    for problem, n_rows, seed in cases:
        model, (X, y, _) = fitted(problem, n_rows, seed)
        shares.append(share_inside(model.predict_interval(X, coverage), y).mean())
    return np.array(shares)


def test_nine_tenths_of_new_rows_lie_inside_over_all_problems():
    cases = [(problem, n_rows, 0) for problem in PROBLEMS for n_rows in (100, 400)]
    shares = coverages(cases)
    assert 0.88 < shares.mean() < 0.92
    assert shares.min() > 0.75


@pytest.mark.slow
@pytest.mark.parametrize("n_rows", [60, 200, 600, 2000])
def test_nine_tenths_of_new_rows_lie_inside_at_each_size(n_rows):
    shares = coverages([(problem, n_rows, seed) for problem in PROBLEMS for seed in range(5)])
    assert 0.88 < shares.mean() < 0.92
    assert shares.min() > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95, 0.99])
def test_other_coverages_hold_too(coverage):
    cases = [(problem, 500, seed) for problem in PROBLEMS for seed in range(2)]
    assert coverages(cases, coverage).mean() == pytest.approx(coverage, abs=0.03)


@pytest.mark.parametrize("problem", ["heteroscedastic", "two_levels"])
def test_rows_of_little_and_of_much_noise_are_inside_as_often(problem):
    with_network, of_one_width = [], []
    for seed in (0, 1):
        model, (X, y, scale) = fitted(problem, 1000, seed)
        quiet = scale < scale.mean()
        for found in (with_network, of_one_width):
            inside = share_inside(model.predict_interval(X), y)
            found.append([inside[quiet].mean(), inside[~quiet].mean()])
            model.error_bars_.belief.fill_(0.0)
    quiet, loud = np.mean(with_network, axis=0)
    assert 0.84 < quiet < 0.98
    assert 0.84 < loud < 0.96
    # Without its network of the variance, one width for all rows fails that.
    quiet, loud = np.mean(of_one_width, axis=0)
    assert loud < 0.84 or quiet > 0.98


@pytest.mark.slow
@pytest.mark.parametrize("problem", ["heteroscedastic", "two_levels"])
def test_conditional_coverage_over_many_seeds(problem):
    halves = []
    for seed in range(8):
        model, (X, y, scale) = fitted(problem, 1000, seed)
        inside, quiet = share_inside(model.predict_interval(X), y), scale < scale.mean()
        halves.append([inside[quiet].mean(), inside[~quiet].mean()])
    quiet, loud = np.mean(halves, axis=0)
    # A smooth network of the variance is too careful beside a jump of the noise.
    assert 0.86 < quiet < (0.98 if problem == "two_levels" else 0.96)
    assert 0.86 < loud < 0.94


def test_the_ends_of_a_skewed_error_are_exceeded_as_often():
    model, (X, y, _) = fitted("skewed", 1000, 0)
    low, high = model.predict_interval(X).T
    assert (y < low).mean() == pytest.approx(0.05, abs=0.025)
    assert (y > high).mean() == pytest.approx(0.05, abs=0.025)
    middle = model.predict(X)
    assert (high - middle).mean() > 1.3 * (middle - low).mean()


def test_bands_widen_where_there_were_no_rows():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (300, 1))
    y = np.sin(3 * X[:, 0]) + 0.1 * rng.normal(size=300)
    model = EnsembleRegressor(**SMALL, random_state=0).fit(X, y)
    _, std = model.predict([[0.0], [4.0]], return_std=True)
    assert std[1] > 3 * std[0]


# Standard deviations and quantiles --------------------------------------------------------------


def test_the_standard_deviation_is_that_of_the_noise_where_the_model_is_good():
    model, (X, y, scale) = fitted("heteroscedastic", 3000, 0)
    mean, std = model.predict(X, return_std=True)
    assert std.shape == mean.shape == (4000,)
    assert np.median(std / scale) == pytest.approx(1, abs=0.15)
    assert np.corrcoef(np.log(std), np.log(scale))[0, 1] > 0.95
    true_likelihood = norm.logpdf(y, mean, scale).mean()
    found = norm.logpdf(y, mean, std).mean()
    constant = norm.logpdf(y - mean, 0, np.std(y - mean)).mean()
    assert found > constant + 0.2
    assert found > true_likelihood - 0.15


def test_quantiles_are_the_ends_of_intervals_and_in_order():
    model, (X, _, _) = fitted("two_outputs", 300, 0)
    quantiles = model.predict_quantiles(X, [0.01, 0.05, 0.5, 0.95, 0.99])
    assert quantiles.shape == (4000, 2, 5)
    assert (quantiles[..., [1, 3]] == model.predict_interval(X, 0.9)).all()
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    assert model.predict(X, return_std=True)[1].shape == (4000, 2)


def test_shapes_follow_those_of_y():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 2)), rng.normal(size=50)
    model = EnsembleRegressor(2, max_iter=2, random_state=0).fit(X, y)
    assert model.predict_interval(X).shape == (50, 2)
    assert model.predict_quantiles(X).shape == (50, 3)
    column = model.fit(X, y[:, None])
    assert column.predict_interval(X).shape == (50, 1, 2)
    assert [part.shape for part in column.predict(X, return_std=True)] == [(50, 1), (50, 1)]


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (
            lambda model: model.predict_interval([[0.0]], coverage=90),
            "coverage=90 is not allowed: give a share between 0 and 1, such as coverage=0.9.",
        ),
        (
            lambda model: model.predict_interval([[0.0]], coverage=True),
            "coverage=True is not allowed: give a share between 0 and 1, such as coverage=0.9.",
        ),
        (
            lambda model: model.predict_quantiles([[0.0]], [0.5, 1.0]),
            "quantiles=1.0 is not allowed: give a share between 0 and 1, such as "
            "quantiles=(0.05, 0.5, 0.95).",
        ),
    ],
)
def test_a_level_out_of_range_is_told(ask, told):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 1))
    model = EnsembleRegressor(2, max_iter=1, random_state=0).fit(X, X.ravel())
    with pytest.raises(ValueError) as fault:
        ask(model)
    assert str(fault.value) == told


# The parts --------------------------------------------------------------------------------------


def errors_of(rng, n_rows, common, own):
    """Errors of two members for each row: common noise, and a part of each member's own."""
    shared = common * rng.normal(size=(n_rows, 1))
    pairs = shared + own * rng.normal(size=(n_rows, 2))
    return HeldOutErrors(
        np.zeros((2 * n_rows, 1)),
        np.zeros((2 * n_rows, 1)),
        pairs.reshape(-1, 1),
        np.repeat(np.arange(n_rows), 2),
    )


def test_the_variance_of_members_is_found_from_rows_that_two_hold_out():
    held_out = errors_of(np.random.default_rng(0), 20_000, 0.3, 0.4)
    assert held_out.member_share() == pytest.approx([0.16 / 0.25], rel=0.05)
    one_each = held_out.take(np.arange(0, 40_000, 2))
    assert one_each.member_share() == pytest.approx([0.0])


@pytest.mark.parametrize("n_members", [1, 2, 8])
def test_errors_of_one_member_become_those_of_the_mean(n_members):
    rng = np.random.default_rng(0)
    held_out = errors_of(rng, 4000, 0.3, 0.4)
    bars = ErrorBars.fit(held_out, n_members=n_members, seed=0, n_threads=1, local=False)
    members = 0.3 * rng.normal(size=(4000, 1)) + 0.4 * rng.normal(size=(4000, n_members))
    spread = members.std(axis=1, ddof=1) if n_members > 1 else np.zeros(4000)
    sigma = bars.sigma(
        torch.zeros(4000, 1), torch.zeros(4000, 1), torch.from_numpy(spread[:, None])
    )
    std = bars.standard_deviation(sigma).numpy()
    assert np.sqrt(np.mean(std**2)) == pytest.approx(members.mean(axis=1).std(), rel=0.05)
    assert np.sqrt(0.3**2 + 0.4**2 / n_members) == pytest.approx(
        members.mean(axis=1).std(), rel=0.05
    )


@pytest.mark.parametrize("n", [19, 58, 100])
def test_a_new_error_lies_below_a_quantile_as_often_as_its_level_says(n):
    rng = np.random.default_rng(0)
    bars, shares = ErrorBars(1, 1, n_scores=n), []
    for _ in range(4000):
        bars.scores = torch.from_numpy(np.sort(rng.uniform(size=(n, 1)), axis=0))
        shares.append([float(bars.quantile(level)) for level in (0.05, 0.5, 0.95)])
    # The scores above alone would leave 1 in 30 there with n = 58, instead of 1 in 20.
    assert np.mean(shares, axis=0) == pytest.approx([0.05, 0.5, 0.95], abs=0.003)


@pytest.mark.parametrize("n", [1, 5, 19, 100])
def test_quantiles_of_scores_are_conformal(n):
    bars = ErrorBars(1, 1, n_scores=n)
    bars.scores = torch.arange(1.0, n + 1, dtype=torch.float64).reshape(-1, 1) - (n + 1) / 2
    low, high = float(bars.quantile(0.05)), float(bars.quantile(0.95))
    assert low == pytest.approx(-high)
    if n >= 19:
        # Of n + 1 equally likely places, one in twenty lies above.
        assert high + (n + 1) / 2 == pytest.approx(0.95 * (n + 1))
    else:
        rms = float((bars.scores**2).mean().sqrt())
        assert high == pytest.approx(max((n - 1) / 2, t.ppf(0.95, n) * rms))


def test_weighted_errors_count_as_often_as_their_weights_say():
    rng = np.random.default_rng(0)
    errors = rng.normal(size=(3000, 1)) * np.repeat([1.0, 5.0], 1500)[:, None]
    weight = np.repeat([1.0, 0.001], 1500)
    held_out = HeldOutErrors(
        np.zeros((3000, 1)), np.zeros((3000, 1)), errors, np.arange(3000), weight
    )
    bars = ErrorBars.fit(held_out, n_members=1, seed=0, n_threads=1, local=False)
    scale = float(torch.exp(bars.log_variance / 2))
    assert float(bars.quantile(0.95)) * scale == pytest.approx(norm.ppf(0.95), rel=0.1)


def test_the_network_of_the_variance_begins_constant_and_says_nothing_of_means():
    from linnet.error_bars import _variance_network

    network = _variance_network(3, 2, torch.Generator().manual_seed(0))
    outputs = network(torch.randn(50, 5, generator=torch.Generator().manual_seed(1)))
    means, logarithms = outputs.chunk(2, dim=1)
    assert torch.equal(means, torch.zeros(50, 2))
    assert logarithms.abs().max() < 0.2


# One network ------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [True, False], ids=["X_val", "early_stopping"])
def test_one_network_with_validation_rows_has_intervals_of_one_width(given):
    shares = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        X, y, _ = PROBLEMS["homoscedastic"](rng, 500)
        model = MLPRegressor(
            (32,), "silu", learning_rate_init=0.01, max_iter=60, random_state=seed,
            learning_rate="one_cycle", early_stopping=not given, validation_fraction=0.3,
        )  # fmt: skip
        if given:
            model.fit(X[:350], y[:350], X_val=X[350:], y_val=y[350:])
        else:
            model.fit(X, y)
        X, y, _ = PROBLEMS["homoscedastic"](rng, 2000)
        intervals = model.predict_interval(X)
        shares.append(share_inside(intervals, y).mean())
        widths = np.diff(intervals)
        assert widths == pytest.approx(np.full((2000, 1), widths[0]))
        mean, std = model.predict(X, return_std=True)
        assert std.mean() == pytest.approx(np.std(y - mean), rel=0.25)
    assert 0.86 < np.mean(shares) < 0.94


def test_a_module_of_ones_own_has_intervals_too():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 2))
    model = ModuleRegressor(torch.nn.Linear(2, 1), early_stopping=True, random_state=0, max_iter=30)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, X[:, 0])
    assert model.predict_interval(X).shape == (100, 2)


def test_without_validation_rows_it_is_told_what_is_missing():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 1))
    model = MLPRegressor((4,), solver="lbfgs", random_state=0)
    model.fit(X, X.ravel(), X_val=X, y_val=X.ravel()).predict_interval(X)
    model.fit(X, X.ravel())
    with pytest.raises(ValueError) as fault:
        model.predict_interval(X)
    assert str(fault.value) == (
        "This model was fitted without validation rows, so that nothing is known of its errors for "
        "new rows. Fit it with early_stopping=True, or with X_val and y_val, or with "
        "loss='gaussian'; or use EnsembleRegressor, which knows them always."
    )


def test_intervals_of_counts_do_not_go_below_zero():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 2))
    counts = rng.poisson(np.exp(0.3 * X[:, 0]))
    settings = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for model in (
            EnsembleRegressor(3, loss="poisson", **settings),
            MLPRegressor(loss="poisson", early_stopping=True, **settings),
        ):
            assert model.fit(X, counts).predict_interval(X, 0.99).min() == 0.0
            assert model.predict_quantiles(X, [0.005]).min() == 0.0


def test_an_empty_list_of_quantiles_is_told():
    X = np.linspace(-1, 1, 60)[:, None]
    model = EnsembleRegressor(2, hidden_layer_sizes=(4,), max_iter=2, random_state=0)
    with pytest.raises(ValueError) as fault:
        model.fit(X, X[:, 0]).predict_quantiles(X, [])
    assert str(fault.value) == (
        "quantiles is empty: give levels between 0 and 1, such as quantiles=(0.05, 0.5, 0.95)."
    )
