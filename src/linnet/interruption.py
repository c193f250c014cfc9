"""Where work in a thread asks whether it is to end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_in_thread = threading.local()


def check() -> None:
    """Raise KeyboardInterrupt where the work of this thread is to end.

    Python raises it in the main thread alone, and one that is raised in another thread from outside
    may come up within a weak reference's callback, where Python drops it. What takes long asks here
    between its steps.

    Raises
    ------
    KeyboardInterrupt
        Within `ended_if` whose question was answered by yes.
    """
    is_over = getattr(_in_thread, "is_over", None)
    if is_over is not None and is_over():
        raise KeyboardInterrupt


@contextmanager
def ended_if(is_over: Callable[[], bool]) -> Iterator[None]:
    """Let `check` in this thread end the block once ``is_over()`` is true."""
    before = getattr(_in_thread, "is_over", None)
    _in_thread.is_over = is_over
    try:
        yield
    finally:
        _in_thread.is_over = before
