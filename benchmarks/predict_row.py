"""How long the prediction of a single row takes: ``python benchmarks/predict_row.py``.

A fitted network of (64, 64) hidden units, 8 inputs, one output. Medians in microseconds of calls in
turn (A B C A B C ...), so that all see the same moods of the machine. The time beyond
scikit-learn's checks is below zero where linnet, which checks a plain array by itself, is done
before they are.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor as SklearnRegressor
from sklearn.utils.validation import validate_data

import linnet

ROUNDS = 3000


def medians(calls: dict[str, object]) -> dict[str, float]:
    """Return the median time of each call in microseconds."""
    times: dict[str, list[int]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.perf_counter_ns()
            call()
            times[name].append(time.perf_counter_ns() - start)
    return {name: float(np.median(t)) / 1000 for name, t in times.items()}


def main() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 8))
    y = X[:, 0] * X[:, 1]
    row = X[:1].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours = linnet.MLPRegressor((64, 64), max_iter=5, random_state=0).fit(X, y)
        theirs = SklearnRegressor(hidden_layer_sizes=(64, 64), max_iter=5, random_state=0).fit(X, y)
    module, mean, scale = ours.module_, ours.target_.mean, ours.target_.scale
    center, width = X.mean(axis=0), X.std(axis=0)

    def by_hand() -> np.ndarray:
        with torch.no_grad():
            x = torch.from_numpy(((row - center) / width).astype(np.float32))
            return module(x).numpy() * scale + mean

    def checks() -> None:
        validate_data(ours, row, reset=False, dtype=[np.float64, np.float32])

    torch.set_num_threads(1)
    found = medians(
        {
            "linnet": lambda: ours.predict(row),
            "scikit-learn": lambda: theirs.predict(row),
            "torch module by hand": by_hand,
            "scikit-learn's validate_data alone": checks,
        }
    )
    for name, microseconds in found.items():
        print(f"{name:36} {microseconds:8.1f} µs")
    beyond = found["linnet"] - found["scikit-learn's validate_data alone"]
    print(f"{'linnet beyond validate_data':36} {beyond:8.1f} µs")
    print(f"{'linnet by scikit-learn':36} {found['linnet'] / found['scikit-learn']:8.2f}")


if __name__ == "__main__":
    main()
