"""History: figures of each epoch, the best one, and the way through JSON and back."""

from __future__ import annotations

import copy
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet import History, Outcome


def history(n_epochs=3, *, validation=True):
    record = History(
        loss="squared_error",
        engine="torch",
        engine_reason="PyTorch trains every module.",
        seed=7,
        n_rows=100,
        batch_size=32,
        outcome=Outcome.VALIDATION_LEAST,
        has_validation=validation,
        versions={"linnet": "0.1.0"},
        split={"train": np.array([0, 2]), "validation": np.array([1])},
        notes=["A note."],
    )
    for i in range(n_epochs):
        record.add_epoch(
            train_loss=1 / (i + 1),
            validation_loss=abs(i - 1) + 0.5 if validation else math.nan,
            learning_rate=0.1,
            gradient_norm=2.0,
            seconds=0.01,
        )
    return record


def test_curves_are_arrays_of_one_length():
    record = history()
    for name in ("train_loss", "validation_loss", "learning_rate", "gradient_norm", "seconds"):
        assert getattr(record, name).shape == (3,)
    assert record.n_epochs == 3


def test_the_best_epoch_is_that_of_the_validation_loss_where_there_is_one():
    assert (history().best_epoch, history().best_loss) == (1, 0.5)
    plain = history(validation=False)
    assert (plain.best_epoch, plain.best_loss) == (2, 1 / 3)


def test_epochs_that_are_not_finite_are_never_the_best():
    record = History()
    assert record.best_epoch is None
    assert math.isnan(record.best_loss)
    for loss in (math.nan, -math.inf, 2.0, math.inf):
        record.add_epoch(train_loss=loss)
    assert (record.best_epoch, record.best_loss) == (2, 2.0)


@pytest.mark.parametrize("outcome", Outcome)
def test_each_outcome_has_a_code_and_a_sentence(outcome):
    assert outcome.value == outcome.name.lower()
    assert Outcome(outcome.value) is outcome
    assert outcome.sentence[-1] == "."
    assert pickle.loads(pickle.dumps(outcome)) is outcome
    assert copy.deepcopy(outcome) is outcome


@pytest.mark.parametrize("outcome", [None, *Outcome])
def test_a_history_comes_back_from_json_as_it_was(outcome, tmp_path):
    record = history()
    record.outcome = outcome
    assert History.from_json(record.to_json()) == record
    path = tmp_path / "Größe.json"
    text = record.to_json(path)
    assert path.read_text(encoding="utf-8") == text + "\n"
    assert History.from_json(path) == record
    assert History.from_json(str(path)) == record


numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(st.tuples(numbers, numbers, numbers, numbers, numbers), max_size=5))
def test_any_numbers_survive_json(rows):
    record = History(has_validation=True)
    for train, validation, rate, norm, seconds in rows:
        record.add_epoch(
            train_loss=train,
            validation_loss=validation,
            learning_rate=rate,
            gradient_norm=norm,
            seconds=seconds,
        )
    again = History.from_json(record.to_json())
    for name, curve in record.curves.items():
        np.testing.assert_array_equal(again.curves[name], curve)


def test_json_is_strict_and_holds_the_derived_figures_for_other_readers():
    record = history()
    record.add_epoch(train_loss=math.nan)
    data = json.loads(record.to_json(), parse_constant=lambda word: pytest.fail(word))
    assert data["curves"]["train_loss"][-1] == "nan"
    assert (data["best_epoch"], data["best_loss"], data["n_epochs"]) == (1, 0.5, 4)
    assert data["sentence"] == Outcome.VALIDATION_LEAST.sentence


def test_row_numbers_are_arrays_and_may_be_given_as_lists():
    record = history()
    record.split = {"train": [0, 1, 2], "test": []}
    again = History.from_json(record.to_json())
    assert again == record and again != history() and again != 1
    for part, rows in record.split.items():
        assert again.split[part].dtype == np.int64
        np.testing.assert_array_equal(again.split[part], rows)


def without(name):
    record = history().to_dict()
    del record[name]
    return record


def changed(**entries):
    return history().to_dict() | entries


REMEDY = "Give the text or the file that History.to_json made."


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({}, "the entry 'curves' is missing"),
        (without("notes"), "the entry 'notes' is missing"),
        (changed(outcome="tired"), "'tired' is not a valid Outcome"),
        (changed(seed="x"), "invalid literal for int() with base 10: 'x'"),
        (changed(curves=None), "'NoneType' object is not subscriptable"),
        (changed(curves={"train_loss": "123"}), "train_loss is no list"),
        (changed(notes=3), "'int' object is not iterable"),
        (
            changed(curves=history().curves | {"seconds": [1.0]}),
            "the curves differ in length",
        ),
        (
            changed(curves=history().curves | {"seconds": ["slow"] * 3}),
            "could not convert string to float: 'slow'",
        ),
    ],
)
def test_a_record_of_another_kind_is_refused_with_the_reason(record, reason):
    for read in (History.from_dict, lambda r: History.from_json(json.dumps(r))):
        with pytest.raises(ValueError) as error:
            read(record)
        assert str(error.value) == f"This is no history that linnet wrote ({reason}). {REMEDY}"


def test_a_newer_format_is_told():
    with pytest.raises(ValueError) as error:
        History.from_dict(changed(format_version=99))
    assert str(error.value) == (
        "This history has format version 99; this linnet reads version 1. Install the linnet that "
        "wrote it, or a newer one."
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "it is not JSON: Expecting property name"),
        ('{"a": ' + "[" * 100_000, "it is not JSON: "),
        ('{"a": ' + "9" * 5000 + "}", "it is not JSON: Exceeds the limit"),
    ],
)
def test_garbage_text_is_refused(text, reason):
    with pytest.raises(ValueError) as error:
        History.from_json(text)
    assert str(error.value).startswith(f"This is no history that linnet wrote ({reason}")
    assert str(error.value).endswith(REMEDY)


def test_garbage_files_are_refused(tmp_path):
    path = tmp_path / "h.json"
    path.write_bytes(b"\xff\xfe\x00PK\x03\x04")
    with pytest.raises(ValueError, match="This is no history that linnet wrote"):
        History.from_json(path)
    path.write_text("[1, 2]")
    with pytest.raises(ValueError) as error:
        History.from_json(path)
    assert str(error.value) == (
        f"This is no history that linnet wrote (it is a list, not an object). {REMEDY}"
    )
    with pytest.raises(FileNotFoundError):
        History.from_json(tmp_path / "absent.json")


def test_a_history_can_be_copied_and_pickled():
    record = history()
    assert pickle.loads(pickle.dumps(record)) == record
    assert copy.deepcopy(record) == record
