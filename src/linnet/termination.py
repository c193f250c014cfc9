"""SIGTERM, with which a system asks a process to end, and quick presses, taken for one Ctrl-C."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_SECONDS_TO_SAVE = 5.0


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Take SIGTERM for Ctrl-C while the block runs, and deliver it when the block has ended.

    What follows either within `_SECONDS_TO_SAVE` raises nothing, so that it does not cut off the
    writing of what the first one saves. Only the main thread can; elsewhere, and for a SIGTERM
    that is ignored or a Ctrl-C that somebody else answers, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    interrupt = _one_interrupt(_SECONDS_TO_SAVE)

    def answer(number: int, frame: object) -> None:
        if number == signal.SIGTERM:
            came.append(number)
        interrupt(number, frame)

    taken: dict[int, Any] = {}
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
        taken[signal.SIGTERM] = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        taken[signal.SIGINT] = signal.default_int_handler
    for number in taken:
        signal.signal(number, answer)
    try:
        yield
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)
        if came:
            os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def quick_presses_are_one(within: float = 0.5) -> Iterator[None]:
    """Take presses of Ctrl-C that follow each other within so many seconds for one.

    The first ends the training, whose result is then kept; what follows at once, from a hurried
    hand or a program that hands Ctrl-C on to its group, would cut that off. Only the main thread
    can; elsewhere, and where Ctrl-C is answered by somebody else, nothing changes.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _one_interrupt(within))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _one_interrupt(within: float) -> Callable[[int, object], None]:
    """Return a signal's handler that raises KeyboardInterrupt, but not twice within such a time."""
    last = -math.inf

    def answer(number: int, frame: object) -> None:
        nonlocal last
        if time.monotonic() - last < within:
            return
        last = time.monotonic()
        raise KeyboardInterrupt

    return answer
