"""Classifiers: kinds of labels, probabilities, splits in proportion, class weights."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import log_loss

from linnet import MLPClassifier

RNG = np.random.default_rng(0)
X = RNG.uniform(-2, 2, size=(120, 2))
Y = X[:, 0] + X[:, 1] ** 2
TWO = (Y > 1).astype(int)
THREE = np.digitize(Y, [0.5, 2])

ALL_EPOCHS = {"n_iter_no_change": np.inf, "random_state": 0}


def good(**parameters):
    defaults = {"hidden_layer_sizes": (16,), "solver": "lbfgs", "max_iter": 40}
    return MLPClassifier(**{**defaults, **ALL_EPOCHS, **parameters})


WORDS = np.array(["low", "middle", "high"])[THREE]
LABELS = {
    "int": (THREE, [0, 1, 2]),
    "negative": (THREE - 5, [-5, -4, -3]),
    "float": (THREE.astype(float), [0.0, 1.0, 2.0]),
    "bool": (TWO.astype(bool), [False, True]),
    "text": (WORDS, ["high", "low", "middle"]),
    "objects": (WORDS.astype(object), ["high", "low", "middle"]),
    "list": (WORDS.tolist(), ["high", "low", "middle"]),
    "pandas": (pd.Series(WORDS, index=range(500, 620)), ["high", "low", "middle"]),
    "pandas categorical": (pd.Series(WORDS, dtype="category"), ["high", "low", "middle"]),
    "pandas nullable": (pd.Series(THREE, dtype="Int64"), [0, 1, 2]),
    "polars": (pl.Series(WORDS), ["high", "low", "middle"]),
    "polars categorical": (pl.Series(WORDS, dtype=pl.Categorical), ["high", "low", "middle"]),
    "pyarrow": (pa.chunked_array([WORDS.tolist()]), ["high", "low", "middle"]),
    "pyarrow dictionary": (
        pa.array(WORDS.tolist()).dictionary_encode(),
        ["high", "low", "middle"],
    ),
}


@pytest.mark.parametrize(("y", "classes"), LABELS.values(), ids=LABELS)
def test_labels_of_every_kind_come_back_as_they_were(y, classes):
    model = good().fit(X, y)
    assert model.classes_.tolist() == classes
    predicted = model.predict(X)
    assert set(predicted.tolist()) == set(classes)
    assert (predicted == np.asarray(y)).mean() > 0.95


def test_probabilities_sum_to_one_and_their_largest_is_the_prediction():
    for y in (TWO, THREE):
        model = good().fit(X, y)
        p = model.predict_proba(X)
        assert p.shape == (120, len(np.unique(y)))
        assert p.sum(axis=1) == pytest.approx(np.ones(120))
        assert np.array_equal(model.classes_[p.argmax(axis=1)], model.predict(X))
        assert np.exp(model.predict_log_proba(X)) == pytest.approx(p)


def test_two_classes_share_one_output_and_three_have_three():
    two, three = good(max_iter=2).fit(X, TWO), good(max_iter=2).fit(X, THREE)
    assert (two.n_outputs_, two.out_activation_) == (1, "logistic")
    assert (three.n_outputs_, three.out_activation_) == (3, "softmax")


def test_certain_probabilities_have_logarithms_without_a_warning():
    model = good(alpha=0, max_iter=100).fit(X * 1000, TWO)
    assert (model.predict_log_proba(X * 1e6) <= 0).all()


def test_multilabel_targets_have_a_probability_each():
    y = np.c_[TWO, X[:, 0] > 0, X[:, 1] > 0].astype(int)
    model = good().fit(X, y)
    p = model.predict_proba(X)
    assert p.shape == (120, 3)
    assert np.array_equal(model.predict(X), (p > 0.5).astype(int))
    assert model.score(X, y) > 0.9
    assert (model.n_outputs_, model.out_activation_) == (3, "logistic")
    assert model.classes_.tolist() == [0, 1, 2]
    sparse = good().fit(X, csr_matrix(y))
    assert np.array_equal(sparse.predict(X), model.predict(X))


def test_early_stopping_holds_rows_out_of_each_class_in_proportion():
    y = np.r_[np.zeros(100), np.ones(20)].astype(int)
    model = good(early_stopping=True, validation_fraction=0.2, solver="adam", max_iter=3).fit(X, y)
    held_out = model.history_.split["validation"]
    assert np.bincount(y[held_out]).tolist() == [20, 4]
    assert sorted(np.r_[held_out, model.history_.split["train"]]) == list(range(120))
    expected = log_loss(y[held_out], model.predict_proba(X[held_out]))
    assert model.best_loss_ == pytest.approx(expected, rel=1e-4)


def test_a_rare_class_that_is_held_out_whole_is_still_known():
    y = np.r_[np.zeros(116), [1, 1, 2, 2]].astype(int)
    model = good(early_stopping=True, validation_fraction=0.9, max_iter=2).fit(X, y)
    assert model.classes_.tolist() == [0, 1, 2]


def test_balanced_class_weights_find_more_of_the_rare_class():
    rng = np.random.default_rng(3)
    y = (X[:, 0] + rng.normal(size=120) > 2).astype(int)
    assert 0 < y.mean() < 0.2
    few = {"hidden_layer_sizes": (), "max_iter": 30}
    plain = good(**few).fit(X, y).predict(X).sum()
    balanced = good(class_weight="balanced", **few).fit(X, y)
    assert balanced.predict(X).sum() > plain
    n = np.bincount(y)
    by_hand = good(class_weight={0: 60 / n[0], 1: 60 / n[1]}, **few).fit(X, y)
    assert np.array_equal(by_hand.predict_proba(X), balanced.predict_proba(X))
    as_rows = good(**few).set_params(scale_X=False).fit(X, y, (60 / n)[y])
    balanced = balanced.set_params(scale_X=False).fit(X, y)
    assert as_rows.predict_proba(X) == pytest.approx(balanced.predict_proba(X), abs=1e-4)


def test_a_class_of_weightless_rows_is_known_and_not_expected():
    weight = np.where(THREE == 2, 0.0, 1.0)
    model = good().fit(X, THREE, weight)
    assert model.classes_.tolist() == [0, 1, 2]
    assert set(model.predict(X).tolist()) == {0, 1}


def test_partial_fit_knows_classes_that_come_later():
    model = MLPClassifier((8,), random_state=0)
    model.partial_fit(X[:50], np.zeros(50, dtype=int), classes=[0, 1, 2])
    model.partial_fit(X, THREE).partial_fit(X, THREE, classes=[2, 1, 0])
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.predict_proba(X).shape == (120, 3)
    multilabel = np.c_[TWO, 1 - TWO]
    assert MLPClassifier((4,)).partial_fit(X, multilabel).predict(X).shape == (120, 2)


def test_class_weights_multiply_the_weights_of_rows():
    y = (X[:, 0] + np.random.default_rng(3).normal(size=120) > 0).astype(int)
    weight = np.where(X[:, 1] > 0, 4.0, 0.5)
    linear = {"hidden_layer_sizes": (), "scale_X": False}
    both = good(class_weight={0: 1.0, 1: 5.0}, **linear).fit(X, y, weight).predict_proba(X)
    as_rows = good(**linear).fit(X, y, weight * np.array([1.0, 5.0])[y]).predict_proba(X)
    assert both == pytest.approx(as_rows, abs=1e-3)
    for other in (
        good(**linear).fit(X, y, weight),
        good(class_weight={0: 1.0, 1: 5.0}, **linear).fit(X, y),
    ):
        assert np.abs(other.predict_proba(X) - both).max() > 0.02
