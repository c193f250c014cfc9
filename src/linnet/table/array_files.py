"""NumPy's own files, NPY and NPZ, as tables. Nothing in them is ever run as code."""

from __future__ import annotations

import lzma
import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa

from linnet.table.frames import check_few, listed

# What numpy and zipfile raise for files that are cut off, altered, or not of their making.
_DAMAGED = (
    ValueError,
    TypeError,
    ArithmeticError,
    EOFError,
    OSError,
    LookupError,
    MemoryError,
    RecursionError,
    RuntimeError,  # NotImplementedError too, of zipfile
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
# The greatest ratio of deflate (zlib's technical notes).
_MOST_UNPACKED = 1032


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
    lengths: dict[str, int] = {}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{path} holds {name!r}, which is no NPY array: leave it out.")
        for column, values in _columns_of(path, name, array, is_alone=False).items():
            if column in columns:
                raise ValueError(
                    f"{path} gives two columns the name {column!r}: rename one of its arrays."
                )
            columns[column] = values
        lengths[name] = len(array)
    if len(set(lengths.values())) > 1:
        told = listed(f"{name!r} has {length}" for name, length in lengths.items())
        raise ValueError(
            f"{path} holds arrays with different numbers of rows ({told}): save arrays with one "
            "row for each observation, and other arrays in a file of their own."
        )
    return pa.table(columns)


def _load(path: Path) -> np.ndarray | dict[str, np.ndarray | None]:
    """Return the array of an NPY file, or those of an NPZ file; None for what is no array there."""
    try:
        with open(path, "rb") as file:
            if file.read(2) != b"PK":
                file.seek(0)
                return _read_array(file, path.stat().st_size)
        with zipfile.ZipFile(path) as archive:
            return {
                entry.filename.removesuffix(".npy"): _read_entry(archive, entry)
                for entry in archive.infolist()
            }
    except _DAMAGED as error:
        raise _told(path, error) from error


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray | None:
    # zipfile gives no more bytes than the directory tells, and the directory could tell of any.
    if entry.file_size > _MOST_UNPACKED * entry.compress_size + 1024:
        raise ValueError("more bytes than could be packed")
    with archive.open(entry) as file:
        if file.read(6) != b"\x93NUMPY":
            return None
        file.seek(0)
        return _read_array(file, entry.file_size)


def _read_array(file: IO[bytes], n_bytes: int) -> np.ndarray:
    """Read one array of a file of so many bytes; sizes are compared before they take memory."""
    version = np.lib.format.read_magic(file)
    # Bytes of the header's length; version 3 differs from 2 in the letters of names only.
    n_told = {(1, 0): 2, (2, 0): 4, (3, 0): 4}[version]
    n_header = int.from_bytes(file.read(n_told), "little")
    if n_header > n_bytes:
        raise ValueError("the header is longer than the file")
    file.seek(np.lib.format.MAGIC_LEN)
    read_header = (
        np.lib.format.read_array_header_1_0 if n_told == 2 else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read_header(file)
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > n_bytes - file.tell():
        raise ValueError("the array is larger than the file")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


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
    if array.ndim and array.size == 0:
        if len(array):
            raise ValueError(f"{path} has no columns: write a table with at least one.")
        raise ValueError(f"{path} has no rows: add at least one row of values.")
    if array.dtype.itemsize == 0:
        raise ValueError(f"{path} holds {name!r}, whose values have no bytes: leave it out.")
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
    check_few(array.shape[1], str(path))
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
