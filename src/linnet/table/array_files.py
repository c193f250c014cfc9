"""NumPy's own files, NPY and NPZ, as tables. Nothing in them is ever run as code."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from linnet.table.frames import listed

# What numpy.load raises for files that are cut off, altered, or not of its making.
_DAMAGED = (ValueError, EOFError, OSError, KeyError, MemoryError, zipfile.BadZipFile, zlib.error)


def read_npy(path: Path) -> pa.Table:
    """Read an NPY file of one array.

    Returns
    -------
    pyarrow.Table
        Columns x0, x1, ... for an array of shape (N, D), x0 for one of shape (N,), or the fields
        of a structured array.
    """
    array = _load(path)
    if isinstance(array, dict):
        raise ValueError(f"{path} is an NPZ file though it is called NPY: rename it to .npz.")
    return pa.table(_columns_of(path, "x", array, is_alone=True))


def read_npz(path: Path) -> pa.Table:
    """Read an NPZ file of several arrays with as many rows each.

    Returns
    -------
    pyarrow.Table
        A column of its name for each array of shape (N,) or (N, 1), and the columns name0, name1,
        ... for each of shape (N, D).
    """
    arrays = _load(path)
    if not isinstance(arrays, dict):
        raise ValueError(f"{path} is an NPY file though it is called NPZ: rename it to .npy.")
    if not arrays:
        raise ValueError(f"{path} holds no arrays: save some with numpy.savez(path, X=X, y=y).")
    columns: dict[str, pa.Array] = {}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{path} holds {name!r}, which is no NPY array: leave it out.")
        for column, values in _columns_of(path, name, array, is_alone=False).items():
            if column in columns:
                raise ValueError(
                    f"{path} gives two columns the name {column!r}: rename one of its arrays."
                )
            columns[column] = values
    if len({len(array) for array in arrays.values()}) > 1:
        lengths = listed(f"{name!r} has {len(array)}" for name, array in arrays.items())
        raise ValueError(
            f"{path} holds arrays with different numbers of rows ({lengths}): save arrays with one "
            "row for each observation, and other arrays in a file of their own."
        )
    return pa.table(columns)


def _load(path: Path) -> np.ndarray | dict[str, np.ndarray]:
    try:
        with open(path, "rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            return {name: loaded[name] for name in loaded.files}
    except _DAMAGED as error:
        raise _told(path, error) from error


def _told(path: Path, error: Exception) -> ValueError:
    if "allow_pickle" in str(error) and "Object arrays" in str(error):
        return ValueError(
            f"{path} holds Python objects (a pickled array), which could run code when read: save "
            "arrays of numbers or text, or write the table as CSV or Parquet."
        )
    return ValueError(
        f"{path} is damaged or no NumPy file, though it is called one: save it anew with "
        "numpy.save or numpy.savez."
    )


def _columns_of(path: Path, name: str, array: np.ndarray, *, is_alone: bool) -> dict[str, pa.Array]:
    if array.dtype.names:
        return {field: _column(path, field, array[field]) for field in array.dtype.names}
    if array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1):
        name = f"{name}0" if is_alone else name
        return {name: _column(path, name, array.reshape(-1))}
    if array.ndim != 2:
        called = "an array" if is_alone else f"the array {name!r}"
        raise ValueError(
            f"{path} holds {called} of shape {array.shape}, and a table has rows and columns: save "
            "an array of shape (rows, columns), as array.reshape(len(array), -1) gives it."
        )
    contiguous = np.ascontiguousarray(array.T)  # (D, N)
    return {f"{name}{i}": _column(path, name, values) for i, values in enumerate(contiguous)}


def _column(path: Path, name: str, values: np.ndarray) -> pa.Array:
    if values.ndim > 1:
        raise ValueError(
            f"{path} holds {values[0].shape} values in each place of {name!r}, and a table one: "
            "save each as a field of its own."
        )
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    try:
        if native.dtype.kind == "S":
            native = np.char.decode(native, "utf-8")
        elif native.dtype == np.longdouble:
            native = native.astype(np.float64)
        return pa.array(native)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} holds {values.dtype} values in {name!r}, which a table cannot take: save "
            "numbers, booleans, dates or text."
        ) from error
