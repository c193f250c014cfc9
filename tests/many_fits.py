"""Fits of every kind, one after another or at once, and what the process holds meanwhile.

``python tests/many_fits.py one-by-one 1000`` and ``python tests/many_fits.py at-once 64`` print
what was found, as JSON.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import sys
import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

import linnet
from linnet.engine import processors
from linnet.network import mlp

X = np.random.default_rng(0).normal(size=(300, 6))
y = np.sin(X[:, 0]) + X[:, 1]
labels = (y > 0).astype(int)


def network(number: int) -> nn.Module:
    """Return a module with dropout.

    Its weights come from a generator of its own: torch's layers draw theirs from the global one,
    and so would take numbers away from a training with dropout in another thread.
    """
    generator = torch.Generator().manual_seed(number)
    return mlp(6, (16,), 1, activation="tanh", dropout=0.1, generator=generator)


def train(number: int, engine: str) -> np.ndarray:
    module = network(number)
    options = {"optimizer": ["adam", "sgd", "rmsprop"][number // 14 % 3], "engine": engine}
    linnet.train(module, X.astype(np.float32), y[:, None], epochs=3, random_state=0, **options)
    return np.concatenate([p.detach().numpy().ravel() for p in module.parameters()])


def fit(number: int) -> str:
    """Return a digest of what a training gives: seven kinds of it, by both engines in turn."""
    engine = ["auto", "torch"][number // 7 % 2]
    how: dict[str, Any] = {"max_iter": 3, "random_state": number, "engine": engine}
    kind = number % 7
    if kind == 0:
        values = train(number, engine)
    elif kind == 1:
        values = linnet.MLPRegressor((16,), early_stopping=True, **how).fit(X, y).predict(X)
    elif kind == 2:
        values = linnet.MLPClassifier((16,), **how).fit(X, labels).predict_proba(X)
    elif kind == 3:
        module = network(number)
        values = linnet.ModuleRegressor(module, **how).fit(X, y).predict(X)
    elif kind == 4:
        model = linnet.EnsembleRegressor(3, hidden_layer_sizes=(8,), **how)
        values = model.fit(X, y).predict(X)
    elif kind == 5:
        model = linnet.EnsembleClassifier(2, hidden_layer_sizes=(8,), **how)
        values = model.fit(X, labels).predict_proba(X)
    else:  # steps large enough for several threads
        many, targets = np.tile(X, (10, 1)), np.tile(y, 10)
        model = linnet.MLPRegressor((128, 128), batch_size=500, **how)
        values = model.fit(many, targets).predict(X)
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def held() -> dict[str, Any]:
    """Return the memory, the threads and the open files of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    links = [Path(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
    return {
        "MB": pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
        "threads": len(os.listdir("/proc/self/task")),
        "of_python": threading.active_count(),
        "handles": sorted(os.readlink(link) for link in links if link.exists()),
    }


def one_by_one(n_fits: int, n_first: int, step: int) -> list[dict[str, Any]]:
    """Return what is held after `n_first` fits, and after each `step` more."""
    states = []
    for number in range(n_fits):
        fit(number)
        if number + 1 >= n_first and (number + 1 - n_first) % step == 0:
            states.append({"fits": number + 1, **held()})
    return states


def at_once(numbers: Sequence[int]) -> dict[str, Any]:
    """Return digests of fits from eight threads, and the most threads that computed at once."""
    shared, most = processors._PROCESSORS, [0]
    take = shared._take

    def watched(*how: Any) -> int:
        n_threads = take(*how)
        most.append(sum(shared._taken.copy().values()))
        return n_threads

    shared._take = watched
    try:
        with ThreadPoolExecutor(8) as pool:
            digests = list(pool.map(fit, numbers))
    finally:
        del shared._take
    return {"digests": digests, "most": max(most)}


def in_process(number: int) -> tuple[str, int]:
    """Return the digest of a fit, and the threads of the process that it was done in."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    return fit(number), len(os.listdir("/proc/self/task"))


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)  # the fits are short, and say so
    torch.set_num_threads(2)
    n = int(sys.argv[2])
    if sys.argv[1] == "one-by-one":
        print(json.dumps(one_by_one(n, 50, 50)))
    else:
        import joblib
        import many_fits  # by this name the other processes find it

        found = {"alone": [fit(number) for number in range(n)], "threads": at_once(range(n))}
        pairs = joblib.Parallel(n_jobs=8)(joblib.delayed(many_fits.in_process)(i) for i in range(n))
        found["processes"] = [digest for digest, _ in pairs]
        found["threads_of_a_process"] = max(n_threads for _, n_threads in pairs)
        print(json.dumps(found))
