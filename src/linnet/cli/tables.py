"""Tables as the commands use them: read, told apart, and matched with a model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from linnet.cli.talk import counted, say
from linnet.spelling import did_you_mean
from linnet.table import read_table
from linnet.table.inference import infer
from linnet.table.values import is_known, is_text, numbers

# The sum of the squares of a million errors of this size is still finite.
_LARGEST_TARGET = 1e150


@dataclass
class _Typed:
    types: dict[str, str]


def read(
    path: Path, *, encoding: str, delimiter: str | None, estimator: Any = None, types: Any = None
) -> pa.Table:
    """Read a table and say what was read; text columns as the model's fit read them."""
    if str(path) == "-":
        raise ValueError(
            "Tables are read from files, not from standard input. Save the table, and give the "
            "file's path."
        )
    like = None if estimator is None else _Typed(_types_of(estimator))
    table = read_table(path, types=types, encoding=encoding, delimiter=delimiter, like=like)
    rows, columns = counted(table.num_rows, "row"), counted(table.num_columns, "column")
    say(f"Read {path}: {rows}, {columns}.")
    return table


def _types_of(estimator: Any) -> dict[str, str]:
    """Return the types of a model's columns; classes of text such as "007" are read as text."""
    types, target = dict(estimator.columns_.types), estimator.card_.get("target")
    classes = getattr(estimator, "classes_", np.array([0]))
    is_boolean = set(classes.tolist()) <= {"false", "true"}
    if isinstance(target, str) and classes.dtype.kind in "OU" and not is_boolean:
        types[target] = "category"
    return types


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, by which the table of a fit is known again."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_column(name: str, table: pa.Table, role: str) -> None:
    """Raise ValueError, with the nearest name, unless the table has the column."""
    if name not in table.column_names:
        names = table.column_names
        listed = ", ".join(map(repr, names[:20]))
        more = f" and {table.num_columns - 20} more" if table.num_columns > 20 else ""
        raise ValueError(
            f"There is no {role} column {name!r}{did_you_mean(name, names) or '.'} "
            f"The table has {listed}{more}.{_likely_cause(names)}"
        )


def _likely_cause(names: list[str]) -> str:
    """Say why the names of a table are likely to be others than its reader expects."""
    if all(re.fullmatch(r"[+-]?[0-9.]+(e[+-]?[0-9]+)?", name) for name in names):
        return " These are numbers: write a line of names above the first row."
    delimiter = next((mark for mark in ";\t|," if mark in names[0]), None)
    if len(names) == 1 and delimiter is not None:
        return f" It is one column: write --delimiter {delimiter!r}."
    return ""


def check_numbers(table: pa.Table, types: Mapping[str, str]) -> None:
    """Raise ValueError, with column and row, where numbers are infinite or stand beside text.

    A fit checks this too, but after a split that has changed the numbers of the rows.
    """
    for name in table.column_names:
        column = table[name]
        if pa.types.is_floating(column.type) and types.get(name, "number") == "number":
            numbers(column.combine_chunks(), name)
        elif is_text(column.type) and name not in types:
            infer(name, column.combine_chunks(), None, drop_constant=False)


def values_of(column: pa.ChunkedArray) -> np.ndarray:
    """Return a target column as an array: numbers as they are, anything else as text."""
    kind = column.type
    if pa.types.is_decimal(kind):
        return column.cast(pa.float64()).to_numpy()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return column.to_numpy()
    if pa.types.is_boolean(kind):
        return np.array(
            ["true" if value else "false" for value in column.to_pylist()], dtype=object
        )
    return np.array([str(value) for value in column.to_pylist()], dtype=object)


def target_values(table: pa.Table, name: str, *, remedy: str) -> np.ndarray:
    """Return the target of every row.

    Raises
    ------
    ValueError
        If the column is absent, or has missing, infinite or nested values.
    """
    check_column(name, table, "target")
    if not is_known(table[name].type):
        raise ValueError(
            f"The target {name!r} holds {table[name].type} values. Choose a column of numbers, "
            "text or booleans with --target."
        )
    n_missing = table.num_rows - len(_filled(table[name]))
    if n_missing:
        raise ValueError(
            f"The target {name!r} has {counted(n_missing, 'missing value')} in "
            f"{counted(table.num_rows, 'row')}: a row without a target teaches nothing. Leave "
            f"these rows out of the file, or {remedy}."
        )
    y = values_of(table[name])
    infinite = np.flatnonzero(np.isinf(y)) if y.dtype.kind == "f" else []
    if len(infinite):
        raise ValueError(
            f"The target {name!r} has {counted(len(infinite), 'infinite value')}, the first in row "
            f"{infinite[0]} (counted from 0). Leave these rows out of the file, or write finite "
            "numbers."
        )
    if y.dtype.kind == "f" and len(y) and float(np.abs(y).max()) > _LARGEST_TARGET:
        raise ValueError(
            f"The target {name!r} holds {y[np.abs(y).argmax()]:.6g}, whose square no number can "
            "hold. Write the target in a larger unit."
        )
    return y


def _filled(column: pa.ChunkedArray) -> np.ndarray:
    """Return the numbers of the rows that are not missing."""
    return np.flatnonzero(~pyarrow.compute.is_null(column, nan_is_null=True).to_numpy())


def rows_with_target(table: pa.Table, name: str) -> np.ndarray:
    """Return the numbers of the rows that have a target, and say how many have none."""
    check_column(name, table, "target")
    kept = _filled(table[name])
    if len(kept) < table.num_rows:
        say(f"Left out {counted(table.num_rows - len(kept), 'row')} without a {name}.")
    return kept


def chosen_rows(rows: str | None, path: Path, table: pa.Table, estimator: Any) -> np.ndarray | None:
    """Return the numbers of the rows to score, or None for all, and say which they are.

    Raises
    ------
    ValueError
        If the test rows are asked for of a table that the fit did not read.
    """
    known = estimator.card_.get("table")
    known = known if isinstance(known, dict) else {}
    held_out = estimator.history_.split.get("test")
    is_same = held_out is not None and len(held_out) > 0 and known.get("sha256") == digest(path)
    is_same = is_same and table.num_rows == known.get("n_rows") > held_out.max()
    if rows == "test" and not is_same:
        raise ValueError(
            f"{path} is not the table that the model was fitted on, or no rows were held out then: "
            "its test rows are not known. Write --rows all."
        )
    if is_same and rows != "all":
        say(f"This is the table of the fit: taking the {len(held_out):,} rows held out then.")
        return held_out
    if is_same:
        say("This is the table of the fit: most of these rows were trained on.", style="yellow")
    return None


def scored(
    table: pa.Table, estimator: Any, target: str, chosen: np.ndarray | None
) -> tuple[pa.Table | np.ndarray, np.ndarray]:
    """Return the inputs and targets of the chosen rows that have a target.

    Raises
    ------
    ValueError
        If the target is absent, or is none that this model could have been fitted on.
    """
    if chosen is not None:
        table = table.take(chosen)
    table = table.take(rows_with_target(table, target))
    if table.num_rows == 0:
        raise ValueError(f"No row has a {target!r}: there is nothing to compare with.")
    y = target_values(table, target, remedy="fill them in")
    if hasattr(estimator, "predict_proba"):
        known = set(estimator.classes_.tolist())
        unknown = sorted(set(y.tolist()) - known, key=str)
        if unknown:
            raise ValueError(
                f"The target {target!r} has classes that the model does not know: "
                f"{', '.join(map(repr, unknown[:5]))}. Leave these rows out."
            )
        y = y.astype(estimator.classes_.dtype)
    elif y.dtype.kind in "iuf":
        y = y.astype(np.float64)
    else:
        raise ValueError(
            f"The target {target!r} holds text such as {first_text(y)!r}, but the model predicts "
            "numbers. Give a table with numbers there."
        )
    return inputs(estimator, table), y


def first_text(y: np.ndarray) -> str:
    """Return the first value that does not read as a number, or the first one if all do."""
    return next((str(v) for v in y if not _is_number(v)), str(y[0]))


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def inputs(estimator: Any, table: pa.Table) -> pa.Table | np.ndarray:
    """Return the model's input columns, found by name, in the order of the fit.

    A model that was fitted on an array gets one.

    Raises
    ------
    ValueError
        Naming every column that is missing.
    """
    columns = estimator.columns_
    if columns.is_array:
        return _array(columns.names, table, estimator.card_.get("target"))
    names = columns.input_names
    absent = [name for name in names if name not in table.column_names]
    if any(name in columns.names for name in absent):
        columns.encode(table.slice(0, 1))  # raises the sentence that names them all
    for name in absent:  # left out in the fit, so any value will do
        table = table.append_column(name, pa.nulls(table.num_rows, pa.string()))
    return table.select(names)


def _array(names: list[str], table: pa.Table, target: Any) -> np.ndarray:
    """Return the columns of a model that was fitted on an array: by name, or else by place."""
    if not set(names) <= set(table.column_names):
        names = [name for name in table.column_names if name != target]
    return np.column_stack([numbers(table[name].combine_chunks(), name) for name in names])


def predictions(
    estimator: Any, table: pa.Table, *, probabilities: bool, coverage: float | None = None
) -> pa.Table:
    """Return the predictions for a table as columns, named after the target.

    With a coverage, the ends of intervals stand beside each prediction.
    """
    X = inputs(estimator, table)
    target = estimator.card_.get("target", "target")
    columns: dict[str, Any] = {}
    values = estimator.predict(X)
    if values.ndim == 1:
        columns[f"predicted_{target}"] = values
    else:
        columns = {f"predicted_{target}_{k}": values[:, k] for k in range(values.shape[1])}
    if coverage is not None:
        columns = _with_intervals(estimator, X, columns, coverage)
    if probabilities:
        if not hasattr(estimator, "predict_proba"):
            raise ValueError("--probabilities is for classes; this model predicts numbers.")
        shares = estimator.predict_proba(X)
        for k, label in enumerate(estimator.classes_):
            columns[f"probability_{label}"] = shares[:, k]
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def _with_intervals(
    estimator: Any, X: pa.Table, columns: dict[str, Any], coverage: float
) -> dict[str, Any]:
    """Return the columns of predictions, each with the ends of its intervals after it."""
    check_intervals(estimator)
    ends = estimator.predict_interval(X, coverage).reshape(len(X), -1, 2)  # (N, K, 2)
    found = {}
    for k, (name, values) in enumerate(columns.items()):
        of_target = name.removeprefix("predicted_")
        found[name] = values
        found[f"lower_{of_target}"], found[f"upper_{of_target}"] = ends[:, k].T
    return found


def check_intervals(estimator: Any) -> None:
    """Raise ValueError if a model knows nothing of its errors."""
    if hasattr(estimator, "predict_proba"):
        raise ValueError("--interval is for numbers; this model predicts classes.")
    if not hasattr(estimator, "error_bars_"):
        raise ValueError(
            "--interval needs a model that knows its errors, and this one was fitted without "
            "validation rows. Fit it anew with linnet fit, or with --loss gaussian."
        )


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
        If the model file does not say, or there are several.
    """
    name = estimator.card_.get("target")
    if not isinstance(name, str):
        raise ValueError(
            "The model file does not name its target: it was not written by linnet fit. Save it "
            "with linnet.save(model, path, card={'target': 'column'})."
        )
    target = estimator.target_
    if getattr(target, "is_column", False) or getattr(target, "multilabel", False):
        raise ValueError(
            "The model predicts several columns, and the shell scores one. Load it with "
            "linnet.load and score it in Python."
        )
    return name
