"""The tutorial's fit: the whole training, 400 epochs, shuffling and loss history included."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.contestants import OF_TUTORIAL, Contestant
from benchmarks.problems import TUTORIAL, Problem
from benchmarks.rounds import compare, start


def run(
    rounds: int,
    threads: tuple[int, ...],
    contestants: tuple[Contestant, ...] = OF_TUTORIAL,
    problem: Problem = TUTORIAL,
) -> dict:
    """Return this part of the results."""
    with ExitStack() as stack:
        workers, absent = start(contestants, threads, stack)
        rows, fallen = compare(problem, workers, rounds)
        versions = {k: v for worker in workers for k, v in worker.versions.items()}
    return {
        "versions": versions,
        "problems": [{"problem": problem.to_json(), "name": problem.name, "rows": rows}],
        "skipped": absent + fallen,
    }
