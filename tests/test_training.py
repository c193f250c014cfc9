"""`linnet.train`: how a training runs, stops, goes on and leaves everything else as it was."""

from __future__ import annotations

import copy
import os
import pickle
import random
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import warm_python
from sklearn.exceptions import ConvergenceWarning
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau, StepLR
from torch.utils.data import DataLoader, TensorDataset

import linnet
from linnet import Outcome
from linnet.training import TrainingState, train


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on two busy cores wait for each other at every step of so small a network."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def module(dropout=0.0, norm=False, seed=0):
    torch.manual_seed(seed)
    middle = nn.BatchNorm1d(16) if norm else nn.Tanh()
    return nn.Sequential(nn.Linear(2, 16), middle, nn.Dropout(dropout), nn.Linear(16, 1))


def data(n=128, seed=0, noise=0.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    return X, X[:, :1] * X[:, 1:] + noise * rng.normal(size=(n, 1))


def weights(net):
    return [p.detach().clone() for p in net.parameters()]


def same(a, b):
    a, b = ([*x.state_dict().values()] if isinstance(x, nn.Module) else x for x in (a, b))
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


# Reproducible, and without side effects -----------------------------------------------------


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_one_seed_gives_the_same_bits_and_another_others(dropout):
    def fit(seed):
        net = module(dropout)
        history = train(net, *data(), epochs=3, random_state=seed)
        return net, history

    (first, h1), (second, h2), (third, h3) = fit(1), fit(1), fit(2)
    assert same(first, second)
    assert h1.curves["train_loss"] == h2.curves["train_loss"]
    assert (h1.seed, h3.seed) == (1, 2)
    assert not same(first, third)


def test_without_a_seed_one_is_drawn_and_kept():
    net = module()
    history = train(net, *data(), epochs=2)
    again = module()
    train(again, *data(), epochs=2, random_state=history.seed)
    assert same(net, again)
    assert history.seed != train(module(), *data(), epochs=1).seed


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.random.RandomState(3),
        lambda: np.random.default_rng(3),
        lambda: torch.Generator().manual_seed(3),
        lambda: np.int64(3),
    ],
)
def test_generators_decide_as_seeds_do(make):
    first, second = module(), module()
    train(first, *data(), epochs=2, random_state=make())
    train(second, *data(), epochs=2, random_state=make())
    assert same(first, second)


def test_global_state_is_left_as_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    of_numpy = np.random.mtrand._rand  # the generator behind np.random.seed and np.random.rand

    def found():
        _, keys, *rest = of_numpy.get_state()
        return (
            random.getstate(),
            keys.tolist(),
            rest,
            torch.get_rng_state().tolist(),
            torch.get_num_threads(),
            os.getcwd(),
            torch.is_grad_enabled(),
            dict(os.environ),
        )

    net, (X, y) = module(dropout=0.2), data()
    before = found()
    rows = TensorDataset(torch.tensor(X).float(), torch.tensor(y).float())
    loader = DataLoader(rows, batch_size=32, shuffle=True)
    train(net, X, y, epochs=2, n_threads=2, X_val=X, y_val=y)
    train(net, loader, epochs=2, X_val=DataLoader(rows, batch_size=50))
    assert found() == before
    assert list(tmp_path.iterdir()) == []


def test_n_threads_holds_during_the_training_only():
    seen = []
    before = torch.get_num_threads()
    train(
        module(),
        *data(),
        epochs=1,
        n_threads=2,
        on_epoch=lambda history: seen.append(torch.get_num_threads()),
    )
    assert (seen, torch.get_num_threads()) == ([2], before)


def test_nothing_is_printed_unless_asked(capfd):
    train(module(), *data(), epochs=2)
    assert capfd.readouterr() == ("", "")
    train(module(), *data(), epochs=2, X_val=data()[0], y_val=data()[1], progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "epoch 2/2" in err
    assert "rows/s" in err


def test_the_module_is_left_in_evaluation_mode():
    net = module(dropout=0.5)
    train(net, *data(), epochs=1)
    assert not any(m.training for m in net.modules())


def test_the_history_tells_what_was_done():
    history = train(module(), *data(), epochs=2, batch_size=50, random_state=5, engine="torch")
    assert (history.loss, history.engine, history.device) == ("squared_error", "torch", "cpu")
    assert (history.n_rows, history.batch_size, history.seed) == (128, 50, 5)
    assert history.engine_reason == "engine='torch' was asked for."
    assert set(history.versions) == {"linnet", "torch", "numpy", "python"}
    assert history.seconds.min() > 0
    assert not history.has_validation
    assert np.isnan(history.validation_loss).all()


def test_the_training_loss_is_the_mean_over_rows_even_where_the_last_batch_is_smaller():
    X, y = data(n=130)
    net = module()
    with torch.no_grad():
        expected = float((net(torch.tensor(X).float()) - torch.tensor(y).float()).square().mean())
    # A rate of zero: the weights stay, so that each batch sees the same network.
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    history = train(net, X, y, optimizer=optimizer, epochs=1, batch_size=64, X_val=X, y_val=y)
    assert history.train_loss[0] == pytest.approx(expected, rel=1e-6)
    assert history.validation_loss[0] == pytest.approx(expected, rel=1e-6)


def test_no_epochs_change_nothing():
    net = module()
    before = weights(net)
    history = train(net, *data(), epochs=0)
    assert same(net.parameters(), before)
    assert (history.n_epochs, history.outcome) == (0, Outcome.EPOCHS_DONE)


# Why a training ends ------------------------------------------------------------------------


def test_patience_without_validation_ends_where_the_training_loss_stands_still():
    history = train(
        module(),
        *data(),
        optimizer=partial(torch.optim.SGD, lr=0.0),
        epochs=50,
        batch_size=128,
        shuffle=False,
        patience=3,
    )
    assert history.outcome is Outcome.NO_IMPROVEMENT
    assert history.n_epochs == 4
    assert history.outcome.sentence == (
        "The training loss no longer improved, and training had waited long enough for it to."
    )


def test_an_improvement_below_tol_does_not_count():
    def fit(tol):
        return train(module(), *data(), epochs=30, tol=tol, patience=2, random_state=0)

    assert fit(1e9).n_epochs == 3  # the first epoch improves on nothing: it counts
    assert fit(0.0).n_epochs > 3


def test_with_validation_the_weights_are_those_of_the_best_epoch_whatever_ends_the_training():
    X, y = data(n=40, noise=2.0)
    X_val, y_val = data(n=200, seed=1, noise=2.0)
    endings = {
        Outcome.VALIDATION_LEAST: {"patience": 15, "epochs": 500},
        Outcome.EPOCHS_DONE: {"epochs": 120},
        Outcome.STOPPED_BY_CALLBACK: {"on_epoch": lambda h: h.n_epochs == 120, "epochs": 500},
    }
    for outcome, options in endings.items():
        net = module()
        optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
        history = train(
            net, X, y, optimizer=optimizer, X_val=X_val, y_val=y_val, random_state=0, **options
        )
        assert history.outcome is outcome
        assert history.best_epoch < history.n_epochs - 1
        with torch.no_grad():
            error = net(torch.tensor(X_val).float()) - torch.tensor(y_val).float()
        assert float(error.square().mean()) == pytest.approx(history.best_loss, rel=1e-5)
        if outcome is Outcome.VALIDATION_LEAST:
            assert history.n_epochs == history.best_epoch + 16


def test_validation_weights_are_used():
    X, y = data()
    weight = np.r_[np.ones(64), np.zeros(64)]
    net = module()
    history = train(net, X, y, epochs=1, X_val=X, y_val=y, sample_weight_val=weight)
    with torch.no_grad():
        error = net(torch.tensor(X[:64]).float()) - torch.tensor(y[:64]).float()
    assert history.validation_loss[0] == pytest.approx(float(error.square().mean()), rel=1e-5)


def test_max_time_ends_a_training_within_an_epoch_too():
    class Slow(nn.Linear):
        def forward(self, x):
            time.sleep(0.01 if self.training else 0)
            return super().forward(x)

    X, y = data(n=1000)
    started = time.monotonic()
    history = train(Slow(2, 1), X, y, epochs=5, batch_size=1, max_time=0.2, engine="torch")
    assert time.monotonic() - started < 2
    assert (history.outcome, history.n_epochs) == (Outcome.TIME_UP, 1)
    assert np.isfinite(history.train_loss).all()


@pytest.mark.parametrize("answer", [True, np.True_])
def test_on_epoch_stops_a_training_by_true(answer):
    history = train(
        module(), *data(), epochs=9, on_epoch=lambda h: answer if h.n_epochs == 2 else None
    )
    assert (history.outcome, history.n_epochs) == (Outcome.STOPPED_BY_CALLBACK, 2)


@pytest.mark.parametrize("answer", [None, "go on", 1])
def test_on_epoch_stops_by_nothing_but_true(answer):
    history = train(module(), *data(), epochs=3, on_epoch=lambda h: answer)
    assert (history.outcome, history.n_epochs) == (Outcome.EPOCHS_DONE, 3)


def test_an_error_in_on_epoch_reaches_the_user():
    def fail(history):
        raise RuntimeError("the user's own")

    with pytest.raises(RuntimeError, match="the user's own"):
        train(module(), *data(), epochs=3, on_epoch=fail)


@pytest.mark.parametrize("validation", [False, True])
@pytest.mark.parametrize("rate", [1e4, 1e30, 1e38])
def test_a_loss_that_is_not_finite_ends_the_training_with_finite_weights(rate, validation):
    X, y = data()
    net = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9)
    held_out = {"X_val": X, "y_val": y} if validation else {}
    with pytest.warns(ConvergenceWarning) as caught:
        history = train(net, X, y, optimizer=optimizer, epochs=50, **held_out)
    assert history.outcome is Outcome.NOT_FINITE
    assert [str(w.message) for w in caught] == [
        "The loss or the weights became infinite or NaN; the best finite weights are restored. "
        "Likely causes: a learning rate that is too high, or inputs or targets that are not scaled."
    ]
    assert Path(caught[0].filename) == Path(__file__)
    assert all(torch.isfinite(p).all() for p in net.parameters())
    # Its moments went with it: a lower rate trains on from there.
    optimizer.param_groups[0]["lr"] = 1e-3
    assert train(net, X, y, optimizer=optimizer, epochs=2).outcome is Outcome.EPOCHS_DONE


def test_weights_that_only_the_very_last_step_breaks_are_noticed():
    class Root(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return x + torch.sqrt(self.w.square())  # its slope at 0 is NaN

    with pytest.warns(ConvergenceWarning):
        history = train(Root(), np.ones((4, 1)), np.zeros((4, 1)), epochs=1)
    assert history.outcome is Outcome.NOT_FINITE

    class Breaks(torch.optim.SGD):
        """Stands still, and on its third step breaks: no loss shows it, and none got better."""

        steps = 0

        def step(self, closure):
            self.steps += 1
            loss = closure()
            if self.steps == 3:
                self.param_groups[0]["lr"] = float("nan")
                super().step()
            return loss

    net = module()
    with pytest.warns(ConvergenceWarning):
        history = train(net, *data(), optimizer=Breaks, epochs=3, batch_size=128, shuffle=False)
    assert history.outcome is Outcome.NOT_FINITE
    assert same(net, module())


INTERRUPTED = """
    import sys, warnings
    import numpy as np, torch, linnet
    from torch import nn

    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 1)).double()
    X = np.random.default_rng(0).normal(size=(256, 2))
    y = X[:, :1] * X[:, 1:]
    warnings.simplefilter("always")
    say = lambda history: print("epoch", flush=True) if history.n_epochs == 3 else None
    history = linnet.train(net, X, y, X_val=X, y_val=y, epochs=10**6, on_epoch=say, progress=True)
    with torch.no_grad():
        loss = (net(torch.tensor(X)) - torch.tensor(y)).square().mean()
    print(history.outcome.value, abs(float(loss) - history.best_loss) < 1e-6 * history.best_loss)
"""


def test_an_interrupt_ends_a_training_cleanly_with_the_best_weights():
    process = warm_python.Process(INTERRUPTED)
    assert process.stdout.readline() == "epoch\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "interrupted True\n")
    assert "Traceback" not in err
    assert (
        "ConvergenceWarning: The training was interrupted; the best weights so far are kept." in err
    )


# Going on -----------------------------------------------------------------------------------

GOING_ON = {
    "adam": {"optimizer": "adam"},
    "sgd with a schedule": {
        "optimizer": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
        "scheduler": lambda o: StepLR(o, 2, gamma=0.5),
    },
    "a schedule by batch": {
        "scheduler": lambda o: OneCycleLR(o, 0.05, total_steps=24),
        "scheduler_step": "batch",
    },
    "plateau, with a least improvement": {
        "scheduler": lambda o: ReduceLROnPlateau(o, patience=0, factor=0.5),
        "tol": 0.1,
        "patience": 4,
    },
    "lbfgs": {"optimizer": "lbfgs", "batch_size": 128},
    "weights and clipping": {"sample_weight": np.linspace(0, 1, 128), "clip_grad_norm": 0.05},
}


def same_but_for_seconds(a, b):
    for name in ("train_loss", "validation_loss", "learning_rate", "gradient_norm"):
        np.testing.assert_array_equal(a.curves[name], b.curves[name])


def move(kind, net, state):
    """As an estimator is copied or pickled between two calls: both together."""
    if kind == "pickled":
        return pickle.loads(pickle.dumps((net, state)))
    return copy.deepcopy((net, state)) if kind == "copied" else (net, state)


@pytest.mark.parametrize("kind", ["kept", "copied", "pickled"])
@pytest.mark.parametrize("validated", [False, True], ids=["alone", "validated"])
@pytest.mark.parametrize("name", GOING_ON)
def test_calls_of_one_epoch_give_the_bits_of_one_call_of_as_many(name, validated, kind):
    X, y = data(noise=0.5)
    options = {"random_state": 3, "batch_size": 32, **GOING_ON[name]}
    if validated:
        options |= {"X_val": X[:50] + 0.1, "y_val": y[:50]}
    whole, parts = (module(dropout=0.2, norm=True) for _ in range(2))
    at_once = train(whole, X, y, epochs=6, **options)
    state = TrainingState()
    for _ in range(at_once.n_epochs):
        parts, state = move(kind, parts, state)
        history = train(parts, X, y, epochs=1, state=state, **options)
    assert same(whole, parts)
    same_but_for_seconds(at_once, history)
    assert history is state.history


def test_going_on_after_validation_starts_from_the_latest_weights_not_the_best():
    X, y = data(n=40, noise=2.0)
    X_val, y_val = data(n=100, seed=1, noise=2.0)
    options = {
        "optimizer": lambda p: torch.optim.Adam(p, lr=0.05),
        "X_val": X_val,
        "y_val": y_val,
        "random_state": 0,
    }
    whole, parts, state = module(), module(), TrainingState()
    at_once = train(whole, X, y, epochs=60, **options)
    train(parts, X, y, epochs=40, state=state, **options)
    train(parts, X, y, epochs=20, state=state, **options)
    assert at_once.best_epoch < 39
    assert same(whole, parts)


def test_going_on_without_the_validation_rows_forgets_their_best():
    X, y = data()
    net, state = module(), TrainingState()
    easy = {"X_val": X, "y_val": net(torch.tensor(X).float()).detach()}
    train(net, X, y, epochs=3, **easy, state=state, random_state=0)
    history = train(net, X, y, epochs=3, state=state)
    assert (history.n_epochs, history.has_validation) == (6, False)
    assert state.best_loss == history.train_loss[3:].min()


def test_a_state_of_another_module_is_refused():
    state = TrainingState()
    train(module(), *data(), epochs=1, state=state)
    with pytest.raises(ValueError) as error:
        train(module(), *data(), epochs=1, state=state)
    assert str(error.value) == (
        "The optimizer holds none of the module's parameters, so nothing would be trained. Make it "
        "from this module: torch.optim.Adam(module.parameters())."
    )


def test_lbfgs_by_name_takes_all_rows_at_once_and_says_so():
    history = train(module(), *data(), optimizer="lbfgs", epochs=60)
    assert history.batch_size == 128
    assert history.notes == [
        "batch_size=32 is too small for L-BFGS, which needs all rows at once: taken as 128."
    ]
    assert history.train_loss[-1] < 0.02 * history.train_loss[0]


def test_a_lowered_rate_starts_patience_anew():
    def fit(patience):
        return train(
            module(),
            *data(noise=1.0),
            optimizer=lambda p: torch.optim.Adam(p, lr=0.05),
            scheduler=lambda o: ReduceLROnPlateau(o, patience=1, min_lr=1e-3),
            patience=patience,
            tol=1e-3,
            epochs=300,
            random_state=0,
        )

    history = fit(3)
    assert history.learning_rate[-1] == 1e-3
    assert history.outcome is Outcome.NO_IMPROVEMENT


def test_linnet_train_is_the_function():
    assert linnet.train is train
