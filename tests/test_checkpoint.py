"""Checkpoints: a training that is killed goes on with the same bits; no file is half written."""

import os
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import linnet
from linnet.checkpoint import Checkpoint

X = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
y = (X[:, :1] * X[:, 1:2]).astype(np.float32)


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(3, 16), nn.BatchNorm1d(16), nn.SiLU(), nn.Dropout(0.1), nn.Linear(16, 1)
    )


def fit(epochs, module=None, **options):
    module = network() if module is None else module
    options = {"random_state": 0, "X_val": X[:60], "y_val": y[:60], **options}
    return module, linnet.train(module, X, y, epochs=epochs, **options)


def same_bits(a, b):
    return all(torch.equal(u, v) for u, v in zip(a.values(), b.values(), strict=True))


SCHEDULERS = {
    "none": None,
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 20),
    "milestones": lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [3, 9, 15]),
    "plateau": lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=1),
    "lambda": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
    "chain": lambda o: torch.optim.lr_scheduler.SequentialLR(
        o,
        [
            torch.optim.lr_scheduler.LinearLR(o, 0.1, total_iters=4),
            torch.optim.lr_scheduler.CosineAnnealingLR(o, 16),
        ],
        [4],
    ),
}


@pytest.mark.parametrize("engine", ["native", "torch"])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_resumed_training_has_the_bits_of_one_in_one_go(tmp_path, engine, scheduler):
    options = {"engine": engine, "scheduler": SCHEDULERS[scheduler], "optimizer": "adamw"}
    whole, history = fit(20, **options)
    path = tmp_path / "training"
    for epochs in (1, 7, 8, 20):
        part, resumed = fit(epochs, checkpoint=path, resume=True, **options)
    assert same_bits(part.state_dict(), whole.state_dict())
    for name in ("train_loss", "validation_loss", "learning_rate", "gradient_norm"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(history, name))
    assert (resumed.outcome, resumed.seed) == (history.outcome, history.seed)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop", "nadam", "lbfgs"])
def test_every_optimizer_can_be_resumed(tmp_path, optimizer):
    module = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    start = {name: value.clone() for name, value in module.state_dict().items()}
    whole, _ = fit(9, module, optimizer=optimizer)
    expected = {name: value.clone() for name, value in whole.state_dict().items()}
    module.load_state_dict(start)
    fit(4, module, optimizer=optimizer, checkpoint=tmp_path / "training")
    with torch.no_grad():
        module[0].weight.zero_()  # the file decides, not what the module holds
    fit(9, module, optimizer=optimizer, checkpoint=tmp_path / "training", resume=True)
    assert same_bits(module.state_dict(), expected)


def test_a_training_that_ended_for_good_stays_ended(tmp_path):
    options = {"patience": 3, "checkpoint": tmp_path / "training"}
    module, history = fit(500, **options)
    assert history.outcome is linnet.Outcome.VALIDATION_LEAST
    again, resumed = fit(500, resume=True, **options)
    assert (resumed.n_epochs, resumed.outcome) == (history.n_epochs, history.outcome)
    assert same_bits(again.state_dict(), module.state_dict())


def test_without_a_validation_set_too(tmp_path):
    nothing = {"X_val": None, "y_val": None}
    whole, _ = fit(12, **nothing)
    fit(5, checkpoint=tmp_path / "training", **nothing)
    part, _ = fit(12, checkpoint=tmp_path / "training", resume=True, **nothing)
    assert same_bits(part.state_dict(), whole.state_dict())


def test_what_the_file_held_is_written_again_until_there_is_a_copy(tmp_path):
    path = tmp_path / "training"
    fit(4, checkpoint=path)
    before, kept, contents = path.read_bytes(), Checkpoint(path, 3600.0, resume=True), []
    # The weights, their best and the optimizer's moments have been changed in place by then.
    fit(6, checkpoint=kept, on_epoch=lambda history: contents.append(kept._content({})))
    assert contents == [before, before] and path.read_bytes() != before


# What differs -----------------------------------------------------------------------------------


def refused(tmp_path, **changed):
    path = tmp_path / "training"
    fit(2, checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(ValueError) as caught:
        fit(4, **{"checkpoint": path, "resume": True, **changed})
    assert path.read_bytes() == before
    told = str(caught.value)
    start = f"{path} is the checkpoint of another training: "
    end = ". Give what it was begun with, or another name to begin anew."
    assert told.startswith(start) and told.endswith(end)
    return told[len(start) : -len(end)]


def test_what_differs_is_told(tmp_path):
    path = tmp_path / "training"
    assert refused(tmp_path, batch_size=7) == "batch_size was 32, is 7"
    path.unlink()
    assert refused(tmp_path, random_state=1) == "random_state was 0, is 1"
    path.unlink()
    told = refused(tmp_path, optimizer="sgd", loss="absolute_error")
    assert told.startswith("the optimizer was Adam [{") and "; the loss was squared_error" in told
    path.unlink()
    told = refused(tmp_path, sample_weight=np.r_[2.0, np.ones(299)])
    assert told.startswith("the training rows was 300 rows")
    path.unlink()
    told = refused(tmp_path, module=nn.Sequential(nn.Linear(3, 1)))
    assert told.startswith("the module was Sequential ")


def test_a_changed_version_is_told(tmp_path, monkeypatch):
    path = tmp_path / "training"
    fit(1, checkpoint=path)
    monkeypatch.setattr(linnet, "__version__", "99.0")
    with pytest.raises(ValueError, match=r"the version of linnet was .*, is 99\.0\. Give what"):
        fit(2, checkpoint=path, resume=True)


def test_an_existing_file_is_an_error(tmp_path):
    path = tmp_path / "training"
    fit(1, checkpoint=path)
    with pytest.raises(FileExistsError) as caught:
        fit(1, checkpoint=path)
    assert str(caught.value) == (
        f"The checkpoint {path} already exists. Write resume=True to go on from it, or choose "
        "another name."
    )


@pytest.mark.parametrize(
    ("given", "kind", "told"),
    [
        (
            {"checkpoint": 3},
            TypeError,
            "checkpoint=3 is no path. Give the name of a file, such as 'training.checkpoint'.",
        ),
        (
            {"checkpoint": "x", "checkpoint_every": -1},
            ValueError,
            "checkpoint_every=-1 has to be seconds, 0 or more.",
        ),
        (
            {"resume": True},
            ValueError,
            "resume=True needs the file to go on from: give checkpoint='training.checkpoint' too.",
        ),
        (
            {"checkpoint": "nowhere/training"},
            FileNotFoundError,
            "The folder nowhere does not exist. Make it first.",
        ),
    ],
)
def test_wrong_arguments_are_told(given, kind, told):
    with pytest.raises(kind) as caught:
        fit(1, **given)
    assert str(caught.value) == told


def test_a_state_that_cannot_be_kept_is_told_before_the_training(tmp_path):
    class Odd(torch.optim.lr_scheduler.LambdaLR):
        def state_dict(self):
            return {"thing": object()}

    with pytest.raises(TypeError) as caught:
        fit(1, checkpoint=tmp_path / "training", scheduler=lambda o: Odd(o, lambda epoch: 1.0))
    assert str(caught.value) == (
        "scheduler.thing is of type object, which a checkpoint cannot hold: it takes tensors, "
        "numbers and texts, in dicts, lists and tuples."
    )


def test_models_and_checkpoints_are_told_apart(tmp_path):
    path = tmp_path / "training"
    fit(1, checkpoint=path)
    with pytest.raises(ValueError) as caught:
        linnet.load(path)
    assert str(caught.value) == (
        f"{path} holds the checkpoint of a training, not a model. Go on with the training: "
        "give checkpoint= and resume=True to what began it."
    )
    model = linnet.MLPRegressor((4,), solver="lbfgs", random_state=0).fit(X, y.ravel())
    linnet.save(model, path, overwrite=True)
    with pytest.raises(ValueError) as caught:
        fit(2, checkpoint=path, resume=True)
    assert str(caught.value) == (
        f"{path} holds a model, not the checkpoint of a training. Give another name."
    )


def test_a_damaged_file_is_told_and_nothing_is_changed(tmp_path):
    path = tmp_path / "training"
    fit(2, checkpoint=path)
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        fit(4, checkpoint=path, resume=True)
    assert str(caught.value) == (
        f"{path} is a damaged checkpoint of a training (its bytes are not those that were "
        "written). Copy it anew, or give another name to begin anew."
    )
    path.write_bytes(content[:100])
    with pytest.raises(ValueError) as caught:
        fit(4, checkpoint=path, resume=True)
    assert str(caught.value) == (
        f"{path} is no checkpoint of a training, or is cut off. Give the file that keeps yours, or "
        "copy it anew."
    )


# Disks and callbacks that fail -------------------------------------------------------------------


@pytest.fixture
def eager(monkeypatch):
    """Copies and files after each epoch, as those who kill trainings need them."""
    monkeypatch.setattr("linnet.checkpoint._SECONDS_BETWEEN_COPIES", 0.0)
    monkeypatch.setattr("linnet.checkpoint._SHARE_OF_TIME", 1e9)


def test_a_folder_that_vanishes_stops_nothing(tmp_path, eager):
    folder = tmp_path / "folder"
    folder.mkdir()

    def vanish(history):
        if history.n_epochs == 2:
            (folder / "training").unlink()
            folder.rmdir()

    with pytest.warns(UserWarning, match="was not written: .* No such file or directory"):
        _, history = fit(4, checkpoint=folder / "training", checkpoint_every=0, on_epoch=vanish)
    assert history.n_epochs == 4


def test_an_earlier_file_survives_a_failed_writing(tmp_path, eager, monkeypatch):
    path = tmp_path / "training"
    fit(3, checkpoint=path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(6, checkpoint=path, checkpoint_every=0, resume=True)
    assert path.read_bytes() == before
    assert {str(w.message) for w in caught} == {
        f"The checkpoint was not written: {path} cannot be written: No space left on device. "
        "Choose another place. The training goes on; the file, if there was one, is as it was."
    }


def test_an_error_in_a_callback_leaves_the_epochs_before_it(tmp_path, eager):
    path = tmp_path / "training"

    def fail(history):
        if history.n_epochs == 3:
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        fit(9, checkpoint=path, checkpoint_every=0, on_epoch=fail)
    whole, _ = fit(9)
    part, history = fit(9, checkpoint=path, resume=True)
    assert history.n_epochs == 9 and same_bits(part.state_dict(), whole.state_dict())


def test_the_file_is_seldom_written(tmp_path, monkeypatch):
    count = []
    write = Checkpoint.write
    monkeypatch.setattr(Checkpoint, "write", lambda self, **_: (count.append(1), write(self)))
    fit(200, checkpoint=tmp_path / "training")
    assert len(count) == 1


def test_a_column_made_by_newaxis_is_digested(tmp_path):
    # Its stride is 0, where torch's own columns have 1.
    module = network()
    linnet.train(
        module,
        X,
        y[:, 0].astype(np.float64)[:, None],
        epochs=1,
        random_state=0,
        checkpoint=tmp_path / "training",
    )
    assert (tmp_path / "training").exists()
