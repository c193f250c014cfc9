"""Does a search do better than the defaults? ``python -m benchmarks.tuning FOLDER``.

FOLDER holds mpg.csv, penguins.csv, uci/concrete.csv and uci/energy.csv, the last two with their
standard splits beside them; diabetes comes with scikit-learn. For each table and split, the test
loss (RMSE; log loss for classes) of an ensemble with the defaults and of `linnet.tune`, both on the
same training rows. The budget is in seconds of one processor: while the search runs, its clock is
the processor time of the process, so that a busy machine changes nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

import linnet
from benchmarks.machine import processor

TARGETS = {"mpg": "mpg", "penguins": "species"}
TABLES = ("concrete", "energy", "mpg", "penguins", "diabetes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--budget", type=float, default=30.0, help="processor seconds")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=TABLES)
    given = parser.parse_args()
    print(f"{processor()}; budget {given.budget:g} s of one processor")
    print("table     split | defaults  seconds |   search  seconds tried | change | found")
    for split in range(given.splits):
        for name in given.only:
            print(_row(name, split, given.folder, given.budget), flush=True)


def _row(name: str, split: int, folder: Path, budget: float) -> str:
    X, y, X_test, y_test = _split(name, split, folder)
    is_class = y.dtype.kind in "OU"
    kind = linnet.EnsembleClassifier if is_class else linnet.EnsembleRegressor
    started = time.process_time()
    default = kind(random_state=split, n_threads=1).fit(X, y)
    seconds = time.process_time() - started
    with patch("time.monotonic", time.process_time), patch("time.perf_counter", time.process_time):
        started = time.process_time()
        found = linnet.tune(X, y, budget=budget, random_state=split, n_threads=1)
        tuning_seconds = time.process_time() - started
    before, after = (_loss(m, X_test, y_test) for m in (default, found.best_estimator_))
    usual = default.settings_.to_dict()
    changed = {k: v for k, v in found.best_params_.items() if v != usual[k]}
    return (
        f"{name:9} {split:5} | {before:8.4g} {seconds:8.1f} | {after:8.4g} {tuning_seconds:8.1f} "
        f"{len(found.record_.candidates):5} | {100 * np.log(after / before):+5.1f}% | "
        f"{changed or 'the defaults'}"
    )


def _loss(model: Any, X: Any, y: np.ndarray) -> float:
    if hasattr(model, "predict_proba"):
        return float(log_loss(y, model.predict_proba(X), labels=model.classes_))
    return float(np.sqrt(np.mean((model.predict(X) - y) ** 2)))


def _split(name: str, split: int, folder: Path) -> tuple[Any, np.ndarray, Any, np.ndarray]:
    """Return X and y to fit on, and X and y to test on."""
    if name in ("concrete", "energy"):
        table = np.genfromtxt(folder / "uci" / f"{name}.csv", delimiter=",", skip_header=1)
        splits = json.loads((folder / "uci" / f"{name}.splits.json").read_text())["test_rows"]
        test = np.array(splits[split])
        rows = np.setdiff1d(np.arange(len(table)), test)
        X, y = table[:, :-1], table[:, -1]
        return X[rows], y[rows], X[test], y[test]
    if name == "diabetes":
        X, y = load_diabetes(return_X_y=True)
        X, X_test, y, y_test = train_test_split(X, y, test_size=0.2, random_state=split)
        return X, y, X_test, y_test
    table = linnet.read_table(folder / f"{name}.csv")
    y = table[TARGETS[name]].to_numpy(zero_copy_only=False)
    X = table.drop_columns(TARGETS[name])
    rows, test = train_test_split(
        np.arange(len(y)), test_size=0.2, random_state=split, stratify=y if name[0] == "p" else None
    )
    return X.take(rows), y[rows], X.take(test), y[test]


if __name__ == "__main__":
    main()
