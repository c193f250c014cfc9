"""One process of the soak: reads jobs as lines of JSON, does them, writes what came of each.

A job is a training by random settings on a random table, both of which follow from its seed and
what it names; so another process, another number of threads or a training that was interrupted has
to give the same bits.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

import linnet

# What linnet itself warns of.
OUR_WARNINGS = (ConvergenceWarning, UserWarning)


def random_table(job: dict[str, Any]) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return inputs, an array or a frame, with numbers (N,) and classes (N,) to predict."""
    random = np.random.default_rng(job["seed"])
    N, D = job["n_rows"], job["n_columns"]
    X = random.normal(size=(N, D))
    signal_of_rows = np.sin(X[:, 0]) + (X[:, -1] * X[:, D // 2]) + 0.1 * random.normal(size=N)
    X *= 10.0 ** random.integers(-6, 7, size=D)
    if D > 2:
        X[:, 1] = random.integers(0, 2, size=N)
    y = signal_of_rows * 10.0 ** random.integers(-5, 6) + random.integers(-100, 100)
    edges = np.quantile(signal_of_rows, np.linspace(0, 1, job["n_classes"] + 1)[1:-1])
    classes = np.array([f"class {i}" for i in range(job["n_classes"])], dtype=object)
    labels = classes[np.searchsorted(edges, signal_of_rows)]
    if not job["is_frame"]:
        return X.astype(job["dtype"]), y, labels
    columns: dict[str, Any] = {f"c{i}": pa.array(column) for i, column in enumerate(X.T.copy())}
    gaps = random.random(N) < 0.1
    columns["gaps"] = pa.array(np.where(gaps, 0, X[:, 0]), mask=gaps)
    columns["kind"] = pa.array(random.choice(["red", "green", "blue"], size=N).tolist())
    columns["always"] = pa.array(np.ones(N))
    return pa.table(columns), y, labels


def module_of(job: dict[str, Any]) -> nn.Module:
    """Return a network for `linnet.train`, its weights drawn by the job's seed."""
    torch.manual_seed(job["seed"])
    layers: list[nn.Module] = []
    width = job["n_columns"]
    for height in job["hidden"]:
        layers.append(nn.Linear(width, height))
        layers += [nn.BatchNorm1d(height)] if job["batch_norm"] else []
        layers += [getattr(nn, job["activation"])()]
        layers += [nn.Dropout(job["dropout"])] if job["dropout"] else []
        width = height
    return nn.Sequential(*layers, nn.Linear(width, 1))


def train(job: dict[str, Any]) -> tuple[np.ndarray, str]:
    """Return all weights and losses of a training by `linnet.train`, and how it ended."""
    X, y, _ = random_table({**job, "is_frame": False})
    X = (X - X.mean(0)) / np.where(X.std(0) > 0, X.std(0), 1.0)
    y = ((y - y.mean()) / y.std()).reshape(-1, 1)
    module = module_of(job)
    held_out = {"X_val": X[::5], "y_val": y[::5]} if job["validates"] else {}
    history = linnet.train(
        module,
        X,
        y,
        **held_out,
        **job["options"],
        random_state=job["seed"],
        n_threads=job["n_threads"],
        engine=job["engine"],
        **({"checkpoint": job["checkpoint"], "resume": True} if job["checkpoint"] else {}),
    )
    weights = [value.double().numpy().ravel() for value in module.state_dict().values()]
    return np.concatenate([*weights, history.train_loss]), str(history.outcome.value)


def fit(job: dict[str, Any]) -> tuple[np.ndarray, str]:
    """Return what an estimator predicts after its fit, from a file too, and how the fit ended."""
    X, y, labels = random_table(job)
    is_classifier = job["kind"].endswith("Classifier")
    model = getattr(linnet, job["kind"])(
        **job["options"],
        random_state=job["seed"],
        n_threads=job["n_threads"],
        engine=job["engine"],
    )
    model.fit(X, labels if is_classifier else y)
    predict = "predict_proba" if is_classifier else "predict"
    values = getattr(model, predict)(X)
    with tempfile.TemporaryDirectory() as folder:
        linnet.save(model, Path(folder) / "model.linnet")
        again = getattr(linnet.load(Path(folder) / "model.linnet"), predict)(X)
    if not np.array_equal(values, again):
        raise AssertionError("the model that was read from its file predicts otherwise")
    return values, str(model.history_.outcome.value)


def do(job: dict[str, Any]) -> dict[str, Any]:
    """Return what came of a job: a digest, a refusal in a sentence of linnet's, or a fault."""
    started = time.perf_counter()
    found: dict[str, Any] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            values, outcome = train(job) if job["kind"] == "train" else fit(job)
            found = {"outcome": outcome, "digest": hashlib.sha256(values.tobytes()).hexdigest()}
            if not np.isfinite(values).all() and outcome != "not_finite":
                found["fault"] = "a weight or a prediction is not finite"
        except KeyboardInterrupt:
            found = {"outcome": "Ctrl-C before the first epoch"}
        except (ValueError, TypeError, OSError) as problem:
            last = traceback.extract_tb(problem.__traceback__)[-1].filename
            told = "refused" if f"{os.sep}linnet{os.sep}" in last else "fault"
            found = {told: f"{type(problem).__name__}: {problem}"}
        except Exception:
            found = {"fault": traceback.format_exc()}
    foreign = [w for w in caught if not issubclass(w.category, OUR_WARNINGS)]
    if foreign:
        found["fault"] = f"{foreign[0].category.__name__}: {foreign[0].message}"
    return {**found, "seconds": time.perf_counter() - started}


def state_of_process() -> dict[str, int]:
    """Return what must not grow: bytes in memory, threads, file handles."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "bytes": pages * os.sysconf("SC_PAGE_SIZE"),
        "threads": len(os.listdir("/proc/self/task")),
        "handles": len(os.listdir("/proc/self/fd")),
    }


answered: set[int] = set()  # numbers of the jobs whose result was told


def tell(**words: Any) -> None:
    """Write a line of JSON, whole even if Ctrl-C comes meanwhile."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()
    answered.add(words.get("number", -1))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(2)
    tell(ready=True)
    number = -1
    while True:
        try:
            line = sys.stdin.readline()
            if not line:
                return
            job = json.loads(line)
            number = job["number"]
            tell(begun=number, goes_on=bool(job["checkpoint"]) and Path(job["checkpoint"]).exists())
            found = do(job)
            gc.collect()
            tell(number=number, **found, **state_of_process())
        except KeyboardInterrupt:  # outside of the training
            if number not in answered:
                tell(number=number, outcome="Ctrl-C outside of the training", **state_of_process())


if __name__ == "__main__":
    main()
