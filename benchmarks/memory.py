"""Memory: how far a training's peak lies above what its libraries and its data take.

Each contestant starts in a fresh process, which first trains the same network with one neuron in
each hidden layer on four rows, so that whatever is loaded at first use is loaded, and gives back
what it freed. Then it holds the rows as float32 arrays; from there the peak is counted.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks.contestants import OF_MEMORY, Contestant
from benchmarks.problems import STEPS, Problem
from benchmarks.rounds import Skipped, save_data, say, start

PROBLEMS = tuple(replace(problem, rows=100_000, epochs=2) for problem in STEPS[:3])


def run(
    rounds: int,
    threads: tuple[int, ...],
    contestants: tuple[Contestant, ...] = OF_MEMORY,
    problems: tuple[Problem, ...] = PROBLEMS,
) -> dict:
    """Return this part of the results; each size is measured once, for it hardly varies."""
    versions: dict[str, str] = {}
    measured, skipped = [], []
    for problem in problems:
        rows = []
        for contestant in contestants:
            with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
                workers, absent = start((contestant,), threads, stack)
                skipped += [{**who, "problem": problem.name} for who in absent]
                for worker in workers:
                    versions |= worker.versions
                    try:
                        worker.prepare(problem, save_data(problem, Path(folder)), _tiny(problem))
                        result = worker.train(problem, seed=0)
                    except Skipped as reason:
                        who = {"name": worker.name, "threads": worker.threads}
                        skipped.append({**who, "problem": problem.name, "reason": str(reason)})
                        continue
                    row = {"name": worker.name, "threads": worker.threads}
                    rows.append({**row, "peak_bytes": result["peak_bytes"]})
                    say(f"{problem.name}: {row}, {result['peak_bytes']} bytes")
        measured.append({"problem": problem.to_json(), "name": problem.name, "rows": rows})
    return {"rounds": 1, "versions": versions, "problems": measured, "skipped": skipped}


def _tiny(problem: Problem) -> Problem:
    narrow = (problem.sizes[0], *[1] * (len(problem.sizes) - 2), problem.sizes[-1])
    return replace(problem, sizes=narrow, rows=4, batch_size=2, epochs=1)
