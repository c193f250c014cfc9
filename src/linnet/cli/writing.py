"""Tables to files, whole or not at all."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet

from linnet.printable import printable
from linnet.whole_file import check_writable, whole_file

SUFFIXES = (".csv", ".tsv", ".parquet", ".feather", ".arrow")


def check_output(path: Path, *, overwrite: bool) -> None:
    """Raise, before any work is done, what writing a table to the path would end in."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"{path}: tables are written as {', '.join(SUFFIXES)}. Give a name with one of these "
            "endings."
        )
    check_writable(path, overwrite=overwrite)


def check_other_file(output: Path, source: Path) -> None:
    """Raise ValueError if a command would write over the file that it reads."""
    if output.exists() and source.exists() and output.samefile(source):
        raise ValueError(f"{output} is the file to read from. Choose another name for the output.")


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table to a path, in the format of its suffix."""
    with whole_file(path) as part:
        suffix = path.suffix.lower()
        if suffix == ".parquet":
            pa.parquet.write_table(table, part)
        elif suffix in (".feather", ".arrow"):
            pa.feather.write_feather(table, str(part))
        else:
            _write_csv(table, part, "\t" if suffix == ".tsv" else ",")


def print_csv(table: pa.Table) -> None:
    """Write a table to standard output as CSV; on a terminal what would steer it is written out."""
    if sys.stdout.isatty():
        text = io.BytesIO()
        _write_csv(table, text, ",")
        print(printable(text.getvalue().decode(), lines=True), end="")
    else:
        sys.stdout.flush()
        _write_csv(table, sys.stdout.buffer, ",")


def _write_csv(table: pa.Table, target: Any, delimiter: str) -> None:
    options = pa.csv.WriteOptions(delimiter=delimiter, quoting_style="needed")
    pa.csv.write_csv(_plain(table), target, options)


def _plain(table: pa.Table) -> pa.Table:
    # The CSV writer knows no dictionaries.
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_nested(column.type):
            raise ValueError(
                f"Column {name!r} holds {column.type} values, which CSV has no place for. Write a "
                ".parquet file with -o, or only the predictions with --only-predictions."
            )
    columns = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in table.columns
    ]
    return pa.table(dict(zip(table.column_names, columns, strict=True)))
