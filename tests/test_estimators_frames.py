"""Data frames of pandas, polars and pyarrow, with categories and missing values."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from linnet import MLPClassifier, MLPRegressor, ModuleRegressor

N = 80
RNG = np.random.default_rng(0)
LENGTH = RNG.normal(size=N)
AGE = [None if i % 7 == 0 else float(i % 11) for i in range(N)]
COLOUR = [None if i % 13 == 0 else ("red", "green", "blue")[i % 3] for i in range(N)]
IS_OLD = [i % 2 == 0 for i in range(N)]
Y = LENGTH + np.array([c == "red" for c in COLOUR]) * 2.0 + np.array(IS_OLD)

COLUMNS = {"length": LENGTH.tolist(), "age": AGE, "colour": COLOUR, "is_old": IS_OLD}
MAKERS = {
    "pandas": pd.DataFrame,
    "pandas categorical": lambda columns: pd.DataFrame(columns).astype({"colour": "category"}),
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
}

ALL_EPOCHS = {"n_iter_no_change": np.inf, "random_state": 0}


def good(**parameters):
    return MLPRegressor((8,), solver="lbfgs", max_iter=30, **ALL_EPOCHS, **parameters)


@pytest.fixture(params=MAKERS)
def make(request):
    """A function that makes a frame of one of the libraries from columns."""
    return MAKERS[request.param]


def test_frames_with_categories_and_missing_values_are_learnt(make):
    frame = make(COLUMNS)
    model = good().fit(frame, Y)
    assert model.score(frame, Y) > 0.99
    assert model.feature_names_in_.tolist() == ["length", "age", "colour", "is_old"]
    assert model.n_features_in_ == 4
    assert model.columns_.types == {
        "length": "number",
        "age": "number",
        "colour": "category",
        "is_old": "boolean",
    }
    assert model.module_[0].in_features == model.columns_.n_features


def test_frames_of_every_library_give_the_same_bits(make):
    expected = good().fit(pd.DataFrame(COLUMNS), Y).predict(pl.DataFrame(COLUMNS))
    assert np.array_equal(good().fit(make(COLUMNS), Y).predict(make(COLUMNS)), expected)


def test_frames_serve_as_validation_rows_and_are_split(make):
    frame = make(COLUMNS)
    last = {name: values[50:] for name, values in COLUMNS.items()}
    model = good().fit(frame, Y, X_val=make(last), y_val=Y[50:])
    assert len(model.validation_loss_curve_) == model.n_iter_
    model = good(early_stopping=True).fit(frame, Y)
    assert len(model.history_.split["validation"]) == 8


def test_unseen_categories_and_new_gaps_are_predicted(make):
    model = good().fit(make(COLUMNS), Y)
    other = {"length": [0.0], "age": [None], "colour": ["violet"], "is_old": [None]}
    schema = {"length": pl.Float64, "age": pl.Float64, "colour": pl.String, "is_old": pl.Boolean}
    assert np.isfinite(model.predict(pl.DataFrame(other, schema=schema))).all()


def test_y_may_be_a_series_or_a_frame(make):
    frame = make(COLUMNS)
    for y in (pd.Series(Y, index=range(7, 7 + N)), pl.Series(Y), pa.chunked_array([Y])):
        assert good().fit(frame, y).predict(frame).shape == (N,)
    y = (
        make({"a": Y.tolist(), "b": (-Y).tolist()})
        if make is not MAKERS["pandas categorical"]
        else Y
    )
    assert good().fit(frame, y).predict(frame).shape in ((N, 2), (N,))


def test_column_types_override_what_is_inferred():
    frame = pd.DataFrame({"length": LENGTH, "code": np.arange(N) % 4})
    model = good(column_types={"code": "category", "length": "ignore"}).fit(frame, Y)
    assert model.columns_.feature_names == ["code=0", "code=1", "code=2", "code=3"]


def test_frames_without_scaling_keep_their_numbers():
    frame = pd.DataFrame({"length": LENGTH * 100, "age": np.arange(N)})
    model = good(scale_X=False).fit(frame, Y)
    assert np.array_equal(model.columns_.encode(frame), frame.to_numpy().astype(np.float32))


def test_rows_of_weight_zero_leave_no_trace_in_the_columns():
    frame = pd.DataFrame(COLUMNS)
    weight = np.r_[np.zeros(20), np.ones(60)]
    weighted = good().fit(frame, Y, weight)
    assert weighted.columns_ == good().fit(frame[20:], Y[20:]).columns_


def test_a_frame_of_numbers_and_its_array_predict_the_same():
    frame = pd.DataFrame({"a": LENGTH, "b": np.arange(N)})
    model = good().fit(frame, Y)
    told = "X does not have valid feature names, but MLPRegressor was fitted with feature names"
    with pytest.warns(UserWarning, match=f"^{told}$"):
        predicted = model.predict(frame.to_numpy())
    assert np.array_equal(predicted, model.predict(frame))
    model = good().fit(frame.to_numpy(), Y)
    told = "X has feature names, but MLPRegressor was fitted without feature names"
    with pytest.warns(UserWarning, match=f"^{told}$"):
        predicted = model.predict(frame)
    assert np.array_equal(predicted, model.predict(frame.to_numpy()))


def test_a_frame_whose_names_are_numbers_has_no_feature_names():
    model = good().fit(pd.DataFrame(np.c_[LENGTH, Y]), Y)
    assert not hasattr(model, "feature_names_in_")


def test_partial_fit_and_warm_start_take_frames(make):
    model = MLPClassifier((4,), random_state=0)
    for _ in range(3):
        model.partial_fit(make(COLUMNS), COLOUR_OR_NONE, classes=["blue", "green", "none", "red"])
    assert model.n_iter_ == 3
    warm = MLPRegressor((4,), max_iter=1, warm_start=True, **ALL_EPOCHS)
    assert warm.fit(make(COLUMNS), Y).fit(make(COLUMNS), Y).n_iter_ == 2


COLOUR_OR_NONE = [colour or "none" for colour in COLOUR]


def test_a_module_is_told_the_number_of_encoded_columns():
    from torch import nn

    model = ModuleRegressor(lambda d, k: nn.Linear(d, k), max_iter=2, **ALL_EPOCHS)
    model.fit(pl.DataFrame(COLUMNS), Y)
    assert model.module_.in_features == model.columns_.n_features > 4


NAMES = (
    "The feature names should match those that were passed during fit.\n"
    "Feature names {what}:\n- {name}\n"
)


def test_columns_that_differ_from_the_fit_are_named_as_scikit_learn_does(make):
    frame = make({name: COLUMNS[name] for name in ("length", "age", "colour")})
    model = good().fit(frame, Y)
    cases = {
        ("length", "age"): NAMES.format(what="seen at fit time, yet now missing", name="colour"),
        ("length", "age", "colour", "is_old"): NAMES.format(
            what="unseen at fit time", name="is_old"
        ),
        ("age", "length", "colour"): (
            "The feature names should match those that were passed during fit.\n"
            "Feature names must be in the same order as they were in fit.\n"
        ),
    }
    for names, sentence in cases.items():
        other = pl.DataFrame({name: COLUMNS[name] for name in names})
        with pytest.raises(ValueError) as fault:
            model.predict(other)
        assert str(fault.value) == sentence


def test_whole_numbers_beyond_64_bits_are_learnt_as_floats():
    whole = [int(v) for v in 1e4 * LENGTH]
    large = pd.DataFrame({"a": [10**30 * v for v in whole[:-1]] + [None]})
    small = pd.DataFrame({"a": [1.0 * v for v in whole[:-1]] + [None]})
    assert large["a"].dtype == object
    predicted = [good().fit(frame, Y).predict(frame) for frame in (large, small)]
    np.testing.assert_allclose(*predicted, rtol=1e-4, atol=1e-4)
    assert good().fit(large, Y).columns_.types == {"a": "number"}


def test_gaps_of_every_kind_are_filled():
    numbers = LENGTH.tolist()
    fitted = good().fit(pd.DataFrame({"a": [None, *numbers[1:]]}), Y)
    for gap in (pd.NA, pd.NaT, np.nan, Decimal("sNaN")):
        frame = pd.DataFrame({"a": pd.Series([gap, *numbers[1:]], dtype=object)})
        assert good().fit(frame, Y).columns_ == fitted.columns_
    with pytest.raises(ValueError, match="2 missing values"):
        good().fit(FRAME, pd.Series([pd.NA, None, *Y[2:]], dtype=object).to_numpy())


def test_targets_and_inputs_of_rarer_types_are_taken():
    whole = [10**30 * int(v) for v in 1e4 * LENGTH]
    assert good().fit(FRAME, pl.Series(whole, dtype=pl.Int128)).score(FRAME, whole) > 0.5
    words = np.where(Y > 0, "yes", "no").astype(np.dtypes.StringDType())
    classifier = MLPClassifier((4,), solver="lbfgs", max_iter=9, n_iter_no_change=np.inf)
    assert set(classifier.fit(FRAME, words).predict(FRAME)) == {"yes", "no"}
    seen = torch._neg_view(torch.from_numpy(np.c_[LENGTH]))
    assert np.isfinite(good().fit(seen, Y).predict(seen)).all()


FRAME = pd.DataFrame(COLUMNS)
FAULTS = {
    "an array after a table": (
        lambda: good().fit(FRAME, Y).predict(np.zeros((2, 4))),
        ValueError,
        "X is an array, but the model was fitted on a table whose columns are not all numbers "
        "('colour' and 'is_old'): give a data frame with the columns 'length', 'age', 'colour' and "
        "'is_old'.",
    ),
    "duplicate names": (
        lambda: good().fit(FRAME.set_axis(["a", "b", "a", "c"], axis=1), Y),
        ValueError,
        "X has 2 columns named 'a' (columns 1 and 3): give each column a name of its own.",
    ),
    "lazy": (
        lambda: good().fit(pl.DataFrame(COLUMNS).lazy(), Y),
        TypeError,
        "A data frame of pandas, polars or pyarrow is needed, and a LazyFrame was given: call "
        ".collect() on it first.",
    ),
    "no rows": (
        lambda: good().fit(FRAME[:0], Y[:0]),
        ValueError,
        "Found array with 0 sample(s) (shape=(0,)) while a minimum of 1 is required.",
    ),
    "no rows to predict": (
        lambda: good().fit(FRAME, Y).predict(FRAME[:0]),
        ValueError,
        "X has 0 rows (n_samples=0): a minimum of 1 is required.",
    ),
    "duplicate names of outputs": (
        lambda: good().fit(FRAME, pd.DataFrame(np.c_[Y, Y], columns=["a", "a"])),
        ValueError,
        "y has 2 columns named 'a' (columns 1 and 2): give each column a name of its own.",
    ),
    "categories beyond 64 bits": (
        lambda: good().fit(FRAME.assign(age=pd.Categorical([10**30, 1] * (N // 2))), Y),
        ValueError,
        "Column 'age' holds category values, and a network takes numbers, text, booleans and dates"
        ": turn it into such columns, or leave it out with column_types={'age': 'ignore'}.",
    ),
    "a whole number beyond float64": (
        lambda: good().fit(FRAME.assign(length=[*range(N - 1), -(10**400)]), Y),
        ValueError,
        "Column 'length' holds a whole number beyond 1.8e308, the greatest 64-bit float, in row 79 "
        "(counted from 0): give the column in larger units, or its logarithm.",
    ),
    "all constant": (
        lambda: good().fit(pd.DataFrame({"a": [1.0] * N, "b": ["x"] * N}), Y),
        ValueError,
        "Every column of X is constant, so there is nothing to learn from: give at least one "
        "column whose values differ.",
    ),
    "types for an array": (
        lambda: good(column_types={"a": "number"}).fit(np.c_[LENGTH, Y], Y),
        ValueError,
        "column_types names columns ('a'), and X is an array, whose columns have no names. Give X "
        "as a data frame, or leave column_types out.",
    ),
    "types of no column": (
        lambda: good(column_types={"lenght": "number"}).fit(FRAME, Y),
        ValueError,
        "column_types names a column 'lenght' that the table does not have, did you mean "
        "'length'? Its columns are length, age, colour and is_old.",
    ),
    "an unknown type": (
        lambda: good(column_types={"age": "numbr"}).fit(FRAME, Y),
        ValueError,
        "column_types gives column 'age' the type 'numbr', did you mean 'number'? The types are "
        "number, category, boolean, date, identifier and ignore.",
    ),
    "a missing target": (
        lambda: good().fit(FRAME, pd.Series([np.nan, *Y[1:]], name="price")),
        ValueError,
        "Input y contains NaN: 1 missing value in column 'price', and a row without a target "
        "teaches nothing. Leave these rows out of X and y.",
    ),
    "missing targets in a column": (
        lambda: good().fit(FRAME, pl.DataFrame({"a": Y, "b": [None, None, *Y[2:].tolist()]})),
        ValueError,
        "Input y contains NaN: 2 missing values in column 'b', and a row without a target teaches "
        "nothing. Leave these rows out of X and y.",
    ),
}


@pytest.mark.parametrize(("call", "error", "sentence"), FAULTS.values(), ids=FAULTS)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
def test_what_is_wrong_with_a_frame_is_told(call, error, sentence):
    with pytest.raises(error) as fault:
        call()
    assert str(fault.value) == sentence
