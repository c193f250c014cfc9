"""One contestant in a process of its own: reads a line of JSON, does it, answers with a line.

    python -m benchmarks.worker MODULE THREADS [KNOB]

{"do": "prepare", "key": ..., "problem": ..., "warm_up": ..., "data": FILE}    untimed
{"do": "train", "key": ..., "seed": ...}    one training, timed
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import importlib.metadata
import json
import os
import re
import sys
import time
from pathlib import Path


def serve(module_name: str, threads: int, knob: str | None = None) -> None:
    """Answer until the input ends."""
    # Whatever a framework prints goes to the standard error stream.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def answer(values: dict) -> None:
        print(json.dumps(values), file=answers)

    try:
        contestant = importlib.import_module(f"benchmarks.contestants.{module_name}")
    except ImportError as error:
        answer({"skipped": str(error)})
        return
    versions = {name: importlib.metadata.version(name) for name in contestant.PACKAGES}
    answer({"versions": versions})
    trainings: dict[str, tuple] = {}
    for line in sys.stdin:
        task = json.loads(line)
        if task["do"] == "prepare":
            trainings[task["key"]], values = _prepare(contestant, task, threads, knob)
        else:
            values = _train(*trainings[task["key"]], task["seed"])
        answer(values)


def _prepare(contestant, task: dict, threads: int, knob: str | None) -> tuple[tuple, dict]:
    import numpy as np

    from benchmarks.problems import Problem

    knobs = {} if knob is None else {"knob": knob}
    arrays = np.load(task["data"])
    X, y = arrays["X"], arrays["y"]
    if getattr(contestant, "NEEDS_WARM_UP", True):
        few = Problem.from_json(task["warm_up"])
        contestant.prepare(few, X[: few.rows], y[: few.rows], threads, **knobs)(0)
    problem = Problem.from_json(task["problem"])
    started = time.perf_counter()
    train = contestant.prepare(problem, X, y, threads, **knobs)
    return (train, X, y), {"seconds": time.perf_counter() - started}


def _train(train, X, y, seed: int) -> dict:
    gc.collect()
    before = _reset_peak()
    started = time.perf_counter()
    fit = train(seed)
    seconds = time.perf_counter() - started
    peak = _memory("VmHWM")
    # Rows by the thousand, for the activations of all rows at once may not fit in the memory.
    errors = [((fit.predict(X[i : i + 1000]) - y[i : i + 1000]) ** 2) for i in _starts(len(X))]
    loss = sum(float(e.sum()) for e in errors) / y.size
    return {
        "seconds": seconds,
        "loss": loss,
        "epochs": len(fit.loss_history),
        "peak_bytes": None if peak is None or before is None else peak - before,
    }


def _starts(rows: int, most: int = 20_000) -> range:
    """Where each thousand of the first rows begins, on which the loss is taken."""
    return range(0, min(rows, most), 1000)


def _reset_peak() -> int | None:
    """Return the memory in use (bytes) and count the peak from it; None where that is unknown."""
    try:
        ctypes.CDLL(None).malloc_trim(0)  # what earlier trainings freed is no part of this one's
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError):
        return None
    return _memory("VmRSS")


def _memory(field: str) -> int | None:
    status = Path("/proc/self/status")
    found = re.search(rf"{field}:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return None if found is None else 1024 * int(found[1])


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
