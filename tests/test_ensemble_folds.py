"""Splits of the user's own, and predictions for the rows of a fit by members that hold them out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold, PredefinedSplit, TimeSeriesSplit

import linnet
from linnet import EnsembleClassifier, EnsembleRegressor

QUICK = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2))
Y = X[:, 0] + 0.1 * RNG.normal(size=60)
PATIENTS = np.arange(60) // 4
SPLITS = list(GroupKFold(3).split(X, Y, PATIENTS))


def test_members_take_the_splits_in_turn():
    model = EnsembleRegressor(4, cv=SPLITS, **QUICK).fit(X, Y)
    assert len(model.module_.members) == 4
    for row in (0, 20, 59):
        holders = [m for m in range(4) if row in SPLITS[m % 3][1]]
        inputs = model.columns_.encode_array(X[row : row + 1])
        outputs = [float(_outputs(model, m, inputs)) for m in holders]
        assert model.oof_prediction_[row] == pytest.approx(
            float(model.target_.decode(np.mean(outputs).reshape(1, 1))[0]), abs=1e-5
        )


def _outputs(model, member, inputs):
    import torch

    with torch.no_grad():
        return model.module_.members[member](torch.from_numpy(inputs).float())


def test_no_member_learns_from_rows_that_its_split_holds_out_or_leaves_out():
    model = EnsembleRegressor(3, cv=SPLITS, **QUICK).fit(X, Y)
    changed = Y.copy()
    changed[SPLITS[1][1]] = Y[SPLITS[1][1]][::-1]  # as before in mean and scale
    other = clone(model).fit(X, changed)
    same = [_outputs(model, m, X).equal(_outputs(other, m, X)) for m in range(3)]
    assert same[0] is False and same[2] is False
    # Its own rows held out choose its best epoch, and nothing else.
    last = {"n_members": 3, "cv": SPLITS, **QUICK, "max_iter": 1}
    model, other = (EnsembleRegressor(**last).fit(X, y) for y in (Y, changed))
    assert _outputs(model, 1, X).equal(_outputs(other, 1, X))
    left_out = [(train[10:], test) for train, test in SPLITS]
    changed = Y.copy()
    rows = SPLITS[0][0][:10]
    changed[rows] = Y[rows][::-1]
    last["cv"] = left_out
    model, other = (EnsembleRegressor(**last).fit(X, y) for y in (Y, changed))
    assert _outputs(model, 0, X).equal(_outputs(other, 0, X))


@pytest.mark.parametrize(
    "cv", [3, KFold(3, shuffle=True, random_state=0), PredefinedSplit(PATIENTS % 3)]
)
def test_what_scikit_learn_takes_as_cv_is_taken(cv):
    model = EnsembleRegressor(3, cv=cv, **QUICK).fit(X, Y)
    assert np.isfinite(model.oof_prediction_).all()
    classes = EnsembleClassifier(3, cv=cv, **QUICK).fit(X, Y > 0)
    assert classes.oof_probabilities_.sum(axis=1) == pytest.approx(np.ones(60))


def test_rows_that_no_split_holds_out_have_no_prediction_and_a_note_says_so():
    model = EnsembleRegressor(4, cv=TimeSeriesSplit(4), **QUICK).fit(X, Y)
    assert np.isnan(model.oof_prediction_).tolist() == [True] * 12 + [False] * 48
    assert (
        "No split of cv holds out 12 of 60 rows: nothing is known of the errors for them, and "
        "their oof_prediction_ are NaN."
    ) in model.history_.notes
    assert np.isfinite(model.predict_interval(X)).all()


@pytest.mark.parametrize("frame", [False, True])
def test_rows_of_weight_0_have_predictions_of_all_members_at_their_place(frame):
    weight = np.ones(60)
    weight[[0, 30, 59]] = 0
    rows = pd.DataFrame(X, columns=["a", "b"]) if frame else X
    for cv in (None, SPLITS):
        model = EnsembleRegressor(5, cv=cv, **QUICK).fit(rows, Y, sample_weight=weight)
        assert model.oof_prediction_.shape == (60,)
        anew = model.predict(rows)[weight == 0]
        assert model.oof_prediction_[weight == 0] == pytest.approx(anew, abs=1e-6)
        used = clone(model).set_params(cv=None).fit(X[weight > 0], Y[weight > 0])
        if cv is None:
            assert (model.oof_prediction_[weight > 0] == used.oof_prediction_).all()
    model = EnsembleClassifier(5, **QUICK).fit(rows, Y > 0, sample_weight=weight)
    assert model.oof_probabilities_.shape == (60, 2)
    anew = model.predict_proba(rows)[weight == 0]
    assert model.oof_probabilities_[weight == 0] == pytest.approx(anew, abs=1e-6)


def without(split):
    return [split, *SPLITS[1:]]


TRAIN, TEST = SPLITS[0]


@pytest.mark.parametrize(
    ("cv", "told"),
    [
        (
            iter([]),
            "cv gives no split. A generator gives its splits once, to the first fit: write "
            "cv=list(...).",
        ),
        (
            KFold(10),
            "cv gives 10 splits and n_members=8, but each split needs a member. Write n_members=10 "
            "or more, such as 20 for two members on each.",
        ),
        (
            without((np.append(TRAIN, TEST[0]), TEST)),
            f"Split 0 of cv trains on row {TEST[0]} and holds it out too (1 such rows): its error "
            "would not be that of a new row. Give each row to one of the two.",
        ),
        (
            without((TRAIN, [])),
            "Split 0 of cv has no row to hold out. Give one at least.",
        ),
        (
            without((TRAIN, np.append(TEST, 60))),
            "Split 0 of cv names row 60, and X has rows 0 to 59. Give numbers of these.",
        ),
        (
            GroupKFold(3),
            "cv=GroupKFold(...) needs the group of each row. Give its splits: "
            "cv=list(GroupKFold(...).split(X, y, groups)).",
        ),
    ],
)
def test_splits_that_cannot_be_are_told(cv, told):
    with pytest.raises(ValueError) as fault:
        EnsembleRegressor(cv=cv, **QUICK).fit(X, Y)
    assert str(fault.value) == told


@pytest.mark.parametrize(
    ("split", "told"),
    [
        (
            TEST[:1].tolist(),
            f"Split 0 of cv is {TEST[:1].tolist()}: give pairs (rows to train on, rows to hold "
            "out), as the split methods of sklearn.model_selection do.",
        ),
        (
            (TRAIN, ["a"]),
            "Split 0 of cv holds <U1 of shape (1,): give row numbers, one axis of whole numbers "
            "from 0 to 59.",
        ),
    ],
)
def test_splits_of_another_kind_are_told(split, told):
    with pytest.raises(TypeError) as fault:
        EnsembleRegressor(cv=without(split), **QUICK).fit(X, Y)
    assert str(fault.value) == told


def test_a_split_whose_rows_all_have_weight_0_is_told():
    weight = np.ones(60)
    weight[TEST] = 0
    with pytest.raises(ValueError) as fault:
        EnsembleRegressor(cv=SPLITS, **QUICK).fit(X, Y, sample_weight=weight)
    assert str(fault.value) == (
        "Split 0 of cv has no row of a weight above 0 to hold out. Give one at least."
    )


def test_out_of_fold_predictions_are_of_a_fit_and_a_file_does_not_keep_them(tmp_path):
    path = tmp_path / "m.linnet"
    model = EnsembleRegressor(3, cv=SPLITS, **QUICK)
    assert not hasattr(model, "oof_prediction_")
    linnet.save(model.fit(X, Y), path)
    with pytest.warns(UserWarning, match="cv"):
        again = linnet.load(path)
    assert (again.predict(X) == model.predict(X)).all() and again.cv is None
    with pytest.raises(AttributeError) as fault:
        _ = again.oof_prediction_
    assert str(fault.value) == (
        "oof_prediction_ are predictions for the rows of the fit, which a model file does not "
        "keep. Fit the model again, or save them beside it: np.save('rows.npy', "
        "model.oof_prediction_)."
    )


def test_a_search_judges_by_the_splits():
    found = linnet.tune(
        X, Y, cv=SPLITS, n_members=3, n_candidates=2, max_iter=2, random_state=0,
        hidden_layer_sizes=(8,),
    )  # fmt: skip
    assert (found.best_estimator_.n_members, len(found.record_.candidates)) == (3, 2)
    assert np.isfinite(found.best_estimator_.oof_prediction_).all()


def test_a_checkpoint_of_other_splits_is_refused(tmp_path):
    path = tmp_path / "c.checkpoint"
    EnsembleRegressor(3, cv=SPLITS, **QUICK).fit(X, Y, checkpoint=path)
    with pytest.raises(ValueError, match="the splits of cv"):
        EnsembleRegressor(3, cv=SPLITS[::-1], **QUICK).fit(X, Y, checkpoint=path, resume=True)
