"""``linnet evaluate``: the scores people expect, on rows that were not trained on."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from shell import QUICK, birds, concrete, linnet
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score

import linnet as package
from linnet import load
from linnet.cli import main


@pytest.fixture(autouse=True, scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        concrete().to_csv("concrete.csv", index=False)
        birds().to_csv("birds.csv", index=False)
        for name, target in (("concrete", "strength_mpa"), ("birds", "species")):
            assert linnet("fit", f"{name}.csv", "-t", target, *QUICK).code == 0
        yield folder


def test_the_table_of_the_fit_is_scored_on_the_rows_held_out():
    ran = linnet("evaluate", "concrete.linnet", "concrete.csv")
    assert ran.code == 0
    assert ran.err.splitlines() == [
        "Read concrete.csv: 60 rows, 9 columns.",
        "This is the table of the fit: taking the 12 rows held out then.",
    ]
    lines = ran.out.splitlines()
    assert lines[0] == "12 rows of concrete.csv"
    assert [line.split()[0] for line in lines[3:6]] == ["R²", "RMSE", "MAE"]


def test_all_rows_are_scored_when_asked_for_with_a_word():
    ran = linnet("evaluate", "concrete.linnet", "concrete.csv", "--rows", "all", "--json")
    assert ran.sentence == "This is the table of the fit: most of these rows were trained on."
    model, table = load("concrete.linnet"), concrete()
    predicted = model.predict(table.drop(columns="strength_mpa"))
    names = ["command", "model", "file", "target", "rows", "n_rows", "scores", "interval"]
    assert list(ran.document) == names
    assert ran.document["rows"] == "all" and ran.document["n_rows"] == 60
    scores = ran.document["scores"]
    assert scores["r2"] == pytest.approx(r2_score(table["strength_mpa"], predicted))
    assert scores["mae"] == pytest.approx(mean_absolute_error(table["strength_mpa"], predicted))
    mse = np.mean((table["strength_mpa"] - predicted) ** 2)
    assert scores["rmse"] == pytest.approx(np.sqrt(mse))


def test_intervals_are_judged_beside_the_scores():
    ran = linnet("evaluate", "concrete.linnet", "concrete.csv", "--rows", "all", "--json")
    table = concrete()
    y = table.pop("strength_mpa").to_numpy()
    low, high = load("concrete.linnet").predict_interval(table, 0.9).T
    inside = float(np.mean((low <= y) & (y <= high)))
    assert ran.document["interval"] == {
        "coverage": 0.9,
        "inside": pytest.approx(inside),
        "mean_width": pytest.approx(float(np.mean(high - low))),
    }
    assert 0 < inside < 1
    told = linnet("evaluate", "concrete.linnet", "concrete.csv", "--rows", "all").out.splitlines()
    assert [line.rsplit(maxsplit=1)[0] for line in told[6:8]] == [
        "inside 90% interval",
        "90% interval, width",
    ]


def test_intervals_of_another_coverage_are_judged_when_asked_for():
    options = ("evaluate", "concrete.linnet", "concrete.csv", "--rows", "all", "--interval", "0.55")
    table = concrete()
    y = table.pop("strength_mpa").to_numpy()
    low, high = load("concrete.linnet").predict_interval(table, 0.55).T
    assert linnet(*options, "--json").document["interval"] == {
        "coverage": 0.55,
        "inside": pytest.approx(float(np.mean((low <= y) & (y <= high)))),
        "mean_width": pytest.approx(float(np.mean(high - low))),
    }
    assert "inside 55% interval" in linnet(*options).out
    assert linnet("evaluate", "birds.linnet", "birds.csv", "--interval", "0.5").sentence == (
        "linnet: --interval is for numbers; this model predicts classes."
    )


def test_a_model_that_knows_nothing_of_its_errors_has_scores_only():
    options = ("--validation-fraction", "0", "-o", "blind.linnet", *QUICK)
    assert linnet("fit", "concrete.csv", "-t", "strength_mpa", *options).code == 0
    ran = linnet("evaluate", "blind.linnet", "concrete.csv", "--json")
    assert ran.document["interval"] is None
    assert "interval" not in linnet("evaluate", "blind.linnet", "concrete.csv").out


def test_classes_are_scored_with_a_confusion_matrix():
    ran = linnet("evaluate", "birds.linnet", "birds.csv", "--json")
    document = ran.document
    assert list(document)[-3:] == ["scores", "classes", "confusion"]
    assert document["scores"].keys() == {"accuracy", "log_loss", "roc_auc"}
    assert document["rows"] == "test" and document["classes"] == ["linnet", "siskin", "twite"]
    rows = load("birds.linnet").history_.split["test"]
    table = birds().iloc[rows]
    predicted = load("birds.linnet").predict(table.drop(columns="species"))
    assert document["scores"]["accuracy"] == accuracy_score(table["species"], predicted)
    assert np.trace(document["confusion"]) == sum(table["species"] == predicted)
    told = linnet("evaluate", "birds.linnet", "birds.csv").out
    assert "actual \\ predicted   linnet   siskin   twite" in told


def test_another_table_is_scored_whole_and_rows_without_a_target_are_left_out():
    table = birds(30)
    table.loc[3:6, "species"] = None
    table.to_csv("other.csv", index=False)
    ran = linnet("evaluate", "birds.linnet", "other.csv")
    assert ran.err.splitlines()[1:] == ["Left out 4 rows without a species."]
    assert ran.out.startswith("26 rows of other.csv")


def test_test_rows_of_another_table_are_not_known():
    concrete(30).to_csv("other.csv", index=False)
    ran = linnet("evaluate", "concrete.linnet", "other.csv", "--rows", "test")
    assert ran.code == 1 and ran.sentence == (
        "linnet: other.csv is not the table that the model was fitted on, or no rows were held out "
        "then: its test rows are not known. Write --rows all."
    )


def test_rows_are_all_or_test():
    ran = linnet("evaluate", "concrete.linnet", "concrete.csv", "--rows", "tset")
    assert ran.code == 2
    assert "--rows 'tset' is not known, did you mean 'test'? Allowed are 'all', 'test'." in ran.err


def test_a_class_that_was_never_fitted_is_told():
    birds(30).replace({"species": {"twite": "robin"}}).to_csv("other.csv", index=False)
    ran = linnet("evaluate", "birds.linnet", "other.csv")
    assert ran.code == 1 and ran.sentence == (
        "linnet: The target 'species' has classes that the model does not know: 'robin'. Leave "
        "these rows out."
    )


def test_one_class_alone_has_no_auc_but_the_rest():
    birds().query("species == 'twite'").to_csv("other.csv", index=False)
    document = linnet("evaluate", "birds.linnet", "other.csv", "--json").document
    assert document["scores"]["roc_auc"] is None
    assert document["scores"]["log_loss"] > 0


def test_text_in_a_target_of_numbers_is_told():
    strength = ["12.5", "strong"] * 15
    concrete(30).assign(strength_mpa=strength).to_csv("other.csv", index=False)
    ran = linnet("evaluate", "concrete.linnet", "other.csv")
    assert ran.code == 1 and ran.sentence == (
        "linnet: The target 'strength_mpa' holds text such as 'strong', but the model predicts "
        "numbers. Give a table with numbers there."
    )


def test_a_table_without_the_target_names_the_nearest_column():
    concrete(30).rename(columns={"strength_mpa": "strength"}).to_csv("other.csv", index=False)
    ran = linnet("evaluate", "concrete.linnet", "other.csv")
    assert ran.code == 1
    assert ran.sentence.startswith(
        "linnet: There is no target column 'strength_mpa', did you mean 'strength'?"
    )


def test_a_model_that_does_not_name_its_target_says_how_to():
    X = concrete().to_numpy()[:, :3]
    model = package.MLPRegressor((4,), max_iter=2, n_iter_no_change=np.inf, random_state=0)
    package.save(model.fit(X, X[:, 0]), "array.linnet")
    ran = linnet("evaluate", "array.linnet", "concrete.csv")
    assert ran.code == 1 and ran.sentence == (
        "linnet: The model file does not name its target: it was not written by linnet fit. Save "
        "it with linnet.save(model, path, card={'target': 'column'})."
    )
    package.save(model.fit(X, X[:, :2]), "two.linnet", card={"target": "cement"})
    assert linnet("evaluate", "two.linnet", "concrete.csv").sentence == (
        "linnet: The model predicts several columns, and the shell scores one. Load it with "
        "linnet.load and score it in Python."
    )


def test_the_scores_can_be_printed_where_few_letters_are_known(monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "argv", ["linnet", "evaluate", "concrete.linnet", "concrete.csv"])
    monkeypatch.setattr(sys, "stdout", narrow)
    with pytest.raises(SystemExit) as end:
        main()
    narrow.flush()
    assert end.value.code in (0, None)
    assert "R?" in narrow.buffer.getvalue().decode("ascii")
