"""Tables to files, whole or not at all."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet

from linnet.model_file import check_writable

SUFFIXES = (".csv", ".tsv", ".parquet", ".feather", ".arrow")


def check_output(path: Path, *, overwrite: bool) -> None:
    """Raise, before any work is done, what writing a table to the path would end in."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"{path}: tables are written as {', '.join(SUFFIXES)}. Give a name with one of these "
            "endings."
        )
    check_writable(path, overwrite=overwrite)


def write_table(table: pa.Table, target: Path | Any) -> None:
    """Write a table to a path, in the format of its suffix, or as CSV to an open file."""
    if not isinstance(target, Path):
        pa.csv.write_csv(_plain(table), target, _csv_options(","))
        return
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        suffix = target.suffix.lower()
        if suffix == ".parquet":
            pa.parquet.write_table(table, temporary)
        elif suffix in (".feather", ".arrow"):
            pa.feather.write_feather(table, str(temporary))
        else:
            delimiter = "\t" if suffix == ".tsv" else ","
            pa.csv.write_csv(_plain(table), temporary, _csv_options(delimiter))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _csv_options(delimiter: str) -> pa.csv.WriteOptions:
    return pa.csv.WriteOptions(delimiter=delimiter, quoting_style="needed")


def _plain(table: pa.Table) -> pa.Table:
    # The CSV writer knows no dictionaries.
    columns = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in table.columns
    ]
    return pa.table(dict(zip(table.column_names, columns, strict=True)))
