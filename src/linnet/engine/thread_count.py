"""How many threads an epoch takes: as many as were fastest lately.

The native engine gives the same bits with any number of threads, so the number may change from one
epoch to the next. On a computer that does nothing else all of them are fastest; on a busy one a
thread that waits for its turn holds up the others at each step.
"""

from __future__ import annotations

# Multiply-adds of a step for each thread, below which meeting at the barriers takes too long.
_WORK_OF_A_THREAD = 500_000
# Epochs that take all threads, so that short trainings lose nothing to trials.
_FIRST_EPOCHS = 4
# Epochs after which another number is tried again.
_TRIED_AGAIN_AFTER = 16


class ThreadCount:
    """Chooses a number of threads for each epoch.

    Parameters
    ----------
    greatest : int
        How many there may be.
    work : int
        Multiply-adds of a step, rows of a batch times weights.

    Examples
    --------
    >>> from linnet.engine.thread_count import ThreadCount
    >>> ThreadCount(8, 10_000).candidates
    [1]
    >>> ThreadCount(8, 10_000_000).candidates
    [8, 4, 1]
    """

    def __init__(self, greatest: int, work: int):
        most = max(1, min(greatest, work // _WORK_OF_A_THREAD))
        self.candidates = sorted({most, max(1, most // 2), 1}, reverse=True)
        self._seconds = dict.fromkeys(self.candidates, 0.0)  # of the last epoch with so many
        self._n_epochs = 0
        self._count = most

    def choose(self) -> int:
        """Return the number of threads for the next epoch."""
        self._count = self.candidates[self._next()]
        return self._count

    def took(self, seconds: float) -> None:
        """Keep the time of the epoch that `choose` was asked for."""
        self._seconds[self._count] = max(seconds, 1e-9)
        self._n_epochs += 1

    def _next(self) -> int:
        n = len(self.candidates)
        in_round = self._n_epochs % (_TRIED_AGAIN_AFTER * n)
        if self._n_epochs < _FIRST_EPOCHS:
            return 0
        untried = [i for i, count in enumerate(self.candidates) if not self._seconds[count]]
        if untried:
            return untried[0]
        if in_round % _TRIED_AGAIN_AFTER == 0:
            return in_round // _TRIED_AGAIN_AFTER
        return min(range(n), key=lambda i: self._seconds[self.candidates[i]])
