"""Contestants take turns, A B C A B C, each in a process of its own; ratios are taken by round."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import ROOT
from benchmarks.contestants import Contestant
from benchmarks.problems import Problem, data

# After its turn a framework's threads may go on spinning for a while, waiting for more to do.
PAUSE = 0.25

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)


class Skipped(Exception):
    """A contestant cannot take part; the message says why."""


class Worker:
    """A contestant's process, on as many cores as it may have threads."""

    def __init__(self, contestant: Contestant, threads: int):
        self.name, self.threads, self.versions = contestant.name, threads, {}
        python = ROOT / contestant.environment / "bin" / "python"
        if contestant.environment == ".venv":
            python = Path(sys.executable)
        if not python.exists():
            raise Skipped(f"{contestant.environment} is not installed: `make bench` does that")
        words = [python, "-m", "benchmarks.worker", contestant.module, threads, contestant.knob]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (`close` does)
        self._process = subprocess.Popen(
            [str(word) for word in words if word is not None],
            cwd=ROOT,
            env=_environment(threads),
            preexec_fn=lambda: pin(threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        try:
            self.versions = self._hear()["versions"]
        except Skipped:
            self.close()
            raise

    def ask(self, do: str, **values) -> dict:
        """Return the answer to one task; the process does nothing in between."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # why it ended is told by what it wrote
            print(json.dumps({"do": do, **values}), file=self._process.stdin, flush=True)
        return self._hear()

    def prepare(self, problem: Problem, arrays: Path, warm_up: Problem | None = None) -> dict:
        few = warm_up or replace(
            problem, rows=min(problem.rows, 4 * problem.batch_size), epochs=min(problem.epochs, 2)
        )
        return self.ask(
            "prepare",
            key=repr(problem),
            problem=problem.to_json(),
            warm_up=few.to_json(),
            data=str(arrays),
        )

    def train(self, problem: Problem, seed: int) -> dict:
        values = self.ask("train", key=repr(problem), seed=seed)
        assert values["epochs"] == problem.epochs, f"{self.name} trained {values['epochs']} epochs"
        return values

    def _hear(self) -> dict:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            last = self._errors.read().strip().splitlines()[-1:] or ["it ended without a word"]
            raise Skipped(last[0])
        values = json.loads(line)
        if "skipped" in values:
            raise Skipped(values["skipped"])
        return values

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()


def cores() -> list[int]:
    """Return the numbers of the processor's cores that may be used, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def pin(threads: int) -> None:
    """Keep this process on the last cores, one for each thread; the first serve the system."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores()[-threads:])


def _environment(threads: int) -> dict[str, str]:
    values = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
    # XLA has as many threads as it has cores, and one more pool for its products.
    values["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()}"
    return values


def start(
    contestants: tuple[Contestant, ...], threads: tuple[int, ...], stack: ExitStack
) -> tuple[list[Worker], list[dict]]:
    """Return the workers, closed with the stack, and who is skipped and why."""
    workers, skipped = [], []
    for n in threads:
        for contestant in contestants:
            try:
                if n > len(cores()):
                    raise Skipped(f"{n} threads need {n} cores, here are {len(cores())}")
                worker = Worker(contestant, n)
            except Skipped as reason:
                skipped.append(_skipped(contestant.name, n, reason))
                continue
            stack.callback(worker.close)
            workers.append(worker)
    return workers, skipped


def compare(problem: Problem, workers: list[Worker], rounds: int) -> tuple[list[dict], list[dict]]:
    """Return a row for each worker with what each round gave, and who fell out and why."""
    rows, skipped = [], []
    with tempfile.TemporaryDirectory() as folder:
        arrays = save_data(problem, Path(folder))
        ready = []
        for worker in workers:
            try:
                prepared = worker.prepare(problem, arrays)
            except Skipped as reason:
                skipped.append(_skipped(worker.name, worker.threads, reason))
                continue
            row = {"name": worker.name, "threads": worker.threads}
            row |= {"prepare_seconds": prepared["seconds"], "seconds": [], "losses": []}
            ready.append((worker, row))
    for turn in range(rounds):
        for worker, row in list(ready):
            time.sleep(PAUSE)
            try:
                result = worker.train(problem, seed=turn)
            except Skipped as reason:
                skipped.append(_skipped(worker.name, worker.threads, reason))
                ready.remove((worker, row))
                continue
            row["seconds"].append(result["seconds"])
            row["losses"].append(result["loss"])
            say(
                f"round {turn + 1}: {worker.name}, {worker.threads} thread(s): "
                f"{result['seconds']:.4f} s, loss {result['loss']:.2e}"
            )
    rows = [row for _, row in ready]
    return summarise(rows), skipped


def summarise(rows: list[dict]) -> list[dict]:
    """Add medians, and ratios to the first contestant at the same number of threads."""
    for row in rows:
        same = next(r for r in rows if r["threads"] == row["threads"])
        alone = next(r for r in rows if r["name"] == row["name"])
        row["median_seconds"] = statistics.median(row["seconds"])
        row["median_loss"] = statistics.median(row["losses"])
        row["times_as_long"] = median_of_ratios(row["seconds"], same["seconds"])
        row["speed_over_one_thread"] = median_of_ratios(alone["seconds"], row["seconds"])
    return rows


def median_of_ratios(numerators: list[float], denominators: list[float]) -> float:
    """Return the median of each round's ratio."""
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))


def save_data(problem: Problem, folder: Path) -> Path:
    """Write the arrays where the workers read them."""
    X, y = data(problem)
    np.savez(folder / "data.npz", X=X, y=y)
    return folder / "data.npz"


def say(line: str) -> None:
    """Show how far it is."""
    print(line, file=sys.stderr, flush=True)


def _skipped(name: str, threads: int, reason: Exception) -> dict:
    say(f"skipped: {name}, {threads} thread(s): {reason}")
    return {"name": name, "threads": threads, "reason": str(reason)}
