"""The torch engine against loops written by hand in PyTorch: the same order gives the same bits."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)
from tutorial_code import FeedForwardNN, NumpyDataset, sinc_data, train_by_hand

import linnet
from linnet import losses
from linnet.data import Rows
from linnet.engine import choose_device, torch_engine
from linnet.engine.native_engine import NativeEngine
from linnet.engine.torch_engine import block_size, predict
from linnet.randomness import seeded

EPOCHS, BATCH, N = 4, 32, 100

OPTIMIZERS = {
    "Adam": lambda p: torch.optim.Adam(p, lr=1e-2),
    "fused Adam": lambda p: torch.optim.Adam(p, lr=1e-2, fused=True),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=0.1),
    "SGD": lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=1e-3),
    "Rprop": lambda p: torch.optim.Rprop(p, lr=1e-3),
    "torch's LBFGS": lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=3),
}
SCHEDULERS = {
    "none": (None, "epoch"),
    "StepLR": (lambda o: StepLR(o, 2, gamma=0.5), "epoch"),
    "ExponentialLR": (lambda o: ExponentialLR(o, 0.9), "epoch"),
    "CosineAnnealingLR by batch": (lambda o: CosineAnnealingLR(o, 10), "batch"),
    "OneCycleLR by batch": (lambda o: OneCycleLR(o, 0.1, total_steps=EPOCHS * 4), "batch"),
    "ReduceLROnPlateau": (lambda o: ReduceLROnPlateau(o, factor=0.5, patience=0), "epoch"),
}


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on two busy cores wait for each other at every step of so small a network."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def module(dropout=0.0, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 2))


def data(seed=0, n=N):
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(n, 3, generator=generator)
    return X, torch.stack([X[:, 0] * X[:, 1], X.sum(1)], 1)


def by_hand(net, X, y, optimizer, *, weight=None, scheduler=None, step="epoch", clip=None, seed=7):
    """The loop that a user would write, with linnet's draws of order and dropout seeds."""
    generator = torch.Generator().manual_seed(seed)
    scheduler = scheduler(optimizer) if scheduler else None
    losses, rates, norms = [], [], []
    net.train()
    for _ in range(EPOCHS):
        order = torch.randperm(len(X), generator=generator)
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        total = 0.0
        rates.append(optimizer.param_groups[0]["lr"])
        for rows in order.split(BATCH):

            def closure(rows=rows):
                optimizer.zero_grad()
                if weight is None:
                    loss = nn.functional.mse_loss(net(X[rows]), y[rows])
                else:
                    error = (net(X[rows]) - y[rows]).square()
                    loss = (error.mean(1) * weight[rows]).mean()
                loss.backward()
                if clip:
                    norms.append(nn.utils.clip_grad_norm_(net.parameters(), clip))
                return loss

            total += optimizer.step(closure).item() * len(rows)
            rates[-1] = optimizer.param_groups[0]["lr"]
            if scheduler and step == "batch":
                scheduler.step()
        losses.append(total / len(X))
        if scheduler and step == "epoch":
            scheduler.step(*([losses[-1]] if isinstance(scheduler, ReduceLROnPlateau) else []))
    return losses, rates, norms


def same_bits(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


@pytest.mark.parametrize("weighted", [False, True], ids=["no weights", "weights"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_optimizer_gives_the_bits_of_a_loop_by_hand(name, weighted):
    X, y = data()
    weight = torch.rand(N, generator=torch.Generator().manual_seed(1)) + 0.1
    weight = (weight.double() / weight.double().mean()).float()
    ours = module()
    hand = copy.deepcopy(ours)
    history = linnet.train(
        ours,
        X,
        y,
        loss=nn.MSELoss(),
        optimizer=OPTIMIZERS[name](ours.parameters()),
        epochs=EPOCHS,
        batch_size=BATCH,
        sample_weight=weight if weighted else None,
        random_state=7,
        engine="torch",
    )
    optimizer = OPTIMIZERS[name](hand.parameters())
    losses, _, _ = by_hand(hand, X, y, optimizer, weight=weight if weighted else None)
    assert same_bits(ours, hand)
    np.testing.assert_allclose(history.train_loss, losses, rtol=1e-12)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_each_scheduler_steps_as_in_a_loop_by_hand(name):
    scheduler, step = SCHEDULERS[name]
    X, y = data()
    ours = module()
    hand = copy.deepcopy(ours)
    history = linnet.train(
        ours,
        X,
        y,
        optimizer=OPTIMIZERS["SGD"](ours.parameters()),
        epochs=EPOCHS,
        batch_size=BATCH,
        scheduler=scheduler,
        scheduler_step=step,
        random_state=7,
        engine="torch",
    )
    _, rates, _ = by_hand(
        hand, X, y, OPTIMIZERS["SGD"](hand.parameters()), scheduler=scheduler, step=step
    )
    assert same_bits(ours, hand)
    assert history.learning_rate.tolist() == rates


def test_clipping_is_that_of_torch_and_the_history_tells_the_norm_before_it():
    X, y = data()
    ours = module()
    hand = copy.deepcopy(ours)
    history = linnet.train(
        ours,
        X,
        y,
        optimizer=OPTIMIZERS["Adam"](ours.parameters()),
        epochs=EPOCHS,
        batch_size=BATCH,
        clip_grad_norm=0.1,
        random_state=7,
        engine="torch",
    )
    _, _, norms = by_hand(hand, X, y, OPTIMIZERS["Adam"](hand.parameters()), clip=0.1)
    assert same_bits(ours, hand)
    assert history.gradient_norm.tolist() == [float(n) for n in norms[3::4]]
    assert history.gradient_norm.min() > 0.1


def test_the_gradient_norm_without_clipping_is_that_of_the_last_step():
    X, y = data(n=32)
    net = module()
    history = linnet.train(
        net, X, y, optimizer="sgd", epochs=1, batch_size=32, shuffle=False, engine="torch"
    )
    gradients = torch.cat([p.grad.flatten() for p in net.parameters()])
    assert history.gradient_norm[0] == pytest.approx(float(gradients.norm()), rel=1e-6)


def test_dropout_draws_from_the_seed_of_the_epoch():
    X, y = data()
    ours = module(dropout=0.5)
    hand = copy.deepcopy(ours)
    linnet.train(
        ours,
        X,
        y,
        optimizer=OPTIMIZERS["Adam"](ours.parameters()),
        epochs=EPOCHS,
        batch_size=BATCH,
        random_state=7,
        engine="torch",
    )
    by_hand(hand, X, y, OPTIMIZERS["Adam"](hand.parameters()))
    assert same_bits(ours, hand)


def test_the_tutorials_objects_work_unchanged_and_end_near_its_own_loop():
    X, y = sinc_data()
    torch.manual_seed(1)
    model = FeedForwardNN(2, 80, 1)
    hand = copy.deepcopy(model)
    history = linnet.train(
        model,
        NumpyDataset(X, y),
        loss=nn.MSELoss(),
        optimizer=torch.optim.Adam(model.parameters(), lr=1e-2),
        epochs=400,
        batch_size=200,
        random_state=1,
        n_threads=1,
    )
    assert 1e-3 < history.train_loss[-1] < 3e-3
    torch.manual_seed(1)
    by_tutorial = train_by_hand(hand, NumpyDataset(X, y), n_epochs=60)
    assert np.median(history.train_loss[40:60]) == pytest.approx(
        np.median(by_tutorial[40:]), rel=0.1
    )


def test_rows_in_the_order_given_need_no_shuffle():
    X, y = data()
    taken = torch.cat([x for x, _, _ in Rows(X, y).batches(32)])
    order = torch.randperm(N, generator=torch.Generator().manual_seed(0))
    shuffled = torch.cat([x for x, _, _ in Rows(X, y).batches(32, order)])
    assert torch.equal(taken, X)
    assert torch.equal(shuffled, X[order])


def test_batches_are_the_same_however_many_are_gathered_at_once(monkeypatch):
    X, y = data()
    order = torch.randperm(N, generator=torch.Generator().manual_seed(0))
    for gathered in (1, 200, 2**18):
        monkeypatch.setattr("linnet.data._GATHERED_NUMBERS", gathered)
        batches = list(Rows(X, y, X[:, 0]).batches(32, order))
        assert [len(x) for x, _, _ in batches] == [32, 32, 32, 4]
        assert torch.equal(torch.cat([x for x, _, _ in batches]), X[order])
        assert torch.equal(torch.cat([t for _, t, _ in batches]), y[order])
        assert torch.equal(torch.cat([w for _, _, w in batches]), X[order, 0])


def test_a_forward_that_changes_its_input_in_place_leaves_the_users_data_alone():
    class Centred(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x):
            x -= 1.0
            return self.linear(x)

    X, y = (t.numpy() for t in data())
    before = X.copy()
    net = Centred()
    linnet.train(net, X, y, epochs=2, X_val=X, y_val=y, shuffle=False)
    predict(net, torch.from_numpy(X))
    assert np.array_equal(X, before)


def test_predictions_by_blocks_are_those_of_one_call_and_the_mode_is_left_as_found(monkeypatch):
    net = module(dropout=0.5).train()
    X, _ = data(n=1000)
    monkeypatch.setattr("linnet.engine.torch_engine._EVALUATED_ROWS", 7)
    monkeypatch.setattr("linnet.engine.torch_engine._EVALUATED_NUMBERS", 100)
    outputs = predict(net, X)
    assert net.training
    torch.testing.assert_close(outputs, net.eval()(X))


def test_blocks_get_smaller_where_layers_are_wider():
    X = torch.zeros(10, 2)
    narrow, wide = nn.Linear(2, 8), nn.Linear(2, 4096)
    assert block_size(narrow, Rows(X, X), 1) == 2**20 // 8
    assert block_size(wide, Rows(X, X), 1) == 256
    assert block_size(wide, Rows(X, X), 1000) == 1000


def test_seeding_for_a_while_leaves_the_global_generator_as_found():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with seeded(5, torch.device("cpu")):
        first = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)
    with seeded(5, torch.device("cpu")):
        assert torch.equal(torch.rand(3), first)


def test_an_unknown_engine_is_answered_with_the_nearest_name():
    X, y = data()
    with pytest.raises(ValueError) as error:
        linnet.train(module(), X, y, engine="touch")
    assert str(error.value) == (
        "engine='touch' is not known, did you mean 'torch'? Allowed are 'auto', 'native', 'torch'."
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="tells what happens without CUDA")
@pytest.mark.parametrize("device", ["cuda", "cuda:1", torch.device("cuda")])
def test_an_absent_accelerator_is_told(device):
    X, y = data()
    with pytest.raises(ValueError) as error:
        linnet.train(module(), X, y, device=device)
    assert str(error.value) == (
        f"device={str(device)!r} is not available: torch {torch.__version__} sees no CUDA device. "
        "Write device='cpu', or install a torch that was built for CUDA."
    )


def test_an_unknown_device_is_answered_with_what_is_allowed():
    with pytest.raises(ValueError) as error:
        choose_device("gpu", module(), 32)
    assert str(error.value).startswith("device='gpu' is not known")
    assert str(error.value).endswith("Allowed are 'auto', 'cpu', 'cuda', 'mps'.")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_training_on_cuda_leaves_the_module_where_it_was():
    X, y = data()
    net = module()
    history = linnet.train(net, X, y, epochs=2, device="cuda", optimizer="adam", random_state=0)
    assert history.device == "cuda"
    assert {p.device.type for p in net.parameters()} == {"cpu"}


def test_an_optimizer_of_the_users_may_ask_for_the_gradient_twice():
    class Twice(torch.optim.SGD):
        """Steps along the gradient at the point where a first step led."""

        def step(self, closure):
            loss = closure()
            super().step()
            closure()
            super().step()
            return loss

    X, y = data()
    net = module()
    hand = copy.deepcopy(net)
    train = {"epochs": 1, "batch_size": N, "shuffle": False, "random_state": 0}
    linnet.train(net, X, y, optimizer=Twice(net.parameters(), lr=0.1), **train)
    optimizer = torch.optim.SGD(hand.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.mse_loss(hand(X), y).backward()
        optimizer.step()
    assert same_bits(net, hand)


CLASS_WEIGHT = torch.tensor([0.2, 1.0, 7.0], dtype=torch.float64)


@pytest.mark.parametrize("weighted", [False, True], ids=["no weights", "weights"])
@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(weight=CLASS_WEIGHT),
        nn.CrossEntropyLoss(weight=CLASS_WEIGHT, label_smoothing=0.2),
        nn.CrossEntropyLoss(weight=CLASS_WEIGHT, reduction="sum"),
        nn.CrossEntropyLoss(ignore_index=1),
        nn.CrossEntropyLoss(),
    ],
    ids=["class weights", "smoothing", "sum", "ignored", "plain"],
)
def test_the_loss_over_many_blocks_is_that_of_all_rows_at_once(loss, weighted, monkeypatch):
    monkeypatch.setattr(torch_engine, "_EVALUATED_NUMBERS", 1)  # blocks of 256 rows
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    X = torch.randn(1000, 3, dtype=torch.float64)
    y = torch.arange(1000).div(500, rounding_mode="floor")  # blocks of one class, and of another
    y[-100:] = 2
    times = torch.arange(1000) % 3 if weighted else torch.ones(1000, dtype=torch.int64)
    weight = times.double() / times.double().mean() if weighted else None
    rows = Rows(X, y, weight)
    with torch.no_grad():
        outputs = net(X.repeat_interleave(times, 0))
        expected = loss(outputs, y.repeat_interleave(times)).item()
    if loss.reduction == "sum":
        expected /= int(times.sum())
    if weighted and loss.ignore_index == 1:
        expected *= int(times[y != 1].sum()) / int(times.sum())  # ignored rows count, as 0
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    given = (net, losses.resolve(loss), optimizer, rows, 32, torch.device("cpu"))
    assert torch_engine.TorchEngine(*given).evaluate(rows) == pytest.approx(expected, rel=1e-12)
    if loss.ignore_index < 0:
        assert NativeEngine(*given).evaluate(rows) == pytest.approx(expected, rel=1e-12)
