"""Delimited text files: CSV, TSV and their kin."""

from __future__ import annotations

import codecs
import contextlib
import csv
import gzip
import io
import itertools
import re
import zlib
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.csv

from linnet.table.frames import check_few, check_unique
from linnet.table.values import MISSING_WORDS

_DELIMITERS = {",": "','", ";": "';'", "\t": "a tab", "|": "'|'"}
_LINES_LOOKED_AT = 50
# Bytes that Arrow takes at a time, and a line has to fit in: more for long lines, as of many
# columns, but what a file may ask for has a limit. A character takes four bytes at most.
_BLOCK, _LARGEST_BLOCK, _BYTES_OF_A_CHARACTER = 2**18, 2**22, 4
_LONGEST = 2 * _LARGEST_BLOCK  # characters of a line: no two blocks hold one beyond it
# What Arrow takes for each column while it reads, whatever the file's size; so a small file of many
# columns is read in passes of so many columns. The passes' time grows as the square of the columns,
# which sets the limit.
_MOST_COLUMNS = 20_000
_BYTES_OF_A_COLUMN, _COLUMNS_AT_ONCE = 2**14, 1000
# Arrow's errors that no other type of a column would mend.
_WHATEVER_THE_TYPES = re.compile(r"^CSV parse error: (Row #\d+: )?Expected|invalid UTF8 data$")
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
    layout = _layout(path, head, delimiter)
    # Arrow has an error of its own where the header's line is the last and not ended.
    if len(head) <= layout.n_lines:
        raise ValueError(f"{path} has a header and no rows: add at least one row of values.")
    try:
        table = _parse(path, layout, encoding, types)
    except (pa.ArrowInvalid, OSError) as error:
        _check_lines(path, encoding, layout)
        raise _unreadable(path, error) from error
    # Arrow gives bytes for text that is not valid. A quote that is never closed swallows the rest
    # of the file into the last row. Neither is a fault to Arrow.
    is_bytes = any(pa.types.is_binary(field.type) for field in table.schema)
    if is_bytes or any("\n" in str(column[-1]) for column in table.itercolumns() if len(column)):
        _check_lines(path, encoding, layout)
    return _without_row_numbers(table, layout)


class _Layout(NamedTuple):
    """What the first lines of a file tell of the rest."""

    delimiter: str
    names: list[str]
    has_row_names: bool  # the first column has no name
    n_lines: int  # up to and with the header
    decimal_point: str
    longest: int  # characters of the longest of the first lines


def _layout(path: Path, head: list[str], delimiter: str | None) -> _Layout:
    if delimiter is not None and len(delimiter) != 1:
        raise ValueError(
            f"delimiter={delimiter!r} is not one character: write ',' or ';' or '\\t'."
        )
    try:
        if delimiter is None:
            delimiter = "\t" if ".tsv" in path.suffixes else _sniffed(head)
        reader = csv.reader(head, delimiter=delimiter)
        named = (row for row in reader if any(name.strip() for name in row))
        header = [name.strip() for name in next(named, [])]
        n_lines = reader.line_num
        # Between tabs, 1,234 may as well be a thousand.
        has_commas = delimiter == ";" and any(
            _DECIMAL_COMMA.match(value) for row in reader for value in row
        )
    except csv.Error as error:
        raise _unreadable(path, error) from error
    if not header:
        raise ValueError(f"{path} has no names of columns: write them into its first line.")
    check_few(len(header), str(path), _MOST_COLUMNS)
    names = _named(header)
    check_unique(names, str(path))
    longest = max(map(len, head))
    return _Layout(delimiter, names, not header[0], n_lines, "," if has_commas else ".", longest)


def _parse(path: Path, layout: _Layout, encoding: str, types: Mapping[str, str]) -> pa.Table:
    names = layout.names
    at_once = max(_COLUMNS_AT_ONCE, 4 * path.stat().st_size // _BYTES_OF_A_COLUMN)
    if len(names) <= at_once:
        return _parse_columns(path, layout, encoding, types, [])
    columns: list[pa.ChunkedArray] = []
    for first in range(0, len(names), at_once):
        some = names[first : first + at_once]
        columns += _parse_columns(path, layout, encoding, types, some).columns
    return pa.table(columns, names=names)


def _parse_columns(
    path: Path, layout: _Layout, encoding: str, types: Mapping[str, str], names: list[str]
) -> pa.Table:
    """Read these columns, or all where none are named."""
    block_size = max(_BLOCK, min(_BYTES_OF_A_CHARACTER * layout.longest, _LARGEST_BLOCK))
    try:
        return _parse_blocks(path, layout, encoding, types, names, block_size)
    except pa.ArrowInvalid as error:
        if "straddling object" not in str(error) or block_size == _LARGEST_BLOCK:
            raise
    # A line after the first ones is longer than a block.
    return _parse_blocks(path, layout, encoding, types, names, _LARGEST_BLOCK)


def _parse_blocks(
    path: Path,
    layout: _Layout,
    encoding: str,
    types: Mapping[str, str],
    names: list[str],
    block_size: int,
) -> pa.Table:
    as_text = {name for name, kind in types.items() if kind in ("category", "identifier")}
    options = {
        "read_options": pyarrow.csv.ReadOptions(
            use_threads=not names,  # each would take memory of its own
            column_names=layout.names,
            skip_rows=layout.n_lines,
            encoding=encoding,
            block_size=block_size,
        ),
        "parse_options": pyarrow.csv.ParseOptions(
            delimiter=layout.delimiter, newlines_in_values=True
        ),
        "convert_options": pyarrow.csv.ConvertOptions(
            include_columns=names,
            # Also after the blank that some files put behind each delimiter.
            null_values=[blank + word for word in MISSING_WORDS for blank in ("", " ")],
            strings_can_be_null=True,
            column_types={name: pa.string() for name in layout.names if name in as_text},
            decimal_point=layout.decimal_point,
        ),
    }
    if not names:
        try:
            with pa.input_stream(str(path), compression="detect") as stream:
                return _in_little_memory(pyarrow.csv.open_csv(stream, **options))
        except pa.ArrowInvalid as error:
            if _WHATEVER_THE_TYPES.search(str(error)):
                raise
    with pa.input_stream(str(path), compression="detect") as stream:
        return pyarrow.csv.read_csv(stream, **options)


def _in_little_memory(blocks: pyarrow.csv.CSVStreamingReader) -> pa.Table:
    """Read block by block, with the types of the first.

    Where all blocks are of these types, read_csv finds the same ones, but it keeps the text of all
    blocks until it has read the last. Columns of a block without any value share their memory.
    """
    missing: dict[pa.DataType, pa.Array] = {}
    batches = []
    for block in blocks:
        n_rows, columns = block.num_rows, block.columns
        for i, column in enumerate(columns):
            if column.null_count == n_rows:
                if len(missing.get(column.type, ())) < n_rows:
                    missing[column.type] = pa.nulls(n_rows, column.type)
                columns[i] = missing[column.type].slice(0, n_rows)
        batches.append(pa.RecordBatch.from_arrays(columns, schema=block.schema))
    return pa.Table.from_batches(batches, blocks.schema)


def _lines(path: Path, encoding: str) -> Generator[str, None, None]:
    """Yield the decoded lines; bytes that the encoding does not know are told by their place."""
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        encoding = "utf-8-sig"
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rb") as binary:
            start = binary.read(2)
            binary.seek(0)
            if start in (b"\xff\xfe", b"\xfe\xff") and "16" not in encoding:
                raise ValueError(f"{path} is written in UTF-16: pass encoding='utf-16'.")
            try:
                with io.TextIOWrapper(binary, encoding=encoding, newline="") as text:
                    for number, line in enumerate(iter(lambda: text.readline(_LONGEST), ""), 1):
                        if len(line) == _LONGEST:
                            raise _too_long(path, number)
                        yield line
            except UnicodeDecodeError as error:
                raise _wrong_encoding(path, encoding, error) from error
            except LookupError as error:
                raise ValueError(
                    f"encoding={encoding!r} does not exist: write 'utf-8', 'latin-1' or 'utf-16'."
                ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:  # while it is searched for a byte too
        raise ValueError(
            f"{path} is damaged or not compressed by gzip, though it is called so: compress it "
            "anew, or take .gz off its name."
        ) from error


def _wrong_encoding(path: Path, encoding: str, error: UnicodeDecodeError) -> ValueError:
    """Find the byte in the file; the decoder itself counts from the start of a buffer."""
    decoder, n_lines, place = codecs.getincrementaldecoder(encoding)(), 0, ""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    with opened(path, "rb") as binary:
        while piece := binary.read(1 << 20):
            held = decoder.getstate()[0]  # of a letter that began in the piece before
            try:
                decoder.decode(piece)
            except UnicodeDecodeError as whole:
                piece = held + piece
                line = n_lines + piece.count(b"\n", 0, whole.start) + 1
                place = f" (byte 0x{piece[whole.start]:02x} in line {line})"
                break
            n_lines += piece.count(b"\n")
    name = "utf-8" if encoding == "utf-8-sig" else encoding
    other = "latin-1" if name == "utf-8" else "utf-8"
    return ValueError(f"{path} is not written in {name}{place}: pass encoding={other!r}.")


def _sniffed(head: list[str]) -> str:
    """Return the delimiter that parts the most lines into as many fields as the header."""
    best, most = ",", (0.0, 1)
    for delimiter in _DELIMITERS:
        try:
            widths = [len(row) for row in csv.reader(head, delimiter=delimiter) if row]
        except csv.Error:
            continue  # a long line that this delimiter does not part is beyond csv's limit
        if len(widths) == _LINES_LOOKED_AT:
            widths.pop()  # a quoted value may go on beyond the lines looked at
        width = widths[0]
        agreeing = widths.count(width) / len(widths)
        if width > 1 and (agreeing, width) > most:
            best, most = delimiter, (agreeing, width)
    return best


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


def _without_row_numbers(table: pa.Table, layout: _Layout) -> pa.Table:
    """Drop a first column without a name that counts the rows, as data frames write their index."""
    first = table.column(0)
    if not layout.has_row_names or table.num_columns == 1 or not pa.types.is_integer(first.type):
        return table
    counted = pa.chunked_array([range(table.num_rows)], first.type)
    one_on = pa.chunked_array([range(1, table.num_rows + 1)], first.type)
    return table.drop_columns(layout.names[:1]) if first in (counted, one_on) else table


def _check_lines(path: Path, encoding: str, layout: _Layout) -> None:
    """Read all lines slowly, and raise for the first that is not as it should be."""
    start = 0
    with contextlib.closing(_lines(path, encoding)) as lines:
        reader = csv.reader(lines, delimiter=layout.delimiter, strict=True)
        try:
            for row in reader:
                if row and len(row) != len(layout.names):
                    raise _wrong_count(path, start + 1, len(row), layout)
                start = reader.line_num
        except csv.Error as error:
            if str(error).startswith("field larger"):
                raise ValueError(
                    f"{path}, line {start + 1}: a value is longer than "
                    f"{csv.field_size_limit():,} characters; close the quote before it, or shorten "
                    "it."
                ) from error
            raise ValueError(
                f"{path}, line {start + 1}: a quoted value is not closed ({error}); put a quote "
                "after it, and write a quote inside a value twice."
            ) from error


def _wrong_count(path: Path, line: int, n_found: int, layout: _Layout) -> ValueError:
    n_names = len(layout.names)
    found = "1 value was" if n_found == 1 else f"{n_found} values were"
    names = "1 column" if n_names == 1 else f"{n_names} columns"
    by = _DELIMITERS.get(layout.delimiter, repr(layout.delimiter))
    return ValueError(
        f"{path}, line {line}: {found} found where the header names {names}; give each line as "
        f"many values, separated by {by}, with quotes around text that holds it."
    )


def _too_long(path: Path, line: int) -> ValueError:
    return ValueError(
        f"{path}, line {line}: it is longer than {_LONGEST:,} characters; close the quote before "
        "it, or write fewer columns."
    )


def _unreadable(path: Path, error: Exception) -> ValueError:
    told = str(error).splitlines()[0][:120].rstrip(". ")
    return ValueError(
        f"{path} cannot be read as delimited text ({told}): check its quotes and its delimiter."
    )
