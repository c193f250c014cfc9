"""`linnet.train` beside other threads, in forked processes, and cut off by errors."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
import warm_python
from torch import nn

import linnet
from linnet.training import TrainingState, train

X = np.random.default_rng(0).normal(size=(96, 2)).astype(np.float32)
Y = X[:, :1] * X[:, 1:]
QUICK = {"batch_size": 16, "random_state": 7, "engine": "torch", "device": "cpu"}


class Net(nn.Module):
    def __init__(self, dropout=0.5):
        super().__init__()
        self.hidden, self.dropout = nn.Linear(2, 16), nn.Dropout(dropout)
        self.output = nn.Linear(16, 1)

    def forward(self, x):
        return self.output(self.dropout(torch.tanh(self.hidden(x))))


def net(seed=0, dropout=0.5):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Net(dropout)


def weights(module):
    return [p.detach().clone() for p in module.parameters()]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


# Other threads ------------------------------------------------------------------------------


def test_dropout_is_reproducible_in_threads_and_torchs_generator_left_as_found():
    alone = net()
    train(alone, X, Y, epochs=8, **QUICK)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    modules = [net() for _ in range(4)]
    others = [
        threading.Thread(target=train, args=(m, X, Y), kwargs={"epochs": 8, **QUICK})
        for m in modules
    ]
    for thread in others:
        thread.start()
    for thread in others:
        thread.join()
    assert all(same(weights(m), weights(alone)) for m in modules)
    assert torch.equal(torch.get_rng_state(), state)


# Forked processes ---------------------------------------------------------------------------

# The parent's torch uses two threads, of which a forked process has none.
FORKED = """
import os, signal, warnings
import numpy as np, torch
from torch import nn
import linnet

warnings.simplefilter("ignore")
torch.set_num_threads(2)
torch.rand(10**6).exp().sum(), torch.rand(900, 900) @ torch.rand(900, 900)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.output = nn.Linear(300, 600), nn.Linear(600, 1)

    def forward(self, x):
        return self.output(torch.tanh(self.hidden(x)))

X = np.random.default_rng(0).normal(size=(2000, 300)).astype("float32")
y = np.abs(X[:, :1])

def work():
    history = linnet.train(Net(), X, y, epochs=1, batch_size=500, n_threads=2)
    print(history.notes)
    model = linnet.ModuleRegressor(Net(), loss="poisson", max_iter=1).fit(X, y.ravel())
    model.predict(np.tile(X, (40, 1)))
    wide = linnet.MLPClassifier((1100,), max_iter=1).fit(X, y.ravel() > 0.5)
    wide.predict_proba(X)
    print(torch.get_num_threads(), flush=True)

child = os.fork()
if child == 0:
    signal.alarm(60)  # what hangs ends so
    try:
        work()
    finally:
        os._exit(0)
print(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="there is no fork here")
def test_a_forked_process_trains_and_predicts_on_one_thread():
    run = warm_python.run(FORKED)
    assert run.stdout.splitlines() == [
        "['n_threads=2 is taken as 1, in a process that was forked.']",
        "2",
        "0",
    ], run.stderr


# Errors within ------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["torch", "native"])
def test_an_error_in_on_epoch_leaves_the_best_weights_and_all_else_as_found(engine):
    module, kept, losses = net(dropout=0.0).train(), [], []
    threads, state = torch.get_num_threads(), torch.get_rng_state()

    def fail(history):
        kept.append(weights(module))
        losses.append(history.train_loss[-1])
        optimizer.param_groups[0]["lr"] = (
            0.05 if history.n_epochs < 3 else -0.05
        )  # from there uphill
        if history.n_epochs == 6:
            raise LookupError("no more")

    optimizer = torch.optim.SGD(module.parameters(), lr=0.05)
    quick = {**QUICK, "engine": engine, "optimizer": optimizer}
    with pytest.raises(LookupError, match="no more"):
        train(module, X, Y, epochs=20, n_threads=2, on_epoch=fail, **quick)
    best = int(np.argmin(losses))
    assert best < 5
    assert same(weights(module), kept[best])
    assert not any(m.training for m in module.modules())
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_an_error_in_the_first_epoch_leaves_the_weights_it_found():
    module, calls = net(), []
    before = weights(module)

    def loss(outputs, target):
        calls.append(1)
        if len(calls) == 3:
            raise LookupError("no more")
        return (outputs - target).square().mean()

    with pytest.raises(LookupError, match="no more"):
        train(module, X, Y, loss=loss, epochs=5, **QUICK)
    assert same(weights(module), before)


def interrupted_at(call, module, state):
    """Train, and press Ctrl-C at the so-and-so-many-th call of a function of linnet's."""
    calls = 0

    def press(frame, event, argument):
        nonlocal calls
        if event == "call" and "/linnet/" in frame.f_code.co_filename:
            calls += 1
            if calls == call:
                sys.setprofile(None)
                raise KeyboardInterrupt

    sys.setprofile(press)
    try:
        with pytest.warns(match="interrupted"):
            train(module, X, Y, epochs=2, X_val=X, y_val=Y, state=state, n_threads=1, **QUICK)
    except (KeyboardInterrupt, pytest.fail.Exception):
        pass  # before or after the epochs
    finally:
        sys.setprofile(None)
    return calls >= call


# A generator expression that is interrupted says so where nobody can catch it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_at_any_call_leaves_all_as_found():
    threads, generator = torch.get_num_threads(), torch.get_rng_state()
    call = 0
    while True:
        call += 5
        module, state = net().train(), TrainingState()
        if not interrupted_at(call, module, state):
            break
        assert torch.get_num_threads() == threads, call
        assert torch.equal(torch.get_rng_state(), generator), call
        assert len({m.training for m in module.modules()}) == 1, call
        assert all(torch.isfinite(w).all() for w in weights(module)), call
        if state.history is not None:
            assert len({len(curve) for curve in state.history.curves.values()}) == 1, call
    assert call > 200


# Lazy layers --------------------------------------------------------------------------------


def lazy():
    return nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.Tanh(), nn.LazyLinear(1))


def test_lazy_layers_take_their_sizes_from_the_rows_and_their_weights_from_the_seed():
    state = torch.get_rng_state()
    one, again, other = lazy(), lazy(), lazy()
    for module, seed in ((one, 1), (again, 1), (other, 2)):
        linnet.train(module, X, Y, epochs=2, optimizer="sgd", random_state=seed)
    assert one[0].in_features == 2
    assert same(weights(one), weights(again))
    assert not same(weights(one), weights(other))
    assert torch.equal(torch.get_rng_state(), state)


def test_an_optimizer_made_over_lazy_parameters_trains_them():
    module = lazy()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    history = train(module, X, Y, optimizer=optimizer, epochs=40, **QUICK)
    assert history.train_loss[-1] < history.train_loss[0] / 2


def test_lazy_layers_take_their_sizes_from_a_dataloaders_first_batch():
    rows = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    module = lazy()
    train(module, torch.utils.data.DataLoader(rows, batch_size=16), epochs=1, random_state=0)
    assert module[0].in_features == 2


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.other = nn.LazyLinear(1), nn.LazyLinear(3)

    def forward(self, x):
        return self.first(x)


@pytest.mark.parametrize(
    "fit",
    [
        lambda: train(Unused(), X, Y, epochs=1),
        lambda: linnet.ModuleRegressor(Unused(), max_iter=1).fit(X, Y.ravel()),
    ],
    ids=["train", "ModuleRegressor"],
)
def test_a_lazy_layer_that_no_batch_reaches_is_named(fit):
    with pytest.raises(ValueError) as fault:
        fit()
    assert str(fault.value) == (
        "other.weight, other.bias: without a size still, for the first batch did not reach the "
        "layer. Leave out a layer that forward does not use, or give it its size, such as "
        "nn.Linear(8, 1) instead of nn.LazyLinear(1)."
    )


INTERRUPTED_IMPORT = """
import os, signal, sys, threading, time, warnings
import numpy as np
import linnet
signal.signal(signal.SIGINT, signal.default_int_handler)
warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(50, 2))

def press():
    while "torch._inductor.standalone_compile" not in sys.modules:
        time.sleep(0.0005)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=press).start()
try:
    linnet.MLPRegressor(max_iter=2).fit(X, X[:, 0])
except KeyboardInterrupt:
    print("interrupted")
print(linnet.MLPRegressor(max_iter=2).fit(X, X[:, 0]).n_iter_)
"""


@pytest.mark.slow
def test_ctrl_c_in_the_imports_of_the_first_fit_leaves_a_process_that_can_fit():
    run = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (0, "interrupted\n2\n"), run.stderr
