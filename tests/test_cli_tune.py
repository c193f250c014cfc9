"""``linnet tune``: what it writes and says."""

from __future__ import annotations

import json

import pytest
from shell import concrete, linnet, write_rows

from linnet import Outcome, load
from linnet.ensemble.members import Plan
from linnet.tuning import TuningRecord

# A search of a moment.
QUICK = ("--budget", "4", "--candidates", "3", "--members", "2", "--no-progress")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    concrete().to_csv("concrete.csv", index=False)
    return tmp_path


def test_a_search_writes_model_record_and_picture(folder):
    ran = linnet("tune", "concrete.csv", "--target", "strength_mpa", "-o", "m.linnet", *QUICK)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0] == "12 test rows"
    names = [line.rsplit(maxsplit=3)[0].strip() for line in lines[3:6]]
    assert names == ["linnet", "HistGradientBoosting", "mean of the target"]
    record = TuningRecord.from_json("m.tuning.json")
    assert record.budget == 4.0 and record.seed == 0
    talk = ran.err.splitlines()
    assert f"{record.sentence} {record.outcome.sentence}" in talk
    assert ran.err.count(record.sentence) == 1
    assert "Wrote m.tuning.json and m.tuning.png." in talk
    assert "Wrote m.linnet. Next:" in talk
    assert (folder / "m.tuning.png").read_bytes().startswith(b"\x89PNG")
    model = load("m.linnet")
    for name, value in record.best.params.items():
        assert getattr(model, name) == value
    assert model.history_.notes[1] == record.sentence
    assert len(model.history_.split["test"]) == 12
    again = linnet("tune", "concrete.csv", "--target", "strength_mpa", "-o", "m.linnet", *QUICK)
    assert again.code == 1
    assert again.sentence == (
        "linnet: m.linnet already exists. Choose another name, or write --force to replace it."
    )
    (folder / "m.linnet").unlink()
    again = linnet("tune", "concrete.csv", "--target", "strength_mpa", "-o", "m.linnet", *QUICK)
    assert again.sentence.startswith("linnet: m.tuning.json already exists.")


def test_ctrl_c_before_the_first_epoch_is_told_in_one_sentence(folder, monkeypatch):
    def interrupted(self, number):
        raise KeyboardInterrupt

    monkeypatch.setattr(Plan, "_n_batch", interrupted)
    ran = linnet("tune", "concrete.csv", "--target", "strength_mpa", *QUICK)
    assert ran.code == 130
    assert ran.err.splitlines()[-1] == (
        "Interrupted before the first epoch was done: nothing is written."
    )
    assert [path.name for path in folder.iterdir()] == ["concrete.csv"]


def test_json_is_one_document():
    line = ("tune", "concrete.csv", "--target", "strength_mpa", "--json", *QUICK)
    document = linnet(*line).document
    assert document["command"] == "tune"
    assert document["record"] == "concrete.tuning.json"
    assert document["picture"] == "concrete.tuning.png"
    record = TuningRecord.from_json("concrete.tuning.json")
    assert document["search_sentence"] == record.sentence
    assert document["n_candidates"] == len(record.candidates)
    assert json.loads(json.dumps(record.best.params)) == document["best_params"]


def test_time_that_is_up_is_the_budget(monkeypatch):
    plan_train = Plan.train

    def slow(self, number, state, **how):
        member = plan_train(self, number, state, **how)
        if how.get("on_epoch") is None:
            member.history.outcome = Outcome.TIME_UP
        return member

    monkeypatch.setattr(Plan, "train", slow)
    ran = linnet("tune", "concrete.csv", "--target", "strength_mpa", *QUICK)
    assert "The budget of the search was used up." in ran.err
    assert "--max-time" not in ran.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("--budget", "0"),
            "--budget 0.0 is not allowed: give seconds above 0, such as --budget 60.",
        ),
        (
            ("--candidates", "1"),
            "--candidates 1 is not allowed: give a whole number of 2 or more, or run linnet fit, "
            "which has the defaults.",
        ),
        (
            ("--members", "1"),
            "--members 1 leaves one fold to compare candidates by. Give 2 or more.",
        ),
        (("--test-size", "1"), "--test-size 1: write a fraction from 0 to below 1."),
        (
            ("--task", "numbers"),
            "--task 'numbers' is not known. Allowed are 'regression', 'classification'.",
        ),
    ],
)
def test_options_out_of_range_are_told_before_the_table_is_read(arguments, sentence):
    ran = linnet("tune", "concrete.csv", "--target", "strength_mpa", *arguments)
    assert ran.code == 2
    assert sentence in " ".join(ran.err.split()).replace("│", "")
    assert "Read concrete.csv" not in ran.err


def test_a_table_of_too_few_rows_is_told():
    write_rows("few.csv", "a,b", [(1, 2), (2, 3), (3, 5)])
    ran = linnet("tune", "few.csv", "--target", "b", *QUICK)
    assert ran.code == 1
    assert ran.sentence == (
        "linnet: few.csv has 3 rows: too few to fit on and to test. Give at least 5."
    )
