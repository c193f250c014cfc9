"""`linnet.tune`: what is found, what is kept, by when it ends, and what is said."""

from __future__ import annotations

import math
import os
import pickle
import signal
import threading
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from torch.nn import Linear

import linnet
from linnet.ensemble.members import Plan
from linnet.plots import TuningDisplay, save_figure
from linnet.tuning import Candidate, Trial, TuningOutcome, TuningRecord
from linnet.tuning import halving as halving_room
from linnet.tuning.evidence import Comparison
from linnet.tuning.halving import Clock, Entry, Halving, rungs

# A search of a second or two.
QUICK = {"n_candidates": 4, "max_iter": 8, "n_members": 4, "hidden_layer_sizes": (16,)}
QUICK |= {"random_state": 0, "n_threads": 2, "budget": None}


def waves(n_rows=160, seed=0):
    """A quick wave, which the defaults' slow cosines do not see."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n_rows, 1))
    return X, np.sin(60 * X.ravel()) + 0.05 * rng.normal(size=n_rows)


def plane(n_rows=100, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 3))
    return X, X @ [1.0, -2.0, 0.5] + 0.3 * rng.normal(size=n_rows)


@pytest.fixture(scope="module")
def found():
    return linnet.tune(*waves(), **QUICK)


@pytest.fixture
def clock_of_the_processor(monkeypatch):
    """Let time stand still while other programs have the processor."""
    monkeypatch.setattr(time, "monotonic", time.process_time)


# What is found ------------------------------------------------------------------------------------


def test_settings_that_are_clearly_better_than_the_defaults_are_found():
    X, y = waves(300)
    found = linnet.tune(
        X,
        y,
        param_distributions={"frequency_scale": [3.0, 0.01, 0.02]},
        n_candidates=4,
        max_iter=60,
        n_members=4,
        hidden_layer_sizes=(32, 32),
        random_state=0,
        budget=None,
    )
    assert found.best_params_ == {"frequency_scale": 3.0}
    best = found.record_.best
    assert best.gain > 3 * best.standard_error > 0
    X_new, y_new = waves(200, seed=1)
    default = linnet.EnsembleRegressor(4, hidden_layer_sizes=(32, 32), max_iter=60, random_state=0)
    errors = [np.mean((model.predict(X_new) - y_new) ** 2) for model in (found, default.fit(X, y))]
    assert errors[0] < 0.5 * errors[1]


def test_a_race_goes_on_without_defaults_that_have_fallen_behind():
    X, y = plane(400)
    settings = {"max_iter": 1, "n_members": 8, "hidden_layer_sizes": (8,), "batch_size": 32}
    found = linnet.tune(
        X,
        y,
        param_distributions={"max_iter": [15, 16, 17, 18, 19, 20, 21, 22]},
        n_candidates=9,
        random_state=0,
        budget=None,
        **settings,
    )
    assert [0 in rung for rung in found.record_.standing] == [True, True, False]
    assert found.record_.folds == [1, 2, 4]
    assert found.best_params_["max_iter"] >= 15


def test_the_defaults_are_kept_where_nothing_is_better_beyond_chance():
    # y is noise: whatever wins has been lucky.
    rng = np.random.default_rng(3)
    found = linnet.tune(rng.normal(size=(120, 3)), rng.normal(size=120), **QUICK)
    assert found.best_index_ == 0
    assert found.record_.sentence == (
        "Of 4 candidates of 4 none was better than the defaults beyond chance: they are kept."
    )


def test_the_model_is_what_the_best_settings_give_when_they_are_fitted_anew(found):
    X, y = waves()
    best = found.best_estimator_
    anew = linnet.EnsembleRegressor(4, **found.best_params_, random_state=0)
    anew.set_params(max_iter=8, hidden_layer_sizes=(16,)).fit(X, y)
    assert (anew.predict(X) == best.predict(X)).all()
    assert (anew.predict_interval(X) == best.predict_interval(X)).all()
    assert (anew.oof_prediction_ == best.oof_prediction_).all()
    assert anew.settings_ == best.settings_


def test_the_first_candidate_has_the_defaults(found):
    default = linnet.EnsembleRegressor(4, hidden_layer_sizes=(16,), max_iter=8, random_state=0)
    chosen = default.fit(*waves()).settings_
    first, *others = (candidate.params for candidate in found.record_.candidates)
    assert first == {name: getattr(chosen, name) for name in first}
    assert all(other != first for other in others)


def test_the_same_random_state_gives_the_same_result_whatever_the_number_of_threads(found):
    again = linnet.tune(*waves(), **{**QUICK, "n_threads": 1, "budget": 10_000.0})
    assert again.best_params_ == found.best_params_
    losses = [
        [trial.validation_loss for candidate in f.record_.candidates for trial in candidate.trials]
        for f in (found, again)
    ]
    assert losses[0] == losses[1]
    assert (again.predict(waves()[0]) == found.predict(waves()[0])).all()
    assert again.record_.outcome is TuningOutcome.ALL_TRIED


def test_classes_are_told_from_the_target():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    found = linnet.tune(X, names, **QUICK)
    assert isinstance(found.best_estimator_, linnet.EnsembleClassifier)
    assert found.record_.loss == "log_loss"
    assert set(found.predict(X)) == set(names)
    as_classes = linnet.tune(X, y, task="classification", **QUICK)
    assert isinstance(as_classes.best_estimator_, linnet.EnsembleClassifier)
    as_numbers = linnet.tune(X, y, **QUICK)
    assert isinstance(as_numbers.best_estimator_, linnet.EnsembleRegressor)


def test_classes_are_compared_by_the_smoothed_labels_that_are_learnt():
    X, y = np.repeat([[-1.0, 1.0], [1.0, -1.0]], 40, axis=0), np.repeat([0, 1], 40)
    found = linnet.tune(X, y, **{**QUICK, "n_candidates": 2, "max_iter": 60})
    entropy = -(0.95 * math.log(0.95) + 0.05 * math.log(0.05))
    losses = [trial.loss for candidate in found.record_.candidates for trial in candidate.trials]
    assert min(losses) == pytest.approx(entropy, abs=0.01)


def test_parameters_that_are_given_are_not_searched(found):
    assert "hidden_layer_sizes" not in found.best_params_
    assert "learning_rate_init" in found.best_params_
    members = found.best_estimator_.module_.members
    layers = [
        [m.out_features for m in member.modules() if isinstance(m, Linear)] for member in members
    ]
    assert layers == [[16, 1]] * 4


def test_weights_decide_what_is_better():
    X, y = plane()
    weight = np.where(np.arange(len(y)) % 2, 1.0, 3.0)
    found = linnet.tune(X, y, sample_weight=weight, **QUICK)
    total = sum(trial.weight for trial in found.record_.best.trials)
    held_out = [m.n_rows for m in found.best_estimator_.histories_]
    assert total > sum(len(y) - n for n in held_out)


# The record ---------------------------------------------------------------------------------------


def test_the_record_adds_up(found):
    record = found.record_
    assert len(record.standing[0]) == len(record.candidates) == 4
    assert record.folds == rungs(4)[: len(record.folds)] == [1, 2, 4][: len(record.folds)]
    for n_folds, earlier, later in zip(
        record.folds, record.standing, record.standing[1:], strict=False
    ):

        def loss(number, n_folds=n_folds):
            trials = record.candidates[number].trials[:n_folds]
            return np.average([t.loss for t in trials], weights=[t.weight for t in trials])

        # The best third goes on, and the defaults unless there is evidence against them.
        best = sorted(earlier, key=loss)[: math.ceil(len(earlier) / 3)]
        assert set(later) - {0} == set(best) - {0}
        assert 0 in later or 0 not in best
    for number, candidate in enumerate(record.candidates):
        n_done = max(
            folds
            for folds, rung in zip(record.folds, record.standing, strict=True)
            if number in rung
        )
        n_done = 4 if number == record.best_index else n_done
        assert [trial.fold for trial in candidate.trials] == list(range(n_done))
        for trial in candidate.trials:
            # Each row is judged at the epoch that the others choose, which is no better on average
            # than the one that all choose.
            assert min(trial.validation_loss) * (1 - 1e-5) <= trial.loss
            assert trial.started + trial.seconds <= record.seconds
        assert candidate.loss == pytest.approx(
            np.average(
                [t.loss for t in candidate.trials], weights=[t.weight for t in candidate.trials]
            )
        )
    assert found.best_score_ == -record.best.loss
    # Every row of the table is held out by the winner.
    assert sum(trial.weight for trial in record.best.trials) >= 160


def test_of_many_rows_held_out_a_trainings_loss_is_that_of_its_best_epoch(monkeypatch):
    monkeypatch.setattr("linnet.left_out.MOST_ROWS", 100)  # beyond, all rows choose the epoch
    quick = {**QUICK, "n_candidates": 2, "max_iter": 3}
    record = linnet.tune(*waves(420), **quick).record_
    trials = [trial for candidate in record.candidates for trial in candidate.trials]
    assert len(trials) >= 5
    for trial in trials:
        assert trial.weight > 100
        assert trial.loss == pytest.approx(min(trial.validation_loss), rel=1e-5)


def test_the_record_goes_through_json(found, tmp_path):
    record = found.record_
    assert TuningRecord.from_json(record.to_json()).to_dict() == record.to_dict()
    record.to_json(tmp_path / "search.json")
    again = TuningRecord.from_json(tmp_path / "search.json")
    assert again.best.params == record.best.params
    assert again.sentence == record.sentence


def test_results_are_those_of_a_search_of_scikit_learn(found):
    results = found.cv_results_
    table = pd.DataFrame(results)
    assert len(table) == 4
    assert table["rank_test_score"].tolist().index(1) == found.best_index_
    assert results["mean_test_score"][found.best_index_] == found.best_score_
    assert results["params"][found.best_index_] == found.best_params_
    one = results["n_resources"] == 1
    assert np.isnan(results["split1_test_score"][one]).all()
    assert (results["split0_test_score"][one] == results["mean_test_score"][one]).all()


def test_a_file_that_is_no_record_is_told():
    with pytest.raises(ValueError) as told:
        TuningRecord.from_json('{"format_version": 1}')
    assert str(told.value) == (
        "This is no record of a search that linnet wrote (the entry 'estimator' is missing). Give "
        "the text or the file that TuningRecord.to_json made."
    )


def test_the_picture_shows_every_candidate_and_the_winner_in_colour(found, tmp_path):
    display = TuningDisplay.from_tuning(found, draw=False)
    path = save_figure(display, tmp_path / "search.png")
    assert path.stat().st_size > 10_000
    assert len(display.curve_lines_) == len(display.time_lines_) == 4
    colours = [line.get_color() for line in display.curve_lines_]
    assert colours.count(colours[found.best_index_]) == 1
    best = found.record_.best
    assert display.time_lines_[found.best_index_].get_ydata()[-1] == pytest.approx(best.loss)
    assert display.curves[0].tolist() == found.record_.candidates[0].trials[0].validation_loss


def test_a_picture_of_losses_that_are_not_finite_is_drawn(tmp_path):
    display = TuningDisplay(
        [[1.0, 0.5], [math.inf, math.nan]], [[1.0], [2.0]], [[0.5], [math.inf]], 0
    )
    save_figure(display, tmp_path / "search.png")
    assert display.curve_lines_[0].get_label() == "the defaults, kept"
    assert display.curve_lines_[1].get_label() == "1 other"
    with pytest.raises(
        ValueError, match=r"best_index is 2; with 2 candidates it lies between 0 and 1\."
    ):
        TuningDisplay([[1.0], [1.0]], [[1.0], [2.0]], [[0.5], [0.4]], 2)


# Evidence -----------------------------------------------------------------------------------------


def compare(first, second, n_members=None, rows=None):
    """Compare losses of rows, each held out once, after all members are trained."""
    ends = np.cumsum([len(losses) for losses in first])
    rows = np.split(np.arange(ends[-1]), ends[:-1]) if rows is None else rows
    ones = [np.ones(len(losses)) for losses in first]
    return Comparison.of(first, second, ones, rows, n_members or len(first))


def test_a_difference_counts_only_where_it_is_larger_than_its_error():
    rng = np.random.default_rng(0)
    first = [rng.normal(1.0, 0.1, 500) for _ in range(4)]
    better = [losses - 0.02 + rng.normal(0, 0.1, 500) for losses in first]
    found = compare(first, better)
    assert found.gain == pytest.approx(0.02, abs=0.01)
    assert found.standard_error == pytest.approx(0.1 / math.sqrt(2000), rel=0.05)
    assert found.degrees_of_freedom == 1996
    assert found.is_better(1)
    assert not compare(first, [f + rng.normal(0, 0.1, 500) for f in first]).is_better(1)
    # One fold is one training, whose luck cannot be told from a difference.
    assert not compare(first[:1], [first[0] - 1], n_members=4).is_better(1)
    # The more rivals, the luckier the best of them; the fewer rows, the surer it has to be.
    assert found.is_better(1) and not Comparison(2.0, 1.0, 4).is_better(10)
    assert Comparison(2.0, 1.0, 4).is_better(1) and not Comparison(2.0, 1.0, 4, 2.0).is_better(1)
    assert not compare([np.ones(1)] * 8, [np.zeros(1)] * 8).is_better(1)


def test_the_luck_of_trainings_counts_until_all_members_are_trained():
    rng = np.random.default_rng(0)
    # Two trainings of the defaults have gone wrong: these folds are far worse, the others alike.
    first = [rng.normal(mean, 0.1, 50) for mean in (1.0, 5.0, 1.0, 3.0)]
    second = [rng.normal(1.0, 0.1, 50) for _ in range(4)]
    luck = np.std([0.0, 4.0, 0.0, 2.0], ddof=1) / math.sqrt(4)
    # Four of eight: half of the luck is still to come.
    half = compare(first, second, n_members=8)
    assert half.gain == pytest.approx(1.5, abs=0.05)
    assert half.standard_error == pytest.approx(luck * math.sqrt(0.5), rel=0.05)
    assert half.degrees_of_freedom == pytest.approx(3.0, abs=0.1)
    assert not half.is_better(7)
    # All of four: the wrong ones are in the model, and another one would do without them.
    whole = compare(first, second)
    assert whole.standard_error == pytest.approx(0.1 * math.sqrt(2 / 200), rel=0.1)
    assert whole.is_better(7)


def test_rows_that_two_folds_hold_out_count_once():
    rng = np.random.default_rng(0)
    first, second = rng.normal(1.0, 0.1, 300), rng.normal(0.9, 0.1, 300)
    once = compare([first[:150], first[150:]], [second[:150], second[150:]])
    numbers = np.arange(300)
    twice = compare([first] * 2, [second] * 2, rows=[numbers] * 2)
    assert twice.gain == pytest.approx(once.gain)
    assert twice.standard_error == pytest.approx(once.standard_error, rel=0.02)
    assert twice.degrees_of_freedom == 298


def test_whose_training_breaks_is_worse():
    ones = [np.ones(3), np.ones(3)]
    broken = [np.array([1.0, np.inf, 1.0]), np.ones(3)]
    assert compare(broken, ones).is_better(5)
    assert not compare(ones, broken).is_better(5)


@pytest.mark.parametrize("n_rows", [8, 60])
def test_chance_seldom_wins_over_the_defaults(n_rows):
    rng = np.random.default_rng(1)
    n_wrong = 0
    for _ in range(300):
        default = [rng.exponential(size=n_rows) for _ in range(4)]
        rivals = [[d + rng.normal(0, 0.3, n_rows) for d in default] for _ in range(8)]
        best = min(rivals, key=lambda folds: np.mean(folds))
        n_wrong += compare(default, best).is_better(8)
    assert n_wrong <= 25  # 5 % would be 15


def race_of_losses(losses, monkeypatch):
    """Race candidates whose losses of rows are given: losses[candidate][fold]."""
    n_members, n_rows = len(losses[0]), len(losses[0][0])
    rows = np.split(np.arange(n_members * n_rows), n_members)
    plan = SimpleNamespace(
        seeds=range(n_members), folds=SimpleNamespace(held_out=rows), weight=None
    )
    entries = [Entry(None, Candidate({})) for _ in losses]

    def train_one(race, number, fold, ends_at):
        entry, values = race.entries[number], losses[number][fold]
        entry.row_losses[fold] = values
        trial = Trial(fold, float(values.mean()), n_rows, [1.0], 0.0, 0.0, True)
        entry.candidate.trials.append(trial)

    monkeypatch.setattr(Halving, "_train_one", train_one)
    clock = Clock(math.inf)
    return Halving(plan, entries, n_at_once=1, n_threads=1, clock=clock).run()


def test_the_best_of_thirty_alike_seldom_wins_a_race(monkeypatch):
    rng = np.random.default_rng(2)
    n_wrong = 0
    for _ in range(100):
        rows = rng.normal(size=(1, 8, 40))
        losses = (rows + 0.3 * rng.normal(size=(30, 8, 40))) ** 2
        n_wrong += race_of_losses(losses, monkeypatch) != 0
    assert n_wrong <= 8  # 5 % would be 5


def test_the_best_of_thirty_wins_a_race_over_erratic_defaults(monkeypatch):
    rng = np.random.default_rng(3)
    n_right = 0
    for _ in range(20):
        scale = np.ones((30, 8, 1))
        scale[0] = np.exp(0.5 * rng.normal(size=(8, 1)))
        scale[1] = 0.6
        losses = (scale * rng.normal(size=(30, 8, 40))) ** 2
        n_right += race_of_losses(losses, monkeypatch) == 1
    assert n_right >= 18


# The budget, and Ctrl-C ---------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [1.0, 4.0])
def test_the_budget_is_kept(budget, clock_of_the_processor):
    X, y = plane(400)
    linnet.tune(X, y, **{**QUICK, "n_threads": 1})  # what is loaded on first use is loaded
    started = time.process_time()
    found = linnet.tune(
        X,
        y,
        budget=budget,
        hidden_layer_sizes=(16,),
        max_iter=20_000,  # more than any machine does in that time
        n_members=4,
        n_threads=1,
        random_state=0,
    )
    spent = time.process_time() - started
    assert spent < 1.1 * budget
    assert found.record_.outcome is TuningOutcome.TIME_UP
    assert found.record_.seconds == pytest.approx(spent, rel=0.1)
    assert np.isfinite(found.predict(X)).all()
    assert found.best_estimator_.score(X, y) > 0.5
    notes = found.best_estimator_.history_.notes
    assert any(note.startswith("Each training has at most ") for note in notes)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_gives_the_best_so_far(n_threads, monkeypatch):
    X, y = plane(400)
    train_one, begun = Halving._train_one, []

    def watched(self, *arguments):
        begun.append(arguments)
        if len(begun) == 6:
            timer.start()
        return train_one(self, *arguments)

    monkeypatch.setattr(Halving, "_train_one", watched)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    n_of_torch = torch.get_num_threads()
    with pytest.warns(ConvergenceWarning, match="The search was interrupted; the best so far"):
        found = linnet.tune(X, y, n_candidates=60, random_state=0, n_threads=n_threads, budget=None)
    timer.join()
    assert found.record_.outcome is TuningOutcome.INTERRUPTED
    assert 3 <= len(found.record_.candidates) < 60
    assert found.best_estimator_.history_.outcome is linnet.Outcome.INTERRUPTED
    assert np.isfinite(found.predict(X)).all()
    assert found.best_estimator_.predict_interval(X).shape == (400, 2)
    assert torch.get_num_threads() == n_of_torch


def test_ctrl_c_in_the_first_epochs_gives_the_defaults_as_far_as_they_are(monkeypatch):
    train = Plan.train

    def interrupted(self, number, state, **how):
        def on_epoch(history):
            if history.n_epochs == 2:
                raise KeyboardInterrupt

        return train(self, number, state, **{**how, "on_epoch": on_epoch})

    monkeypatch.setattr(Plan, "train", interrupted)
    X, y = plane()
    with pytest.warns(ConvergenceWarning) as told:
        found = linnet.tune(X, y, **{**QUICK, "budget": 100.0})
    assert [str(warning.message) for warning in told] == [TuningOutcome.INTERRUPTED.sentence]
    assert found.record_.sentence == "Nothing but the defaults was tried."
    assert [trial.finished for trial in found.record_.best.trials] == [False]
    assert len(found.best_estimator_.module_.members) == 1
    assert found.best_estimator_.histories_[0].n_epochs == 2
    first_note = found.best_estimator_.history_.notes[0]
    assert first_note.startswith("Found by a search: 1 member with ")
    assert np.isfinite(found.predict(X)).all()
    TuningDisplay.from_tuning(found, draw=False)
    assert TuningRecord.from_json(found.record_.to_json()).sentence == found.record_.sentence


def test_ctrl_c_before_the_first_epoch_leaves_nothing(monkeypatch):
    def interrupted(self, number):
        raise KeyboardInterrupt

    monkeypatch.setattr(Plan, "_n_batch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        linnet.tune(*plane(), **{**QUICK, "budget": 100.0})


def test_ctrl_c_after_the_first_rung_gives_its_winner(monkeypatch):
    X, y = waves()
    train_rung, calls = Halving._train_rung, []

    def interrupted(self, *arguments):
        calls.append(arguments)
        if len(calls) == 2:
            self.interrupted = True
            return None
        return train_rung(self, *arguments)

    monkeypatch.setattr(Halving, "_train_rung", interrupted)
    with pytest.warns(ConvergenceWarning, match="The search was interrupted"):
        found = linnet.tune(X, y, **QUICK)
    assert len(calls) == 2
    assert len(found.best_estimator_.module_.members) == 1  # what the winner had been trained for
    assert np.isfinite(found.best_estimator_.oof_prediction_).sum() == 40


def test_a_search_whose_first_rung_is_cut_off_goes_on_with_those_that_were_tried(monkeypatch):
    train_one, n_done = Halving._train_one, []

    def slow(self, *arguments):
        n_done.append(arguments)
        if len(n_done) == 5:
            self.clock.start -= 50.0  # the first rung's share is used up
        return train_one(self, *arguments)

    monkeypatch.setattr(Halving, "_train_one", slow)
    found = linnet.tune(*plane(), **{**QUICK, "n_candidates": 12, "n_threads": 1, "budget": 100.0})
    assert len(found.record_.candidates) == 5
    assert found.record_.n_candidates == 12
    assert found.record_.outcome is TuningOutcome.TIME_UP
    assert found.record_.folds == [1, 2, 4][: len(found.record_.folds)]
    assert len(found.best_estimator_.module_.members) == 4


def test_rungs_double_the_folds():
    assert [rungs(n) for n in (2, 3, 8, 10)] == [[1, 2], [1, 2, 3], [1, 2, 4, 8], [1, 2, 4, 8, 10]]
    assert halving_room.ETA == 3


def test_a_candidate_that_diverges_is_no_winner():
    X, y = plane()
    given = {"learning_rate_init": [1e30, 0.015]}
    found = linnet.tune(X, y, param_distributions=given, **QUICK)
    record = found.record_
    rates = [candidate.params["learning_rate_init"] for candidate in record.candidates]
    assert sorted(rates) == [0.015, 1e30]
    assert found.best_params_ == {"learning_rate_init": 0.015}
    assert record.notes == ["Only 2 candidates differ from each other."]
    TuningRecord.from_json(record.to_json())


# Sentences ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"budget": 0},
            "budget=0 is not allowed: give seconds above 0, such as budget=60, or None for no "
            "limit.",
        ),
        (
            {"n_candidates": 1},
            "n_candidates=1 is not allowed: give a whole number of 2 or more, or fit an "
            "EnsembleRegressor or EnsembleClassifier, which has the defaults.",
        ),
        (
            {"task": "regresion"},
            "task='regresion' is not known, did you mean 'regression'? Allowed are 'regression', "
            "'classification'.",
        ),
        (
            {"n_members": 1},
            "n_members=1 leaves one fold to compare candidates by. Give 2 or more.",
        ),
        ({"max_time": 3}, "tune has no parameter 'max_time': write budget."),
        ({"verbose": True}, "tune has no parameter 'verbose': write progress."),
        (
            {"hiden": 3},
            "EnsembleRegressor has no parameter 'hiden'; it has activation, alpha, batch_size, "
            "column_types, cv, device, dropout, dtype, engine, frequency_scale, "
            "hidden_layer_sizes, learning_rate_init, loss, max_iter, max_time, n_frequencies, "
            "n_members, n_threads, random_state, solver, verbose.",
        ),
        (
            {"param_distributions": {"alfa": [0.1]}},
            "param_distributions has 'alfa', which is not searched, did you mean 'alpha'? Allowed "
            "are activation, alpha, batch_size, dropout, frequency_scale, hidden_layer_sizes, "
            "learning_rate_init, max_iter, n_frequencies, solver.",
        ),
        (
            {"param_distributions": {"alpha": 0.1}},
            "param_distributions gives 0.1 for alpha. Give a list of values, or a distribution "
            "with a method rvs, such as scipy.stats.loguniform(0.001, 0.1).",
        ),
        (
            {"param_distributions": {"alpha": []}},
            "param_distributions gives no value for alpha. Give at least one.",
        ),
        (
            {"param_distributions": {"dropout": [2.0]}},
            "The 'dropout' parameter of EnsembleRegressor must be a float in the range [0.0, 1.0)"
            ". Got 2.0 instead. Write dropout=0.1, for example.",
        ),
        (
            {"solver": "lm", "budget": 3},
            "solver='lm' (Levenberg-Marquardt) is for one network: write "
            "MLPRegressor(solver='lm'). An ensemble's members are trained by solver='adamw', "
            "'lbfgs' and the like.",
        ),
        (
            {"param_distributions": {"solver": ["adamw", "lm"]}},
            "solver='lm' (Levenberg-Marquardt) is for one network: write "
            "MLPRegressor(solver='lm'). An ensemble's members are trained by solver='adamw', "
            "'lbfgs' and the like.",
        ),
        (
            {"param_distributions": [1]},
            "param_distributions=[1] is no dict. Write names with values to draw from, such as "
            "{'alpha': [0.001, 0.01]}.",
        ),
    ],
)
def test_what_cannot_be_searched_is_told(arguments, sentence):
    X, y = plane(40)
    with pytest.raises((ValueError, TypeError)) as told:
        linnet.tune(X, y, **arguments)
    assert str(told.value) == sentence


@pytest.mark.parametrize("name", ["predict_interval", "score", "module_"])
def test_what_a_search_has_not_and_its_model_has_is_told(found, name):
    assert not hasattr(found, name)
    with pytest.raises(AttributeError) as told:
        getattr(found, name)
    assert str(told.value) == (
        f"Tuning has no {name}: the model has it. Write best_estimator_.{name}."
    )


def test_a_search_can_be_copied_and_has_no_names_of_nobodys(found):
    again = pickle.loads(pickle.dumps(found))
    assert again.best_params_ == found.best_params_
    for name in ("predict_proba", "nothing"):
        with pytest.raises(AttributeError) as told:
            getattr(again, name)
        assert str(told.value) == f"Tuning has no {name}."


def test_what_is_saved_is_the_model_that_was_found(found, tmp_path):
    with pytest.raises(TypeError) as told:
        linnet.save(found, tmp_path / "found.linnet")
    assert str(told.value) == (
        "A Tuning cannot be saved to a linnet file, and the model that it found can: write "
        "linnet.save(found.best_estimator_, path)."
    )


def test_a_record_says_what_was_found():
    def record(losses, gain=math.nan, outcome=TuningOutcome.ALL_TRIED):
        trials = [[Trial(0, loss, 10.0, [loss], 0.0, 1.0, True)] for loss in losses]
        candidates = [Candidate({}, found) for found in trials]
        candidates[-1].gain = gain
        return TuningRecord(
            candidates=candidates, n_candidates=3, best_index=len(losses) - 1, outcome=outcome
        )

    best = "Of 2 candidates of 3 number 2 was best"
    than = "than that of the defaults."
    assert record([0.5, 0.4], 0.1).sentence == (
        f"{best}: on the same rows held out its loss is 20.0% lower {than}"
    )
    # A loss of Poisson's may be 0 and below.
    for loss in (0.0, -1.0):
        assert record([loss, loss - 0.5], 0.5).sentence == (
            f"{best}: on the same rows held out its loss is lower by 0.5 {than}"
        )
    assert record([math.inf, 1.0], math.inf).sentence == (
        f"{best}: the loss of the defaults became infinite."
    )
    assert record([1.0, 0.5]).sentence == f"{best}."
    assert record([1.0]).sentence == "No other settings than the defaults were to be tried."
    assert record([1.0], outcome=TuningOutcome.TIME_UP).sentence == (
        "There was time for the defaults alone."
    )


def test_settings_that_are_all_those_of_the_defaults_are_told():
    found = linnet.tune(*plane(), param_distributions={"dropout": [0.0]}, **QUICK)
    record = found.record_
    assert record.notes == ["No settings to be searched differ from the defaults."]
    assert record.sentence == "No other settings than the defaults were to be tried."
    assert record.outcome is TuningOutcome.ALL_TRIED
    assert len(found.best_estimator_.module_.members) == 4


def test_an_empty_display_is_told():
    with pytest.raises(ValueError) as told:
        TuningDisplay([], [], [], 0)
    assert str(told.value) == "curves is empty; a search has at least one candidate."
    with pytest.raises(TypeError) as told:
        TuningDisplay.from_record(3)
    assert str(told.value) == (
        "A int keeps no candidates; pass a TuningRecord, such as linnet.tune(...).record_."
    )


def test_the_loss_of_a_candidate_is_the_mean_over_rows():
    trials = [Trial(0, 1.0, 10.0, [1.0], 0.0, 1.0, True), Trial(1, 4.0, 5.0, [4.0], 1.0, 1.0, True)]
    cut_off = Trial(2, 99.0, 5.0, [99.0], 2.0, 1.0, False)
    assert Candidate({}, [*trials, cut_off]).loss == 2.0
    assert math.isnan(Candidate({}, [cut_off]).loss)
