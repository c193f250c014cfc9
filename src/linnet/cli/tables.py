"""Tables as the commands use them: read, told apart, and matched with a model."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from linnet.cli.talk import say
from linnet.spelling import did_you_mean
from linnet.table import read_table


def read(
    path: Path, *, encoding: str, delimiter: str | None, estimator: Any = None, types: Any = None
) -> pa.Table:
    """Read a table and say what was read; text columns as the model's fit read them."""
    like = None if estimator is None else estimator.columns_
    table = read_table(path, types=types, encoding=encoding, delimiter=delimiter, like=like)
    say(f"Read {path}: {table.num_rows:,} rows, {table.num_columns} columns.")
    return table


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, by which the table of a fit is known again."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_column(name: str, table: pa.Table, role: str) -> None:
    """Raise ValueError, with the nearest name, unless the table has the column."""
    if name not in table.column_names:
        listed = ", ".join(map(repr, table.column_names[:20]))
        more = f" and {table.num_columns - 20} more" if table.num_columns > 20 else ""
        raise ValueError(
            f"There is no {role} column {name!r}{did_you_mean(name, table.column_names)}. The "
            f"table has {listed}{more}."
        )


def values_of(column: pa.ChunkedArray) -> np.ndarray:
    """Return a target column as an array: numbers as they are, anything else as text."""
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return column.to_numpy()
    if pa.types.is_boolean(kind):
        return np.array(
            ["true" if value else "false" for value in column.to_pylist()], dtype=object
        )
    return np.array([str(value) for value in column.to_pylist()], dtype=object)


def target_values(table: pa.Table, name: str, *, role: str = "target") -> np.ndarray:
    """Return the target of every row.

    Raises
    ------
    ValueError
        If the column is absent, or has missing values.
    """
    check_column(name, table, role)
    column = table[name]
    missing = column.null_count
    if pa.types.is_floating(column.type):
        missing += int(np.isnan(column.drop_null().to_numpy()).sum())
    if missing:
        raise ValueError(
            f"The target {name!r} has {missing} missing values of {len(column)}: a row without a "
            "target teaches nothing. Leave these rows out of the file, or write "
            "--drop-missing-target."
        )
    return values_of(column)


def rows_with_target(table: pa.Table, name: str) -> np.ndarray:
    """Return the numbers of the rows that have a target, and say how many have none."""
    check_column(name, table, "target")
    kept = np.flatnonzero(pa.compute.is_valid(table[name]).to_numpy())
    if pa.types.is_floating(table.schema.field(name).type):
        kept = np.flatnonzero(~np.isnan(table[name].to_numpy()))
    if len(kept) < table.num_rows:
        say(f"Left out {table.num_rows - len(kept):,} rows without a {name}.")
    return kept


def chosen_rows(rows: str | None, path: Path, table: pa.Table, estimator: Any) -> np.ndarray | None:
    """Return the numbers of the rows to score, or None for all, and say which they are.

    Raises
    ------
    ValueError
        If the test rows are asked for of a table that the fit did not read.
    """
    card = estimator.card_
    known = card.get("table", {})
    held_out = estimator.history_.split.get("test")
    is_same = held_out and known.get("sha256") == digest(path)
    is_same = is_same and table.num_rows == known.get("n_rows")
    if rows == "test" and not is_same:
        raise ValueError(
            f"{path} is not the table that the model was fitted on, or no rows were held out then: "
            "its test rows are not known. Write --rows all."
        )
    if rows not in (None, "test", "all"):
        raise ValueError(f"--rows {rows!r} is not known. Write --rows test or --rows all.")
    if is_same and rows != "all":
        assert held_out is not None
        say(f"This is the table of the fit: taking the {len(held_out):,} rows held out then.")
        return np.array(held_out)
    if is_same:
        say("This is the table of the fit: most of these rows were trained on.", style="yellow")
    return None


def inputs(estimator: Any, table: pa.Table) -> pa.Table:
    """Return the model's input columns, found by name, in the order of the fit.

    Raises
    ------
    ValueError
        Naming every column that is missing.
    """
    columns = estimator.columns_
    if columns.is_array:
        target = estimator.card_.get("target")
        names = [name for name in table.column_names if name != target]
        return table.select(names).rename_columns(_positions(names, columns.names))
    names = columns.input_names
    absent = [name for name in names if name not in table.column_names]
    if any(name in columns.names for name in absent):
        columns.encode(table.slice(0, 1))  # raises the sentence that names them all
    for name in absent:  # left out in the fit, so any value will do
        table = table.append_column(name, pa.nulls(table.num_rows, pa.string()))
    return table.select(names)


def _positions(names: list[str], wanted: list[str]) -> list[str]:
    if set(wanted) <= set(names) or len(names) != len(wanted):
        return names
    return wanted


def predictions(estimator: Any, table: pa.Table, *, probabilities: bool) -> pa.Table:
    """Return the predictions for a table as columns, named after the target."""
    if table.num_rows == 0:
        raise ValueError("The table has no rows: there is nothing to predict. Give rows.")
    X = inputs(estimator, table)
    target = estimator.card_.get("target", "target")
    columns: dict[str, Any] = {}
    values = estimator.predict(X)
    if values.ndim == 1:
        columns[f"predicted_{target}"] = values
    else:
        columns = {f"predicted_{target}_{k}": values[:, k] for k in range(values.shape[1])}
    if probabilities:
        if not hasattr(estimator, "predict_proba"):
            raise ValueError("--probabilities is for classes; this model predicts numbers.")
        shares = estimator.predict_proba(X)
        for k, label in enumerate(estimator.classes_):
            columns[f"probability_{label}"] = shares[:, k]
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def beside(table: pa.Table, predicted: pa.Table) -> pa.Table:
    """Return a table with the predictions as its last columns, replacing any of their names."""
    kept = [name for name in table.column_names if name not in predicted.column_names]
    table = table.select(kept)
    for name in predicted.column_names:
        table = table.append_column(name, predicted[name])
    return table


def target_name(estimator: Any) -> str:
    """Return the name of the column that the model predicts.

    Raises
    ------
    ValueError
        If the model file does not say.
    """
    name = estimator.card_.get("target")
    if not isinstance(name, str):
        raise ValueError(
            "The model file does not name its target: it was not written by linnet fit. Save it "
            "with linnet.save(model, path, card={'target': 'column'})."
        )
    return name
