"""Checkpoints of estimators and ensembles: a fit that was cut off goes on with the same bits."""

import numpy as np
import pytest
from sklearn.base import clone
from torch import nn

import linnet
from linnet.checkpoint import Checkpoint, CheckpointedTraining
from linnet.model_format import unpack

rng = np.random.default_rng(0)
X = rng.normal(size=(120, 3))
y = X[:, 0] * X[:, 1] + 0.1 * rng.normal(size=120)
LABELS = np.where(y > 0.3, "high", np.where(y < -0.3, "low", "middle"))

NETWORK = {"max_iter": 12, "random_state": 0, "n_iter_no_change": float("inf")}
OWN = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 1))
CLASSES = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3))
MEMBERS = {"n_members": 3, "max_iter": 5, "hidden_layer_sizes": (8,), "random_state": 0}
ESTIMATORS = {
    "MLPRegressor": linnet.MLPRegressor(
        (8,), early_stopping=True, learning_rate="cosine", test_fraction=0.1, **NETWORK
    ),
    "MLPClassifier": linnet.MLPClassifier((8,), early_stopping=True, dropout=0.2, **NETWORK),
    "ModuleRegressor": linnet.ModuleRegressor(OWN, **NETWORK),
    "ModuleClassifier": linnet.ModuleClassifier(CLASSES, **NETWORK),
    "torch": linnet.MLPRegressor((8,), engine="torch", early_stopping=True, **NETWORK),
    "float64": linnet.MLPRegressor((8,), dtype="float64", **NETWORK),
    "lbfgs": linnet.MLPRegressor((8,), solver="lbfgs", **NETWORK),
    "lm": linnet.MLPRegressor((4,), solver="lm", engine="native", **NETWORK),
    "lm of torch": linnet.MLPRegressor((4,), solver="lm", engine="torch", **NETWORK),
    "EnsembleRegressor": linnet.EnsembleRegressor(**MEMBERS),
    "EnsembleClassifier": linnet.EnsembleClassifier(n_threads=2, **MEMBERS),
    "ensemble of lbfgs": linnet.EnsembleRegressor(solver="lbfgs", n_threads=1, **MEMBERS),
    "ensemble of torch": linnet.EnsembleRegressor(engine="torch", **MEMBERS),
}


def targets(estimator):
    return LABELS if "Classifier" in type(estimator).__name__ else y


def answers(model):
    """All numbers that a fit gives."""
    classes = hasattr(model, "predict_proba")
    found = [model.predict_proba(X) if classes else model.predict(X)]
    found += [model.loss_curve_, model.validation_loss_curve_ or [], [model.n_iter_]]
    if hasattr(model, "error_bars_"):
        found.append(model.predict_interval(X))
    if not hasattr(model, "histories_"):
        found.append(model.validation_scores_ or [])
    return [np.asarray(numbers) for numbers in found]


def same(a, b):
    for one, other in zip(answers(a), answers(b), strict=True):
        np.testing.assert_array_equal(one, other)


class Crash(BaseException):
    """The process ends here, as far as the training can tell."""


@pytest.fixture
def crash(monkeypatch):
    """Return a function that fits up to so many epochs, of all members together, and no further."""

    def fit(estimator, path, n_epochs):
        calls, after_epoch = [], CheckpointedTraining.after_epoch

        def counted(self, state, module, outcome):
            calls.append(1)
            if len(calls) > n_epochs:
                raise Crash
            after_epoch(self, state, module, outcome)

        options = {"checkpoint": path, "checkpoint_every": 0, "resume": True}
        with monkeypatch.context() as patch:
            patch.setattr("linnet.checkpoint._SECONDS_BETWEEN_COPIES", 0.0)
            patch.setattr("linnet.checkpoint._SHARE_OF_TIME", 1e9)
            patch.setattr(CheckpointedTraining, "after_epoch", counted)
            with pytest.raises(Crash):
                estimator.fit(X, targets(estimator), **options)

    return fit


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_fit_that_crashed_twice_has_the_bits_of_one_in_one_go(tmp_path, crash, name):
    whole, part = clone(ESTIMATORS[name]), clone(ESTIMATORS[name])
    whole.fit(X, targets(whole))
    path = tmp_path / "training"
    n_epochs = 5 if hasattr(part, "n_members") else 3
    crash(part, path, n_epochs)
    assert path.exists() and "module_" not in vars(part)
    crash(part, path, n_epochs)
    part.fit(X, targets(part), checkpoint=path, resume=True)
    same(part, whole)
    if hasattr(part, "_out_of_fold"):  # what rows held out say at epochs before the crash, too
        np.testing.assert_array_equal(part._out_of_fold, whole._out_of_fold)
    # Once more: all is done, and nothing is trained.
    again = clone(part).fit(X, targets(part), checkpoint=path, resume=True)
    same(again, whole)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["MLPRegressor", "EnsembleRegressor"])
def test_without_a_random_state_the_seed_is_that_of_the_file(tmp_path, crash, name):
    path = tmp_path / "training"
    part = clone(ESTIMATORS[name]).set_params(random_state=None)
    crash(part, path, 4)
    part.fit(X, y, checkpoint=path, resume=True)
    whole = clone(ESTIMATORS[name]).set_params(random_state=part.history_.seed).fit(X, y)
    same(part, whole)


def test_checkpoints_are_no_parameters_of_an_estimator():
    for estimator in ESTIMATORS.values():
        assert not {"checkpoint", "checkpoint_every", "resume"} & set(estimator.get_params())


def test_a_warm_start_goes_on_to_its_own_epochs(tmp_path):
    path = tmp_path / "training"
    options = {**NETWORK, "warm_start": True}
    whole = linnet.MLPRegressor((8,), **options).fit(X, y).fit(X, y)
    part = linnet.MLPRegressor((8,), **options).fit(X, y, checkpoint=path)
    part.fit(X, y, checkpoint=path, resume=True)
    assert part.n_iter_ == 24
    same(part, whole)


# What differs -------------------------------------------------------------------------------------


def refused(estimator, path, rows=X, targets=y):
    before = path.read_bytes()
    with pytest.raises(ValueError) as caught:
        estimator.fit(rows, targets, checkpoint=path, resume=True)
    assert path.read_bytes() == before
    told = str(caught.value)
    start = f"{path} is the checkpoint of another training: "
    end = ". Give what it was begun with, or another name to begin anew."
    assert told.startswith(start) and told.endswith(end)
    return told[len(start) : -len(end)]


def test_what_differs_of_an_estimator_is_told(tmp_path):
    path = tmp_path / "training"
    begun = ESTIMATORS["MLPRegressor"]
    clone(begun).fit(X, y, checkpoint=path)
    other = {"random_state": 1, "early_stopping": False, "test_fraction": 0.0}
    told = refused(clone(begun).set_params(**other), path)
    assert told.startswith("random_state was 0, is 1; the optimizer was Adam [")
    assert (
        "; the training rows was 96 rows " in told
        and ", is none; batch_size was 96, is 120" in told
    )
    assert refused(clone(begun).set_params(max_iter=13), path) == "max_iter was 12, is 13"
    told = refused(clone(begun).set_params(learning_rate="constant"), path)
    assert told == (
        "learning_rate was cosine, is constant; the scheduler was LambdaLR, is none; "
        "scheduler_step was batch, is epoch"
    )
    told = refused(clone(begun).set_params(hidden_layer_sizes=(9,)), path)
    assert told.startswith("the module was Sequential ")
    told = refused(clone(begun).set_params(solver="sgd"), path)
    assert told.startswith("the optimizer was Adam [")
    assert refused(clone(begun), path, rows=X[::-1]).startswith("the training rows was 96 rows ")


def test_what_differs_of_an_ensemble_is_told(tmp_path):
    path = tmp_path / "training"
    begun = ESTIMATORS["EnsembleRegressor"]
    clone(begun).fit(X, y, checkpoint=path)
    told = refused(clone(begun).set_params(n_members=2, max_iter=6, random_state=3), path)
    assert told == "random_state was 0, is 3; n_members was 3, is 2; max_iter was 5, is 6"
    told = refused(clone(begun), path, targets=y + np.eye(1, 120, 7)[0])
    assert told.startswith("the training rows was 120 rows ")
    told = refused(clone(begun).set_params(engine="torch"), path)
    assert told == "the engine was native, is torch"
    told = refused(clone(ESTIMATORS["MLPRegressor"]), path)
    assert told.startswith("learning_rate was None, is cosine; ")


def test_a_changed_version_is_told_of_an_ensemble(tmp_path, monkeypatch):
    path = tmp_path / "training"
    begun = clone(ESTIMATORS["EnsembleRegressor"]).fit(X, y, checkpoint=path)
    monkeypatch.setattr(linnet, "__version__", "99.0")
    assert refused(begun, path) == "the version of linnet was 0.1.0, is 99.0"


@pytest.mark.parametrize("name", ["MLPRegressor", "EnsembleRegressor"])
def test_an_existing_file_is_an_error_of_a_fit(tmp_path, name):
    path = tmp_path / "training"
    path.write_text("mine")
    with pytest.raises(FileExistsError) as caught:
        clone(ESTIMATORS[name]).fit(X, y, checkpoint=path)
    assert str(caught.value) == (
        f"The checkpoint {path} already exists. Write resume=True to go on from it, or choose "
        "another name."
    )
    with pytest.raises(ValueError, match="is no checkpoint of a training, or is cut off"):
        clone(ESTIMATORS[name]).fit(X, y, checkpoint=path, resume=True)
    assert path.read_text() == "mine"
    with pytest.raises(ValueError) as caught:
        clone(ESTIMATORS[name]).fit(X, y, resume=True)
    assert str(caught.value) == (
        "resume=True needs the file to go on from: give checkpoint='training.checkpoint' too."
    )


# Ensembles: one file for all members --------------------------------------------------------------


def test_the_members_of_an_ensemble_stand_in_one_file(tmp_path, crash):
    path = tmp_path / "training"
    part = clone(ESTIMATORS["ensemble of lbfgs"])  # one after another
    crash(part, path, 9)  # 5 epochs and an end of the first, 3 epochs of the second
    epochs = {
        number: training["history"]["n_epochs"]
        for number, training in unpack(path)[0]["trainings"].items()
    }
    assert epochs == {"0": 5, "1": 3}


def test_members_that_do_nothing_more_stay_in_the_file(tmp_path, crash):
    path = tmp_path / "training"
    part = clone(ESTIMATORS["ensemble of lbfgs"])
    crash(part, path, 15)
    before = unpack(path)[0]["trainings"]
    assert list(before) == ["0", "1", "2"]
    crash(part, path, 1)
    after = unpack(path)[0]["trainings"]
    assert [after[number] == before[number] for number in after] == [True, True, False]
    assert after["2"]["history"]["n_epochs"] == before["2"]["history"]["n_epochs"] + 1


def test_an_ensemble_is_seldom_written(tmp_path, monkeypatch):
    count, content = [], Checkpoint._content
    monkeypatch.setattr(Checkpoint, "_content", lambda *a: (count.append(1), content(*a))[1])
    clone(ESTIMATORS["EnsembleRegressor"]).fit(X, y, checkpoint=tmp_path / "training")
    assert len(count) == 1
