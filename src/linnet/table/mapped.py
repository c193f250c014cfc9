"""Arrays that lie in a mapped file: pages that were read are given back to the system."""

from __future__ import annotations

import mmap

import numpy as np


def release(array: np.ndarray) -> None:
    """Let the system take back the pages of the file that an array was mapped from, read-only.

    Nothing happens to an array in memory. Pages that are asked for again are read again.

    Parameters
    ----------
    array : ndarray
        Such as ``numpy.load(path, mmap_mode="r")``, or a view of it.
    """
    base: object = array
    is_read_only = False
    while isinstance(base, np.ndarray):
        is_read_only = isinstance(base, np.memmap) and base.mode == "r"
        base = base.base
    if is_read_only and isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
