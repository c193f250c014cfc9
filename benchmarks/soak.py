"""A soak: random settings, engines, threads, tables and interruptions, for as long as is asked.

    python -m benchmarks.soak --minutes 30 --seed 0 --log soak.jsonl

Each trial is done by two processes that live as long as they can. The steady one trains without
interruption. The restless one trains with another number of threads and is interrupted at random
moments by Ctrl-C, SIGTERM or SIGKILL; where there is a checkpoint, it goes on from it. In the end
it has to give the same bits. What is a fault: other bits, an error that is no sentence of linnet's,
a warning of another library, a number that is not finite, a process that does not answer or dies.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
ESTIMATORS = ("MLPRegressor", "MLPClassifier", "EnsembleRegressor", "EnsembleClassifier")
SOLVERS = ("adam", "adamw", "sgd", "rmsprop", "lbfgs", "lm")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
LONGEST = 120.0  # seconds for which no thread of a process may be about to compute


def draw(random: np.random.Generator) -> dict[str, Any]:
    """Return the settings of a trial."""
    kind = "train" if random.random() < 0.6 else str(random.choice(ESTIMATORS))
    hidden = random.integers(1, 65, size=random.integers(1, 4)).tolist()
    engine = str(random.choice(["native", "torch"]))
    job = {
        "kind": kind,
        "seed": int(random.integers(2**31)),
        "engine": "auto" if engine == "native" else engine,
        "n_rows": int(10 ** random.uniform(1.3, 3.5)),
        "n_columns": int(random.integers(1, 21)),
        "n_classes": int(random.integers(2, 5)),
        "is_frame": bool(random.random() < 0.5),
        "dtype": str(random.choice(["float32", "float64"])),
        "checkpoint": None,
        "hidden": hidden,
        "dropout": float(random.choice([0.0, 0.0, 0.1, 0.5])),
    }
    batch_size = int(2 ** random.integers(1, 9))
    solver = str(random.choice(SOLVERS))
    # So many that a training takes some seconds: a step takes longer in PyTorch.
    step = 4e-4 if engine == "torch" else 3e-5
    step += sum(hidden) * 20 * batch_size * 1e-9
    n_steps = job["n_rows"] / batch_size
    seconds = random.uniform(0.2, 2.0) if kind == "train" else random.uniform(0.1, 0.5)
    epochs = int(np.clip(seconds / (step * n_steps), 2, 3000))
    epochs = min(epochs, 100) if solver in ("lbfgs", "lm") else epochs
    if kind == "train":
        job["batch_norm"] = bool(random.random() < 0.3) and solver not in ("lbfgs", "lm")
        job["activation"] = str(random.choice(["Tanh", "ReLU", "SiLU", "GELU"]))
        job["validates"] = bool(random.random() < 0.5)
        job["options"] = {
            "optimizer": solver,
            "epochs": epochs,
            "batch_size": batch_size,
            "clip_grad_norm": float(random.choice([0.5, 5.0])) if random.random() < 0.3 else None,
            "shuffle": bool(random.random() < 0.8),
        }
        if solver in ("lbfgs", "lm"):
            job["dropout"] = 0.0
            job["options"]["clip_grad_norm"] = None
    elif kind.startswith("MLP"):
        job["options"] = {
            "hidden_layer_sizes": hidden,
            "solver": "adam" if solver == "lm" and kind.endswith("Classifier") else solver,
            "dropout": 0.0 if solver in ("lbfgs", "lm") else job["dropout"],
            "max_iter": epochs,
            "batch_size": batch_size,
            "early_stopping": bool(random.random() < 0.5) and solver != "lbfgs",
            "learning_rate": "constant" if solver == "lm" else "cosine",
            "dtype": job["dtype"],
        }
    else:
        members = int(random.integers(2, 6))
        job["options"] = {"n_members": members, "max_iter": max(2, min(epochs // 100, 10))}
    return job


class Worker:
    """A process of `soak_job`, started again where it has died."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.n_starts = self._n_jobs = 0

    def start(self) -> None:
        """Start the process unless it is there."""
        if self._process is not None and self._process.poll() is None:
            return
        self.n_starts += 1
        self._lines = queue.Queue()
        with open(self._folder / "stderr", "ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.soak_job"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        threading.Thread(target=self._read, args=(self._process, self._lines), daemon=True).start()
        self.next_line()

    @staticmethod
    def _read(process: subprocess.Popen[str], lines: queue.Queue[dict[str, Any] | None]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(json.loads(line))
        lines.put(None)

    def next_line(self) -> dict[str, Any] | None:
        """Return the next thing that the process says; None if it has died.

        Raises
        ------
        TimeoutError
            If it says nothing and waits for nothing. On a busy computer a process that is about to
            compute may have to wait for long: that time does not count.
        """
        idle = 0.0
        while idle < LONGEST:
            try:
                return self._lines.get(timeout=1.0)
            except queue.Empty:
                idle += not self._is_at_work()
        self.stop()
        raise TimeoutError(f"no answer, and nothing done for {LONGEST:g} seconds")

    def _is_at_work(self) -> bool:
        """Whether some thread computes, waits for a processor or for the disk, or is stopped."""
        assert self._process is not None
        for path in Path(f"/proc/{self._process.pid}/task").glob("*/stat"):
            with suppress(OSError):
                if path.read_text().rsplit(")", 1)[1].split()[0] in "RDT":
                    return True
        return False

    def begin(self, job: dict[str, Any]) -> bool:
        """Hand over a job; return whether it goes on from a checkpoint."""
        self.start()
        assert self._process is not None and self._process.stdin is not None
        self._n_jobs += 1
        self._process.stdin.write(json.dumps({**job, "number": self._n_jobs}) + "\n")
        self._process.stdin.flush()
        begun = self.next_line()
        assert begun is not None and begun["begun"] == self._n_jobs, begun
        return begun["goes_on"]

    def interrupt(self, number: int) -> None:
        """Send a signal."""
        assert self._process is not None
        os.kill(self._process.pid, number)

    def exit_status(self) -> int:
        """Return how the process ended."""
        assert self._process is not None
        return self._process.wait()

    def stop(self) -> None:
        """End the process."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class Soak:
    """The trials, and what is counted of them."""

    def __init__(self, seed: int, folder: Path, log: Path | None):
        self.random = np.random.default_rng(seed)
        self.steady, self.restless = Worker(folder), Worker(folder)
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self.states: list[dict[str, int]] = []
        self._folder, self._log = folder, log

    def trial(self, number: int) -> None:
        """Do one job in both processes, interrupted in one of them, and compare."""
        job = draw(self.random)
        one, other = self.random.permutation([1, 2, 3]).tolist()[:2]
        if job["engine"] != "native":  # PyTorch's products round otherwise with other threads
            other = one
        path = self._folder / f"{number}.checkpoint"
        record: dict[str, Any] = {"job": job}
        try:
            self.steady.begin({**job, "n_threads": one})
            expected = self.steady.next_line()
            record["expected"] = expected
            if expected is None:
                raise AssertionError("the steady process has died")
            self.states.append({name: expected[name] for name in ("bytes", "threads", "handles")})
            self._count(job, expected)
            if "refused" not in expected:
                job = {**job, "n_threads": other}
                if job["kind"] == "train":
                    job["checkpoint"] = str(path)
                    job["options"] = {**job["options"], "checkpoint_every": 0.0}
                record["interruptions"] = self._interrupt(job, expected["seconds"])
                self.restless.begin(job)
                found = record["found"] = self.restless.next_line()
                self.counts["fits"] += 1
                told = {} if found is None else found
                if "fault" in told or told.get("digest") != expected.get("digest"):
                    raise AssertionError(f"expected {expected}, found {found}")
            if "fault" in expected:
                raise AssertionError(expected["fault"])
        except (AssertionError, TimeoutError, BrokenPipeError) as fault:
            record["fault"] = f"{type(fault).__name__}: {fault}"
            self.faults.append(f"trial {number}: {record['fault']}")
        path.unlink(missing_ok=True)
        self.counts["trials"] += 1
        if self._log is not None:
            with open(self._log, "a") as log:
                log.write(json.dumps(record) + "\n")

    def _count(self, job: dict[str, Any], found: dict[str, Any]) -> None:
        self.counts["fits"] += 1
        self.counts[f"kind: {job['kind']}"] += 1
        self.counts[f"engine: {job['engine']}"] += 1
        self.counts["refused in a sentence"] += "refused" in found
        if "outcome" in found:
            self.counts[f"ended: {found['outcome']}"] += 1

    def _interrupt(self, job: dict[str, Any], seconds: float) -> list[dict[str, Any]]:
        """Interrupt a job at random moments; return when, how, and what was said."""
        done = []
        for _ in range(
            self.random.integers(1, 5) if job["checkpoint"] else self.random.integers(3)
        ):
            # Only Ctrl-C leaves a process that can be asked without a checkpoint.
            which = SIGNALS[self.random.integers(3)] if job["checkpoint"] else signal.SIGINT
            goes_on = self.restless.begin(job)
            moment = self.random.uniform(0, 1.1 * seconds)
            time.sleep(moment)
            self.restless.interrupt(which)
            said = self.restless.next_line()
            time.sleep(0.05)  # it may have come after the answer
            self.counts[f"interrupted by {which.name}"] += 1
            self.counts["went on from a checkpoint"] += goes_on
            done.append({"after": moment, "by": which.name, "goes_on": goes_on, "said": said})
            if said is None:
                status = self.restless.exit_status()
                assert status == -which, f"{which.name} ended the process with {status}"
            else:
                assert "fault" not in said and "refused" not in said, said
                if which is not signal.SIGINT:  # it came after the answer
                    self.restless.exit_status()
        return done

    def summary(self) -> dict[str, Any]:
        """Return counts, faults, and what the steady process held early and late."""
        tenth = max(1, len(self.states) // 10)
        early, late = self.states[tenth : 2 * tenth], self.states[-tenth:]
        middle = {
            f"{when} {name}": float(np.median([state[name] for state in states]))
            for name in ("bytes", "threads", "handles")
            for when, states in (("early", early), ("late", late))
            if states
        }
        starts = {"steady": self.steady.n_starts, "restless": self.restless.n_starts}
        return {**dict(sorted(self.counts.items())), "starts": starts, **middle}


def run(seconds: float, seed: int, log: Path | None = None) -> tuple[dict[str, Any], list[str]]:
    """Soak for so many seconds; return what was done and every fault."""
    ends = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(seed, Path(folder), log)
        try:
            number = 0
            while time.monotonic() < ends:
                soak.trial(number)
                number += 1
        finally:
            soak.steady.stop()
            soak.restless.stop()
        errors = (Path(folder) / "stderr").read_text()
        if errors:
            soak.faults.append(f"said on the standard error stream: {errors[-2000:]}")
        return soak.summary(), soak.faults


def main() -> None:
    parser = argparse.ArgumentParser(description="Train at random for a while, and interrupt it.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, help="a line of JSON for each trial is added to it")
    given = parser.parse_args()
    summary, faults = run(60 * given.minutes, given.seed, given.log)
    print(json.dumps(summary, indent=2))
    for fault in faults:
        print(fault)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
