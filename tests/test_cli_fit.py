"""``linnet fit``: what it reads, says, scores and writes."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
from shell import EXAMPLES, QUICK, birds, concrete, linnet, write_rows

from linnet import load
from linnet.report import split_rows

FIT_KEYS = [
    "command",
    "model",
    "file",
    "target",
    "task",
    "estimator",
    "columns",
    "n_rows",
    "network",
    "n_members",
    "chosen",
    "n_inputs",
    "n_parameters",
    "n_test",
    "scores",
    "interval",
    "outcome",
    "outcome_sentence",
    "n_epochs",
    "best_epoch",
    "best_loss",
    "seed",
    "engine",
    "engine_reason",
    "notes",
    "seconds",
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    concrete().to_csv("concrete.csv", index=False)
    birds().to_csv("birds.csv", index=False)
    return tmp_path


def test_a_fit_prints_scores_on_stdout_and_talk_on_stderr():
    ran = linnet("fit", "concrete.csv", "--target", "strength_mpa", "-o", "m.linnet", *QUICK)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0] == "12 test rows"
    assert lines[1].split() == ["on", "rows", "never", "seen", "R²", "RMSE", "MAE"]
    names = [line.rsplit(maxsplit=3)[0].strip() for line in lines[3:6]]
    assert names == ["linnet", "HistGradientBoosting", "mean of the target"]
    assert "\x1b" not in ran.out + ran.err
    talk = ran.err.splitlines()
    assert talk[0] == "Read concrete.csv: 60 rows, 9 columns."
    assert "cement             number   " in ran.err
    assert "Target strength_mpa: regression." in talk
    assert (
        "48 rows to fit on, 15% of them to choose the best epoch; 12 held out for the scores."
        in talk
    )
    plan = "Hidden layers 8, silu; adamw, batches of 32, at most 3 epochs; seed 0."
    assert plan in talk
    assert talk[-4:] == [
        "Wrote m.linnet. Next:",
        "  linnet predict m.linnet NEW_ROWS.csv -o predictions.csv",
        "  linnet plot m.linnet concrete.csv -o pictures",
        "  linnet show m.linnet",
    ]


def test_a_classification_prints_accuracy_log_loss_and_auc_beside_the_commonest_class():
    ran = linnet("fit", "birds.csv", "-t", "species", *QUICK)
    assert ran.code == 0
    assert "Target species: classification, 3 classes." in ran.err
    lines = ran.out.splitlines()
    assert lines[1].split("seen")[1].split() == ["accuracy", "log", "loss", "ROC", "AUC"]
    assert lines[5].startswith("commonest class")
    assert "left out" in next(line for line in ran.err.splitlines() if line.startswith("ring "))


def test_the_model_is_named_after_the_table_unless_told():
    assert linnet("fit", "birds.csv", "-t", "species", *QUICK).code == 0
    assert load("birds.linnet").card_["table"]["name"] == "birds.csv"
    shutil.copy("concrete.csv", "my table.v2.csv")
    ran = linnet("fit", "my table.v2.csv", "-t", "strength_mpa", *QUICK)
    assert "  linnet plot 'my table.linnet' 'my table.v2.csv' -o pictures" in ran.err


def test_json_is_one_document_of_stable_keys_and_nothing_else():
    ran = linnet("fit", "birds.csv", "-t", "species", "--json", *QUICK)
    assert list(ran.document) == FIT_KEYS
    assert ran.document["network"].startswith("18-8-3") or ran.document["network"].endswith("-8-3")
    assert ran.document["scores"].keys() == {"linnet", "HistGradientBoosting", "commonest class"}
    assert ran.document["n_rows"] == 90 and ran.document["n_test"] == 18
    assert ran.document["columns"][-1]["type"] == "identifier"


def test_a_score_that_cannot_be_worked_out_is_null_and_the_model_is_kept(tmp_path):
    # R² of a single test row is not defined.
    concrete(5).to_csv("five.csv", index=False)
    ran = linnet("fit", "five.csv", "-t", "strength_mpa", "--json", *QUICK)
    assert ran.code == 0, ran.err
    assert ran.document["scores"]["linnet"]["r2"] is None
    assert load("five.linnet").card_["scores"]["linnet"]["r2"] is None
    shown = linnet("show", "five.linnet")
    assert (
        next(line for line in shown.out.splitlines() if line.startswith("linnet ")).split()[1]
        == "–"
    )


def test_without_test_rows_there_are_no_scores():
    ran = linnet("fit", "concrete.csv", "-t", "strength_mpa", "--test-size", "0", *QUICK)
    assert ran.code == 0 and ran.out == ""
    assert load("concrete.linnet").history_.split["test"].tolist() == []


def test_split_row_numbers_are_those_of_the_file_even_where_rows_were_left_out():
    table = concrete(40)
    table.loc[[0, 7, 21], "strength_mpa"] = np.nan
    table.to_csv("gaps.csv", index=False)
    ran = linnet("fit", "gaps.csv", "-t", "strength_mpa", "--drop-missing-target", *QUICK)
    assert "Left out 3 rows without a strength_mpa." in ran.err
    split = load("gaps.linnet").history_.split
    rows = sorted(np.concatenate([split[part] for part in ("train", "validation", "test")]))
    assert rows == sorted(set(range(40)) - {0, 7, 21})


def test_features_and_column_types_are_as_asked_for():
    chosen = ["--features", "wing_mm,island,wing_mm", "--column-type", "island=ignore"]
    ran = linnet("fit", "birds.csv", "-t", "species", "--json", *chosen, *QUICK)
    types = {column["name"]: column["type"] for column in ran.document["columns"]}
    assert types == {"wing_mm": "number", "island": "ignore"}


def test_a_target_of_few_whole_numbers_gets_a_hint():
    write_rows("few.csv", "a,y", [(i * 0.37 % 1, i % 3) for i in range(40)])
    ran = linnet("fit", "few.csv", "-t", "y", *QUICK)
    assert (
        "The target y has 3 different whole numbers, which are taken as numbers. If they are "
        "classes, write --task classification." in ran.err
    )
    ran = linnet("fit", "few.csv", "-t", "y", "--task", "classification", "--force", *QUICK)
    assert load("few.linnet").classes_.tolist() == [0, 1, 2]
    assert "If they are" not in ran.err


def test_two_numbers_are_classes_and_booleans_too():
    write_rows("two.csv", "a,y", [(i * 0.37 % 1, i % 2) for i in range(40)])
    linnet("fit", "two.csv", "-t", "y", *QUICK)
    assert load("two.linnet").classes_.tolist() == [0, 1]
    linnet("fit", "birds.csv", "-t", "ringed", *QUICK)
    assert load("birds.linnet").classes_.tolist() == ["false", "true"]
    assert linnet("evaluate", "birds.linnet", "birds.csv", "--rows", "all").code == 0


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".feather"])
def test_every_kind_of_frame_file_can_be_fitted_predicted_and_evaluated(suffix):
    table, name = birds(), f"birds_in{suffix}"
    if suffix == ".parquet":
        table.assign(island=table["island"].astype("category")).to_parquet(name)
    elif suffix == ".feather":
        table.to_feather(name)
    else:
        table.to_csv(name, index=False, sep="\t" if suffix == ".tsv" else ",")
    assert linnet("fit", name, "-t", "species", "-o", "m.linnet", *QUICK).code == 0
    assert linnet("evaluate", "m.linnet", name).code == 0
    assert len(linnet("predict", "m.linnet", name).out.splitlines()) == 91


def test_array_files_can_be_fitted_and_predicted():
    values = concrete().to_numpy()
    np.save("rows.npy", values)
    np.savez("rows.npz", X=values[:, :-1], y=values[:, -1])
    assert linnet("fit", "rows.npy", "-t", "x8", "-o", "npy.linnet", *QUICK).code == 0
    assert linnet("fit", "rows.npz", "-t", "y", "-o", "npz.linnet", *QUICK).code == 0
    from_npy = pd.read_csv(_written(linnet("predict", "npy.linnet", "rows.npy").out))
    from_npz = pd.read_csv(_written(linnet("predict", "npz.linnet", "rows.npz").out))
    np.testing.assert_array_equal(from_npy.iloc[:, -1], from_npz.iloc[:, -1])


def _written(text: str) -> str:
    with open("out.csv", "w") as file:
        file.write(text)
    return "out.csv"


def test_the_same_fit_gives_the_same_weights_and_another_seed_others():
    def weights(name, *options):
        linnet("fit", "concrete.csv", "-t", "strength_mpa", "-o", name, *QUICK, *options)
        return load(name).coefs_[0]

    first = weights("a.linnet")
    np.testing.assert_array_equal(first, weights("b.linnet"))
    assert not np.array_equal(first, weights("c.linnet", "--seed", "1"))


def test_options_reach_the_network():
    options = ["--hidden", "5,4", "--activation", "tanh", "--solver", "sgd", "--alpha", "0.5"]
    more = ["--dropout", "0.1", "--batch-size", "7", "--learning-rate", "cosine", "--loss", "huber"]
    rest = ["--learning-rate-init", "0.02", "--n-iter-no-change", "9", "--max-time", "60"]
    ran = linnet(
        "fit", "concrete.csv", "-t", "strength_mpa", "--epochs", "2", *options, *more, *rest
    )
    assert ran.code == 0, ran.err
    parameters = load("concrete.linnet").get_params()
    expected = {
        "hidden_layer_sizes": (5, 4),
        "activation": "tanh",
        "solver": "sgd",
        "alpha": 0.5,
        "dropout": 0.1,
        "batch_size": 7,
        "learning_rate": "cosine",
        "loss": "huber",
        "learning_rate_init": 0.02,
        "n_iter_no_change": 9,
        "max_time": 60.0,
        "max_iter": 2,
        "random_state": 0,
    }
    assert {name: parameters[name] for name in expected} == expected


def test_lbfgs_takes_all_rows_at_once():
    ran = linnet("fit", "concrete.csv", "-t", "strength_mpa", "--solver", "lbfgs", *QUICK)
    assert "Hidden layers 8, silu; lbfgs, all rows at once, at most 3 epochs; seed 0." in ran.err


def test_a_batch_size_above_the_rows_is_clipped_with_a_word():
    ran = linnet("fit", "concrete.csv", "-t", "strength_mpa", "--batch-size", "999", *QUICK)
    assert "Note: --batch-size 999 is more than the 41 training rows; it is taken as 41." in ran.err


def test_the_default_batch_size_needs_no_word():
    concrete(12).to_csv("few.csv", index=False)
    assert "Note" not in linnet("fit", "few.csv", "-t", "strength_mpa", *QUICK).err


def test_a_training_that_breaks_at_once_writes_nothing(tmp_path):
    ran = linnet(
        "fit", "concrete.csv", "-t", "strength_mpa", "--learning-rate-init", "1e30", *QUICK
    )
    assert ran.code == 1 and ran.out == ""
    assert ran.sentence == (
        "linnet: The loss became infinite or NaN in the first epoch: nothing was learnt, and no "
        "model is written. The likely cause is a learning rate that is too high. Write a smaller "
        "--learning-rate-init than 1e+30."
    )
    assert not (tmp_path / "concrete.linnet").exists()


def test_max_time_ends_a_fit_in_words_of_the_shell():
    options = ["--max-time", "0.3", "--epochs", "100000", "--hidden", "8", "--no-progress"]
    ran = linnet("fit", "concrete.csv", "-t", "strength_mpa", "--json", *options)
    assert ran.code == 0 and ran.document["outcome"] == "time_up"
    assert "The time given by --max-time was used up. Epoch " in ran.err


def test_test_rows_were_never_seen_and_are_scored_as_evaluate_does():
    ran = linnet("fit", "birds.csv", "-t", "species", "--json", *QUICK)
    split = load("birds.linnet").history_.split
    codes = birds()["species"].to_numpy()
    np.testing.assert_array_equal(split["test"], split_rows(90, 0.2, 0, codes)[1])
    assert not set(split["test"]) & (set(split["train"]) | set(split["validation"]))
    evaluated = linnet("evaluate", "birds.linnet", "birds.csv", "--json").document
    assert evaluated["scores"] == ran.document["scores"]["linnet"]


def test_the_concrete_table_is_learnt():
    arguments = [EXAMPLES / "concrete.csv", "-t", "strength_mpa", "-o", "m.linnet", "--no-progress"]
    ran = linnet("fit", *arguments, "--epochs", "60", "--json")
    scores = ran.document["scores"]
    # Gal and Ghahramani's tuned networks come to about 4.8 to 5.2 MPa on this table.
    assert scores["linnet"]["rmse"] < 7 < scores["mean of the target"]["rmse"]
    assert scores["HistGradientBoosting"]["rmse"] < 5


def test_the_preset_fitnet_sets_what_belongs_together_and_options_change_parts_of_it():
    ran = linnet("fit", "concrete.csv", "-t", "strength_mpa", "--preset", "fitnet", "--no-progress")
    assert ran.code == 0
    talk = ran.err.splitlines()
    assert "Hidden layers 10, tanh; lm, all rows at once, at most 1,000 epochs; seed 0." in talk
    model = load("concrete.linnet")
    sizes = {part: len(rows) for part, rows in model.history_.split.items()}
    assert sizes == {"train": 42, "validation": 9, "test": 9}
    assert (model.n_iter_no_change, model.initialization) == (6, "nguyen_widrow")
    ran = linnet(
        "fit", "concrete.csv", "-t", "strength_mpa", "--preset", "fitnet", "--hidden", "4",
        "--epochs", "9", "--test-size", "0.5", "--force", "--no-progress",
    )  # fmt: skip
    assert "Hidden layers 4, tanh; lm, all rows at once, at most 9 epochs; seed 0." in ran.err
    assert "30 rows to fit on, 30% of them to choose the best epoch; 30 held out" in ran.err


def test_presets_that_do_not_fit_are_answered():
    ran = linnet("fit", "concrete.csv", "-t", "strength_mpa", "--preset", "fitnett")
    assert ran.code == 2
    assert "--preset fitnett is not known, did you mean 'fitnet'? Allowed are 'fitnet'." in ran.err
    ran = linnet("fit", "birds.csv", "-t", "species", "--preset", "fitnet", "--loss", "log_loss")
    assert ran.code == 2
    assert "--preset fitnet minimises squared_error: leave out --loss." in ran.err
    ran = linnet("fit", "birds.csv", "-t", "species", "--preset", "fitnet")
    assert ran.code == 1
    assert ran.err.endswith(
        "and the preset is for numbers. Leave --preset out to train a classifier.\n"
    )


def test_auto_says_which_solver_it_chose():
    ran = linnet("fit", "concrete.csv", "-t", "strength_mpa", "--solver", "auto", *QUICK)
    assert ran.code == 0
    assert "--solver auto: Levenberg-Marquardt, for the loss is squared_error, 81 parameters" in (
        ran.err
    )


def test_a_target_of_seven_digits_is_fitted_without_a_note_of_numpys():
    rows = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    np.save("rows.npy", rows)
    ran = linnet("fit", "rows.npy", "-t", "x2", *QUICK)
    assert ran.code == 0, ran.err
    assert "Note:" not in ran.err


def test_levenberg_marquardt_on_classes_is_told_in_the_shells_words():
    ran = linnet("fit", "birds.csv", "--target", "species", "--solver", "lm", "-o", "m.linnet")
    assert ran.code != 0
    assert "the loss is log_loss. Write --solver adamw or --solver lbfgs." in " ".join(
        ran.err.split()
    )
