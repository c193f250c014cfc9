"""Splits, scores and baselines, beside scikit-learn's."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from shell import birds
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import log_loss, roc_auc_score

from linnet.report import (
    boosting_baseline,
    classification_scores,
    confusion,
    regression_scores,
    simple_baseline,
    split_rows,
    task_of,
)
from linnet.table import Columns


def test_a_split_has_every_row_once_and_classes_in_proportion():
    classes = np.repeat(["a", "b", "c"], [60, 30, 10])
    rows, held_out = split_rows(100, 0.2, seed=1, classes=classes)
    assert sorted([*rows, *held_out]) == list(range(100))
    assert np.unique(classes[held_out], return_counts=True)[1].tolist() == [12, 6, 2]
    assert split_rows(100, 0.2, seed=1, classes=classes)[1].tolist() == held_out.tolist()
    assert split_rows(100, 0.2, seed=2, classes=classes)[1].tolist() != held_out.tolist()


def test_every_class_is_tested_however_small_the_test_size():
    classes = np.repeat(["a", "b", "c"], 10)
    assert set(classes[split_rows(30, 0.01, seed=0, classes=classes)[1]]) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("n_rows", "size", "classes", "sentence"),
    [
        (
            4,
            0.9,
            None,
            "4 rows cannot be split with a test size of 0.9: at least two have to be left to fit "
            "on. Give more rows, or a smaller test size.",
        ),
        (
            5,
            0.2,
            np.array([1, 1, 2, 2, 3]),
            "The class '3' has one row only, which cannot be both among the rows to fit on and "
            "those to test on. Add rows of it, or leave it out.",
        ),
    ],
)
def test_what_cannot_be_split_is_told(n_rows, size, classes, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        split_rows(n_rows, size, 0, classes)


def test_regression_scores_are_those_of_the_textbook():
    y, predicted = np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 2.0])
    scores = regression_scores(y, predicted)
    assert scores["r2"] == pytest.approx(1 - 5 / np.sum((y - y.mean()) ** 2))
    assert scores["rmse"] == pytest.approx(np.sqrt(5 / 3)) and scores["mae"] == 1.0
    assert np.isnan(regression_scores(y[:1], predicted[:1])["r2"])


@pytest.mark.parametrize("n_classes", [2, 3])
def test_classification_scores_are_scikit_learns(n_classes):
    rng = np.random.default_rng(0)
    classes = np.array(["a", "b", "c"])[:n_classes]
    y = rng.choice(classes, size=50)
    shares = rng.dirichlet(np.ones(n_classes), size=50)
    scores = classification_scores(y, shares, classes)
    assert scores["accuracy"] == np.mean(classes[shares.argmax(1)] == y)
    assert scores["log_loss"] == pytest.approx(log_loss(y, shares, labels=classes))
    of_auc = shares[:, 1] if n_classes == 2 else shares
    assert scores["roc_auc"] == pytest.approx(roc_auc_score(y, of_auc, multi_class="ovr"))
    assert np.isnan(classification_scores(y[y == "a"], shares[y == "a"], classes)["roc_auc"])


def test_the_confusion_matrix_has_actual_classes_in_its_rows():
    y, predicted = np.array(["a", "a", "b"]), np.array(["a", "b", "b"])
    assert confusion(y, predicted, np.array(["a", "b", "c"])) == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_simple_baselines_are_the_mean_and_the_shares_of_classes():
    name, scores = simple_baseline(np.array([1.0, 3.0]), np.array([2.0, 4.0]), None)
    assert name == "mean of the target" and scores["mae"] == 1.0
    classes = np.array(["a", "b"])
    name, scores = simple_baseline(np.array(["a", "a", "a", "b"]), np.array(["a", "b"]), classes)
    assert name == "commonest class" and scores["accuracy"] == 0.5
    assert scores["log_loss"] == pytest.approx(-np.mean(np.log([0.75, 0.25])))


def test_boosting_gets_numbers_with_their_gaps_and_categories_as_categories():
    table = birds(150).drop(columns=["seen", "ring"])
    y = table.pop("species").to_numpy()
    fit_rows, test_rows = np.arange(100), np.arange(100, 150)
    frame = pa.Table.from_pandas(table)
    parts = (frame.take(fit_rows), frame.take(test_rows))
    columns = Columns.fit(parts[0])
    classes = np.unique(y)
    name, scores = boosting_baseline(columns, parts, y[fit_rows], y[test_rows], classes, 0)
    assert name == "HistGradientBoosting"

    # scikit-learn's own way with a frame: pandas categories, NaN for gaps.
    given = table.assign(
        island=table["island"].astype("category"),
        sex=table["sex"].astype("category"),
        ringed=table["ringed"].astype("category"),
    )
    own = HistGradientBoostingClassifier(random_state=0, categorical_features="from_dtype")
    own.fit(given.iloc[fit_rows], y[fit_rows])
    expected = classification_scores(
        y[test_rows], own.predict_proba(given.iloc[test_rows]), classes
    )
    assert scores == pytest.approx(expected, rel=0.05)


def test_categories_are_split_as_sets_not_by_their_codes():
    rng = np.random.default_rng(0)
    kinds = rng.integers(60, size=1200)
    y = rng.normal(size=60)[kinds] + 0.1 * rng.normal(size=1200)
    frame = pa.table({"kind": [f"k{kind}" for kind in kinds]})
    parts = (frame.slice(0, 1000), frame.slice(1000))
    columns = Columns.fit(parts[0], types={"kind": "category"})
    _, scores = boosting_baseline(columns, parts, y[:1000], y[1000:], None, 0)
    options = {"random_state": 0, "categorical_features": [0]}
    own = HistGradientBoostingRegressor(**options).fit(kinds[:1000, None], y[:1000])
    assert scores == pytest.approx(regression_scores(y[1000:], own.predict(kinds[1000:, None])))


def test_boosting_of_numbers_is_scikit_learns_to_the_bit_and_dates_are_numbers():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(200, 3)), columns=["a", "b", "c"])
    table.loc[::7, "b"] = np.nan
    y = table["a"].to_numpy() ** 2 + table["c"].to_numpy()
    frame = pa.Table.from_pandas(table)
    parts = (frame.slice(0, 150), frame.slice(150))
    _, scores = boosting_baseline(Columns.fit(parts[0]), parts, y[:150], y[150:], None, 3)
    own = HistGradientBoostingRegressor(random_state=3).fit(table.to_numpy()[:150], y[:150])
    assert scores == regression_scores(y[150:], own.predict(table.to_numpy()[150:]))

    days = pd.DataFrame({"day": pd.date_range("2020-01-01", periods=200)})
    frame = pa.Table.from_pandas(days)
    parts = (frame.slice(0, 150), frame.slice(150))
    target = np.arange(200.0) % 150
    _, scores = boosting_baseline(Columns.fit(parts[0]), parts, target[:150], target[150:], None, 0)
    assert np.isfinite(scores["rmse"])


def test_more_categories_than_boosting_takes_become_missing():
    names = np.array([f"k{i % 400}" for i in range(2000)])
    frame = pa.table({"k": names, "x": np.arange(2000) % 7})
    parts = (frame.slice(0, 1600), frame.slice(1600))
    y = np.arange(2000.0) % 7
    columns = Columns.fit(parts[0], types={"k": "category"})
    _, scores = boosting_baseline(columns, parts, y[:1600], y[1600:], None, 0)
    assert scores["r2"] > 0.9


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b"], "classification"),
        ([True, False], "classification"),
        ([0, 1, 1, None], "classification"),
        ([0, 1, 2], "regression"),
        ([0.5, 1.5, 2.5], "regression"),
    ],
)
def test_the_task_follows_from_the_target(values, task):
    assert task_of(pa.chunked_array([values])) == task
