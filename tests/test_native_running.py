"""The native engine among signals, threads and processes; each test has one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest
import warm_python

pytest.importorskip("linnet._native", reason="the native module is not installed")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and forks of POSIX systems")

# What the scripts share. In `steady` the gradient of the last bias is -1 in every step (an L1 loss
# of targets far away), so that its second moment 1 - beta2^t tells the steps t really done.
SHARED = """
import hashlib, json, math, os, signal, sys, threading, time, warnings
import numpy as np, torch
from torch import nn
import linnet, linnet.network

BETA2 = 1 - 1e-6

def network(D=8, H=256, K=1, seed=0):
    # Not by torch's global generator, which threads share.
    return linnet.network.mlp(
        D, (H, H), K, activation="tanh", generator=torch.Generator().manual_seed(seed)
    )

def table(N, D=8, seed=0):
    X = torch.randn(N, D, generator=torch.Generator().manual_seed(seed))
    return X, X[:, :1] ** 2

def steady(N, H):
    module = network(H=H).double()
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-6, betas=(0.9, BETA2))
    X, _ = table(N)
    return module, optimizer, X.double(), torch.full((N, 1), 1e6, dtype=torch.float64)

def steps_done(optimizer, module):
    state = optimizer.state[module[-1].bias]
    return math.log1p(-float(state["exp_avg_sq"])) / math.log(BETA2), float(state["step"])

def digest(module):
    weights = b"".join(p.detach().numpy().tobytes() for p in module.parameters())
    return hashlib.sha256(weights).hexdigest()

def fit(seed, n_threads=2):
    module, (X, y) = network(H=40, seed=seed), table(600)
    linnet.train(module, X, y, engine="native", epochs=2, batch_size=100, n_threads=n_threads,
                 random_state=seed)
    return digest(module)

class Interrupter(threading.Thread):
    '''Sends a signal some time after a weight has changed, which tells that an epoch runs.'''

    def __init__(self, weight, delay, number=signal.SIGINT):
        super().__init__(daemon=True)
        self.weight, self.delay, self.number = weight, delay, number
        self.first = float(weight.flatten()[0])
        self.start()

    def run(self):
        while float(self.weight.flatten()[0]) == self.first:
            time.sleep(0.002)
        time.sleep(self.delay)
        self.sent = time.perf_counter()
        os.kill(os.getpid(), self.number)

def tell(**found):
    print(json.dumps(found))
"""


def run(script: str) -> dict:
    """Run a script in a process of its own and return what it tells."""
    done = warm_python.run(SHARED + textwrap.dedent(script))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


INTERRUPTED_EPOCH = """
warnings.simplefilter("ignore")
waits, counts, finite, outcomes = [], [], [], []
for trial in range(5):
    module, optimizer, X, y = steady(100_000, 256)
    interrupter = Interrupter(module[0].weight, 0.1 + 0.03 * trial)
    history = linnet.train(module, X, y, loss="absolute_error", optimizer=optimizer,
                           engine="native", epochs=10**6, n_threads=1, random_state=trial)
    waits.append(time.perf_counter() - interrupter.sent)
    outcomes.append(history.outcome.value)
    counts.append(steps_done(optimizer, module))
    finite.append(all(bool(torch.isfinite(p).all()) for p in module.parameters()))
tell(waits=waits, counts=counts, finite=finite, outcomes=outcomes)
"""


def _median(numbers: list[float]) -> float:
    return sorted(numbers)[len(numbers) // 2]


def test_ctrl_c_in_an_epoch_ends_it_soon_and_leaves_all_true():
    found = run(INTERRUPTED_EPOCH)
    assert found["outcomes"] == ["interrupted"] * 5
    assert all(found["finite"])
    for really, counted in found["counts"]:
        assert counted > 0 and really == pytest.approx(counted, abs=0.01)
    assert _median(found["waits"]) < 1.0


@pytest.mark.slow
def test_ctrl_c_in_an_epoch_is_answered_within_a_fifth_of_a_second():
    assert _median(run(INTERRUPTED_EPOCH)["waits"]) < 0.2


def test_ctrl_c_between_short_epochs_leaves_the_optimizers_count_true():
    script = """
    warnings.simplefilter("ignore")
    counts = []
    for trial in range(40):
        module, optimizer, X, y = steady(640, 16)
        Interrupter(module[0].weight, 0.001 * trial)
        linnet.train(module, X, y, loss="absolute_error", optimizer=optimizer, engine="native",
                     epochs=10**6, n_threads=1, random_state=trial)
        counts.append(steps_done(optimizer, module))
    tell(counts=counts)
    """
    for really, counted in run(script)["counts"]:
        assert counted > 0 and really == pytest.approx(counted, abs=0.01)


def test_ctrl_c_in_a_step_that_takes_long_is_answered_soon():
    # One batch of all rows: a step of some seconds.
    script = """
    warnings.simplefilter("ignore")
    module, optimizer, X, y = steady(30_000, 256)
    interrupter = Interrupter(module[0].weight, 0.3)
    linnet.train(module, X, y, loss="absolute_error", optimizer=optimizer, engine="native",
                 epochs=10**6, batch_size=30_000, n_threads=1, random_state=0)
    wait = time.perf_counter() - interrupter.sent
    tell(wait=wait, counts=steps_done(optimizer, module))
    """
    found = run(script)
    really, counted = found["counts"]
    assert counted > 0 and really == pytest.approx(counted, abs=0.01)
    assert found["wait"] < 1.0


def test_ctrl_c_in_an_evaluation_ends_it_soon():
    script = """
    warnings.simplefilter("ignore")
    waits, outcomes = [], []
    X_val, y_val = table(400_000)
    for trial in range(3):
        module, (X, y) = network(), table(64)
        interrupter = Interrupter(module[0].weight, 0.3)
        history = linnet.train(module, X, y, X_val=X_val, y_val=y_val, engine="native",
                               epochs=10**6, n_threads=1, random_state=0)
        waits.append(time.perf_counter() - interrupter.sent)
        outcomes.append([history.outcome.value, history.n_epochs])
    tell(waits=waits, outcomes=outcomes)
    """
    found = run(script)
    assert found["outcomes"] == [["interrupted", 0]] * 3
    assert _median(found["waits"]) < 1.0


def test_ctrl_c_in_a_prediction_comes_out_soon():
    script = """
    from linnet.engine.prediction import predict
    torch.set_num_threads(1)
    module, (X, _) = network(), table(2_000_000)
    predict(module, X[:100])
    whole = time.perf_counter()
    predict(module, X[:100_000])
    whole = 20 * (time.perf_counter() - whole)
    waits = []
    for trial in range(5):
        sent = []
        def send():
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)
        threading.Timer(0.2, send).start()
        try:
            predict(module, X)
            waits.append(math.inf)
        except KeyboardInterrupt:
            waits.append(time.perf_counter() - sent[0])
    again = predict(module, X[:300])
    tell(waits=waits, whole=whole, same=bool(torch.equal(again, predict(module, X[:300]))))
    """
    found = run(script)
    assert found["whole"] > 0.5 and found["same"]
    assert _median(found["waits"]) < min(1.0, found["whole"] / 2)
    assert max(found["waits"]) < found["whole"]


def test_what_a_signal_handler_raises_comes_out_as_itself():
    script = """
    def too_long(number, frame):
        raise TimeoutError("the time is up")
    signal.signal(signal.SIGALRM, too_long)
    module, optimizer, X, y = steady(100_000, 128)
    Interrupter(module[0].weight, 0.1, signal.SIGALRM)
    try:
        linnet.train(module, X, y, loss="absolute_error", optimizer=optimizer, engine="native",
                     epochs=10**6, n_threads=1)
    except TimeoutError as fault:
        raised = str(fault)
    tell(raised=raised, counts=steps_done(optimizer, module))
    """
    found = run(script)
    assert found["raised"] == "the time is up"
    really, counted = found["counts"]
    assert counted > 0 and really == pytest.approx(counted, abs=0.01)


def test_other_threads_of_python_go_on_during_an_epoch():
    script = """
    module, optimizer, X, y = steady(30_000, 128)
    seen, ended = set(), threading.Event()
    def look():
        while not ended.is_set():
            seen.add(float(module[0].weight[0, 0]))
            time.sleep(0.002)
    watcher = threading.Thread(target=look)
    watcher.start()
    linnet.train(module, X, y, loss="absolute_error", optimizer=optimizer, engine="native",
                 epochs=1, n_threads=1)
    ended.set()
    tell(seen=len(seen))
    """
    # One epoch is one call: only without the GIL can another thread see weights on their way.
    assert run(script)["seen"] > 10


def test_eight_trainings_in_threads_give_what_each_gives_alone():
    script = """
    from concurrent.futures import ThreadPoolExecutor
    alone = [fit(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(fit, range(8)))
    tell(same=alone == together, different=len(set(alone)))
    """
    assert run(script) == {"same": True, "different": 8}


def test_one_network_predicts_single_rows_in_several_threads():
    script = """
    from concurrent.futures import ThreadPoolExecutor
    warnings.simplefilter("ignore")
    X, y = table(200)
    X, y = X.numpy().astype(float), y[:, 0].numpy()
    model = linnet.MLPRegressor((64, 64), max_iter=3, random_state=0).fit(X, y)
    rows = [X[i : i + 1] for i in range(200)] * 3
    alone = [float(model.predict(row)[0]) for row in rows]
    sys.setswitchinterval(1e-5)
    with ThreadPoolExecutor(8) as pool:
        together = [float(p[0]) for p in pool.map(model.predict, rows)]
    tell(same=alone == together, different=len(set(alone)))
    """
    assert run(script) == {"same": True, "different": 200}


def test_a_forked_child_trains_to_the_bits_of_its_parent():
    script = """
    warnings.simplefilter("ignore")
    here = fit(0)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, fit(0).encode())
        os._exit(0)
    os.close(writing)
    there = os.read(reading, 1000).decode()
    code = os.waitpid(child, 0)[1]
    tell(same=here == there, again=here == fit(0), code=code)
    """
    assert run(script) == {"same": True, "again": True, "code": 0}


# Of loky's processes the searches of scikit-learn tell as much.
@pytest.mark.parametrize(
    "kind", ["pool", "multiprocessing", pytest.param("loky", marks=pytest.mark.slow)]
)
def test_children_of_pools_train_to_the_bits_of_their_parent(kind):
    script = f"""
    import joblib, multiprocessing
    warnings.simplefilter("ignore")
    if __name__ == "__main__":
        here = [fit(seed) for seed in range(4)]
        if {kind!r} == "pool":
            with multiprocessing.get_context("fork").Pool(2) as pool:
                there = pool.map_async(fit, range(4)).get(timeout=90)
        else:
            calls = (joblib.delayed(fit)(seed) for seed in range(4))
            there = joblib.Parallel(n_jobs=2, backend={kind!r}, timeout=90)(calls)
        tell(same=here == list(there), different=len(set(here)))
    """
    assert run(script) == {"same": True, "different": 4}


def test_processes_with_other_numbers_of_threads_give_the_same_bits():
    script = SHARED + "print(torch.get_num_threads(), {fit(3, n) for n in (1, 2, 3)})"
    # torch reads how many it may take while it loads: a Python of its own.
    alone = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    n_threads, *ends = alone.stdout.split()
    assert n_threads == "1" and len(ends) == 1
    # As many as there are processors.
    assert warm_python.run(script).stdout.split()[1:] == ends
