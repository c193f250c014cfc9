"""The processors of the computer, which all trainings of a process share.

Each epoch takes the threads that it computes with from here, so that trainings in several threads
do not compute with more of them at once than there are processors.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# Who has waited so many seconds computes all the same: that slows others down, and holds up nobody.
_LONGEST_WAIT = 10.0


def _count() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Processors:
    """Gives out processors; who finds too few waits, in the order of asking.

    Parameters
    ----------
    n_processors : int

    Examples
    --------
    >>> from linnet.engine.processors import Processors
    >>> processors = Processors(4)
    >>> with processors.taken(3) as n_threads:
    ...     n_threads
    3
    """

    def __init__(self, n_processors: int):
        self._n_processors = n_processors
        # By thread, so that what Ctrl-C has kept from being given back is so with the next epoch.
        self._taken: dict[int, int] = {}
        # Bells, not a Condition: where Ctrl-C interrupts its wait, its lock may stay taken.
        self._waiting: deque[queue.SimpleQueue[None]] = deque()
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, wanted: int, *, fewer: bool = False) -> Iterator[int]:
        """Take processors for a while, and give the number of threads that may compute.

        It is `wanted`, more than there are too, if nobody else computes.

        Parameters
        ----------
        wanted : int
        fewer : bool, default=False
            Whether fewer will do, one at least.
        """
        try:
            yield self._take(wanted, 1 if fewer else min(wanted, self._n_processors))
        finally:
            with self._lock:
                self._taken.pop(threading.get_ident(), None)
                self._ring()

    def _take(self, wanted: int, least: int) -> int:
        me, bell = threading.get_ident(), queue.SimpleQueue()
        ends = time.monotonic() + _LONGEST_WAIT
        try:
            while True:
                with self._lock:
                    self._taken.pop(me, None)
                    n_free = self._n_processors - sum(self._taken.values())
                    is_next = not self._waiting or self._waiting[0] is bell
                    is_enough = not self._taken or n_free >= least
                    if (is_next and is_enough) or time.monotonic() > ends:
                        n_threads = min(wanted, max(n_free, least)) if self._taken else wanted
                        self._taken[me] = n_threads
                        return n_threads
                    if bell not in self._waiting:
                        self._waiting.append(bell)
                with suppress(queue.Empty):
                    bell.get(timeout=max(0.0, ends - time.monotonic()))
        finally:
            with self._lock:
                if bell in self._waiting:
                    self._waiting.remove(bell)
                    self._ring()

    def _ring(self) -> None:
        if self._waiting:
            self._waiting[0].put(None)


_PROCESSORS = Processors(_count())


def _renew() -> None:
    global _PROCESSORS
    _PROCESSORS = Processors(_count())  # what was taken may belong to threads that were not forked


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


@contextmanager
def processors(wanted: int, *, fewer: bool = False) -> Iterator[int]:
    """Take processors of this process's; see `Processors.taken`."""
    with _PROCESSORS.taken(wanted, fewer=fewer) as n_threads:
        yield n_threads
