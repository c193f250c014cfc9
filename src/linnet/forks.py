"""Whether this process was forked after linnet was imported.

A forked process has none of the threads that its parent's torch waits for: an operation on several
of them would never end.
"""

from __future__ import annotations

import os

_IMPORTED_BY = os.getpid()


def is_forked() -> bool:
    """Return whether this process was forked, so that torch can only use one thread in it."""
    return os.getpid() != _IMPORTED_BY
