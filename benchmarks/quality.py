"""How good is the best fit with nothing set? ``python -m benchmarks.quality``.

`linnet.EnsembleRegressor()` and `EnsembleClassifier()` beside others at their defaults, on the
tables of datasets.py. Everybody gets the same rows, in this process, with as many threads as
--threads says. A peer that is not installed and a table that is not there are skipped by name. Each
measurement (table, split, peer) replaces its last one in quality.json; quality.md is written anew
from all.
"""

from __future__ import annotations

import argparse
import json
import logging
import shlex
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from scipy.stats import norm
from sklearn.base import BaseEstimator
from threadpoolctl import threadpool_limits

from benchmarks.datasets import N_SPLITS, UCI, Dataset, Missing, Split, all_datasets
from benchmarks.machine import describe
from benchmarks.quality_page import page
from benchmarks.rounds import say

Maker = Callable[[str, int, int], BaseEstimator]


def _linnet(kind: str, seed: int, threads: int) -> BaseEstimator:
    import linnet

    ensemble = linnet.EnsembleRegressor if kind == "regression" else linnet.EnsembleClassifier
    return ensemble(random_state=seed, n_threads=threads)


def _realmlp(kind: str, seed: int, threads: int) -> BaseEstimator:
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    peer = RealMLP_TD_Regressor if kind == "regression" else RealMLP_TD_Classifier
    return peer(device="cpu", n_threads=threads, random_state=seed)


def _boosting(kind: str, seed: int, threads: int) -> BaseEstimator:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    peer = HistGradientBoostingRegressor if kind == "regression" else HistGradientBoostingClassifier
    return peer(random_state=seed)


def _sklearn_mlp(kind: str, seed: int, threads: int) -> BaseEstimator:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if kind == "classification":
        return make_pipeline(StandardScaler(), MLPClassifier(random_state=seed))
    network = make_pipeline(StandardScaler(), MLPRegressor(random_state=seed))
    return TransformedTargetRegressor(network, transformer=StandardScaler())


# Name: how it is made, and the package that it needs.
PEERS: dict[str, tuple[Maker, str]] = {
    "linnet": (_linnet, "linnet"),
    "RealMLP-TD": (_realmlp, "pytabkit"),
    "HistGradientBoosting": (_boosting, "scikit-learn"),
    "scikit-learn's MLP": (_sklearn_mlp, "scikit-learn"),
}


def measure(dataset: Dataset, split: Split, k: int, name: str, threads: int) -> dict:
    """Return one measurement: errors on the test rows, and how long `fit` took."""
    model = PEERS[name][0](dataset.kind, k, threads)
    wall, cpu = time.perf_counter(), time.process_time()
    model.fit(split.X, split.y)
    row = {
        "table": dataset.name,
        "split": k,
        "peer": name,
        "rows": len(split.X),
        "inputs": split.X.shape[1],
        "threads": threads,
        "seconds": time.perf_counter() - wall,
        "processor_seconds": time.process_time() - cpu,
    }
    if dataset.kind == "classification":
        right = model.predict_proba(split.X_test)[np.arange(len(split.y_test)), split.y_test]
        row["error"] = float(np.mean(model.predict(split.X_test) != split.y_test))
        row["log_likelihood"] = float(np.mean(np.log(np.maximum(right, 1e-12))))
    elif name == "linnet":
        mean, std = model.predict(split.X_test, return_std=True)
        row["error"] = _rmse(mean, split.y_test)
        row["log_likelihood"] = float(np.mean(norm.logpdf(split.y_test, mean, std)))
    else:
        row["error"] = _rmse(model.predict(split.X_test), split.y_test)
    if name == "linnet":
        row["settings"] = model.settings_.to_dict()
    return row


def _rmse(prediction: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean((prediction - truth) ** 2)))


def warm_up(peers: list[str], threads: int) -> None:
    """Fit each peer once to few rows: imports and first calls are over before anything is timed."""
    X = np.random.default_rng(0).normal(size=(100, 3))
    for peer in peers:
        PEERS[peer][0]("regression", 0, threads).fit(X, X[:, 0])
        PEERS[peer][0]("classification", 0, threads).fit(X, (X[:, 0] > 0).astype(int))


def installed(names: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return the versions of the peers that are there, and why the others are skipped."""
    versions, skipped = {}, []
    for name in names:
        maker, package = PEERS[name]
        try:
            maker("regression", 0, 1)
            versions[name] = f"{package} {version(package)}"
        except (ImportError, PackageNotFoundError) as error:
            skipped.append(f"{name}: {package} is not installed ({error})")
    return versions, skipped


def main() -> None:
    options = _options()
    versions, skipped = installed(options.peers)
    kept = options.output / "quality.json"
    results = json.loads(kept.read_text()) if kept.exists() else {"rows": [], "runs": []}
    found = {(row["table"], row["split"], row["peer"]): row for row in results["rows"]}
    datasets = all_datasets(options.data)
    command = shlex.join(["python", "-m", "benchmarks.quality", *sys.argv[1:]])
    run = {**describe(), "command": command, "versions": versions, "skipped": skipped}
    results["runs"].append(run)
    warm_up(list(versions), options.threads)
    for name in options.tables:
        for k in range(options.splits):
            try:
                split = datasets[name].split(k)
            except Missing as reason:
                skipped.append(f"{name}: {reason}")
                break
            for peer in versions:
                row = measure(datasets[name], split, k, peer, options.threads)
                say(f"{name} {k} {peer}: {row['error']:.4g}, {row['processor_seconds']:.1f} s")
                found[name, k, peer] = row
        # After each table, for all of them take hours.
        results["rows"] = list(found.values())
        kept.write_text(json.dumps(results, indent=1) + "\n")
        (options.output / "quality.md").write_text(page(results, datasets))
    for reason in skipped:
        say(f"skipped: {reason}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    names = list(all_datasets())
    parser.add_argument("--tables", nargs="+", default=names, choices=names, metavar="NAME",
                        help=f"of {', '.join(names)}; all by default")  # fmt: skip
    parser.add_argument("--splits", type=int, default=N_SPLITS, help="the first so many (20)")
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=PEERS, metavar="NAME",
                        help=f"of {', '.join(PEERS)}; all by default")  # fmt: skip
    parser.add_argument("--threads", type=int, default=1, help="of each fit (1)")
    parser.add_argument("--data", type=Path, default=UCI, help="folder of concrete, energy, kin8nm")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parent, help="folder of the results"
    )
    options = parser.parse_args()
    if not 1 <= options.splits <= N_SPLITS:
        parser.error(f"--splits is a whole number from 1 to {N_SPLITS}")
    if options.threads < 1:
        parser.error("--threads is a whole number from 1")
    return options


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of peers; what linnet says of a fit lies in its history
    logging.disable(logging.WARNING)
    threads = _options().threads
    torch.set_num_threads(threads)
    with threadpool_limits(threads):
        main()
