"""A step of training, for networks of six sizes, and the share of the processor's peak."""

from __future__ import annotations

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
        peaks: dict[int, list[float]] = {n: [] for n in threads}
        for problem in problems:
            say(f"-- {problem.name}")
            rows, fallen = compare(problem, workers, rounds)
            skipped += [{**who, "problem": problem.name} for who in fallen]
            measured.append({"problem": problem.to_json(), "name": problem.name, "rows": rows})
            for n in threads:
                peaks[n] += filter(None, [peak.measure(n)])
        versions = {k: v for worker in workers for k, v in worker.versions.items()}
    most = {n: max(values, default=None) for n, values in peaks.items()}
    for problem, part in zip(problems, measured, strict=True):
        for row in part["rows"]:
            _add_speed(row, problem, most[row["threads"]])
    return {"versions": versions, "problems": measured, "skipped": absent + skipped}


def _add_speed(row: dict, problem: Problem, peak: float | None) -> None:
    """Add microseconds a step, GFLOP/s of the matrix products, and their share of the peak."""
    flops = 2 * problem.multiply_adds * problem.rows * problem.epochs
    row["step_us"] = 1e6 * row["median_seconds"] / problem.steps
    row["gflops"] = 1e-9 * flops / row["median_seconds"]
    row["peak_gflops"] = peak
    row["share_of_peak"] = None if peak is None else row["gflops"] / peak
