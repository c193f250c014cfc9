"""How long eight members take on two cores, beside one on one: ``python -m benchmarks.ensemble``.

Both train the same network, as `linnet.EnsembleRegressor` chooses it for the table, for the same
number of epochs. They take turns, and the ratio is taken in each turn. The first columns are those
of the members alone, the last of a whole `fit`, error bars included. Processor time tells what the
work was where other programs held the cores, and wall time what a user waits for.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.machine import processor
from benchmarks.rounds import cores, pin
from linnet import EnsembleRegressor, losses
from linnet.ensemble.folds import Folds, windows
from linnet.ensemble.members import Plan, train_members
from linnet.ensemble.settings import choose

TABLES = ((1000, 8), (10_000, 8), (1000, 100))
WANTED = 4.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    given = parser.parse_args()
    print(f"{processor()}, {len(cores())} cores; {given.epochs} epochs, {given.rounds} rounds")
    print("8 members on 2 cores / 1 member on 1 core; wanted: at most", WANTED)
    print("   rows inputs |  1 member, s | members: wall  processor | whole fit: wall  processor")
    pin(2)
    for n_rows, n_inputs in TABLES:
        X, y = _table(n_rows, n_inputs)
        ratios = [_round(X, y, given.epochs) for _ in range(given.rounds)]
        one, wall, cpu, fit_wall, fit_cpu = np.median(ratios, axis=0)
        print(
            f"{n_rows:7,} {n_inputs:6} | {one:12.3f} | {wall:13.2f} {cpu:10.2f} | "
            f"{fit_wall:15.2f} {fit_cpu:10.2f}",
            flush=True,
        )


def _table(n_rows: int, n_inputs: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_inputs)).astype(np.float32)
    return X, (np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.normal(size=n_rows))[:, None]


def _round(X: np.ndarray, y: np.ndarray, epochs: int) -> list[float]:
    """Return the time of one member, and ratios to it in wall and in processor time."""
    y = y.astype(np.float32)
    held_out = windows(len(X), 8, seed=0)
    settings = choose(len(X) - len(held_out[0]), X.shape[1], 1, max_iter=epochs)
    loss = losses.resolve("squared_error")

    def train(n_members: int, n_threads: int) -> None:
        plan = Plan(
            X, y, None, 1, loss, settings, list(range(n_members)),
            Folds(len(X), held_out[:n_members]), torch.float32,
        )  # fmt: skip
        train_members(plan, engine="native", device="cpu", n_threads=n_threads, max_time=None)

    one = _timed(lambda: train(1, 1))
    members = _timed(lambda: train(8, 2))
    model = EnsembleRegressor(8, max_iter=epochs, n_threads=2, random_state=0)
    whole = _timed(lambda: model.fit(X, y.ravel()))
    return [one[0], *(members / one), *(whole / one)]


def _timed(work: Callable[[], object]) -> np.ndarray:
    """Return wall and processor time in seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return np.array([time.perf_counter() - wall, time.process_time() - cpu])


if __name__ == "__main__":
    main()
