"""Arrays that lie in a mapped file: pages that were read are given back to the system."""

from __future__ import annotations

import mmap

import numpy as np

_BYTES_PER_BLOCK = 2**22


def release(array: np.ndarray) -> None:
    """Let the system take back the pages of the file that an array was mapped from, read-only.

    Nothing happens to an array in memory. Pages that are asked for again are read again.

    Parameters
    ----------
    array : ndarray
        Such as ``numpy.load(path, mmap_mode="r")``, or a view of it.
    """
    mapping = _mapping(array)
    if mapping is not None:
        mapping.madvise(mmap.MADV_DONTNEED)


def take(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return a copy of some rows, as ``array[rows]`` does.

    A mapped file is read from its start to its end, and its pages are given back meanwhile: rows in
    a random order would have all of it in memory beside the copy.

    Parameters
    ----------
    array : ndarray of shape (N, ...)
    rows : ndarray of int
        Each once at most.
    """
    if _mapping(array) is None:
        return array[rows]
    out = np.empty((len(rows), *array.shape[1:]), dtype=array.dtype)
    place = np.full(len(array), -1, dtype=np.int32 if len(array) < 2**31 else np.int64)
    place[rows] = np.arange(len(rows), dtype=place.dtype)
    step = max(1, _BYTES_PER_BLOCK // max(1, array[:1].nbytes))
    for start in range(0, len(array), step):
        places = place[start : start + step]
        is_taken = places >= 0
        out[places[is_taken]] = array[start : start + step][is_taken]
        release(array)
    return out


def _mapping(array: np.ndarray) -> mmap.mmap | None:
    """Return the file that an array is a read-only view of, where pages can be given back."""
    base: object = array
    is_read_only = False
    while isinstance(base, np.ndarray):
        is_read_only = isinstance(base, np.memmap) and base.mode == "r"
        base = base.base
    can = is_read_only and isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED")
    return base if can and isinstance(base, mmap.mmap) else None
