"""Columns learn their types and scales from a table, and turn tables into inputs of a network."""

from __future__ import annotations

import copy
import datetime
import decimal
import json
import pickle
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from linnet.spelling import did_you_mean
from linnet.table import Columns, check_finite, check_n_columns, check_same_length

N_ROWS = 40
NUMBERS = [float(i) for i in range(N_ROWS)]


def sentence_of(call, *arguments, error: type[Exception] = ValueError, **options) -> str:
    with pytest.raises(error) as caught:
        call(*arguments, **options)
    return str(caught.value)


def described(frame, **options) -> dict[str, tuple[str, str]]:
    rows = Columns.fit(frame, **options).describe()
    return {row["name"]: (row["type"], row["note"]) for row in rows}


def mixed_table() -> pa.Table:
    """One column of every type, with gaps in each."""
    day = datetime.datetime(2020, 1, 1)
    return pa.table(
        {
            "length": [None, *NUMBERS[1:]],
            "sex": ["f", "m", None, "f"] * 10,
            "alive": [True, False, None, True] * 10,
            "born": [None] + [day + datetime.timedelta(days=11 * i, hours=i) for i in range(1, 40)],
            "name": [f"bird {i}" for i in range(N_ROWS)],
            "planet": ["earth"] * N_ROWS,
        }
    )


# Types


def test_each_column_of_a_table_is_described_with_its_type_and_a_note():
    assert described(mixed_table(), types={"planet": "category"}) == {
        "length": ("number", "1 missing, filled with the mean 20"),
        "sex": ("category", "categories: f and m; 10 missing share one input"),
        "alive": ("boolean", "20 true, 10 false, 10 missing"),
        "born": (
            "date",
            "2020-01-12 to 2021-03-06, with the place in the year, week and day, 1 missing",
        ),
        "name": ("identifier", "left out: all 40 values differ"),
        "planet": ("constant", "left out: every value is earth"),
    }


@pytest.mark.parametrize(
    ("values", "kind", "note"),
    [
        ([1, 2, 3], "number", "1 to 3"),
        ([5, 5, 5], "constant", "left out: every value is 5"),
        ([0.5, 0.5, 0.5], "constant", "left out: every value is 0.5"),
        ([None, None, None], "constant", "left out: every value is missing"),
        ([float("nan")] * 3, "constant", "left out: every value is missing"),
        ([decimal.Decimal("1.5"), None, decimal.Decimal("2.5")], "number", None),
        ([datetime.timedelta(hours=1), datetime.timedelta(hours=2)], "number", "3600 to 7200"),
        ([datetime.time(1), datetime.time(2)], "number", "3600 to 7200"),
        (
            [datetime.date(2020, 1, 1), datetime.date(2020, 1, 5)],
            "date",
            "2020-01-01 to 2020-01-05",
        ),
        (["2020-01-01", "2020-01-05T00:00Z"], "date", "2020-01-01 to 2020-01-05"),
        (["2020-01-01", "2020-13-01"] * 2, "category", "categories: 2020-01-01 and 2020-13-01"),
        (["Yes", "no", "YES"], "boolean", "2 true, 1 false"),
        (["t", "no", "t", "no"], "category", "categories: no and t"),
        (["b", " b", "a", "", "a"], "category", "categories: a and b; 1 missing has one input"),
        (["1", "2", "1", "2"], "category", "categories: 1 and 2"),
        ([f"bird {i % 25}" for i in range(40)], "identifier", None),
        ([f"bird {i % 20}" for i in range(40)], "category", None),
        (
            [str(i) for i in range(40)],
            "identifier",
            "left out: all 40 values differ; all read as numbers, which "
            "types={'v': 'number'} takes",
        ),
    ],
)
def test_the_type_of_a_column_is_told_from_its_values(values, kind, note):
    found = described(pa.table({"v": values, "x": range(len(values))}))["v"]
    assert found[0] == kind
    if note is not None:
        assert found[1] == note


def test_a_few_repeating_texts_are_left_out_with_their_count():
    names = [f"bird {i % 25}" for i in range(40)]
    note = described(pa.table({"name": names, "x": NUMBERS}))["name"][1]
    assert note == "left out: 25 of 40 values differ, too few repeat"


def test_declared_categories_are_categories_in_every_library():
    for frame in (
        pd.DataFrame({"c": pd.Categorical([1, 2, None, 1, 2])}),
        pl.DataFrame({"c": pl.Series(["1", "2", None, "1", "2"], dtype=pl.Enum(["1", "2", "9"]))}),
        pl.DataFrame({"c": pl.Series(["1", "2", None, "1", "2"], dtype=pl.Categorical)}),
        pa.table({"c": pa.array(["1", "2", None, "1", "2"]).dictionary_encode()}),
    ):
        note = "categories: 1 and 2; 1 missing has one input"
        assert described(frame) == {"c": ("category", note)}


def test_mixed_python_objects_are_categories_by_their_written_form():
    frame = pd.DataFrame({"o": [1, "a", 2.5, None] * 8})
    note = "categories: 1, 2.5 and a; 8 missing share one input"
    assert described(frame) == {"o": ("category", note)}
    frame = pl.DataFrame({"o": pl.Series([1, "a", 1, "a"], dtype=pl.Object)})
    assert described(frame) == {"o": ("category", "categories: 1 and a")}


def test_types_given_by_the_user_are_followed():
    table = pa.table({"k": [1, 2, 1, 2], "s": ["1", "+2e1", "?", ".5"], "b": [0, 1, 1, 0]})
    types = {"k": "category", "s": "number", "b": "boolean"}
    assert described(table, types=types) == {
        "k": ("category", "categories: 1 and 2"),
        "s": ("number", "1 missing, filled with the mean 7.167"),
        "b": ("boolean", "2 true, 2 false"),
    }
    types = {"k": "ignore", "s": "identifier"}
    left_out = described(table, types=types)
    assert left_out["k"] == ("ignore", "left out, as asked")
    assert left_out["s"] == ("identifier", "left out, as asked")


def test_constant_columns_are_kept_as_zeros_where_asked():
    table = pa.table({"k": [5, 5], "x": [1, 2]})
    columns = Columns.fit(table, drop_constant=False)
    assert columns.encode(table).tolist() == [[0, -1], [0, 1]]
    assert columns.describe()[0] == {"name": "k", "type": "number", "note": "always 5"}


# Encoding


def test_pandas_polars_and_pyarrow_give_the_same_inputs():
    table = mixed_table()
    columns = Columns.fit(table)
    encoded = columns.encode(table)
    for frame in (table.to_pandas(), pl.from_arrow(table)):
        assert Columns.fit(frame) == columns
        np.testing.assert_array_equal(columns.encode(frame), encoded)


def test_inputs_are_named_standardised_float32_rows():
    table = mixed_table()
    columns = Columns.fit(table)
    encoded = columns.encode(table)
    assert columns.names == ["length", "sex", "alive", "born"]
    assert columns.input_names == table.column_names
    assert columns.n_inputs == 6
    assert columns.feature_names == [
        "length",
        "length is missing",
        "sex=f",
        "sex=m",
        "sex=(unseen)",
        "alive",
        "alive is missing",
        "born",
        "born sine of year",
        "born cosine of year",
        "born sine of week",
        "born cosine of week",
        "born sine of day",
        "born cosine of day",
        "born is missing",
    ]
    assert encoded.shape == (N_ROWS, columns.n_features) == (40, 15)
    assert encoded.dtype == np.float32
    assert encoded.flags.c_contiguous
    for name in ("length", "born"):
        values = encoded[1:, columns.feature_names.index(name)].astype(np.float64)
        assert values.mean() == pytest.approx(0, abs=1e-7)
        assert values.std() == pytest.approx(1, abs=1e-6)
    # The first row misses its length and date; the third its sex and whether it lives.
    assert encoded[0].tolist() == [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert encoded[2, 2:7].tolist() == [0, 0, 1, np.float32(2 / 3), 1]


def test_dates_turn_with_the_week():
    days = pa.table({"d": [datetime.date(2024, 1, 1 + i) for i in range(28)]})
    columns = Columns.fit(days)
    assert columns.feature_names == ["d", "d sine of week", "d cosine of week"]
    encoded = columns.encode(days)
    np.testing.assert_allclose(encoded[:7, 1:], encoded[7:14, 1:], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(encoded[:, 1:], axis=1), 1, rtol=1e-5)


def test_dates_in_text_with_and_without_a_zone_are_the_same_days():
    columns = Columns.fit(pa.table({"d": [datetime.date(2024, 1, 1), datetime.date(2024, 1, 3)]}))
    later = pd.DataFrame({"d": ["2024-01-02", "2024-01-02T00:00Z", "2024-01-02 02:00:00+02:00"]})
    assert columns.encode(later).tolist() == [[0], [0], [0]]


def test_unseen_rare_and_missing_categories_share_an_input_learnt_from_rare_ones():
    columns = Columns.fit(pa.table({"c": ["a"] * 5 + ["b"] * 4 + ["c"]}))
    note = "categories: a and b; 1 rare has one input"
    assert columns.describe() == [{"name": "c", "type": "category", "note": note}]
    later = pa.table({"c": ["b", "c", "new", None]})
    assert columns.encode(later).tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1]]


def test_an_unseen_category_is_the_average_row_where_nothing_could_be_learnt_for_it():
    columns = Columns.fit(pa.table({"c": ["a", "a", "a", "b"] * 2}))
    assert columns.feature_names == ["c=a", "c=b"]
    assert columns.encode(pa.table({"c": ["b", "new"]})).tolist() == [[0, 1], [0.75, 0.25]]


def test_at_most_a_hundred_categories_get_inputs_of_their_own():
    values = [f"c{i % 150}" for i in range(1500)] + ["c149"] * 5
    columns = Columns.fit(pa.table({"c": values}))
    assert columns.n_features == 101
    assert "c=c149" in columns.feature_names


def test_whole_numbers_are_one_category_however_they_are_stored():
    columns = Columns.fit(pa.table({"c": [1, 2, 1, 2]}), types={"c": "category"})
    for values in ([2.0, 1.0], ["2", "1"], [decimal.Decimal(2), decimal.Decimal(1)]):
        assert columns.encode(pa.table({"c": values})).tolist() == [[0, 1], [1, 0]]


def test_columns_are_found_by_name_in_any_order_and_others_are_ignored():
    table = mixed_table()
    columns = Columns.fit(table)
    shuffled = table.select(["born", "sex", "length", "alive"])
    shuffled = shuffled.append_column("extra", [["x"] * N_ROWS])
    np.testing.assert_array_equal(columns.encode(shuffled), columns.encode(table))


def test_a_number_missing_only_at_prediction_is_filled_with_the_mean():
    columns = Columns.fit(pa.table({"a": [1.0, 3.0]}))
    for later in ([None, 3.0], [float("nan"), 3.0], ["NA", "3"]):
        assert columns.encode(pa.table({"a": later})).tolist() == [[0], [1]]
    assert columns.encode(pa.table({"a": [None, None]})).tolist() == [[0], [0]]


def test_numbers_and_dates_may_be_taken_as_they_are():
    table = pa.table({"a": [1.0, 3.0, None]})
    assert Columns.fit(table, standardize=False).encode(table).tolist() == [[1, 0], [3, 0], [2, 1]]
    X = np.array([[1.0], [3.0]])
    assert Columns.for_array(X, standardize=False).encode_array(X).tolist() == [[1], [3]]


@pytest.mark.parametrize(
    "values",
    [
        [1e9, 1e9 + 1e-3, 1e9 + 3e-3, 1e9 - 5e-3],
        [1e-30, 2e-30, 3e-30, -1e-30],
        [1e30, 2e30, -3e30, 0.0],
        [1.7e308, -1.7e308, 1e300, 0.0],
        [0.1, 0.1, 0.1, np.nextafter(0.1, 1)],
        [5e-324, 0.0, 5e-324, 1e-323],
    ],
)
def test_standardising_is_exact_at_any_scale_and_offset(values):
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / len(exact)
    variance = sum((value - mean) ** 2 for value in exact) / len(exact)
    # One power of two off every value makes the exact variance a float.
    size = max(abs(value - mean) for value in exact)
    deviation = float(variance / size**2) ** 0.5
    expected = [float((value - mean) / size) / deviation for value in exact]
    X = np.array(values).reshape(-1, 1)
    columns = Columns.for_array(X)
    encoded = columns.encode_array(X).ravel()
    if size < Fraction(1e-300) or max(exact) == Fraction(np.nextafter(0.1, 1)):
        # Differences of one unit in the last place: the mean itself cannot be written any nearer.
        assert np.isfinite(encoded).all()
        assert len(set(encoded)) == len(set(values))
    else:
        np.testing.assert_allclose(encoded, expected, rtol=3e-4, atol=1e-6)
    np.testing.assert_array_equal(
        Columns.fit(pa.table({"x": values})).encode(pa.table({"x": values})).ravel(), encoded
    )


@settings(max_examples=50)
@given(
    arrays(
        np.float64,
        st.tuples(st.integers(1, 20), st.integers(1, 4)),
        elements=st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_any_finite_array_becomes_finite_inputs(X):
    encoded = Columns.for_array(X, allow_constant=True).encode_array(X)
    assert encoded.shape == X.shape
    assert np.isfinite(encoded).all()


def test_arrays_and_tables_of_the_same_numbers_give_the_same_inputs():
    X = np.random.default_rng(0).normal(5, 3, size=(300, 4))
    columns = Columns.for_array(X)
    assert columns.names == ["x0", "x1", "x2", "x3"]
    expected = (X - X.mean(axis=0)) / X.std(axis=0)
    np.testing.assert_allclose(columns.encode_array(X), expected, rtol=1e-5, atol=1e-6)
    frame = pd.DataFrame(X, columns=list("abcd"))
    np.testing.assert_array_equal(columns.encode(frame), columns.encode_array(X))
    by_name = Columns.fit(frame)
    np.testing.assert_array_equal(by_name.encode_array(X), by_name.encode(frame))
    np.testing.assert_array_equal(by_name.encode(frame), columns.encode_array(X))


def test_an_array_is_encoded_alike_whatever_its_layout_and_length():
    X = np.random.default_rng(0).normal(size=(70_000, 8))
    columns = Columns.for_array(X)
    whole = columns.encode_array(X)
    np.testing.assert_array_equal(columns.encode_array(np.asfortranarray(X)), whole)
    np.testing.assert_array_equal(columns.encode_array(X[33_000:33_005]), whole[33_000:33_005])


def test_a_weight_counts_a_row_as_often_as_repeating_it():
    X = np.random.default_rng(0).normal(3, 2, size=(50, 3))
    weight = np.arange(50) % 4
    weighted = Columns.for_array(X, sample_weight=weight.astype(float))
    repeated = Columns.for_array(np.repeat(X, weight, axis=0))
    np.testing.assert_allclose(weighted.encode_array(X), repeated.encode_array(X), atol=1e-6)


def test_values_far_beyond_those_of_the_fit_stay_finite():
    columns = Columns.for_array(np.array([[1e-30], [3e-30]]))
    farthest = float(np.float32(1e19))  # whose square is a number of float32 too
    assert columns.encode_array(np.array([[1e300], [-1e300]])).tolist() == [[farthest], [-farthest]]


def test_values_from_end_to_end_of_float64_are_standardised():
    X = np.array([[1.7e308], [-1.7e308], [-1.7e308], [0.0]])
    expected = (X / 1e308 - (X / 1e308).mean()) / (X / 1e308).std()
    np.testing.assert_allclose(Columns.for_array(X).encode_array(X, np.float64), expected)


def test_half_precision_and_months_are_numbers():
    X = np.array([[1000.0], [3000.0]], dtype=np.float16)
    assert Columns.for_array(X).encode_array(X).tolist() == [[-1], [1]]
    months = pd.DataFrame({"m": pd.period_range("2020-01", periods=3, freq="M")})
    assert described(months) == {"m": ("number", "600 to 602")}


def test_integers_and_booleans_are_numbers_in_an_array():
    assert Columns.for_array(np.array([[1], [3]])).encode_array(np.array([[2]])).tolist() == [[0]]
    flags = np.array([[True], [False]])
    assert Columns.for_array(flags).encode_array(flags).tolist() == [[1], [-1]]


# Plain data


def test_columns_come_back_from_json_to_the_last_bit():
    table = mixed_table()
    X = np.random.default_rng(0).normal(size=(9, 3))
    for columns in (Columns.fit(table), Columns.for_array(X)):
        back = Columns.from_dict(json.loads(json.dumps(columns.to_dict(), allow_nan=False)))
        assert back == columns
        assert back.describe() == columns.describe()
    np.testing.assert_array_equal(back.encode_array(X), columns.encode_array(X))
    assert pickle.loads(pickle.dumps(columns)) == copy.deepcopy(columns) == columns


COLUMN = st.one_of(
    st.lists(st.none() | st.floats(allow_infinity=False), min_size=8, max_size=8),
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=8, max_size=8),
    st.lists(st.none() | st.booleans(), min_size=8, max_size=8),
    st.lists(st.none() | st.dates(), min_size=8, max_size=8),
    st.lists(st.none() | st.datetimes(), min_size=8, max_size=8),
    st.lists(st.none() | st.text(max_size=3), min_size=8, max_size=8),
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=5), COLUMN, min_size=1, max_size=4))
def test_any_table_is_learnt_encoded_and_kept(values):
    table = pa.table({**values, "last": range(8)})
    columns = Columns.fit(table)
    encoded = columns.encode(table)
    assert encoded.shape == (8, columns.n_features) == (8, len(columns.feature_names))
    assert np.isfinite(encoded).all()
    back = Columns.from_dict(json.loads(json.dumps(columns.to_dict(), allow_nan=False)))
    assert back.describe() == columns.describe()
    np.testing.assert_array_equal(back.encode(table), encoded)


DAMAGED = (
    "The column statistics are damaged: {} Load a file that linnet wrote, or fit the model anew."
)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d.pop("columns"), "the whole has no 'columns'."),
        (lambda d: d.update(columns={}), "the whole has a 'columns' that is no list."),
        (lambda d: d.update(columns=[]), "the whole has no column that is used."),
        (
            lambda d: d.update(is_array=0),
            "the whole has a 'is_array' that is neither true nor false.",
        ),
        (
            lambda d: d.update(is_array=True),
            "the whole describes an array with other columns than numbers.",
        ),
        (lambda d: d["columns"].append(d["columns"][0]), "the whole names a column twice."),
        (
            lambda d: d["columns"].insert(0, 3),
            "column 0 is int data where a dictionary is needed.",
        ),
        (
            lambda d: d["columns"][0].update(type="code"),
            "column 0 has the type 'code' that does not exist.",
        ),
        (lambda d: d["columns"][0].update(name=3), "column 0 has a 'name' that is no text."),
        (
            lambda d: d["columns"][0].update(center=float("nan")),
            "column 0 has a 'center' that is no finite number.",
        ),
        (
            lambda d: d["columns"][0].update(center=10**400),
            "column 0 has a 'center' that is no finite number.",
        ),
        (
            lambda d: d["columns"][0].update(fill=True),
            "column 0 has a 'fill' that is no finite number.",
        ),
        (
            lambda d: d["columns"][0].update(scale=0.0),
            "column 0 has a 'scale' that is not greater than 0.",
        ),
        (
            lambda d: d["columns"][0].update(low=1e9),
            "column 0 has a 'low' that is greater than its 'high'.",
        ),
        (
            lambda d: d["columns"][0].update(n_missing=-1),
            "column 0 has a 'n_missing' that is no count.",
        ),
        (
            lambda d: d["columns"][0].update(n_missing=2**70),
            "column 0 has a 'n_missing' that is no count.",
        ),
        (
            lambda d: d["columns"][1].update(categories=["f", "f"]),
            "column 1 has 'categories' that are not texts, each different.",
        ),
        (
            lambda d: d["columns"][1].update(categories=[]),
            "column 1 has 0 categories where 1 to 100 can be.",
        ),
        (
            lambda d: d["columns"][1].update(categories=[str(i) for i in range(101)]),
            "column 1 has 101 categories where 1 to 100 can be.",
        ),
        (
            lambda d: d["columns"][1].update(counts=[1]),
            "column 1 has 'counts' that do not belong to its 'categories'.",
        ),
        (
            lambda d: d["columns"][1].update(counts=[1, "2"]),
            "column 1 has 'counts' that are no counts.",
        ),
        (lambda d: d["columns"][2].update(n_true=0, n_false=0), "column 2 has no values."),
        (
            lambda d: d["columns"][3].update(cycles=["month"]),
            "column 3 has 'cycles' other than year, week and day.",
        ),
    ],
)
def test_damaged_plain_data_is_refused(change, told):
    data = json.loads(json.dumps(Columns.fit(mixed_table()).to_dict()))
    change(data)
    assert sentence_of(Columns.from_dict, data) == DAMAGED.format(told)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_altered_plain_data_is_refused_or_still_encodes(data):
    plain = json.loads(json.dumps(Columns.fit(mixed_table()).to_dict()))
    column = data.draw(st.sampled_from(plain["columns"]))
    column[data.draw(st.sampled_from(sorted(column)))] = data.draw(PLAIN)
    try:
        columns = Columns.from_dict(plain)
    except ValueError as error:
        told = str(error)
    else:
        told = ""
        columns.describe()
    assert told == "" or told.startswith("The column statistics are damaged: ")
    if not told and set(columns.names) <= set(mixed_table().column_names):
        encoded = columns.encode(mixed_table())
        assert encoded.shape == (N_ROWS, len(columns.feature_names))


@given(PLAIN)
def test_foreign_plain_data_is_refused(data):
    assert sentence_of(Columns.from_dict, data).startswith("The column statistics are damaged: ")


# Bad input


def test_what_is_no_data_frame_is_told():
    needed = "A data frame of pandas, polars or pyarrow is needed, and"
    assert sentence_of(Columns.fit, [1, 2], error=TypeError) == (
        f"{needed} a list was given: build one, or use arrays of numbers."
    )
    assert sentence_of(Columns.fit, pl.LazyFrame({"a": [1]}), error=TypeError) == (
        f"{needed} a LazyFrame was given: call .collect() on it first."
    )


def test_tables_without_rows_or_columns_are_told():
    assert sentence_of(Columns.fit, pa.table({})) == (
        "The table has no columns: give at least one column of inputs."
    )
    assert sentence_of(Columns.fit, pd.DataFrame({"a": []})) == (
        "The table has a header and no rows: give at least one row of values."
    )


def test_duplicate_names_are_told_with_their_positions():
    told = (
        "The table has 2 columns named 'a' (columns 1 and 3): give each column a name of its own."
    )
    assert sentence_of(Columns.fit, pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"])) == told
    table = pa.Table.from_arrays([pa.array([1, 2])] * 3, names=["a", "b", "a"])
    assert sentence_of(Columns.fit, table) == told


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (pd.DataFrame({"o": [[1], [2]]}), "list<item: int64>"),
        (pd.DataFrame({"o": [1, [2], "a"]}), "list"),
        (pl.DataFrame({"o": [{"a": 1}, {"a": 2}]}), "struct<a: int64>"),
        (pd.DataFrame({"o": [b"a", b"b"]}), "binary"),
        (pd.DataFrame({"o": [1j, 2j]}), "complex128"),
    ],
)
def test_types_that_no_network_takes_are_told_with_their_column(frame, kind):
    assert sentence_of(Columns.fit, frame) == (
        f"Column 'o' holds {kind} values, and a network takes numbers, text, booleans and dates: "
        "turn it into such columns, or leave it out with types={'o': 'ignore'}."
    )


def test_infinite_numbers_are_told_with_column_count_and_first_row():
    table = pa.table({"a": [1.0, float("inf"), None, float("-inf")]})
    assert sentence_of(Columns.fit, table) == (
        "Column 'a' has 2 infinite values, the first in row 1 (counted from 0): write finite "
        "numbers, or leave the places empty to have them filled in."
    )
    columns = Columns.fit(pa.table({"a": [1.0, 2.0]}))
    assert sentence_of(columns.encode, pa.table({"a": [1.0, float("inf")]})) == (
        "Column 'a' has 1 infinite value, in row 1 (counted from 0): write finite numbers, or "
        "leave the places empty to have them filled in."
    )


def test_text_among_numbers_is_told_rather_than_made_categories():
    values = [str(i) for i in range(39)]
    assert sentence_of(Columns.fit, pa.table({"a": [*values, " abc "]})) == (
        "Column 'a' holds text among numbers: 'abc' in row 39 (counted from 0); write a number or "
        "leave the place empty, or pass types={'a': 'category'}."
    )
    half = pa.table({"a": [*values[:12], *(f"q{i}" for i in range(12))] * 2})
    assert described(half)["a"][0] == "category"
    assert sentence_of(Columns.fit, pa.table({"a": ["?", *values]})) == (
        "Column 'a' holds text among numbers: '?' (which stands for a missing value in files) in "
        "row 0 (counted from 0); write a number or leave the place empty, or pass "
        "types={'a': 'category'}."
    )


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            [f"1,{i}" for i in range(100, 140)],
            "number, write it with a decimal point and no other ",
        ),
        ([f"1.{i},5" for i in range(100, 140)], "number, write it with a decimal point and no "),
        ([f"1{i} €" for i in range(40)], "number, write it with a decimal point and no other mark"),
        ([f"{i % 12 + 1}/{i % 28 + 1}/2024" for i in range(40)], "date, write it as 2024-12-31"),
    ],
)
def test_numbers_and_dates_in_other_forms_are_told_where_they_are_left_out(values, told):
    note = described(pa.table({"a": values, "b": range(40)}))["a"][1]
    assert note.startswith("left out: all 40 values differ; if '1") and f"is a {told}" in note
    plain = described(pa.table({"a": [f"id{i}" for i in range(40)], "b": range(40)}))["a"][1]
    assert plain == "left out: all 40 values differ"


def test_a_table_with_nothing_to_learn_from_is_told():
    constant = (
        "Every column of X is constant, so there is nothing to learn from: give at least one "
        "column whose values differ."
    )
    assert sentence_of(Columns.fit, pa.table({"k": [1, 1], "s": ["x", "x"]})) == constant
    assert sentence_of(Columns.for_array, np.ones((3, 2))) == constant
    assert Columns.for_array(np.ones((3, 2)), allow_constant=True).n_features == 2
    names = [f"bird {i}" for i in range(N_ROWS)]
    assert sentence_of(Columns.fit, pa.table({"name": names, "k": [1] * N_ROWS})) == (
        "No column of X is left to learn from: 'name' (identifier) and 'k' (constant); give at "
        "least one column of numbers or categories, or set its type with "
        "types={'name': 'category'}."
    )


def test_unknown_names_and_types_are_told_with_the_nearest_right_ones():
    table = pa.table({"length": [1, 2], "width": [1, 2]})
    assert sentence_of(Columns.fit, table, types={"lenght": "number"}) == (
        "types names a column 'lenght' that the table does not have, did you mean 'length'? "
        "Its columns are length and width."
    )
    assert sentence_of(Columns.fit, table, types={"qqq": "number"}) == (
        "types names a column 'qqq' that the table does not have: its columns are length and width."
    )
    assert sentence_of(Columns.fit, table, types={"length": "qqq"}) == (
        "types gives column 'length' the type 'qqq', which does not exist. "
        "The types are number, category, boolean, date, identifier and ignore."
    )


def test_all_columns_missing_at_prediction_are_told_at_once():
    columns = Columns.fit(pa.table({"length": [1, 2], "width": [3, 4], "height": [1, 2]}))
    later = pa.table({"lenght": [1], "height": [1]})
    assert sentence_of(columns.encode, later) == (
        "The table lacks the columns 'length' (did you mean 'lenght'?) and 'width': "
        "the model was fitted with 'length', 'width' and 'height'."
    )


def test_values_of_another_kind_at_prediction_are_told_with_column_row_and_value():
    columns = Columns.fit(
        pa.table({"a": [1, 2], "b": [True, False], "d": ["2024-01-01", "2024-01-02"]})
    )
    good = {"a": ["1", "2"], "b": ["yes", "0"], "d": ["2024-01-01", "2024-01-02"]}
    assert columns.encode(pa.table(good)).shape == (2, 3)
    assert sentence_of(columns.encode, pa.table({**good, "a": ["1", "x"]})) == (
        "Column 'a' holds text where numbers are needed: 'x' in row 1 (counted from 0); "
        "write a number, or leave the place empty to have it filled in."
    )
    dates = [datetime.date(2024, 1, 1)] * 2
    assert sentence_of(columns.encode, pa.table({**good, "a": dates})) == (
        "Column 'a' holds dates where numbers are needed: give numbers, or fit the model anew "
        "with types={'a': 'date'}."
    )
    assert sentence_of(columns.encode, pa.table({**good, "b": ["yes", "maybe"]})) == (
        "Column 'b' holds 'maybe' in row 1 (counted from 0) where booleans are needed: write true "
        "or false, yes or no, 1 or 0."
    )
    assert sentence_of(columns.encode, pa.table({**good, "d": ["soon", "2024-01-02"]})) == (
        "Column 'd' holds text where dates are needed: 'soon' in row 0 (counted from 0); write "
        "dates as 2024-12-31 or 2024-12-31T23:59:59, or leave the place empty to have it filled in."
    )
    assert sentence_of(columns.encode, pa.table({**good, "d": [1, 2]})) == (
        "Column 'd' holds int64 values where dates are needed: write dates as 2024-12-31 or "
        "2024-12-31T23:59:59."
    )


def test_nan_and_infinity_in_an_array_are_told_with_count_column_and_row():
    remedy = (
        "remove these rows or fill in finite numbers, or pass X as a data frame, whose missing "
        "numbers are filled in."
    )
    X = np.ones((20, 3))
    X[17, 2], X[18, 0], X[19, 1] = np.nan, np.inf, np.nan
    for call in (Columns.for_array, Columns.for_array(np.eye(3)).encode_array):
        assert sentence_of(call, X) == (
            "X has 3 values that are NaN or infinite, the first in column 2, row 17 (counted from "
            f"0): {remedy}"
        )
    assert sentence_of(check_finite, X, "X_val", ["length", "width", "age"]) == (
        "X_val has 3 values that are NaN or infinite, the first in column 2 ('age'), row 17 "
        f"(counted from 0): {remedy}"
    )
    assert sentence_of(check_finite, np.array([1.0, np.nan]), "y") == (
        "y has 1 value that is NaN or infinite, in row 1 (counted from 0): remove these rows or "
        "fill in finite numbers."
    )


def test_finite_arrays_pass_even_where_their_sum_does_not():
    check_finite(np.full(4, 1e308))
    check_finite(np.array([1, 2]))
    check_finite(np.array(["a"]))
    check_finite(np.empty((0, 3)))


def test_arrays_of_another_shape_or_kind_are_told():
    columns = Columns.for_array(np.array([[1.0, 2.0], [3.0, 5.0]]))
    assert sentence_of(columns.encode_array, np.ones((2, 1))) == (
        "X has 1 column, but the model was fitted with 2: give the same columns, in the same order."
    )
    assert sentence_of(columns.encode, pa.table({"a": [1]})) == (
        "The table has 1 column, but the model was fitted on an array with 2: give the same "
        "columns, in the same order."
    )
    assert sentence_of(columns.encode_array, np.ones(2)) == (
        "X has the shape (2,) where rows and columns are needed: write X.reshape(-1, 1) for a "
        "single column, X.reshape(1, -1) for a single row."
    )
    assert sentence_of(Columns.for_array, np.ones((0, 2))) == (
        "X has the shape (0, 2): give at least one row and one column."
    )
    assert sentence_of(Columns.for_array, np.array([["a"]])) == (
        "X is an array of type <U1 where numbers are needed: convert it with X.astype(float), or "
        "give a data frame, which may hold text, dates and booleans."
    )
    mixed = Columns.fit(pa.table({"a": [1, 2], "s": ["x", "y"]}))
    assert sentence_of(mixed.encode_array, np.ones((2, 2))) == (
        "X is an array, but the model was fitted on a table whose columns are not all numbers "
        "('s'): give a data frame with the columns 'a' and 's'."
    )


def test_checks_pass_where_lengths_and_columns_agree():
    check_same_length(np.ones(3), [1, 2, 3])
    check_n_columns(np.ones((3, 2)), 2)
    assert sentence_of(check_same_length, pa.table({"a": [1]}), [1, 2], ("X_val", "y_val")) == (
        "X_val has 1 row and y_val has 2: give one row of y_val for each row of X_val."
    )


def test_the_nearest_word_is_found_whatever_its_case():
    assert did_you_mean("Relo", ["tanh", "relu"]) == ", did you mean 'relu'?"
    assert did_you_mean("ADAM", ["Adam"]) == ", did you mean 'Adam'?"
    assert did_you_mean("xyz", ["tanh", "relu"]) == ""
