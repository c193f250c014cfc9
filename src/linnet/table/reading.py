"""Files to tables: CSV, TSV, Parquet, Feather, NPY and NPZ, chosen by the suffix."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from linnet.spelling import did_you_mean
from linnet.table.array_files import read_npy, read_npz
from linnet.table.delimited import read_delimited
from linnet.table.frames import check_unique, listed
from linnet.table.inference import check_types
from linnet.table.values import booleans, days, is_text, numbers

_TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
_BINARY_SUFFIXES = (".parquet", ".feather", ".arrow", ".npy", ".npz")
SUFFIXES = (*_TEXT_SUFFIXES, *_BINARY_SUFFIXES, ".csv.gz", ".tsv.gz", ".txt.gz")

# What the first bytes of a file say that it is.
_SIGNATURES = (
    (b"PAR1", "a Parquet file", ".parquet"),
    (b"ARROW1", "an Arrow file", ".arrow"),
    (b"FEA1", "a Feather file of version 1", ".feather"),
    (b"\x93NUMPY", "an NPY file", ".npy"),
    (b"PK\x03\x04", "a ZIP archive, as Excel and NPZ files are", ".npz"),
    (b"PK\x05\x06", "an empty ZIP archive, as an NPZ file without arrays is", ".npz"),
    (b"\x1f\x8b", "compressed by gzip", ".csv.gz"),
    (b"\x89HDF", "an HDF5 file", None),
    (b"\xd0\xcf\x11\xe0", "an old Excel file", None),
    (b"%PDF", "a PDF file", None),
    (b"SQLite format 3", "an SQLite database", None),
    (b"\x80\x04", "a Python pickle", None),
    (b"\x80\x05", "a Python pickle", None),
)


class TypedColumns(Protocol):
    """Anything that knows the type of each column by name, as `Columns` does."""

    @property
    def types(self) -> dict[str, str]: ...


def read_table(
    path: str | os.PathLike[str],
    *,
    types: Mapping[str, str] | None = None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    like: TypedColumns | None = None,
) -> pa.Table:
    r"""Read a table from a file.

    The suffix tells the format: .csv, .tsv and .txt (also followed by .gz), .parquet, .feather,
    .arrow, .npy and .npz. In text files an empty field and words such as NA, NaN, null, None, ? and
    - are missing values; the first line holds the names. Columns of an array in an NPY file are
    called x0, x1, ...; those of an array X in an NPZ file X0, X1, ..., or X where there is one.
    A column without a name is called column_3 after its position; one that only counts the rows
    and comes first, as data frames write their index, is dropped.

    Parameters
    ----------
    path : str or path-like
    types : mapping of column name to type, default=None
        "number", "category", "boolean", "date", "identifier" or "ignore". Categories and
        identifiers are read as text, so that "007" is not turned into 7.
    encoding : str, default="utf-8"
        Of text files. A byte order mark is skipped.
    delimiter : str, default=None
        One character, for text files; None finds out which of , ; | and tab it is.
    like : Columns, default=None
        The columns of a fitted model: what they take as text is read as text. Columns that the
        file lacks are no fault here.

    Returns
    -------
    pyarrow.Table of N rows

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        For a file that is empty, damaged, or of another format than its suffix says, for lines of
        different lengths, another encoding, duplicate names, unknown names in types, and values
        that are not of the type asked for.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "small.csv")
    ...     _ = path.write_text("length,sex\n1.5,f\nNA,m\n")
    ...     read_table(path).to_pydict()
    {'length': [1.5, None], 'sex': ['f', 'm']}
    """
    path = Path(path)
    suffix = _suffix(path)
    _check_file(path, suffix)
    as_text = {**(like.types if like is not None else {}), **(types or {})}
    if suffix.removesuffix(".gz") in _TEXT_SUFFIXES:
        _check_is_text(path, suffix)
        table = read_delimited(path, encoding=encoding, delimiter=delimiter, types=as_text)
    elif suffix == ".npy":
        table = read_npy(path)
    elif suffix == ".npz":
        table = read_npz(path)
    else:
        table = _read_arrow(path, suffix)
    check_unique(table.column_names, str(path))
    if table.num_columns == 0:
        raise ValueError(f"{path} has no columns: write a table with at least one.")
    if table.num_rows == 0:
        has = "a header and no rows" if suffix.removesuffix(".gz") in _TEXT_SUFFIXES else "no rows"
        raise ValueError(f"{path} has {has}: add at least one row of values.")
    return _with_types(path, table, check_types(types, table.column_names, str(path)))


def _suffix(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    suffix = "".join(suffixes[-2:]) if suffixes[-1:] == [".gz"] else "".join(suffixes[-1:])
    if suffix in SUFFIXES or path.is_dir():
        return suffix
    has = f"the suffix {suffix}, which linnet does not read" if suffix else "no suffix"
    raise ValueError(
        f"{path} has {has}: save the table as CSV or Parquet, or rename the file where its format "
        f"is one of {', '.join(SUFFIXES[:-1])} and {SUFFIXES[-1]}."
    )


def _check_file(path: Path, suffix: str) -> None:
    if path.is_dir():
        readable = _readable_files(path)
        holds = f" such as {readable[0]!r}" if readable else ""
        raise ValueError(f"{path} is a folder: give the path of a file{holds}.")
    if not path.exists():
        raise FileNotFoundError(_not_found(path))
    if path.stat().st_size == 0:
        filled = "a line of names and lines of values" if suffix in _TEXT_SUFFIXES else "a table"
        raise ValueError(f"{path} is empty: give a file with {filled}.")


def _not_found(path: Path) -> str:
    if not path.parent.is_dir():
        return f"There is no file {path}, as there is no folder {path.parent}: check the path."
    readable = _readable_files(path.parent)
    # Stems are compared first: equal suffixes make any two short names look alike.
    near = [name for name in readable if did_you_mean(path.stem, [Path(name).stem])]
    asked = did_you_mean(path.name, near)
    if asked:
        return f"There is no file {path}{asked}"
    holds = f"its folder holds {listed(readable, most=5)}" if readable else "check the path"
    return f"There is no file {path}: {holds}."


def _readable_files(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir() if item.name.lower().endswith(SUFFIXES))


def _looks_like(path: Path) -> tuple[str, str | None]:
    """Say what a file is by its first bytes, with the suffix that it should have."""
    with open(path, "rb") as file:
        start = file.read(512)
    for signature, told, suffix in _SIGNATURES:
        if start.startswith(signature):
            return told, suffix
    if b"\x00" in start:
        return "binary data of an unknown kind", None
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith((b"{", b"[")):
        return "JSON", None
    if text[:5].lower() in (b"<html", b"<!doc"):
        return "a web page", None
    if any(byte < 9 for byte in start):
        return "binary data of an unknown kind", None
    return "text", ".csv"


def _remedy(suffix: str | None) -> str:
    return f"rename it to end in {suffix}" if suffix else "save the table as CSV or Parquet"


def _check_is_text(path: Path, suffix: str) -> None:
    """Refuse other formats under the name of a text file, before they give a puzzling fault."""
    told, right = _looks_like(path)
    if right == suffix or told in ("text", "JSON") or suffix.endswith(".gz"):
        return
    with open(path, "rb") as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            return  # UTF-16, for which the reader has a sentence of its own
    raise ValueError(
        f"{path} is no text file though it is called so; it is {told}: {_remedy(right)}."
    )


def _read_arrow(path: Path, suffix: str) -> pa.Table:
    called = {".parquet": "Parquet", ".feather": "Feather", ".arrow": "Arrow"}[suffix]
    try:
        if suffix == ".parquet":
            table = pyarrow.parquet.ParquetFile(path).read()
        else:
            table = _read_ipc(path)
        table.validate(full=True)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        told, right = _looks_like(path)
        if right in (suffix, ".arrow" if suffix == ".feather" else None):
            raise ValueError(
                f"{path} is a damaged {called} file: write it anew from its source."
            ) from error
        like = f"looks like {told}" if right or told != "text" else "holds text"
        raise ValueError(
            f"{path} is no {called} file though it is called so; it {like}: {_remedy(right)}."
        ) from error
    # pandas stores an index without a name as such a column.
    index = [name for name in table.column_names if name.startswith("__index_level_")]
    return table.drop_columns(index)


def _read_ipc(path: Path) -> pa.Table:
    # From bytes in memory Arrow takes slices; from a file it would first take the memory that the
    # file tells of.
    content = pa.py_buffer(path.read_bytes())
    try:
        return pyarrow.ipc.open_file(content).read_all()
    except pa.ArrowInvalid:
        return pyarrow.ipc.open_stream(content).read_all()


def _with_types(path: Path, table: pa.Table, types: dict[str, str]) -> pa.Table:
    """Convert columns of text whose values should be numbers, booleans or dates."""
    for name, kind in types.items():
        convert = {"number": numbers, "boolean": booleans, "date": days}.get(kind)
        column = table[name].combine_chunks()
        if convert is None or not is_text(column.type):
            continue
        try:
            values = convert(column, name)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        typed = pa.array(values, from_pandas=True)
        if kind == "boolean":
            typed = typed.cast(pa.bool_())
        elif kind == "date":
            typed = pa.array(values * 86400e6, from_pandas=True).cast(pa.int64(), safe=False)
            typed = typed.cast(pa.timestamp("us", "UTC"))
        table = table.set_column(table.column_names.index(name), name, typed)
    return table
