"""A step of training, for networks of six sizes, and the share of the processor's peak."""

from __future__ import annotations

import statistics
from contextlib import ExitStack

from benchmarks.contestants import OF_STEPS, Contestant
from benchmarks.machine import Peak
from benchmarks.problems import STEPS, Problem
from benchmarks.rounds import compare, say, start


def run(
    rounds: int,
    threads: tuple[int, ...],
    contestants: tuple[Contestant, ...] = OF_STEPS,
    problems: tuple[Problem, ...] = STEPS,
) -> dict:
    """Return this part of the results."""
    measured, skipped = [], []
    with ExitStack() as stack:
        peak = Peak()
        stack.callback(peak.close)
        workers, absent = start(contestants, threads, stack)
        for problem in problems:
            say(f"-- {problem.name}")
            peaks = {n: [peak.measure(n)] for n in threads}
            rows, fallen = compare(problem, workers, rounds)
            for n in threads:
                peaks[n].append(peak.measure(n))
            for row in rows:
                _add_speed(row, problem, peaks[row["threads"]])
            skipped += [{**who, "problem": problem.name} for who in fallen]
            measured.append({"problem": problem.to_json(), "name": problem.name, "rows": rows})
        versions = {k: v for worker in workers for k, v in worker.versions.items()}
    return {"versions": versions, "problems": measured, "skipped": absent + skipped}


def _add_speed(row: dict, problem: Problem, peaks: list[float | None]) -> None:
    """Add microseconds a step, GFLOP/s of the matrix products, and their share of the peak.

    The peak is the mean of one measurement before the rounds and one after them.
    """
    flops = 2 * problem.multiply_adds * problem.rows * problem.epochs
    row["step_us"] = 1e6 * row["median_seconds"] / problem.steps
    row["gflops"] = 1e-9 * flops / row["median_seconds"]
    known = [value for value in peaks if value is not None]
    row["peak_gflops"] = statistics.mean(known) if known else None
    row["share_of_peak"] = row["gflops"] / row["peak_gflops"] if known else None
