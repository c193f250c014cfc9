"""Lint lines: said where what they say is measured, and not near by.

Letters: N rows, D inputs.
"""

import re

import numpy as np
import pandas as pd
import pytest
from shell import linnet as linnet_shell

import linnet
from linnet import lint

SORTED = (
    "The target is sorted in the order of the rows. linnet shuffles them; a split of your own, "
    "such as KFold, has to do so too (shuffle=True)."
)
COPY = "if that is not known before the target is, leave it out."


def problem(n=200, d=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, X[:, 0] + rng.normal(size=n), rng


def notes(model, X, y, **how):
    return model.fit(X, y, **how).history_.notes


def network(**how):
    settings = {"early_stopping": True, "n_iter_no_change": 3, "max_iter": 2, "random_state": 0}
    return linnet.MLPRegressor((4,), **{**settings, **how}, learning_rate="cosine")


def classifier(**how):
    settings = {"early_stopping": True, "n_iter_no_change": 3, "max_iter": 2, "random_state": 0}
    return linnet.MLPClassifier((4,), **{**settings, **how}, learning_rate="cosine")


def ensemble(kind=linnet.EnsembleRegressor):
    return kind(2, hidden_layer_sizes=(4,), max_iter=1, random_state=0, n_threads=1)


def test_nothing_is_said_of_usual_rows():
    X, y, _ = problem()
    assert notes(network(), X, y) == []
    assert notes(classifier(), X, y > 0) == []
    assert len(notes(ensemble(), X, y)) == 1  # what was chosen
    assert len(notes(ensemble(linnet.EnsembleClassifier), X, y > 0)) == 1


# Sorted targets -----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, -1])
def test_a_sorted_target_is_told(order):
    X, y, _ = problem()
    assert notes(network(), X, np.sort(y)[::order]) == [SORTED]
    assert notes(network(), X, np.sort(y)[::order].reshape(-1, 1)) == [SORTED]
    assert notes(ensemble(), X, np.sort(y)[::order])[1:] == [SORTED]


def test_sorted_classes_are_told():
    X, y, _ = problem()
    labels = np.where(y > 0, "yes", "no")
    assert notes(classifier(), X, np.sort(labels)) == [SORTED]
    assert notes(classifier(), X, np.sort(labels).astype(object)) == [SORTED]


def test_classes_in_blocks_are_told_in_any_order():
    X, _, rng = problem()
    labels = np.repeat(["b", "a", "c"], [70, 70, 60])
    told = SORTED.replace("is sorted in", "comes in blocks of equal values in")
    assert notes(classifier(), X, labels) == [told]
    assert notes(network(), X, np.repeat([3.0, 1.0, 2.0, 7.0], 50)) == [told]
    labels[150], labels[10] = labels[10], labels[150]
    assert notes(classifier(), X, labels) == []
    assert notes(network(), X, np.repeat(rng.normal(size=199), [2] + [1] * 198)) == []


def test_a_sorted_output_is_told():
    X, y, rng = problem()
    told = SORTED.replace("The target", "Output 1 of the target")
    assert notes(network(), X, np.column_stack([y, np.sort(y)])) == [told]
    labels = np.column_stack([rng.random(200) < 0.5, np.arange(200) > 120]).astype(int)
    assert notes(classifier(), X, labels) == [told]


def test_one_row_at_the_end_may_differ_by_chance():
    X, _, rng = problem()
    assert notes(network(), X, np.r_[np.zeros(199), 1.0]) == []
    rare = np.column_stack([rng.random(200) < 0.5, np.arange(200) < 1]).astype(int)
    assert notes(classifier(), X, rare) == []


def test_a_target_with_one_row_out_of_order_is_not_called_sorted():
    X, y, _ = problem()
    y = np.sort(y)
    y[[120, 121]] = y[[121, 120]]
    assert notes(network(), X, y) == []


def test_few_rows_may_be_sorted_by_chance():
    _, y, _ = problem(19)
    assert lint.sorted_target(np.sort(y)) == []


def test_a_sorted_target_in_batches_that_are_not_shuffled_is_told():
    X, y, _ = problem()
    model = network(early_stopping=False, shuffle=False)
    assert notes(model, X, np.sort(y)) == [
        "The target is sorted in the order of the rows, and shuffle=False makes batches of like "
        "targets. Write shuffle=True."
    ]


# Rows on both sides of the split ------------------------------------------------------------------


def test_rows_on_both_sides_of_the_split_are_told():
    X, y, _ = problem(100)
    X, y = np.vstack([X, X]), np.hstack([y, y])
    told = notes(network(), X, y)
    held_out = network().fit(X, y).history_.split["validation"]
    n_shared = sum((row + 100) % 200 not in held_out for row in held_out)
    assert n_shared == 16 and told == [
        "16 of 20 validation rows equal a training row, target included: their loss is better "
        "than that of new rows."
    ]
    told = notes(ensemble(), X, y)[1]
    n_shared, rest = told.split(" of ", 1)
    assert int(n_shared) >= 1 and re.fullmatch(
        r"\d+ rows that the first member holds out equal a training row, target included: their "
        r"loss is better than that of new rows\.",
        rest,
    )


def test_validation_rows_that_were_given_are_compared_too():
    X, y, _ = problem()
    told = notes(network(), X, y, X_val=X[:10], y_val=np.r_[y[:1], y[1:10] + 1])
    assert told == [
        "1 of 10 validation rows equals a training row, target included: their loss is better "
        "than that of new rows."
    ]


def test_equal_inputs_with_other_targets_are_not_called_shared():
    X, _, rng = problem(100)
    X = np.vstack([X, X])
    assert notes(network(), X, rng.normal(size=200)) == []


def test_one_shared_row_in_a_hundred_is_not_told():
    X, y, _ = problem(1000)
    X_val, y_val, _ = problem(100, seed=1)
    X_val[3], y_val[3] = X[7], y[7]
    assert notes(network(), X, y, X_val=X_val, y_val=y_val) == []


def test_of_many_rows_a_part_is_compared():
    X, y, _ = problem(300_000, 4)
    told = lint.shared_rows(X, y, X[:5000], y[:5000])
    # Every fifth of the 5,000 rows is asked for, and every sixth of all rows is known.
    assert told == [
        "167 of 1,000 validation rows equal a training row, target included: their loss is "
        "better than that of new rows."
    ]


def test_rows_are_equal_with_either_zero():
    X = np.array([[0.0, 1.0], [2.0, 3.0]])
    assert lint.shared_rows(X, np.ones(2), np.array([[-0.0, 1.0]]), np.ones(1))


def test_small_whole_numbers_are_not_taken_for_equal():
    rows = np.array([[i, j, k] for i in range(30) for j in range(30) for k in range(30)], float)
    even = rows.sum(axis=1) % 2 == 0
    y = np.zeros(len(rows))
    assert not lint.shared_rows(rows[even], y[even], rows[~even], y[~even])
    assert len(np.unique(lint._keys(rows, y))) == len(rows)


# Copies of the target -----------------------------------------------------------------------------


@pytest.mark.parametrize("image", [lambda y: y, lambda y: -3.5 * y + 1e4, lambda y: 1e-12 * y])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_linear_image_of_the_target_is_told(image, dtype):
    X, y, _ = problem()
    X[:, 2] = image(y)
    told = [f"The target is a linear image of 'x2': {COPY}"]
    assert notes(network(dtype=dtype), X, y) == told
    assert notes(ensemble(), X, y)[1:] == told


def test_a_copy_with_gaps_is_told():
    X, y, rng = problem()
    frame = pd.DataFrame(X, columns=list("abcd")).assign(d=3 * y + 1)
    frame.loc[17, "d"] = np.nan
    told = f"The target is a linear image of 'd', but for missing values: {COPY}"
    assert notes(network(), frame, y) == [told]
    frame.loc[rng.random(200) < 0.5, "d"] = np.nan
    assert notes(network(), frame, y) == notes(ensemble(), frame, y)[1:] == [told]
    frame.loc[180, "d"] = 0.0
    assert notes(network(early_stopping=False), frame, y) == []


def test_a_copy_of_fewer_rows_than_tell_is_not_told():
    X, y, _ = problem()
    frame = pd.DataFrame(X, columns=list("abcd")).assign(d=np.where(np.arange(200) < 19, y, np.nan))
    assert notes(network(early_stopping=False), frame, y) == []
    frame.loc[19, "d"] = y[19]
    assert len(notes(network(early_stopping=False), frame, y)) == 1


def test_a_copy_among_several_outputs_is_told():
    X, y, _ = problem()
    told = notes(network(), X, np.column_stack([y, X[:, 1]]))
    assert told == [f"Output 1 of the target is a linear image of 'x1': {COPY}"]


def test_a_target_nearly_on_a_line_is_not_called_its_image():
    X, y, rng = problem()
    X[:, 2] = y + 1e-3 * rng.normal(size=200)
    assert notes(network(), X, y) == []


def test_a_line_but_for_one_row_beyond_the_screened_ones_is_not_told():
    X, y, _ = problem(5000)
    X[:, 2] = y
    X[4999, 2] += 0.01
    assert lint.copied_target(X, y[:, None], "abcd") == []


@pytest.mark.parametrize("shift", [0.0, 1.0, -100.0])
@pytest.mark.parametrize("scale", [1e-30, -1.0, 1e30])
@pytest.mark.parametrize("draw", ["normal", "standard_cauchy", "standard_exponential"])
def test_three_rows_rule_out_no_copy_that_all_rows_tell(draw, scale, shift):
    rng = np.random.default_rng(0)
    y = getattr(rng, draw)(size=700)
    noise = rng.uniform(-1, 1, len(y)) * np.median(np.abs(y - np.median(y)))
    X = scale * np.c_[y + 2e-6 * noise + shift, rng.normal(size=len(y)), y + 1e-3 * noise + shift]
    assert lint.copied_target(X, y[:, None], "abc") == [
        f"The target is a linear image of 'a': {COPY}"
    ]
    assert lint._may_be_linear(X, y)[:2].tolist() == [True, False]


def test_one_far_row_does_not_make_a_copy():
    X, y, _ = problem()
    for far in (1e6, 1e30):  # beside 1e30 the other rows are all alike
        X[17, 2] = y[17] = far
        assert notes(network(early_stopping=False), X, y) == []


def test_a_column_that_names_the_classes_is_told():
    rng = np.random.default_rng(0)
    labels = rng.choice(["setosa", "versicolor", "virginica"], 150)
    frame = pd.DataFrame({"width": rng.normal(size=150), "kind": np.char.upper(labels)})
    told = [f"'kind' has a value of its own for each class: {COPY}"]
    assert notes(classifier(), frame, labels) == told
    assert notes(ensemble(linnet.EnsembleClassifier), frame, labels)[1:] == told


def test_a_column_that_names_the_classes_with_gaps_is_told():
    rng = np.random.default_rng(0)
    labels = rng.choice(["setosa", "versicolor", "virginica"], 150)
    frame = pd.DataFrame({"width": rng.normal(size=150), "kind": np.char.upper(labels)})
    frame.loc[[7, 90], "kind"] = None
    told = [f"'kind' has a value of its own for each class, but for missing values: {COPY}"]
    assert notes(classifier(), frame, labels) == told
    frame.loc[20, "kind"] = "SETOSA" if labels[20] != "setosa" else "VIRGINICA"
    assert notes(classifier(early_stopping=False), frame, labels) == []


def test_rare_categories_are_not_taken_for_gaps():
    rng = np.random.default_rng(0)
    labels = rng.choice(["setosa", "virginica"], 150)
    frame = pd.DataFrame({"width": rng.normal(size=150), "kind": np.char.upper(labels)})
    frame.loc[[7, 90], "kind"] = None
    frame.loc[20, "kind"] = "alone"
    assert notes(classifier(early_stopping=False), frame, labels) == []


def test_a_column_equal_to_two_classes_is_told():
    X, y, _ = problem()
    X[:, 3] = 7.0 * (y > 0)
    assert notes(classifier(), X, y > 0) == [f"'x3' has a value of its own for each class: {COPY}"]


def test_a_column_that_names_two_of_three_classes_alike_is_not_told():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 150)
    frame = pd.DataFrame({"width": rng.normal(size=150), "kind": np.where(labels > 0, "b", "a")})
    assert notes(classifier(), frame, labels) == []


def test_a_column_that_names_the_classes_but_for_one_row_is_not_told():
    X, y, _ = problem()
    X[:, 3] = y > 0
    X[50, 3] = 1 - X[50, 3]
    assert notes(classifier(), X, y > 0) == []


# Inputs taken as they are -------------------------------------------------------------------------


def test_unscaled_inputs_are_told_where_scaling_is_off():
    X, y, _ = problem()
    X[:, 1] = 2000 + 300 * X[:, 1]
    mean, deviation = X[:, 1].mean(), X[:, 1].std()
    assert notes(network(scale_X=False, early_stopping=False), X, y) == [
        f"scale_X=False, and 'x1' has mean {mean:.2g} and standard deviation {deviation:.2g}: "
        "networks learn best from means near 0 and deviations near 1. Write scale_X=True, or "
        "scale X yourself."
    ]
    assert notes(network(), X, y) == []
    assert notes(network(scale_X="minmax"), X, y) == []


@pytest.mark.parametrize(
    ("scale", "is_told"), [(1.0, False), (5.0, False), (50.0, True), (0.01, True)]
)
def test_inputs_near_0_and_1_need_no_scaling(scale, is_told):
    X, y, _ = problem()
    X[:, 0] *= scale
    assert bool(notes(network(scale_X=False), X, y)) == is_told


# Fewer rows than parameters -----------------------------------------------------------------------


def test_fewer_rows_than_parameters_are_told_without_validation_rows():
    X, y, _ = problem()
    model = linnet.MLPRegressor((100,), max_iter=1, learning_rate="cosine", random_state=0)
    assert notes(model, X, y) == [
        "200 rows for 601 parameters, and no validation rows to stop by: the network can learn "
        "them by heart. Write early_stopping=True, or take a smaller network."
    ]


def test_fewer_rows_than_parameters_are_told_with_the_validation_rows_that_stop():
    X, y, _ = problem()
    model = linnet.MLPRegressor(early_stopping=True, max_iter=1, learning_rate="cosine")
    assert notes(model, X, y) == [
        "180 rows for 601 parameters: the network can learn them by heart, and 20 validation rows "
        "choose the epoch before it does. Compare it with a smaller network."
    ]
    model.set_params(early_stopping=False)
    assert notes(model, X, y, X_val=X[:1] + 1, y_val=y[:1]) == [
        "200 rows for 601 parameters: the network can learn them by heart, and 1 validation row "
        "chooses the epoch before it does. Compare it with a smaller network."
    ]


def test_ensembles_say_how_many_parameters_their_members_have():
    X, y, _ = problem()
    [chosen] = notes(ensemble(), X, y)
    n_parameters = sum(p.numel() for p in ensemble().fit(X, y).module_.members[0].parameters())
    start = f"Chosen for 200 rows and 4 inputs: 2 members of {n_parameters:,} parameters with "
    assert chosen.startswith(start)


def test_as_many_rows_as_parameters_are_not_told():
    X, y, _ = problem(25)  # (4 + 1) * 4 + 5
    assert notes(network(early_stopping=False), X, y) == []
    assert len(notes(network(early_stopping=False), X[:24], y[:24])) == 1


# Where they are said ------------------------------------------------------------------------------


def test_lints_are_printed_once_where_anything_is_printed(capsys):
    X, y, _ = problem()
    model = network(early_stopping=False, warm_start=True).fit(X, np.sort(y))
    assert capsys.readouterr() == ("", "")
    model.fit(X, np.sort(y))
    assert model.history_.notes == [SORTED]
    network(verbose=True).fit(X, np.sort(y))
    assert capsys.readouterr().err.count(f"Note: {SORTED}\n") == 1


def test_partial_fit_says_nothing_of_its_parts():
    X, y, _ = problem()
    model = network(early_stopping=False)
    model.partial_fit(X, np.sort(y)).partial_fit(X, np.sort(y))
    assert model.history_.notes == []


# In the shell -------------------------------------------------------------------------------------


def test_the_shell_says_lints_at_the_end(tmp_path):
    X, y, _ = problem(100)
    frame = pd.DataFrame(X, columns=list("abcd")).assign(y=y)
    frame = pd.concat([frame, frame]).sort_values("y")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    options = ("--epochs", 1, "--hidden", 4, "--force", "-o", tmp_path / "m.linnet")
    for progress in ("--progress", "--no-progress"):
        ran = linnet_shell("fit", tmp_path / "rows.csv", "--target", "y", *options, progress)
        assert ran.code == 0
        assert ran.err.count("The target is sorted in the order of the rows.") == 1
        assert ran.err.count(" test rows equal a training row, ") == 1
        assert ran.err.count(" validation rows equal a training row, ") == 1
        assert "parameters, and no validation rows" not in ran.err
    assert "The target is sorted" in linnet_shell("show", tmp_path / "m.linnet").out


def test_the_shell_says_nothing_of_usual_rows(tmp_path):
    X, y, _ = problem(100)
    pd.DataFrame(X, columns=list("abcd")).assign(y=y).to_csv(tmp_path / "rows.csv", index=False)
    options = ("--epochs", 1, "--members", 2, "--no-progress", "--json")
    options = (*options, "-o", tmp_path / "m.linnet")
    ran = linnet_shell("fit", tmp_path / "rows.csv", "--target", "y", *options)
    assert ran.document["notes"] == ran.document["chosen"]
