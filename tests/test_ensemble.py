"""Ensembles: scikit-learn's contract, members, rows held out, threads, and what is chosen."""

from __future__ import annotations

import copy
import math
import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine, make_friedman1
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

import linnet
from linnet import EnsembleClassifier, EnsembleRegressor
from linnet.ensemble.classification import _best_temperature, _temperature, _towards_one
from linnet.ensemble.fitting import mean_curve
from linnet.ensemble.folds import windows
from linnet.ensemble.members import Member
from linnet.ensemble.settings import Settings, choose
from linnet.error_bars import ErrorBars
from linnet.network import Ensemble, mlp

SMALL = {
    "hidden_layer_sizes": (16,),
    "learning_rate_init": 0.02,
    "max_iter": 40,
    "random_state": 0,
}
# Each row is held out by some members and seen by others; a row that comes twice may be both.
_HELD_OUT = "two equal rows may be held out by different members, one row of weight 2 is not"
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": _HELD_OUT,
    "check_sample_weight_equivalence_on_sparse_data": _HELD_OUT,
}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (300, 3))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.normal(size=300)


@pytest.fixture(scope="module")
def fitted(table):
    return EnsembleRegressor(4, **SMALL).fit(*table)


# The contract -----------------------------------------------------------------------------------


@parametrize_with_checks(
    [EnsembleRegressor(3, **SMALL), EnsembleClassifier(3, **SMALL)],
    expected_failed_checks=lambda estimator: EXPECTED,
)
def test_scikit_learns_checks_pass(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        check(estimator)


def test_an_ensemble_is_searched_like_any_other(table):
    grid = {"hidden_layer_sizes": [(2,), (16,)]}
    search = GridSearchCV(EnsembleRegressor(2, **SMALL), grid, cv=2)
    assert search.fit(*table).best_params_ == {"hidden_layer_sizes": (16,)}


def test_a_fit_that_fails_leaves_the_estimator_as_it_was(table, fitted):
    model = copy.deepcopy(fitted)
    before = model.predict(table[0])
    with pytest.raises(ValueError, match="y is constant"):
        model.fit(table[0], np.ones(300))
    assert (model.predict(table[0]) == before).all()


def test_out_of_range_parameters_are_all_told_at_once(table):
    with pytest.raises(ValueError) as fault:
        EnsembleRegressor(0, dropout=2.0, hidden_layer_sizes="wide").fit(*table)
    told = str(fault.value)
    assert "The 'n_members' parameter of EnsembleRegressor must be an int in the range" in told
    assert "The 'dropout' parameter of EnsembleRegressor must be" in told
    assert "hidden_layer_sizes='wide' is not allowed" in told


def test_an_ensemble_has_no_partial_fit_and_says_so_before_a_fit():
    assert not hasattr(EnsembleRegressor(), "partial_fit")
    assert not hasattr(EnsembleClassifier(), "partial_fit")
    with pytest.raises(NotFittedError):
        EnsembleRegressor().predict_interval([[1.0]])


# The members ------------------------------------------------------------------------------------


def test_the_mean_is_better_than_each_member(table, fitted):
    rng = np.random.default_rng(1)
    X = rng.uniform(-2, 2, (1000, 3))
    y = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2]
    inputs = torch.from_numpy(fitted.columns_.encode_array(X)).float()
    members = [
        fitted.target_.decode(member(inputs).detach().numpy()) for member in fitted.module_.members
    ]
    errors = [np.mean((predicted - y) ** 2) for predicted in members]
    assert np.mean((fitted.predict(X) - y) ** 2) < 0.8 * np.mean(errors)
    assert len(set(errors)) == 4


def test_the_module_works_without_linnet_and_gives_mean_and_spread(table, fitted):
    inputs = torch.from_numpy(fitted.columns_.encode_array(table[0])).float()
    with torch.no_grad():
        mean, spread = fitted.module_(inputs)
        members = torch.stack([member(inputs) for member in fitted.module_.members])
    assert torch.equal(mean, members.mean(dim=0))
    assert torch.equal(spread, members.std(dim=0))
    assert fitted.predict(table[0]) == pytest.approx(fitted.target_.decode(mean.numpy()), abs=1e-5)


@pytest.mark.parametrize("link", ["identity", "exp", "sigmoid", "softmax"])
def test_an_ensemble_averages_what_the_link_makes_of_outputs(link):
    ensemble = Ensemble([mlp(2, (4,), 3) for _ in range(3)], link)
    ensemble.temperature.fill_(2.0)
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    function = {
        "identity": lambda z: z,
        "exp": torch.exp,
        "sigmoid": torch.sigmoid,
        "softmax": lambda z: torch.softmax(z, dim=1),
    }[link]
    values = torch.stack([function(member(x) / 2) for member in ensemble.members])
    mean, spread = ensemble(x)
    assert torch.allclose(mean, values.mean(dim=0))
    assert torch.allclose(spread, values.std(dim=0))


def test_one_member_has_no_spread(table):
    model = EnsembleRegressor(1, **SMALL).fit(*table)
    _, spread = model.module_(torch.zeros(2, 3))
    assert torch.equal(spread, torch.zeros(2, 1))
    assert np.isfinite(model.predict_interval(table[0])).all()


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_the_same_seed_gives_the_same_bits_with_any_number_of_threads(table, fitted, n_threads):
    model = EnsembleRegressor(4, **SMALL, n_threads=n_threads).fit(*table)
    for mine, other in zip(
        model.module_.state_dict().values(), fitted.module_.state_dict().values(), strict=True
    ):
        assert torch.equal(mine, other)
    assert (model.predict_interval(table[0]) == fitted.predict_interval(table[0])).all()
    assert model.history_.seed == fitted.history_.seed == 0


def test_members_that_pytorch_trains_come_one_after_another(table):
    model = EnsembleRegressor(2, **{**SMALL, "max_iter": 3}, engine="torch").fit(*table)
    assert model.history_.engine == "torch"
    assert model.history_.engine_reason == "engine='torch' was asked for."


def test_global_generators_and_threads_are_left_as_they_were(table):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    n_threads = torch.get_num_threads()
    EnsembleRegressor(3, **SMALL).fit(*table)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002
    assert torch.get_num_threads() == n_threads


def test_the_history_holds_the_means_of_the_members_curves(fitted):
    histories, joined = fitted.histories_, fitted.history_
    assert len(histories) == 4 and joined.n_rows == 300
    assert joined.n_epochs == max(history.n_epochs for history in histories)
    first = [history.validation_loss[0] for history in histories]
    assert joined.validation_loss[0] == pytest.approx(np.mean(first))
    assert joined.notes == [
        "Chosen for 300 rows and 3 inputs: 4 members of 192 parameters with 2 cosines of each "
        "input, hidden layers 16, silu; adamw, batches of 32, at most 40 epochs."
    ]
    assert len({history.seed for history in histories}) == 4


def test_weights_of_rows_are_heard(table):
    X, y = table
    weight = (X[:, 0] > 0).astype(float)
    model = EnsembleRegressor(4, **SMALL)
    ignored = clone(model).fit(X, np.where(weight > 0, y, 1e6), sample_weight=weight)
    assert (clone(model).fit(X[weight > 0], y[weight > 0]).predict(X) == ignored.predict(X)).all()
    doubled = clone(model).fit(X, np.where(weight > 0, 1.0, y), sample_weight=1 + 1000 * weight)
    assert np.abs(doubled.predict(X[weight > 0]) - 1).mean() < 0.05


# Rows held out ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_rows", "n_members"), [(20, 8), (101, 8), (5000, 8), (100, 4), (7, 16)])
def test_every_row_is_held_out_and_some_twice(n_rows, n_members):
    found = windows(n_rows, n_members, seed=0)
    counts = np.bincount(np.concatenate(found), minlength=n_rows)
    assert len(found) == n_members
    assert counts.min() >= 1 and counts.max() >= (2 if n_members > 4 else 1)
    assert max(len(window) for window in found) <= max(1, round(0.25 * n_rows))
    assert counts.sum() <= 2 * n_rows + 300 + n_members


def test_classes_are_held_out_in_proportion():
    classes = np.repeat([0, 1, 2], [800, 160, 40])
    for window in windows(1000, 8, seed=0, classes=classes):
        shares = np.bincount(classes[window]) / len(window)
        assert shares == pytest.approx([0.8, 0.16, 0.04], abs=0.02)


def test_out_of_fold_predictions_come_from_members_that_were_not_trained_on_the_row(monkeypatch):
    # Of more rows held out all choose the epoch, and the members kept are those that judge.
    monkeypatch.setattr("linnet.left_out.MOST_ROWS", 100)
    X, y = make_friedman1(500, noise=0.5, random_state=0)
    fitted = EnsembleRegressor(n_members=4, **SMALL).fit(X, y)
    assert fitted.oof_prediction_.shape == y.shape
    inputs = torch.from_numpy(fitted.columns_.encode_array(X)).float()
    seeds = np.random.SeedSequence(0).generate_state(6).tolist()
    held_out = windows(500, 4, seeds[-1])
    assert min(map(len, held_out)) > 100
    expected = np.full((4, 500), np.nan)
    for m, window in enumerate(held_out):
        with torch.no_grad():
            outputs = fitted.module_.members[m](inputs[window]).numpy()
        expected[m, window] = fitted.target_.decode(outputs)
    assert fitted.oof_prediction_ == pytest.approx(np.nanmean(expected, axis=0), abs=1e-5)
    # Of rows that were trained on, a network knows more than of others.
    assert np.mean((fitted.predict(X) - y) ** 2) < np.mean((fitted.oof_prediction_ - y) ** 2)


# Classes ----------------------------------------------------------------------------------------


def test_iris_is_learnt_with_probabilities_that_sum_to_1():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = EnsembleClassifier(4, **SMALL).fit(X, names)
    assert model.score(X, names) > 0.95
    assert model.predict_proba(X).sum(axis=1) == pytest.approx(np.ones(150))
    mean, _ = model.module_(torch.from_numpy(model.columns_.encode_array(X)).float())
    assert mean.detach().numpy() == pytest.approx(model.predict_proba(X), abs=1e-5)
    assert model.oof_probabilities_.shape == (150, 3)
    assert (names[:3] == model.classes_[model.oof_probabilities_[:3].argmax(axis=1)]).all()


def test_two_classes_and_multilabel_targets():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = (X > 0).astype(int)
    two = EnsembleClassifier(3, **SMALL).fit(X, y[:, 0])
    several = EnsembleClassifier(3, **SMALL).fit(X, y)
    assert two.score(X, y[:, 0]) > 0.95 and several.score(X, y) > 0.9
    assert two.predict_proba(X).shape == several.predict_proba(X).shape == (200, 2)
    assert two.oof_probabilities_.shape == (200, 2)


def overconfident(rng, n_rows, n_members):
    """Labels (N,), and logits (M, N, 1) that are three times too large and differ by member."""
    truth = 2 * rng.normal(size=n_rows)
    y = (rng.uniform(size=n_rows) < 1 / (1 + np.exp(-truth))).astype(float)[:, None]
    logits = 3 * (truth + 0.75 * rng.normal(size=(n_members, n_rows)))
    return y, torch.from_numpy(logits)[..., None]


def test_the_temperature_of_one_member_makes_too_sure_logits_true():
    rng = np.random.default_rng(0)
    y, logits = overconfident(rng, 4000, 1)
    ensemble = Ensemble([mlp(1, (), 1)], "sigmoid")
    found = _temperature(ensemble, logits[0] / 3, np.arange(4000), y, None, 1)
    assert _temperature(ensemble, logits[0], np.arange(4000), y, None, 1) == pytest.approx(
        3 * found, rel=0.02
    )


def test_the_temperature_of_many_is_found_from_rows_that_two_members_hold_out():
    rng = np.random.default_rng(1)
    ensemble = Ensemble([mlp(1, (), 1)] * 8, "sigmoid")
    y, logits = overconfident(rng, 4000, 8)
    all_rows = np.arange(4000)
    best_of_many = _best_temperature(ensemble, list(logits), all_rows, y, None)
    best_of_one = _best_temperature(ensemble, [logits[0]], all_rows, y, None)
    assert best_of_many < 0.8 * best_of_one  # or there would be nothing to find
    held_out = torch.cat([logits[0], logits[1]])
    found = _temperature(ensemble, held_out, np.tile(all_rows, 2), y, None, 8)
    assert found == pytest.approx(best_of_many, rel=0.07)


def test_few_rows_that_two_hold_out_do_not_make_probabilities_too_sure():
    ensemble, rows = Ensemble([mlp(1, (), 1)] * 8, "sigmoid"), np.tile(np.arange(40), 2)
    for seed in range(20):
        y, logits = overconfident(np.random.default_rng(seed), 40, 2)
        held_out = torch.cat([logits[0], logits[1]])
        alone = _best_temperature(ensemble, [held_out], rows, y, None)
        assert 0.649 * alone <= _temperature(ensemble, held_out, rows, y, None, 8) <= alone


def test_few_rows_move_the_temperature_little_from_one():
    twice = np.tile(np.arange(30), 2)
    assert _towards_one(16.0, twice, None) == pytest.approx(4.0)
    assert _towards_one(16.0, twice, np.repeat([2.0, 0.0], 15)) == pytest.approx(16 ** (15 / 45))
    assert _towards_one(3.0, np.arange(4000), None) == pytest.approx(3.0, rel=0.01)


def test_a_few_rows_of_wine_do_not_flatten_the_probabilities():
    X, y = load_wine(return_X_y=True)
    rng = np.random.default_rng(0)
    few = np.concatenate([rng.permutation(np.flatnonzero(y == k))[:7] for k in range(3)])
    new = np.setdiff1d(np.arange(len(y)), few)
    model = EnsembleClassifier(random_state=0).fit(X[few], y[few])
    scaled = log_loss(y[new], model.predict_proba(X[new]))
    model.module_.temperature.fill_(1.0)
    assert scaled < 2 * log_loss(y[new], model.predict_proba(X[new]))


def test_label_smoothing_is_a_fraction():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError) as fault:
        EnsembleClassifier(label_smoothing=1.0).fit(X, y)
    assert str(fault.value) == (
        "The 'label_smoothing' parameter of EnsembleClassifier must be a float in the range [0.0, "
        "1.0). Got 1.0 instead. Write label_smoothing=0.1, for example."
    )


@pytest.mark.parametrize("kind", [EnsembleRegressor, EnsembleClassifier])
def test_levenberg_marquardt_is_for_one_network(kind, table):
    X, y = table
    with pytest.raises(ValueError) as fault:
        kind(solver="lm").fit(X, y > 0)
    assert str(fault.value) == (
        "solver='lm' (Levenberg-Marquardt) is for one network: write MLPRegressor(solver='lm'). An "
        "ensemble's members are trained by solver='adamw', 'lbfgs' and the like."
    )


def test_the_error_bars_have_what_is_left_of_the_time(monkeypatch, table):
    X, y = table
    given = []
    fit = ErrorBars.fit
    monkeypatch.setattr(
        ErrorBars, "fit", lambda *a, max_time, **k: given.append(max_time) or fit(*a, **k)
    )
    EnsembleRegressor(3, max_time=30.0, **SMALL).fit(X, y)
    EnsembleRegressor(3, **SMALL).fit(X, y)
    assert 0 < given[0] < 30 and given[1] is None


def test_a_classifiers_probabilities_are_divided_by_its_temperature(table):
    X, y = table
    model = EnsembleClassifier(3, **SMALL).fit(X, y > 0)
    assert float(model.module_.temperature) == pytest.approx(model.temperature_)
    before = model.predict_proba(X)
    model.module_.temperature *= 10
    assert (np.abs(model.predict_proba(X) - 0.5) < np.abs(before - 0.5)).all()


# What is chosen ---------------------------------------------------------------------------------


def test_what_the_user_sets_is_kept_and_the_rest_is_chosen():
    given = choose(500, 4, 1, hidden_layer_sizes=(7,), alpha="auto", max_iter=3)
    assert (given.hidden_layer_sizes, given.max_iter, given.alpha) == ((7,), 3, Settings.alpha)


@pytest.mark.parametrize(
    ("n_rows", "n_inputs"), [(1, 1), (20, 1), (20, 1000), (10**6, 1), (10**6, 1000), (10**7, 30)]
)
def test_time_and_memory_are_bounded_at_every_size(n_rows, n_inputs):
    settings = choose(n_rows, n_inputs, 1)
    assert 1 <= settings.batch_size <= min(n_rows, 1024)
    assert settings.max_iter * n_rows <= max(10_000_000, 5 * n_rows)
    assert n_inputs * settings.n_frequencies * settings.hidden_layer_sizes[0] <= 200_000


@pytest.mark.parametrize("n_rows", [2, 3, 5, 20])
def test_few_rows_are_enough(n_rows):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n_rows, 2)), rng.normal(size=n_rows)
    model = EnsembleRegressor(**{**SMALL, "max_iter": 5}).fit(X, y)
    low, high = model.predict_interval(X).T
    assert np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all()


def test_more_inputs_than_rows_are_no_fault():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 1000))
    model = EnsembleRegressor(2, max_iter=5, random_state=0).fit(X, X[:, 0])
    assert model.settings_.n_frequencies == 0
    assert np.isfinite(model.predict_interval(X)).all()


# Ctrl-C and time --------------------------------------------------------------------------------


@pytest.fixture
def press(monkeypatch, fitted):  # which has loaded all that a fit needs
    """Return a function that lets Ctrl-C be pressed some time after the first member begins."""
    timers, sent = [], []

    def send():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    def after(seconds):
        def train_and_press(*arguments, **options):
            if not timers:
                timers.append(threading.Timer(seconds, send))
                timers[0].start()
            return linnet.train(*arguments, **options)

        monkeypatch.setattr("linnet.ensemble.members.train", train_and_press)
        return sent

    yield after
    for timer in timers:
        timer.cancel()
        timer.join()


@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_ends_all_members_and_keeps_their_best_weights(table, n_threads, press):
    settings = {**SMALL, "max_iter": 10**6, "learning_rate_init": 1e-5}
    model = EnsembleRegressor(6, **settings, n_threads=n_threads)
    threads, sent = threading.active_count(), press(2.0)
    with pytest.warns(ConvergenceWarning) as told:
        model.fit(*table)
    assert [str(warning.message) for warning in told] == [linnet.Outcome.INTERRUPTED.sentence]
    assert told[0].filename == __file__
    assert time.monotonic() - sent[0] < 5.0  # the members would have taken hours
    assert model.history_.outcome is linnet.Outcome.INTERRUPTED
    n_kept = len(model.module_.members)
    assert 1 <= n_kept <= n_threads  # the others had not begun
    assert model.history_.notes[0].endswith(
        f", at most 1,000,000 epochs. {n_kept} of them {'is' if n_kept == 1 else 'are'} kept: "
        "Ctrl-C came before the others had finished an epoch."
    )
    assert np.isfinite(model.predict_interval(table[0])).all()
    while threading.active_count() > threads and time.monotonic() - sent[0] < 10:
        time.sleep(0.02)
    assert threading.active_count() <= threads


def test_ctrl_c_before_any_epoch_leaves_the_estimator_as_it_was(press):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300_000, 20)).astype(np.float32)
    model = EnsembleRegressor(4, hidden_layer_sizes=(256, 256), random_state=0)
    press(0.3)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, X[:, 0])
    assert not hasattr(model, "module_")


@pytest.mark.parametrize("n_threads", [1, 2])
def test_members_that_diverge_are_told_of_once(table, n_threads):
    X, y = table
    model = EnsembleRegressor(
        3, hidden_layer_sizes=(16,), activation="relu", solver="sgd", learning_rate_init=300.0,
        max_iter=5, random_state=0, n_threads=n_threads,
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning) as told:
        model.fit(X, y)
    assert [str(warning.message) for warning in told] == [
        "In 3 of 3 members the loss or the weights became infinite or NaN; the best finite weights "
        "are restored. Likely causes: a learning rate that is too high, or inputs or targets that "
        "are not scaled."
    ]
    assert told[0].filename == __file__
    assert model.history_.outcome is linnet.Outcome.NOT_FINITE


def test_members_that_diverge_leave_the_joined_curve_finite(table):
    model = EnsembleRegressor(
        4, hidden_layer_sizes=(16,), activation="relu", solver="sgd", learning_rate_init=0.4,
        max_iter=8, n_frequencies=0, random_state=0, n_threads=1,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    with pytest.warns(ConvergenceWarning, match="In 2 of 4 members"):
        model.fit(X, X[:, 0] * X[:, 1])
    for name in ("train_loss", "validation_loss", "gradient_norm"):
        of_epochs = []
        for epoch in range(8):
            values = []
            for history in model.histories_:
                curve = getattr(history, name)
                is_there = epoch < len(curve) and math.isfinite(curve[epoch])
                values.append(curve[epoch if is_there else history.best_epoch])
            of_epochs.append(sum(values) / 4)
        joined = getattr(model.history_, name)
        assert np.isfinite(joined).all()
        np.testing.assert_allclose(joined, of_epochs, rtol=1e-12)


def test_a_member_without_a_finite_value_does_not_count_in_the_joined_curve():
    def member(train_loss, validation_loss):
        history = linnet.History(has_validation=True)
        for train, validation in zip(train_loss, validation_loss, strict=True):
            history.add_epoch(train_loss=train, validation_loss=validation)
        return Member(torch.nn.Identity(), history, np.empty(0), np.empty(0))

    broken = member([math.inf, math.nan], [2.0, math.nan])
    assert mean_curve([broken, member([4.0, 2.0, 1.0], [3.0] * 3)], "train_loss", 3) == [4, 2, 1]
    assert mean_curve([broken, member([4.0], [3.0])], "validation_loss", 2) == [2.5, 2.5]
    assert np.isnan(mean_curve([broken], "train_loss", 2)).all()


def test_max_time_is_shared_by_all_members(table):
    settings = {**SMALL, "max_iter": 10**6, "learning_rate_init": 1e-5}
    model = EnsembleRegressor(6, **settings, max_time=1.5, n_threads=2)
    started = time.monotonic()
    model.fit(*table)
    assert time.monotonic() - started < 15
    assert model.history_.outcome is linnet.Outcome.TIME_UP
    assert len(model.module_.members) == 6


def test_ctrl_c_while_the_error_bars_are_learnt_keeps_the_members(table, fitted, monkeypatch):
    from linnet import error_bars

    def press_and_wait(*arguments, **options):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
        return linnet.History()

    monkeypatch.setattr(error_bars, "train", press_and_wait)
    model = EnsembleRegressor(4, **{**SMALL, "max_iter": 5}, n_threads=2)
    with pytest.warns(ConvergenceWarning, match="The training was interrupted"):
        model.fit(*table)
    assert len(model.module_.members) == 4
    assert model.history_.outcome is linnet.Outcome.INTERRUPTED
    assert len(model.error_bars_.networks) == 0
    assert np.isfinite(model.predict_interval(table[0])).all()


def test_ctrl_c_that_train_has_answered_ends_the_error_bars_too(table, monkeypatch):
    from linnet import error_bars

    trained = []

    def pressed(*arguments, **options):
        trained.append(linnet.train(*arguments, **options))
        trained[-1].outcome = linnet.Outcome.INTERRUPTED  # as of Ctrl-C in the main thread
        return trained[-1]

    monkeypatch.setattr(error_bars, "train", pressed)
    model = EnsembleRegressor(4, **{**SMALL, "max_iter": 5}, n_threads=1)
    with pytest.warns(ConvergenceWarning, match="The training was interrupted"):
        model.fit(*table)
    assert len(trained) == 1
    assert model.history_.outcome is linnet.Outcome.INTERRUPTED


def test_validation_rows_are_refused_with_what_to_do_instead(table):
    X, y = table
    with pytest.raises(TypeError) as fault:
        EnsembleRegressor(2, **SMALL).fit(X, y, X_val=X, y_val=y)
    assert str(fault.value) == (
        "EnsembleRegressor.fit takes no X_val, y_val: each member holds out rows of its own to "
        "choose its best epoch. Give these rows among X and y, or keep them to score the model: "
        "score(X_val, y_val)."
    )
    with pytest.raises(TypeError) as fault:
        EnsembleRegressor(2, **SMALL).fit(X, y, epochs=3)
    assert str(fault.value) == (
        "EnsembleRegressor.fit takes no epochs: write fit(X, y) or fit(X, y, sample_weight)."
    )
    with pytest.raises(TypeError) as fault:
        EnsembleRegressor(early_stopping=True)
    assert str(fault.value) == (
        "EnsembleRegressor has no parameter 'early_stopping': each member holds out rows of its "
        "own, and keeps its best epoch. Leave it out."
    )
