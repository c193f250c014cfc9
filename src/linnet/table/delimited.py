"""Delimited text files: CSV, TSV and their kin."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import itertools
import re
from collections.abc import Generator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from linnet.table.frames import check_unique
from linnet.table.values import MISSING_WORDS

_DELIMITERS = {",": "','", ";": "';'", "\t": "a tab"}
_LINES_LOOKED_AT = 50
_DECIMAL_COMMA = re.compile(r"^\s*[+-]?\d+,\d+([eE][+-]?\d+)?\s*$")


def read_delimited(
    path: Path, *, encoding: str, delimiter: str | None, types: Mapping[str, str]
) -> pa.Table:
    """Read a delimited text file, whose first line holds the names of the columns.

    Parameters
    ----------
    path : Path
        Also compressed, where the name ends in .gz.
    encoding : str
    delimiter : str or None
        One character; found out from the first lines where None.
    types : mapping of column name to type
        Categories and identifiers are read as text, so that "007" stays as it is written.

    Raises
    ------
    ValueError
        For an empty file, lines of different lengths, another encoding, duplicate names.
    """
    with contextlib.closing(_lines(path, encoding)) as lines:
        head = list(itertools.islice(lines, _LINES_LOOKED_AT))
    if not any(line.strip() for line in head):
        raise ValueError(f"{path} is empty: give a file with a line of names and lines of values.")
    if delimiter is None:
        delimiter = "\t" if ".tsv" in path.suffixes else _sniffed(head)
    elif len(delimiter) != 1:
        raise ValueError(
            f"delimiter={delimiter!r} is not one character: write ',' or ';' or '\\t'."
        )
    names = next(csv.reader((line for line in head if line.strip()), delimiter=delimiter))
    names = _named([name.strip() for name in names])
    check_unique(names, str(path))
    try:
        table = _parse(path, names, head, encoding, delimiter, types)
    except pa.ArrowInvalid as error:
        _check_lines(path, encoding, delimiter, len(names))
        raise ValueError(
            f"{path} cannot be read as delimited text ({_first_line(error)}): check its quotes and "
            "its delimiter."
        ) from error
    # Text that is not valid in the encoding becomes bytes in Arrow.
    if any(pa.types.is_binary(field.type) for field in table.schema):
        for _ in _lines(path, encoding):
            pass
    return _without_row_numbers(table, head, delimiter)


def _parse(
    path: Path,
    names: list[str],
    head: list[str],
    encoding: str,
    delimiter: str,
    types: Mapping[str, str],
) -> pa.Table:
    as_text = {name for name, kind in types.items() if kind in ("category", "identifier")}
    first_line = next(place for place, line in enumerate(head) if line.strip())
    with pa.input_stream(str(path), compression="detect") as stream:
        return pyarrow.csv.read_csv(
            stream,
            read_options=pyarrow.csv.ReadOptions(
                column_names=names, skip_rows=first_line + 1, encoding=encoding
            ),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                null_values=MISSING_WORDS,
                strings_can_be_null=True,
                column_types={name: pa.string() for name in names if name in as_text},
                decimal_point="," if _has_decimal_commas(head, delimiter) else ".",
            ),
        )


def _lines(path: Path, encoding: str) -> Generator[str, None, None]:
    """Yield the decoded lines; bytes that the encoding does not know are told by their place."""
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        encoding = "utf-8-sig"
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    with opened(path, "rb") as binary:
        start = binary.read(4)
        binary.seek(0)
        if start[:2] in (b"\xff\xfe", b"\xfe\xff") and "16" not in encoding:
            raise ValueError(f"{path} is written in UTF-16: pass encoding='utf-16'.")
        try:
            with io.TextIOWrapper(binary, encoding=encoding, newline="") as text:
                yield from text
        except UnicodeDecodeError as error:
            raise _wrong_encoding(path, encoding, error) from error
        except LookupError as error:
            raise ValueError(
                f"encoding={encoding!r} does not exist: write 'utf-8', 'latin-1' or 'utf-16'."
            ) from error
        except (EOFError, gzip.BadGzipFile) as error:
            raise ValueError(
                f"{path} is damaged or not compressed by gzip, though it is called so: compress it "
                "anew, or take .gz off its name."
            ) from error


def _wrong_encoding(path: Path, encoding: str, error: UnicodeDecodeError) -> ValueError:
    """Find the byte in the file; the decoder itself counts from the start of a buffer."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    try:
        data.decode(encoding)
        place = ""
    except UnicodeDecodeError as whole:
        line = data.count(b"\n", 0, whole.start) + 1
        place = f" (byte 0x{data[whole.start]:02x} in line {line})"
    name = "utf-8" if encoding == "utf-8-sig" else encoding
    other = "latin-1" if name == "utf-8" else "utf-8"
    return ValueError(f"{path} is not written in {name}{place}: pass encoding={other!r}.")


def _sniffed(head: list[str]) -> str:
    """Return the delimiter that parts the most lines into as many fields as the header."""
    best, most = ",", (0.0, 1)
    for delimiter in _DELIMITERS:
        rows = [row for row in csv.reader(head, delimiter=delimiter) if row]
        if len(rows) == _LINES_LOOKED_AT:
            rows.pop()  # a quoted value may go on beyond the lines looked at
        width = len(rows[0])
        agreeing = sum(len(row) == width for row in rows) / len(rows)
        if width > 1 and (agreeing, width) > most:
            best, most = delimiter, (agreeing, width)
    return best


def _has_decimal_commas(head: list[str], delimiter: str) -> bool:
    if delimiter == ",":
        return False
    rows = list(csv.reader(head[1:], delimiter=delimiter))
    return any(_DECIMAL_COMMA.match(value) for row in rows for value in row)


def _named(names: list[str]) -> list[str]:
    """Name the columns without a name after their position, counted from 1."""
    taken = set(names)
    named = []
    for position, name in enumerate(names, start=1):
        if not name:
            name = f"column_{position}"
            while name in taken:
                name += "_"
        named.append(name)
    return named


def _without_row_numbers(table: pa.Table, head: list[str], delimiter: str) -> pa.Table:
    """Drop a first column without a name that counts the rows, as data frames write their index."""
    header = next(csv.reader((line for line in head if line.strip()), delimiter=delimiter))
    first = table.column(0)
    if header[0].strip() or table.num_columns == 1 or not pa.types.is_integer(first.type):
        return table
    values = first.to_numpy()
    start = values[0] if len(values) else 0
    if (
        first.null_count == 0
        and start in (0, 1)
        and (values == range(start, start + len(values))).all()
    ):
        return table.drop_columns([table.column_names[0]])
    return table


def _check_lines(path: Path, encoding: str, delimiter: str, n_columns: int) -> None:
    """Raise for the first line that has not as many values as the header."""
    with contextlib.closing(_lines(path, encoding)) as lines:
        reader = csv.reader(lines, delimiter=delimiter)
        start = 0
        for row in reader:
            if row and len(row) != n_columns:
                found = "1 value was" if len(row) == 1 else f"{len(row)} values were"
                names = "1 column" if n_columns == 1 else f"{n_columns} columns"
                by = _DELIMITERS.get(delimiter, repr(delimiter))
                raise ValueError(
                    f"{path}, line {start + 1}: {found} found where the header names {names}; "
                    f"give each line as many values, parted by {by}, with quotes around text that "
                    "holds it."
                )
            start = reader.line_num


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:120].rstrip(". ")
