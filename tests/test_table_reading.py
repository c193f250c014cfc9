"""Files of every kind become tables, and each damaged file is told in one sentence."""

from __future__ import annotations

import datetime
import gzip
import io
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linnet.table import Columns, read_table


def _gzipped(data):
    return gzip.compress(data, mtime=0)  # without the time, which would make names of tests differ


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def sentence_of(path: Path, **options) -> str:
    """The sentence with which reading a file fails, without the name of its folder."""
    with pytest.raises(ValueError) as caught:
        read_table(path, **options)
    return str(caught.value).replace(f"{path.parent}/", "")


# What is read


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("comma.csv", "length,sex\n1.5,f\n2.5,m\n"),
        ("semicolon.csv", "length;sex\n1.5;f\n2.5;m\n"),
        ("decimal_comma.csv", "length;sex\n1,5;f\n2,5;m\n"),
        ("tab.csv", "length\tsex\n1.5\tf\n2.5\tm\n"),
        ("bar.txt", "length|sex\n1.5|f\n2.5|m\n"),
        ("tab.tsv", "length\tsex\n1.5\tf\n2.5\tm\n"),
        ("tab.txt", "length\tsex\n1.5\tf\n2.5\tm\n"),
        ("byte_order_mark.csv", "\ufefflength,sex\n1.5,f\n2.5,m\n"),
        ("windows.csv", "\r\nlength,sex\r\n1.5,f\r\n2.5,m"),
        ("blank.csv", 'length, sex\n1.5,"f"\n\n2.5,m\n'),
        ("upper.CSV", "length,sex\n1.5,f\n2.5,m\n"),
        ("row_numbers.csv", ",length,sex\n0,1.5,f\n1,2.5,m\n"),
        ("row_numbers_from_one.csv", '"","length","sex"\n1,1.5,f\n2,2.5,m\n'),
        ("packed.csv.gz", _gzipped(b"length,sex\n1.5,f\n2.5,m\n")),
    ],
)
def test_every_kind_of_delimited_text_gives_the_same_table(tmp_path, name, content):
    table = read_table(written(tmp_path, name, content))
    assert table.to_pydict() == {"length": [1.5, 2.5], "sex": ["f", "m"]}


def test_words_for_a_missing_value_leave_a_column_of_numbers_and_one_of_text(tmp_path):
    words = ["NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?", "-", " ?", "", "#N/A"]
    lines = "".join(f"{word},{word},x\n" for word in words)
    table = read_table(written(tmp_path, "gaps.csv", f"a,b,c\n{lines}1,f,x\n"))
    assert table["a"].to_pylist() == [None] * len(words) + [1]
    assert table["b"].to_pylist() == [None] * len(words) + ["f"]


def test_quoted_values_may_hold_delimiters_quotes_and_line_ends(tmp_path):
    path = written(tmp_path, "quoted.csv", '"a\nb",c\n"x, ""y""\nz",1\n')
    assert read_table(path).to_pydict() == {"a\nb": ['x, "y"\nz'], "c": [1]}


def test_delimiters_inside_text_do_not_pass_for_those_of_the_file(tmp_path):
    path = written(tmp_path, "notes.csv", "id,a;b;c\n1,x\n2,y;z\n")
    assert read_table(path).to_pydict() == {"id": [1, 2], "a;b;c": ["x", "y;z"]}
    path = written(tmp_path, "thousands.tsv", "a\tb\n1,234\t2\n")
    assert read_table(path)["a"].to_pylist() == ["1,234"]


def test_values_of_many_lines_are_read_from_files_of_many_blocks(tmp_path):
    text = "one line\n" * 20
    path = written(tmp_path, "texts.csv", "a,b\n" + f'1,"{text}"\n' * 12_000)
    table = read_table(path)
    assert table.num_rows == 12_000
    assert set(table["b"].to_pylist()) == {text}


@pytest.mark.parametrize(
    "last",
    [
        "1,,,,1",
        "1.5,,,,1",
        "x,,,,1",
        ",7,,2024-01-02,x",
        ",,true,,",
        "Expected today,,,,invalid UTF8",
    ],
)
def test_types_are_those_of_all_blocks(tmp_path, last):
    lines = ["1,,,2024-01-02,1"] * 20_000 + [",,,,"] * 200_000 + [last]
    path = written(tmp_path, "blocks.csv", "a,b,c,d,e\n" + "\n".join(lines) + "\n")
    assert path.stat().st_size > 5 * 2**18
    table = read_table(path)
    options = pyarrow.csv.ConvertOptions(strings_can_be_null=True)
    whole = pyarrow.csv.ReadOptions(block_size=2**26)
    assert table.equals(pyarrow.csv.read_csv(path, whole, convert_options=options))


def test_a_long_line_after_many_short_ones_is_read(tmp_path):
    names, short = ",".join(f"c{i}" for i in range(3000)), ",".join(["1.5"] * 3000)
    long = ",".join(["0." + "1" * 300] * 3000)  # 0.9 MB
    lines = [names, *[short] * 100, *[long] * 3, ""]
    table = read_table(written(tmp_path, "long.csv", "\n".join(lines)))
    assert table.num_rows == 103
    assert table["c2999"].to_pylist()[-1] == pytest.approx(1 / 9)


def test_blocks_without_a_value_share_their_memory(tmp_path):
    path = written(tmp_path, "sparse.csv", "a,b\n1,1\n" + ",\n" * 1_000_000)
    table = read_table(path)
    assert table["a"].null_count == 1_000_000 and table.schema.field("a").type == "int64"
    assert table.get_total_buffer_size() < 6 * 2**20  # as numbers of their own: 16 MB


def test_lines_longer_than_any_value_and_any_block_are_read(tmp_path):
    names = [f"column_{i}" for i in range(12_000)]  # 140,000 characters
    short, long = ",".join(["1"] * 12_000), ",".join(["0." + "1" * 180] * 12_000)
    for line in (short, long):
        table = read_table(written(tmp_path, "wide.csv", f"{','.join(names)}\n{line}\n{line}\n"))
        assert table.num_rows == 2 and table.column_names == names


def test_dates_times_and_booleans_in_text_get_types_of_their_own(tmp_path):
    path = written(tmp_path, "typed.csv", "d,t,b\n2024-01-02,2024-01-02T10:00:00,true\n")
    assert read_table(path).to_pydict() == {
        "d": [datetime.date(2024, 1, 2)],
        "t": [datetime.datetime(2024, 1, 2, 10)],
        "b": [True],
    }


def test_a_column_without_a_name_is_called_after_its_position(tmp_path):
    path = written(tmp_path, "unnamed.csv", "a,,column_2\n1,2,3\n")
    assert read_table(path).column_names == ["a", "column_2_", "column_2"]


def test_an_unnamed_first_column_that_counts_no_rows_is_kept(tmp_path):
    path = written(tmp_path, "unnamed.csv", ",a\n5,1\n6,2\n")
    assert read_table(path).to_pydict() == {"column_1": [5, 6], "a": [1, 2]}


def test_another_encoding_and_delimiter_can_be_named(tmp_path):
    path = written(tmp_path, "old.csv", "caf\xe9#b\n1#\xfc\n".encode("latin-1"))
    table = read_table(path, encoding="latin-1", delimiter="#")
    assert table.to_pydict() == {"café": [1], "b": ["ü"]}
    path = written(tmp_path, "wide.csv", "café,b\n1,ü\n".encode("utf-16"))
    assert read_table(path, encoding="utf-16").to_pydict() == {"café": [1], "b": ["ü"]}


def test_columnar_files_give_back_what_was_written(tmp_path):
    table = pa.table({"a": [1.5, None], "b": ["x", "y"]})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    pyarrow.feather.write_feather(table, tmp_path / "t.feather")
    with pa.ipc.new_stream(tmp_path / "t.arrow", table.schema) as stream:
        stream.write_table(table)
    for name in ("t.parquet", "t.feather", "t.arrow"):
        assert read_table(tmp_path / name).equals(table)


def test_the_index_that_pandas_puts_into_parquet_is_left_out(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2, 3]}).iloc[[2, 0]]
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").to_pydict() == {"a": [3, 1]}


def test_arrays_become_columns_named_after_them(tmp_path):
    np.save(tmp_path / "two.npy", np.arange(6, dtype=">f8").reshape(3, 2))
    assert read_table(tmp_path / "two.npy").to_pydict() == {"x0": [0, 2, 4], "x1": [1, 3, 5]}
    np.save(tmp_path / "one.npy", np.arange(3))
    assert read_table(tmp_path / "one.npy").to_pydict() == {"x0": [0, 1, 2]}
    np.save(tmp_path / "long.npy", np.arange(2, dtype=np.longdouble))
    assert read_table(tmp_path / "long.npy").to_pydict() == {"x0": [0.0, 1.0]}
    np.save(tmp_path / "bytes.npy", np.array([b"f", b"m"]))
    assert read_table(tmp_path / "bytes.npy").to_pydict() == {"x0": ["f", "m"]}
    np.save(tmp_path / "fields.npy", np.array([(1, 2.5)], dtype=[("a", int), ("b", float)]))
    assert read_table(tmp_path / "fields.npy").to_pydict() == {"a": [1], "b": [2.5]}
    np.savez(tmp_path / "all.npz", X=np.eye(2), y=np.ones((2, 1)), s=np.array(["a", "b"]))
    assert read_table(tmp_path / "all.npz").to_pydict() == {
        "X0": [1, 0],
        "X1": [0, 1],
        "y": [1, 1],
        "s": ["a", "b"],
    }


def test_codes_with_leading_zeros_stay_as_they_are_written_where_they_are_categories(tmp_path):
    path = written(tmp_path, "codes.csv", "code,x\n007,1\nA12,2\n007,3\nA12,4\n")
    columns = Columns.fit(read_table(path))
    later = written(tmp_path, "later.csv", "code,other\n007,1\n")
    assert read_table(later).to_pydict() == {"code": [7], "other": [1]}
    assert read_table(later, like=columns).to_pydict() == {"code": ["007"], "other": [1]}
    types = {"code": "category"}
    assert read_table(later, types=types).to_pydict() == {"code": ["007"], "other": [1]}


def test_columns_of_text_are_converted_to_the_types_asked_for(tmp_path):
    path = written(tmp_path, "t.csv", "b,d\nyes,2024-01-02\nno,2024-01-03T12:00+02:00\n,\n")
    table = read_table(path, types={"b": "boolean", "d": "date"})
    assert table["b"].to_pylist() == [True, False, None]
    assert [day and day.isoformat() for day in table["d"].to_pylist()] == [
        "2024-01-02T00:00:00+00:00",
        "2024-01-03T10:00:00+00:00",
        None,
    ]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20),
    delimiter=st.sampled_from(",;\t|"),
)
def test_numbers_come_back_from_text_to_the_last_bit(tmp_path, values, delimiter):
    lines = "".join(f"{value!r}{delimiter}x\n" for value in values)
    path = written(tmp_path, "numbers.csv", f"a{delimiter}b\n{lines}")
    assert read_table(path)["a"].to_pylist() == values


# Files that cannot be read


def test_a_missing_file_is_told_with_the_nearest_name_in_its_folder(tmp_path):
    written(tmp_path, "penguins.csv", "a\n1\n")
    written(tmp_path, "notes.md", "")
    with pytest.raises(FileNotFoundError) as caught:
        read_table(tmp_path / "pengiuns.csv")
    path = tmp_path / "pengiuns.csv"
    assert str(caught.value) == f"There is no file {path}, did you mean 'penguins.csv'?"
    with pytest.raises(FileNotFoundError) as caught:
        read_table(tmp_path / "p.csv")
    path = tmp_path / "p.csv"
    assert str(caught.value) == f"There is no file {path}: its folder holds penguins.csv."
    with pytest.raises(FileNotFoundError) as caught:
        read_table(tmp_path / "no" / "other.csv")
    assert str(caught.value) == (
        f"There is no file {tmp_path}/no/other.csv, as there is no folder {tmp_path}/no: "
        "check the path."
    )


def test_a_folder_is_told_with_a_file_in_it(tmp_path):
    written(tmp_path, "penguins.csv", "a\n1\n")
    with pytest.raises(ValueError) as caught:
        read_table(tmp_path)
    told = f"{tmp_path} is a folder: give the path of a file such as 'penguins.csv'."
    assert str(caught.value) == told


def test_an_unknown_suffix_is_told_with_those_that_are_read(tmp_path):
    known = (
        "save the table as CSV or Parquet, or rename the file where its format is one of .csv, "
        ".tsv, .txt, .parquet, .feather, .arrow, .npy, .npz, .csv.gz, .tsv.gz and .txt.gz."
    )
    told = sentence_of(written(tmp_path, "t.xlsx", "x"))
    assert told == f"t.xlsx has the suffix .xlsx, which linnet does not read: {known}"
    assert sentence_of(written(tmp_path, "table", "x")) == f"table has no suffix: {known}"


RAGGED = "give each line as many values, separated by ',', with quotes around text that holds it."
NO_NUMPY = (
    "is damaged or no NumPy file, though it is called one: save it anew with numpy.save or "
    "numpy.savez."
)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("e.csv", "", "e.csv is empty: give a file with a line of names and lines of values."),
        ("e.csv", "\n \n", "e.csv is empty: give a file with a line of names and lines of values."),
        ("e.parquet", "", "e.parquet is empty: give a file with a table."),
        ("h.csv", "a,b\n", "h.csv has a header and no rows: add at least one row of values."),
        (
            "short.csv",
            "a,b\n1,2\n3\n",
            f"short.csv, line 3: 1 value was found where the header names 2 columns; {RAGGED}",
        ),
        (
            "long.csv",
            'a,b\n"x\ny",2\n\n3,4,5\n',
            f"long.csv, line 5: 3 values were found where the header names 2 columns; {RAGGED}",
        ),
        (
            "open.csv",
            'a,b\n1,x\n2,"y\n3,z\n',
            "open.csv, line 3: a quoted value is not closed (unexpected end of data); put a quote "
            "after it, and write a quote inside a value twice.",
        ),
        (
            "swallowed.csv",
            'a,b\n1,x\n2,"y\n' + "3,z\n" * 50_000,
            "swallowed.csv, line 3: a value is longer than 131,072 characters; close the quote "
            "before it, or shorten it.",
        ),
        (
            "line.csv",
            "a,b\n1,2\n3," + "x" * 2**23,
            "line.csv, line 3: it is longer than 8,388,608 characters; close the quote before it, "
            "or write fewer columns.",
        ),
        (
            "many.csv",
            ",".join(f"c{i}" for i in range(60_000)) + "\n1\n",
            "many.csv has 60,000 columns, and linnet reads at most 20,000: leave some out, or turn "
            "the table so that a row is an observation.",
        ),
        (
            "old.csv",
            ("a,b\n" + "1,x\n" * 100_000 + "2,caf\xe9\n").encode("latin-1"),
            "old.csv is not written in utf-8 (byte 0xe9 in line 100002): pass encoding='latin-1'.",
        ),
        (
            "header.csv",
            "caf\xe9,b\n1,2\n".encode("latin-1"),
            "header.csv is not written in utf-8 (byte 0xe9 in line 1): pass encoding='latin-1'.",
        ),
        (
            "wide.csv",
            "a,b\n1,2\n".encode("utf-16"),
            "wide.csv is written in UTF-16: pass encoding='utf-16'.",
        ),
        (
            "twice.csv",
            "a,b,a,b,b\n1,2,3,4,5\n",
            "twice.csv has 2 columns named 'a' (columns 1 and 3) and 3 columns named 'b' "
            "(columns 2, 4 and 5): give each column a name of its own.",
        ),
        (
            "t.parquet",
            "a,b\n1,2\n",
            "t.parquet is no Parquet file though it is called so; it looks like text: rename it to "
            "end in .csv.",
        ),
        (
            "t.feather",
            "PK\x03\x04excel",
            "t.feather is no Feather file though it is called so; it looks like a ZIP archive, as "
            "Excel and NPZ files are: rename it to end in .npz.",
        ),
        (
            "t.csv",
            "PAR1....PAR1",
            "t.csv is no text file though it is called so; it is a Parquet file: rename it to end "
            "in .parquet.",
        ),
        (
            "t.csv",
            b"a,b\n1,\x00\n",
            "t.csv is no text file though it is called so; it is binary data of an unknown kind: "
            "save the table as CSV or Parquet.",
        ),
        (
            "t.csv.gz",
            "a,b\n1,2\n",
            "t.csv.gz is damaged or not compressed by gzip, though it is called so: compress it "
            "anew, or take .gz off its name.",
        ),
        (
            "cut.csv.gz",
            _gzipped(b"a,b\n1,2\n" * 1000)[:-10],
            "cut.csv.gz is damaged or not compressed by gzip, though it is called so: compress it "
            "anew, or take .gz off its name.",
        ),
        (
            "both.csv.gz",  # neither whole nor in UTF-8
            _gzipped(b"a,b\n" + b"1,x\n" * 100_000 + b"2,caf\xe9\n")[:-4],
            "both.csv.gz is damaged or not compressed by gzip, though it is called so: compress it "
            "anew, or take .gz off its name.",
        ),
        (
            "blank.csv",
            ",\n,\n",
            "blank.csv has no names of columns: write them into its first line.",
        ),
        ("t.npy", "hello", f"t.npy {NO_NUMPY}"),
        ("t.npy", pickle.dumps([1]), f"t.npy {NO_NUMPY}"),
        ("t.npz", "PK\x03\x04 no archive", f"t.npz {NO_NUMPY}"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_in_one_sentence(tmp_path, name, content, sentence):
    assert sentence_of(written(tmp_path, name, content)) == sentence


def test_unknown_encodings_and_long_delimiters_are_refused(tmp_path):
    path = written(tmp_path, "t.csv", "a,b\n1,2\n")
    assert sentence_of(path, encoding="klingon") == (
        "encoding='klingon' does not exist: write 'utf-8', 'latin-1' or 'utf-16'."
    )
    assert sentence_of(path, delimiter="::") == (
        r"delimiter='::' is not one character: write ',' or ';' or '\t'."
    )


def test_truncated_columnar_files_are_told_as_damaged(tmp_path):
    table = pa.table({"a": list(range(100))})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    pyarrow.feather.write_feather(table, tmp_path / "t.feather")
    for name, kind in (("t.parquet", "Parquet"), ("t.feather", "Feather")):
        content = (tmp_path / name).read_bytes()
        path = written(tmp_path, name, content[:-20])
        told = f"{name} is a damaged {kind} file: write it anew from its source."
        assert sentence_of(path) == told


@pytest.mark.parametrize("name", ["t.npy", "t.npz"])
def test_a_truncated_numpy_file_is_told_wherever_it_is_cut(tmp_path, name):
    buffer = io.BytesIO()
    np.save(buffer, np.arange(4.0)) if name == "t.npy" else np.savez(buffer, x=np.arange(4.0))
    content = buffer.getvalue()
    for length in range(8, len(content) - 1, 7):
        assert sentence_of(written(tmp_path, name, content[:length])) == f"{name} {NO_NUMPY}"


@pytest.mark.parametrize("version", [b"\x01\x00", b"\x01\x74", b"\x02\x00", b"\x09\x00"])
def test_no_header_of_an_array_is_read_that_is_longer_than_the_file(tmp_path, version):
    content = b"\x93NUMPY" + version + b"\x50\x00\xff\x7f" + b" " * 100  # 80 or 2e9 bytes
    path = written(tmp_path, "t.npy", content)
    tracemalloc.start()
    told = sentence_of(path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert told == f"t.npy {NO_NUMPY}"
    assert most < 1e6


def test_pickled_arrays_are_refused_and_nothing_in_them_runs(tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "it ran",)

    told = (
        "holds Python objects (a pickled array), which could run code when read: save arrays of "
        "numbers or text, or write the table as CSV or Parquet."
    )
    np.save(tmp_path / "t.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    assert sentence_of(tmp_path / "t.npy") == f"t.npy {told}"
    np.savez(tmp_path / "t.npz", x=np.array([Trap()], dtype=object))
    assert sentence_of(tmp_path / "t.npz") == f"t.npz {told}"
    assert not (tmp_path / "it ran").exists()


def test_arrays_that_make_no_table_are_told(tmp_path):
    np.save(tmp_path / "cube.npy", np.zeros((2, 3, 4)))
    assert sentence_of(tmp_path / "cube.npy") == (
        "cube.npy holds an array of shape (2, 3, 4), and a table has rows and columns: save an "
        "array of shape (rows, columns), as array.reshape(len(array), -1) gives it."
    )
    np.save(tmp_path / "complex.npy", np.zeros(3, dtype=complex))
    assert sentence_of(tmp_path / "complex.npy") == (
        "complex.npy holds complex128 values in 'x0', which a table cannot take: save numbers, "
        "booleans, dates or text."
    )
    np.save(tmp_path / "sub.npy", np.zeros(4, dtype=[("a", float, (2,))]))
    assert sentence_of(tmp_path / "sub.npy") == (
        "sub.npy holds (2,) values in each place of 'a', and a table one: save each as a field of "
        "its own."
    )
    np.save(tmp_path / "none.npy", np.zeros((0, 3)))
    assert sentence_of(tmp_path / "none.npy") == (
        "none.npy has no rows: add at least one row of values."
    )
    np.savez(tmp_path / "uneven.npz", X=np.ones((2, 2)), y=np.ones(3))
    assert sentence_of(tmp_path / "uneven.npz") == (
        "uneven.npz holds arrays with different numbers of rows ('X' has 2 and 'y' has 3): save "
        "arrays with one row for each observation, and other arrays in a file of their own."
    )
    np.savez(tmp_path / "clash.npz", X=np.ones((2, 2)), X1=np.ones(2))
    assert sentence_of(tmp_path / "clash.npz") == (
        "clash.npz gives two columns the name 'X1': rename one of its arrays."
    )
    np.savez(tmp_path / "empty.npz")
    assert sentence_of(tmp_path / "empty.npz") == (
        "empty.npz holds no arrays: save some with numpy.savez(path, X=X, y=y)."
    )


def test_wrong_names_and_types_are_told_with_the_nearest_right_ones(tmp_path):
    path = written(tmp_path, "t.csv", "length,sex\n1,f\n")
    assert sentence_of(path, types={"lenght": "number"}) == (
        "types names a column 'lenght' that t.csv does not have, did you mean 'length'? "
        "Its columns are length and sex."
    )
    assert sentence_of(path, types={"length": "nummer"}) == (
        "types gives column 'length' the type 'nummer', did you mean 'number'? "
        "The types are number, category, boolean, date, identifier and ignore."
    )


def test_text_where_numbers_or_dates_were_asked_for_is_told_with_its_row(tmp_path):
    path = written(tmp_path, "t.csv", "x,d\n1,2020-01-01\nabc,2020\n?,\n2,x\n")
    assert sentence_of(path, types={"x": "number"}) == (
        "t.csv: Column 'x' holds text where numbers are needed: 'abc' in row 1 (counted from 0); "
        "write a number, or leave the place empty to have it filled in."
    )
    assert sentence_of(path, types={"d": "date"}) == (
        "t.csv: Column 'd' holds text where dates are needed: '2020' in row 1 (counted from 0), "
        "the first of 2 such values; write dates as 2024-12-31 or 2024-12-31T23:59:59, or leave "
        "the place empty to have it filled in."
    )
