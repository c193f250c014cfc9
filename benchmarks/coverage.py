"""Do the error bars hold? ``python -m benchmarks.coverage [FOLDER]``.

FOLDER holds tables NAME.csv, the target in the last column, and beside each NAME.splits.json with
``{"test_rows": [[...], ...]}``, the test rows of each split. For each table: test RMSE in the
target's units, the share of test rows inside 90 % intervals (pooled over splits), that of the half
with narrower and of the half with wider intervals, their mean width, the mean log-likelihood of the
normal distribution of ``predict(X, return_std=True)``, and processor seconds of a fit.

Without a folder: the share of rows inside for the problems of tests/noisy_problems.py, of which the
noise is known, by the number of rows and with nothing set.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from scipy.stats import norm

import linnet
from benchmarks import ROOT
from benchmarks.machine import processor

sys.path.insert(0, str(ROOT / "tests"))
from noisy_problems import PROBLEMS

SIZES = (20, 60, 200, 600)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=4, help="fits of each known problem and size")
    parser.add_argument("--splits", type=int, default=5, help="how many splits of each table")
    parser.add_argument("--only", nargs="*", help="names of tables")
    parser.add_argument("--max-rows", type=int, default=10**9, help="training rows, at most")
    given = parser.parse_args()
    if given.folder is None:
        print(processor(), f"; {given.seeds} fits each, 90 % intervals")
        print("problem         | " + " ".join(f"{f'N={n}':>7}" for n in SIZES))
        shares = []
        for name in PROBLEMS:
            shares.append([_known(name, n_rows, given.seeds) for n_rows in SIZES])
            print(f"{name:15} | " + " ".join(f"{share:7.3f}" for share in shares[-1]), flush=True)
        means = np.mean(shares, axis=0)
        print(f"{'mean':15} | " + " ".join(f"{share:7.3f}" for share in means))
        return
    print(processor(), f"; {given.splits} splits, 90 % intervals")
    print("table           |    RMSE | inside narrow   wide |  width | log-likelihood | seconds")
    for path in sorted(given.folder.glob("*.csv")):
        if given.only and path.stem not in given.only:
            continue
        table = np.genfromtxt(path, delimiter=",", skip_header=1)
        splits = json.loads(path.with_suffix(".splits.json").read_text())["test_rows"]
        found = [
            _split(table, np.array(test), seed, given.max_rows)
            for seed, test in enumerate(splits[: given.splits])
        ]
        rmse, inside, narrow, wide, width, likelihood, seconds = np.mean(found, axis=0)
        error = np.std([row[5] for row in found]) / np.sqrt(len(found))
        print(
            f"{path.stem:15} | {rmse:7.4g} | {inside:6.3f} {narrow:6.3f} {wide:6.3f} | "
            f"{width:6.4g} | {likelihood:7.3f} ± {error:.3f} | {seconds:7.1f}",
            flush=True,
        )


def _known(name: str, n_rows: int, n_seeds: int) -> float:
    shares = []
    for seed in range(n_seeds):
        rng = np.random.default_rng((seed, n_rows))
        X, y, _ = PROBLEMS[name](rng, n_rows)
        X_test, y_test, _ = PROBLEMS[name](rng, 4000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = linnet.EnsembleRegressor(random_state=seed).fit(X, y)
        ends = model.predict_interval(X_test, coverage=0.9)
        shares.append(np.mean((ends[..., 0] <= y_test) & (y_test <= ends[..., 1])))
    return float(np.mean(shares))


def _split(table: np.ndarray, test: np.ndarray, seed: int, max_rows: int) -> list[float]:
    rows = np.setdiff1d(np.arange(len(table)), test)[:max_rows]
    X, y = table[:, :-1], table[:, -1]
    started = time.process_time()
    model = linnet.EnsembleRegressor(random_state=seed).fit(X[rows], y[rows])
    seconds = time.process_time() - started
    mean, std = model.predict(X[test], return_std=True)
    low, high = model.predict_interval(X[test], coverage=0.9).T
    inside, widths = (low <= y[test]) & (y[test] <= high), high - low
    is_wide = widths > np.median(widths)
    return [
        float(np.sqrt(np.mean((mean - y[test]) ** 2))),
        float(inside.mean()),
        float(inside[~is_wide].mean()),
        float(inside[is_wide].mean()),
        float(widths.mean()),
        float(norm.logpdf(y[test], mean, std).mean()),
        seconds,
    ]


if __name__ == "__main__":
    main()
