"""Pieces of work in threads, all of which Ctrl-C and the first error end."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch

from linnet.interruption import ended_if


class Crew:
    """Does numbered pieces of work, so many at once.

    Python raises KeyboardInterrupt in the main thread alone; a crew hands it on to the threads that
    are at work, where `linnet.interruption.check` raises it, and begins no further piece.

    Parameters
    ----------
    n_pieces : int
    n_threads : int
        With one thread all is done in the calling thread.

    Attributes
    ----------
    interrupted : bool
        Whether Ctrl-C was pressed. A piece that answers it by itself sets this, which ends the
        others.

    Examples
    --------
    >>> from linnet.crew import Crew
    >>> Crew(3, n_threads=2).run(lambda number: number**2)
    [0, 1, 4]
    """

    def __init__(self, n_pieces: int, n_threads: int):
        self._numbers: Iterator[int] = iter(range(n_pieces))
        self._found: list[Any] = [None] * n_pieces
        self._n_threads = min(n_threads, n_pieces)
        self._n_left = n_pieces
        self._n_at_work = 0
        self._lock = threading.Lock()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._fault: BaseException | None = None
        self.interrupted = False

    def run(self, work: Callable[[int], Any]) -> list[Any]:
        """Return what ``work(number)`` gives for each number; None where it was not done.

        Raises
        ------
        Exception
            The first that a piece of work raised; the others are stopped.
        """
        if self._n_threads <= 1:
            self._work_alone(work)
        else:
            self._work_together(work)
        if self._fault is not None:
            raise self._fault
        return self._found

    def _work_alone(self, work: Callable[[int], Any]) -> None:
        try:
            for number in self._numbers:
                self._found[number] = work(number)
                if self.interrupted:
                    return
        except KeyboardInterrupt:
            self.interrupted = True

    def _work_together(self, work: Callable[[int], Any]) -> None:
        n_of_torch = torch.get_num_threads()
        threads = [
            threading.Thread(target=self._work_in_thread, args=(work,), daemon=True)
            for _ in range(self._n_threads)
        ]
        try:
            try:
                for thread in threads:
                    thread.start()
            except KeyboardInterrupt:
                self.interrupted = True
            except RuntimeError as fault:  # the system gives no further thread
                self._fault = fault
            # Not Thread.join: where Ctrl-C interrupts it, Python 3.11 takes a thread that is still
            # at work for one that has ended. Nor an Event: where Ctrl-C interrupts its wait, its
            # lock may stay taken.
            over = False
            while not over:
                try:
                    with contextlib.suppress(queue.Empty):
                        self._bell.get(timeout=0.1)
                    over = self._is_over()
                except KeyboardInterrupt:
                    self.interrupted = True
        finally:
            # The count that torch gives to new threads is one for the whole process.
            torch.set_num_threads(n_of_torch)

    def _is_over(self) -> bool:
        """Whether no piece is at work, and none will be begun."""
        with self._lock:
            return self._n_at_work == 0 and (self._n_left == 0 or self._is_stopped())

    def _is_stopped(self) -> bool:
        return self.interrupted or self._fault is not None

    def _work_in_thread(self, work: Callable[[int], Any]) -> None:
        with ended_if(self._is_stopped):
            while (number := self._take()) is not None:
                try:
                    self._found[number] = work(number)
                except KeyboardInterrupt:
                    self.interrupted = True
                except BaseException as fault:
                    self._fault = self._fault or fault
                finally:
                    self._leave()

    def _take(self) -> int | None:
        """Return the next number; None if there is no more."""
        with self._lock:
            number = None if self._is_stopped() else next(self._numbers, None)
            self._n_at_work += number is not None
            return number

    def _leave(self) -> None:
        with self._lock:
            self._n_at_work -= 1
            self._n_left -= 1
        self._bell.put(None)
