"""``linnet predict``: columns found by name, predictions beside them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from shell import QUICK, birds, concrete, linnet

import linnet as package
from linnet import load


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted")
    concrete().to_csv(folder / "concrete.csv", index=False)
    birds().to_csv(folder / "birds.csv", index=False)
    for name, target in (("concrete", "strength_mpa"), ("birds", "species")):
        arguments = ("-t", target, "-o", folder / f"{name}.linnet", *QUICK)
        assert linnet("fit", folder / f"{name}.csv", *arguments).code == 0
    return folder


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def predicted(fitted, table: pd.DataFrame, name: str = "birds", *options) -> pd.DataFrame:
    table.to_csv("rows.csv", index=False)
    ran = linnet(
        "predict", fitted / f"{name}.linnet", "rows.csv", "-o", "p.csv", "--force", *options
    )
    assert ran.code == 0, ran.err
    return pd.read_csv("p.csv")


def test_predictions_are_those_of_the_library_in_a_last_column(fitted):
    found = predicted(fitted, concrete(), "concrete")
    assert found.columns.tolist() == [*concrete().columns, "predicted_strength_mpa"]
    own = load(fitted / "concrete.linnet").predict(concrete().drop(columns="strength_mpa"))
    np.testing.assert_array_equal(found["predicted_strength_mpa"], own)


def test_order_of_columns_extra_columns_and_an_absent_target_change_nothing(fitted):
    table = birds()
    expected = predicted(fitted, table, "birds", "--probabilities").filter(like="pr")
    other = table[table.columns[::-1]].drop(columns="species").assign(extra=1, more="x")
    found = predicted(fitted, other, "birds", "--probabilities").filter(like="pr")
    pd.testing.assert_frame_equal(found, expected)
    assert found.columns.tolist() == [
        "predicted_species",
        "probability_linnet",
        "probability_siskin",
        "probability_twite",
    ]
    np.testing.assert_allclose(found.filter(like="probability").sum(axis=1), 1)


def test_unseen_categories_and_missing_values_are_predicted(fitted):
    table = birds().head(6)
    table.loc[0, "island"] = "Noss"
    table.loc[1, ["wing_mm", "mass_g"]] = np.nan
    table.loc[2, ["island", "sex", "seen"]] = None
    found = predicted(fitted, table, "birds", "--only-predictions")
    assert found.columns.tolist() == ["predicted_species"]
    assert set(found["predicted_species"]) <= {"linnet", "siskin", "twite"}


def test_a_column_that_the_fit_left_out_may_be_absent(fitted):
    assert len(predicted(fitted, birds().drop(columns="ring"))) == 90


def test_absent_columns_are_all_named(fitted):
    birds().drop(columns=["island", "wing_mm"]).rename(columns={"sex": "Sex"}).to_csv("rows.csv")
    ran = linnet("predict", fitted / "birds.linnet", "rows.csv")
    assert ran.code == 1 and ran.out == ""
    assert ran.sentence == (
        "linnet: The table lacks the columns 'wing_mm', 'island' and 'sex' (did you mean 'Sex'?): "
        "the model was fitted with 'wing_mm', 'mass_g', 'island', 'sex', 'ringed' and 'seen'."
    )


def test_text_where_numbers_are_needed_is_told_with_its_row(fitted):
    table = birds().head(5).astype({"wing_mm": object})
    table.loc[3, "wing_mm"] = "long"
    table.to_csv("rows.csv", index=False)
    ran = linnet("predict", fitted / "birds.linnet", "rows.csv")
    assert ran.code == 1
    assert "linnet: Column 'wing_mm' holds text where numbers are needed: 'long'" in ran.sentence


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".feather", ".arrow"])
def test_predictions_are_written_in_the_format_of_the_suffix(fitted, suffix):
    birds().to_parquet("rows.parquet")
    name = f"out{suffix}"
    ran = linnet("predict", fitted / "birds.linnet", "rows.parquet", "-o", name)
    assert ran.code == 0 and ran.out == "" and ran.sentence == f"Wrote {name}: 90 rows."
    found = package.read_table(name)
    assert found.column_names == [*birds().columns, "predicted_species"]
    assert found.num_rows == 90


def test_standard_output_holds_the_table_and_nothing_else(fitted):
    ran = linnet("predict", fitted / "birds.linnet", fitted / "birds.csv", "--only-predictions")
    lines = ran.out.splitlines()
    assert lines[0] == '"predicted_species"' and len(lines) == 91
    assert ran.err == f"Read {fitted / 'birds.csv'}: 90 rows, 8 columns.\n"


def test_json_holds_the_rows_or_tells_the_file(fitted):
    file = fitted / "concrete.csv"
    document = linnet("predict", fitted / "concrete.linnet", file, "--json").document
    assert list(document) == ["command", "rows"]
    assert document["rows"][0].keys() == {*concrete().columns, "predicted_strength_mpa"}
    written = linnet("predict", fitted / "concrete.linnet", file, "--json", "-o", "p.csv").document
    assert written == {"command": "predict", "file": "p.csv", "n_rows": 60}


def test_an_output_is_replaced_only_by_force_and_never_the_table_itself(fitted):
    birds().to_csv("rows.csv", index=False)
    before = Path("rows.csv").read_text()
    ran = linnet("predict", fitted / "birds.linnet", "rows.csv", "-o", "rows.csv")
    assert ran.sentence == (
        "linnet: rows.csv already exists. Choose another name, or write --force to replace it."
    )
    ran = linnet("predict", fitted / "birds.linnet", "rows.csv", "-o", "./rows.csv", "--force")
    assert ran.code == 1 and ran.sentence == (
        "linnet: rows.csv is the file to read from. Choose another name for the output."
    )
    assert Path("rows.csv").read_text() == before


def test_an_unknown_suffix_of_the_output_is_refused_before_the_work(fitted):
    ran = linnet("predict", fitted / "birds.linnet", fitted / "birds.csv", "-o", "p.xlsx")
    assert ran.code == 1
    assert ran.err == (
        "linnet: p.xlsx: tables are written as .csv, .tsv, .parquet, .feather, .arrow. Give a name "
        "with one of these endings.\n"
    )


def test_probabilities_are_for_classes(fitted):
    ran = linnet("predict", fitted / "concrete.linnet", fitted / "concrete.csv", "--probabilities")
    assert (ran.code, ran.sentence) == (
        1,
        "linnet: --probabilities is for classes; this model predicts numbers.",
    )


def test_classes_of_text_that_look_like_numbers_stay_text():
    table = concrete().assign(kind=[f"{i % 3:03}" for i in range(60)])
    table.to_csv("codes.csv", index=False)
    arguments = ("-t", "kind", "--column-type", "kind=category", "-o", "m.linnet", *QUICK)
    assert linnet("fit", "codes.csv", *arguments).code == 0
    assert load("m.linnet").classes_.tolist() == ["000", "001", "002"]
    assert linnet("evaluate", "m.linnet", "codes.csv").code == 0


def test_a_model_of_an_array_takes_columns_by_their_place():
    X = concrete().to_numpy()[:, :3]
    model = package.MLPRegressor((4,), max_iter=2, n_iter_no_change=np.inf, random_state=0)
    package.save(model.fit(X, X[:, 0]), "array.linnet", card={"target": "y"})
    pd.DataFrame(X, columns=["a", "b", "c"]).assign(y=1.0).to_csv("rows.csv", index=False)
    ran = linnet("predict", "array.linnet", "rows.csv", "--only-predictions", "-o", "p.csv")
    assert ran.code == 0, ran.err
    np.testing.assert_array_equal(pd.read_csv("p.csv")["predicted_y"], model.predict(X))


def test_a_pipe_that_closes_early_is_no_fault(fitted):
    concrete(60).loc[np.arange(20_000) % 60].to_csv("many.csv", index=False)
    code = "import sys; from linnet.cli import main; main()"
    line = f'"{sys.executable}" -c "{code}" predict "{fitted / "concrete.linnet"}" many.csv'
    ended = subprocess.run(
        ["bash", "-c", f"{line} | head -1"], capture_output=True, text=True, env=os.environ
    )
    assert ended.stdout.count("\n") == 1
    assert ended.stderr == "Read many.csv: 20,000 rows, 9 columns.\n"
