"""Bad input: one sentence with the remedy, exit code 1 or 2, nothing written."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from shell import QUICK, concrete, linnet, write_lines, write_rows

COLUMNS = (
    "'cement', 'slag', 'fly_ash', 'water', 'superplasticizer', 'coarse_aggregate', "
    "'fine_aggregate', 'age_days', 'strength_mpa'"
)

LISTED = COLUMNS.replace("'", "").replace(", strength", " and strength")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    concrete().to_csv("concrete.csv", index=False)
    return tmp_path


def numbered(header: str = "a,b,y", *, y=lambda i: i) -> None:
    write_rows("t.csv", header, [(round(i * 0.37 % 1, 3), i, y(i)) for i in range(30)])


def make_tables() -> None:
    """Write the tables that the sentences below are about."""
    lines = concrete().to_csv(index=False).splitlines()
    write_lines("header.csv", lines[0])
    write_lines("one.csv", *lines[:2])
    write_lines("ragged.csv", *lines[:10], "1,2,3", *lines[10:])
    write_lines("latin.csv", "näme,y", "1,2", encoding="latin-1")
    write_lines("fake.parquet", *lines)
    write_lines("twice.csv", "a,a,y", "1,2,3")
    write_lines("quote.csv", "a,y", '"1,2', "3,4")
    Path("empty.csv").touch()
    Path("bare_header.csv").write_text("a,b,y")
    Path("line.csv").write_text('[{"a": 1}]')
    write_rows("slip.csv", "a,y", [("oops" if i == 5 else i, i * 2) for i in range(60)])
    write_rows("only.csv", "y", [(i,) for i in range(30)])
    write_rows("rings.csv", "ring,y", [(f"R{i}", i * 2) for i in range(30)])
    write_rows("still.csv", "a,b,y", [(1, 2, i) for i in range(30)])
    write_rows("infinite.csv", "a,y", [("inf" if i in (3, 5) else i, i) for i in range(30)])


TABLES = {
    "empty.csv": "empty.csv is empty: give a file with a line of names and lines of values.",
    "header.csv": "header.csv has a header and no rows: add at least one row of values.",
    "ragged.csv": "ragged.csv, line 11: 3 values were found where the header names 9 columns; give "
    "each line as many values, separated by ',', with quotes around text that holds it.",
    "latin.csv": "latin.csv is not written in utf-8 (byte 0xe4 in line 1): pass --encoding "
    "latin-1.",
    "fake.parquet": "fake.parquet is no Parquet file though it is called so; it looks like text: "
    "rename it to end in .csv.",
    "twice.csv": "twice.csv has 2 columns named 'a' (columns 1 and 2): give each column a name of "
    "its own.",
    "bare_header.csv": "bare_header.csv has a header and no rows: add at least one row of values.",
    "line.csv": "line.csv has a header and no rows: add at least one row of values.",
    "slip.csv": "Column 'a' holds text among numbers: 'oops' in row 5 (counted from 0); write a "
    "number or leave the place empty, or pass --column-type 'a=category'.",
    "quote.csv": "quote.csv, line 2: a quoted value is not closed (unexpected end of data); put a "
    "quote after it, and write a quote inside a value twice.",
    "only.csv": "The table has no column besides the target 'y': there is nothing to predict from. "
    "Give a table with more columns.",
    "rings.csv": "No column is left to learn from: 'ring' (identifier); give at least one column "
    "of numbers or categories, or set its type with --column-type 'name=category'.",
    "still.csv": "Every column is constant, so there is nothing to learn from: give at least one "
    "column whose values differ.",
    "infinite.csv": "Column 'a' has 2 infinite values, the first in row 3 (counted from 0): write "
    "finite numbers, or leave the places empty to have them filled in.",
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_cannot_be_used_is_told_in_a_sentence(folder, name):
    make_tables()
    ran = linnet("fit", name, "-t", "y", "-o", "m.linnet", *QUICK)
    assert ran.code == 1 and ran.out == ""
    assert ran.sentence == f"linnet: {TABLES[name]}"
    assert not (folder / "m.linnet").exists()


def test_a_table_that_is_not_there_or_a_folder_is_told(folder):
    ran = linnet("fit", "conrete.csv", "-t", "y")
    assert ran.sentence == "linnet: There is no file conrete.csv, did you mean 'concrete.csv'?"
    (folder / "d.csv").mkdir()
    assert linnet("fit", "d.csv", "-t", "y").sentence == (
        "linnet: d.csv is a folder: give the path of a file."
    )


def test_one_row_is_too_few():
    make_tables()
    ran = linnet("fit", "one.csv", "-t", "strength_mpa")
    assert (ran.code, ran.err.splitlines()) == (
        1,
        [
            "Read one.csv: 1 row, 9 columns.",
            "linnet: one.csv has 1 row: too few to fit on and to test. Give at least 5.",
        ],
    )


TARGETS = {
    "constant": (
        lambda i: 7,
        (),
        "The target 'y' is always '7': there is nothing to learn. Choose another column with "
        "--target.",
    ),
    "one_class": (
        lambda i: "k",
        (),
        "The target 'y' is always 'k': there is nothing to learn. Choose another column with "
        "--target.",
    ),
    "missing": (
        lambda i: "" if i % 7 == 0 else i,
        (),
        "The target 'y' has 5 missing values in 30 rows: a row without a target teaches nothing. "
        "Leave these rows out of the file, or write --drop-missing-target.",
    ),
    "all_missing": (
        lambda i: "",
        ("--drop-missing-target",),
        "t.csv has 0 rows with a target: too few to fit on and to test. Give at least 5.",
    ),
    "infinite": (
        lambda i: "inf" if i == 3 else i,
        (),
        "The target 'y' has 1 infinite value, the first in row 3 (counted from 0). Leave these "
        "rows out of the file, or write finite numbers.",
    ),
    "text": (
        lambda i: "pq"[i % 2],
        ("--task", "regression"),
        "The target 'y' holds text such as 'p' where numbers are needed. Write --task "
        "classification for classes.",
    ),
    "one_member": (
        lambda i: "rare" if i == 4 else "pq"[i % 2],
        (),
        "The class 'rare' has one row only, which cannot be both among the rows to fit on and "
        "those to test on. Add rows of it, or leave it out.",
    ),
    "all_distinct_text": (
        lambda i: f"id{i}",
        (),
        "The target 'y' has 30 different values in 30 rows: too many for classes. Choose another "
        "column with --target.",
    ),
    "text_among_numbers": (
        lambda i: "n.d." if i == 9 else i * 1.5,
        (),
        "Column 'y' holds text among numbers: 'n.d.' in row 9 (counted from 0); write a number or "
        "leave the place empty, or pass --column-type 'y=category'.",
    ),
    "thousands": (
        lambda i: f'"1,{100 + i}"',
        (),
        "The target 'y' has 30 different values in 30 rows: too many for classes. Choose another "
        "column with --target; if these are numbers, write '1,100' with a decimal point and no "
        "other mark.",
    ),
    "dates": (
        lambda i: f"2024-03-{1 + i:02}",
        (),
        "The target 'y' holds dates, which are no numbers to predict. Choose another column with "
        "--target, or write numbers, such as days since the first.",
    ),
    "absurd": (
        lambda i: f"{i}e200",
        (),
        "The target 'y' holds 2.9e+201, whose square no number can hold. Write the target in a "
        "larger unit.",
    ),
    "all_distinct_numbers": (
        lambda i: i * 1.5,
        ("--task", "classification"),
        "The target 'y' has 30 different values in 30 rows: too many for classes. Choose another "
        "column with --target, or write --task regression.",
    ),
    "amounts": (
        lambda i: f"{1000 * i + 1}%",
        (),
        "The target 'y' has 30 different values in 30 rows: too many for classes. Choose another "
        "column with --target; if these are numbers, write '1%' with a decimal point and no "
        "other mark.",
    ),
    "loss_of_the_other_task": (
        lambda i: i * 1.5,
        ("--loss", "log_loss"),
        "--loss log_loss is not for regression, as which the target 'y' is taken. Write --loss "
        "squared_error, absolute_error, smooth_l1, huber, poisson, quantile, gaussian, or another "
        "--task.",
    ),
}


@pytest.mark.parametrize("kind", TARGETS)
def test_a_target_that_cannot_be_learnt_is_told_in_a_sentence(folder, kind):
    values, options, sentence = TARGETS[kind]
    numbered(y=values)
    ran = linnet("fit", "t.csv", "-t", "y", *options, *QUICK)
    assert (ran.code, ran.out, ran.sentence) == (1, "", f"linnet: {sentence}")
    assert not (folder / "t.linnet").exists()


def test_rows_without_a_target_can_be_dropped(folder):
    numbered(y=lambda i: "" if i % 7 == 0 else "uv"[i % 2])
    ran = linnet("fit", "t.csv", "-t", "y", "--drop-missing-target", *QUICK)
    assert ran.code == 0 and "Left out 5 rows without a y." in ran.err


def test_a_table_without_names_or_with_another_delimiter_is_told(folder):
    write_lines("numbers.csv", "0,0.5", *(f"{i},{2 * i + 0.5}" for i in range(1, 9)))
    assert linnet("fit", "numbers.csv", "-t", "y").sentence == (
        "linnet: There is no target column 'y'. The table has '0', '0.5'. These are numbers: write "
        "a line of names above the first row."
    )
    write_lines("other.csv", "a;y", *(f"{i};{2 * i}" for i in range(8)))
    assert linnet("fit", "other.csv", "-t", "y", "--delimiter", ",").sentence == (
        "linnet: There is no target column 'y'. The table has 'a;y'. It is one column: write "
        "--delimiter ';'."
    )


def test_names_of_columns_are_answered_with_the_nearest():
    start = ("fit", "concrete.csv", "-t")
    assert linnet(*start, "strength").sentence == (
        "linnet: There is no target column 'strength', did you mean 'strength_mpa'? The table has "
        f"{COLUMNS}."
    )
    assert linnet(*start, "strength_mpa", "--features", "wter").sentence == (
        f"linnet: There is no feature column 'wter', did you mean 'water'? The table has {COLUMNS}."
    )
    assert linnet(*start, "strength_mpa", "--features", "strength_mpa").sentence == (
        "linnet: The target 'strength_mpa' is among the features: the network would only copy it. "
        "Leave it out of --features."
    )
    types = ("--column-type", "cemnt=number")
    assert linnet(*start, "strength_mpa", *types).sentence == (
        "linnet: --column-type names a column 'cemnt' that concrete.csv does not have, did you "
        f"mean 'cement'? Its columns are {LISTED}."
    )


USAGE = {
    ("--activation", "reluu"): "--activation reluu is not known, did you mean 'relu'? Allowed are "
    "'elu', 'gelu', 'hardtanh', 'identity', 'leaky_relu', 'logistic', 'mish', 'relu', 'selu', "
    "'sigmoid', 'silu', 'sin', 'softplus', 'softsign', 'tanh'.",
    ("--solver", "adm"): "--solver adm is not known, did you mean 'adam'? Allowed are 'adagrad', "
    "'adam', 'adamw', 'auto', 'lbfgs', 'lm', 'nadam', 'radam', 'rmsprop', 'sgd'.",
    ("--loss", "hubber"): "--loss hubber is not known, did you mean 'huber'? Allowed are "
    "'squared_error', 'absolute_error', 'smooth_l1', 'huber', 'poisson', 'quantile', 'gaussian'.",
    ("--device", "gpu"): "--device gpu is not known, did you mean 'cpu'? Allowed are 'auto', "
    "'cpu', 'cuda', 'mps'.",
    ("--engine", "nativ"): "--engine nativ is not known, did you mean 'native'? Allowed are "
    "'auto', 'native', 'torch'.",
    ("--learning-rate", "cosin"): "--learning-rate cosin is not known, did you mean 'cosine'? "
    "Allowed are 'adaptive', 'constant', 'cosine', 'invscaling', 'one_cycle'.",
    ("--epochs", "0"): "--epochs must be an int in the range [1, inf). Got 0 instead. "
    "Write --epochs 200, for example.",
    ("--max-time", "nan"): "--max-time must be a float in the range [0.0, inf). Got nan instead. "
    "Write --max-time 60, for example.",
    ("--alpha", "-1"): "--alpha must be a float in the range [0.0, inf). Got -1.0 instead. "
    "Write --alpha 0.01, for example.",
    ("--n-iter-no-change", "0"): "--n-iter-no-change must be an int in the range [1, inf). Got 0 "
    "instead. Write --n-iter-no-change 10, for example.",
    ("--hidden", "8,,8"): "--hidden '8,,8' is no list of layer sizes. Write whole numbers from 1 "
    "to 1,000,000 with commas between them, such as --hidden 64,64.",
    ("--hidden", "99999999999"): "--hidden '99999999999' is no list of layer sizes. Write whole "
    "numbers from 1 to 1,000,000 with commas between them, such as --hidden 64,64.",
    ("--test-size", "1.5"): "--test-size 1.5: write a fraction from 0 to below 1.",
    ("--test-size", "nan"): "--test-size nan: write a fraction from 0 to below 1.",
    ("--n-threads", "100000"): "--n-threads must be an int in the range [1, 1024]. Got 100000 "
    "instead. Write --n-threads 2, for example.",
    ("--features", ","): "--features ',' names no column. Write names with commas between them, "
    "such as --features age,height.",
    ("--batch-size", "0"): "--batch-size must be an int in the range [1, inf). Got 0 instead. "
    "Write --batch-size 32, for example.",
    ("--column-type", "zip"): "--column-type zip: write NAME=TYPE, such as zip=category.",
    ("--column-type", "water=txt"): "--column-type water 'txt' is not known. Allowed are "
    "'number', 'category', 'boolean', 'date', 'identifier', 'ignore'.",
}


@pytest.mark.parametrize("options", USAGE, ids=" ".join)
def test_wrong_usage_ends_with_2_and_is_told_before_the_table_is_read(folder, options):
    ran = linnet("fit", "concrete.csv", "-t", "strength_mpa", *options)
    assert (ran.code, ran.out) == (2, "")
    assert ran.sentence == f"Error: Invalid value: {USAGE[options]}"
    assert "Read" not in ran.err and not (folder / "concrete.linnet").exists()


def test_what_is_missing_on_the_line_is_told():
    assert linnet("show").sentence == "Error: Missing argument 'MODEL'."
    assert linnet("fit", "x.csv").sentence == "Error: Missing option '--target' / '-t'."


def test_several_faults_are_told_at_once():
    faults = ("--solver", "adm", "--epochs", "0", "--dropout", "2", "--learning-rate-init", "-1")
    ran = linnet("fit", "concrete.csv", "-t", "strength_mpa", *faults)
    assert ran.code == 2
    for part in (
        "--solver adm is not known, did you mean 'adam'?",
        "--epochs must be an int in the range [1, inf). Got 0 instead.",
        "--dropout must be a float in the range [0.0, 1.0). Got 2.0 instead.",
        "--learning-rate-init must be a float in the range (0.0, inf). Got -1.0 instead.",
    ):
        assert part in ran.sentence


OPTION = {
    ("fit", "--seed", "-1"): "'--seed' / '--random-state': --seed -1: write a whole number from 0 "
    "to 4294967295, such as 0.",
    ("fit", "--seed", "x"): "'--seed' / '--random-state': --seed 'x' is no whole number. Write "
    "one, such as --seed 0.",
    ("fit", "--epochs=2.5"): "'--epochs' / '--max-iter': --epochs '2.5' is no whole number. Write "
    "one, such as --epochs 8.",
    ("fit", "--test-size", "0,2"): "'--test-size': --test-size '0,2' is no number. Write one, such "
    "as --test-size 0.2.",
    ("fit", "--interval", "abc"): "'--interval': --interval 'abc' is no number. Write one, such as "
    "--interval 0.5.",
    ("fit", "--interval", "80"): "'--interval': --interval 80: write a share between 0 and 1, such "
    "as 0.8.",
    ("fit", "--interval", "0"): "'--interval': --interval 0: write a share between 0 and 1, such "
    "as 0.9.",
    ("fit", "--task", "regres"): "'--task': --task 'regres' is not known, did you mean "
    "'regression'? Allowed are 'regression', 'classification'.",
    ("tune", "--budget", "1m"): "'--budget': --budget '1m' is no number. Write one, such as "
    "--budget 60.",
}


@pytest.mark.parametrize("given", OPTION, ids=" ".join)
def test_a_value_that_an_option_cannot_take_ends_with_2_and_names_the_option(given):
    command, *options = given
    ran = linnet(command, "concrete.csv", "-t", "strength_mpa", *options)
    assert (ran.code, ran.sentence) == (2, f"Error: Invalid value for {OPTION[given]}")


def test_more_memory_than_there_is_is_told():
    ran = linnet("fit", "concrete.csv", "-t", "strength_mpa", "--hidden", "1000000,1000000")
    assert (ran.code, ran.sentence) == (
        1,
        "linnet: There is not enough memory for this. Give fewer rows or columns, or --hidden "
        "less.",
    )


OUTPUTS = {
    "m.csv": "m.csv: models are written as .linnet. Give a name with this ending.",
    "no/m.linnet": "The folder no does not exist. Make it first.",
    "concrete.csv/m.linnet": "concrete.csv is a file, not a folder. Choose another place.",
    "d": "d is a folder. Give the name of a file in it.",
    "old.linnet": "old.linnet already exists. Choose another name, or write --force to replace it.",
    "/proc/m.linnet": "The folder /proc cannot be written to (No such file or directory). Choose "
    "another one.",
    "/dev/null": "/dev/null is a device or a pipe, not a file. Give another name.",
}


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_output_that_cannot_be_written_is_told_before_the_work(folder, output):
    (folder / "d").mkdir()
    (folder / "old.linnet").write_text("mine")
    before = sorted(folder.rglob("*"))
    ran = linnet("fit", "concrete.csv", "-t", "strength_mpa", "-o", output, *QUICK)
    assert (ran.code, ran.out, ran.err) == (1, "", f"linnet: {OUTPUTS[output]}\n")
    assert sorted(folder.rglob("*")) == before
    assert (folder / "old.linnet").read_text() == "mine"


def test_the_table_itself_is_never_the_output_not_even_by_force(folder):
    before = (folder / "concrete.csv").read_bytes()
    (folder / "link.linnet").symlink_to("concrete.csv")
    for output in ("concrete.csv", "link.linnet"):
        ran = linnet("fit", "concrete.csv", "-t", "strength_mpa", "-o", output, "--force")
        assert ran.code == 1 and ran.sentence == (
            f"linnet: {output} is the file to read from. Choose another name for the output."
        )
    assert (folder / "concrete.csv").read_bytes() == before


def test_standard_input_is_no_table():
    assert linnet("fit", "-", "-t", "y").sentence == (
        "linnet: Tables are read from files, not from standard input. Save the table, and give the "
        "file's path."
    )


def test_columns_that_csv_has_no_place_for_are_told(folder):
    assert linnet("fit", "concrete.csv", "-t", "strength_mpa", *QUICK).code == 0
    table = pa.Table.from_pandas(concrete()).append_column("tags", [[["a", "b"]] * 60])
    pa.parquet.write_table(table, "tags.parquet")
    assert linnet("predict", "concrete.linnet", "tags.parquet").sentence == (
        "linnet: Column 'tags' holds list<element: string> values, which CSV has no place for. "
        "Write a .parquet file with -o, or only the predictions with --only-predictions."
    )
    ran = linnet("predict", "concrete.linnet", "tags.parquet", "--only-predictions", "-o", "-")
    assert ran.code == 0 and ran.out.count("\n") == 61


def test_names_and_values_of_several_lines_stay_in_theirs():
    rows = [(i, '"x\ny"' if i % 2 else "z" * 900, i) for i in range(30)]
    write_rows("t.csv", '"a\nb",b,y', rows)
    ran = linnet("fit", "t.csv", "-t", "y", *QUICK)
    assert ran.code == 0 and "a\\nb " in ran.err and max(map(len, ran.err.splitlines())) < 250


def test_a_target_of_lists_is_told():
    table = pa.table({"a": list(range(30)), "y": [[1.0, 2.0]] * 30})
    pa.parquet.write_table(table, "lists.parquet")
    assert linnet("fit", "lists.parquet", "-t", "y").sentence == (
        "linnet: The target 'y' holds list<element: double> values. Choose a column of numbers, "
        "text or booleans with --target."
    )


def test_force_replaces_an_older_model(folder):
    (folder / "old.linnet").write_text("mine")
    arguments = ("concrete.csv", "-t", "strength_mpa", "-o", "old.linnet", "--force", *QUICK)
    assert linnet("fit", *arguments).code == 0
    assert linnet("show", "old.linnet").code == 0


FOREIGN = (
    "is no linnet model, or is cut off. Give a file made by linnet fit or linnet.save, or copy it "
    "anew."
)


def test_files_that_are_no_models_are_told(folder):
    (folder / "empty.linnet").touch()
    (folder / "d.linnet").mkdir()
    shutil.copy("concrete.csv", "text.linnet")
    np.save("array.npy", np.arange(100))
    shutil.copy("array.npy", "array.linnet")
    for name in ("empty.linnet", "text.linnet", "array.linnet"):
        for command in (["show"], ["predict"], ["evaluate"], ["plot"]):
            table = ["concrete.csv"] if command != ["show"] else []
            ran = linnet(*command, name, *table)
            assert (ran.code, ran.out, ran.err) == (1, "", f"linnet: {name} {FOREIGN}\n")
    assert linnet("show", "none.linnet").err == (
        "linnet: There is no file none.linnet. Give one that linnet wrote.\n"
    )
    assert linnet("show", "d.linnet").err == (
        "linnet: d.linnet is a folder. Give a file, such as d.linnet/model.linnet.\n"
    )


def test_a_table_that_is_infinite_in_the_target_is_not_scored(folder):
    pd.DataFrame({"a": range(10), "y": [1.0, np.inf, *range(8)]}).to_csv("t.csv", index=False)
    ran = linnet("fit", "t.csv", "-t", "y")
    assert ran.sentence.startswith(
        "linnet: The target 'y' has 1 infinite value, the first in row 1"
    )
