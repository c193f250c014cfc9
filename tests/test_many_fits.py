"""Many fits in one process, at once or one after another: nothing is left over, and no bit differs."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="memory and threads are read from Linux's /proc"
)

ROOT = Path(__file__).resolve().parent.parent

EACH_KIND = """
import gc, json, os, sys, threading, warnings
import numpy as np, torch
from torch import nn
import linnet
warnings.simplefilter("ignore")  # the fits are short, and say so
torch.set_num_threads(2)
X = np.random.default_rng(0).normal(size=(200, 4))
y = np.sin(X[:, 0]) + X[:, 1]
labels = (y > 0).astype(int)

def train(engine, i):
    module = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 1))
    linnet.train(module, X.astype("float32"), y[:, None], epochs=3, random_state=i, engine=engine,
                 optimizer=["adam", "sgd", "lbfgs"][i % 3 if not i % 2 else 0])

def fit(model, target):
    model.fit(X, target)
    model.predict(X)

def do(i):
    engine = ["auto", "torch"][i // 2 % 2]
    how = {"max_iter": 3, "random_state": i, "engine": engine}
    kind = i % 6
    if kind == 0:
        train(engine, i)
    elif kind == 1:
        fit(linnet.MLPRegressor((16,), early_stopping=True, **how), y)
    elif kind == 2:
        fit(linnet.MLPClassifier((16,), **how), labels)
    elif kind == 3:
        module = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
        fit(linnet.ModuleRegressor(module, **how), y)
    elif kind == 4:
        fit(linnet.EnsembleRegressor(3, hidden_layer_sizes=(8,), **how), y)
    else:
        fit(linnet.EnsembleClassifier(2, hidden_layer_sizes=(8,), **how), labels)

def held():
    gc.collect()
    pages = int(open("/proc/self/statm").read().split()[1])
    names = sorted(os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
                   if os.path.exists(f"/proc/self/fd/{n}"))
    return {"MB": pages * os.sysconf("SC_PAGE_SIZE") / 1e6, "handles": names,
            "threads": len(os.listdir("/proc/self/task")), "of_python": threading.active_count()}

n, n_first = map(int, sys.argv[1:])
states = []
for i in range(n):
    do(i)
    if i + 1 == n_first or (i + 1) % 50 == 0 or i + 1 == n:
        states.append({"fits": i + 1, **held()})
print(json.dumps(states))
"""


def states_of(n_fits: int, n_first: int) -> list[dict]:
    """Return what a process holds after `n_first` fits, and later on."""
    run = subprocess.run(
        [sys.executable, "-c", EACH_KIND, str(n_fits), str(n_first)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    states = json.loads(run.stdout)
    return [state for state in states if state["fits"] >= n_first]


def check(states: list[dict], most: float) -> None:
    first = states[0]
    for state in states:
        assert state["of_python"] == 1
        assert state["threads"] == first["threads"]
        assert state["handles"] == first["handles"]
        assert state["MB"] <= first["MB"] + most, states


def test_a_few_fits_of_each_kind_leave_no_thread_no_handle_and_no_memory():
    check(states_of(72, 36), 4.0)


@pytest.mark.slow
def test_a_thousand_fits_hold_no_more_memory_than_fifty():
    check(states_of(1000, 50), 20.0)
