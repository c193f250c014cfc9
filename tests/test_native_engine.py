"""The native engine against torch: the same weights and batches give the same trajectory."""

from __future__ import annotations

import copy
import gc
import os
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import warm_python
from torch import nn
from torch.nn import functional as F

import linnet
from linnet.engine.prediction import predict
from linnet.losses import GaussianLoss, PoissonLoss, QuantileLoss
from linnet.network import Sin

pytest.importorskip("linnet._native", reason="the native module is not installed")

ACTIVATIONS = {
    "relu": nn.ReLU(),
    "leaky_relu": nn.LeakyReLU(0.1),
    "elu": nn.ELU(1.5),
    "selu": nn.SELU(),
    "gelu": nn.GELU(),
    "gelu_tanh": nn.GELU(approximate="tanh"),
    "silu": nn.SiLU(),
    "mish": nn.Mish(),
    "tanh": nn.Tanh(),
    "sigmoid": nn.Sigmoid(),
    "softplus": nn.Softplus(beta=2.0, threshold=5.0),
    "softsign": nn.Softsign(),
    "hardtanh": nn.Hardtanh(-0.5, 0.8),
    "sin": Sin(),
    "celu": nn.CELU(0.75),
}
LOSSES = {
    "mse": nn.MSELoss(),
    "l1": nn.L1Loss(),
    "smooth_l1": nn.SmoothL1Loss(beta=0.7),
    "huber": nn.HuberLoss(delta=0.7),
    "cross_entropy": nn.CrossEntropyLoss(),
    "binary": nn.BCEWithLogitsLoss(),
    "poisson": PoissonLoss(),
    "quantile": QuantileLoss(0.8),
    "gaussian": GaussianLoss(),
    "class_weights": nn.CrossEntropyLoss(weight=torch.tensor([0.3, 1.0, 2.5], dtype=torch.float64)),
    "label_smoothing": nn.CrossEntropyLoss(label_smoothing=0.15),
    "weights_and_smoothing": nn.CrossEntropyLoss(
        weight=torch.tensor([0.3, 1.0, 2.5], dtype=torch.float64), label_smoothing=0.2
    ),
    "pos_weight": nn.BCEWithLogitsLoss(
        pos_weight=torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
    ),
    "gaussian_sum": GaussianLoss(reduction="sum"),
    "class_weights_sum": nn.CrossEntropyLoss(
        weight=torch.tensor([0.3, 1.0, 2.5], dtype=torch.float64), reduction="sum"
    ),
    "mse_sum": nn.MSELoss(reduction="sum"),
    "cross_entropy_sum": nn.CrossEntropyLoss(reduction="sum"),
}
SOLVERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.02),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, dampening=0.1),
    "nesterov": lambda p: torch.optim.SGD(
        p, lr=0.01, momentum=0.9, nesterov=True, weight_decay=0.01
    ),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.02),
    "amsgrad": lambda p: torch.optim.Adam(p, lr=0.02, amsgrad=True, betas=(0.8, 0.95)),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1, maximize=False),
    "maximize": lambda p: torch.optim.Adam(p, lr=0.001, maximize=True),
}


def _module(sizes, activation, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    module = linnet.network.mlp(sizes[0], sizes[1:-1], sizes[-1], generator=generator)
    layers = [
        copy.deepcopy(activation) if isinstance(layer, nn.ReLU) else layer for layer in module
    ]
    return nn.Sequential(*layers).to(dtype)


def _targets(loss, n_rows, n_outputs, dtype, rng):
    if isinstance(loss, nn.CrossEntropyLoss):
        return torch.tensor(rng.integers(0, n_outputs, n_rows))
    y = rng.normal(size=(n_rows, n_outputs))
    if isinstance(loss, nn.BCEWithLogitsLoss):
        y = (y > 0).astype(float)
    if isinstance(loss, PoissonLoss):
        y = rng.poisson(1.0, size=y.shape).astype(float)
    return torch.tensor(y, dtype=dtype)


def _both(module, X, y, make_optimizer, **options):
    """Train copies of a module with both engines; return the modules and histories."""
    results = []
    for engine in ("torch", "native"):
        trained = copy.deepcopy(module)
        optimizer = make_optimizer(trained.parameters())
        history = linnet.train(
            trained, X, y, optimizer=optimizer, engine=engine, random_state=3, **options
        )
        assert history.engine == engine
        results.append((trained, history, optimizer))
    return results


def _assert_close(results, tolerance):
    (a, first, one), (b, second, other) = results
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(first.train_loss, second.train_loss, rtol=tolerance)
    np.testing.assert_allclose(first.validation_loss, second.validation_loss, rtol=tolerance)
    np.testing.assert_allclose(first.gradient_norm, second.gradient_norm, rtol=100 * tolerance)
    np.testing.assert_allclose(first.learning_rate, second.learning_rate, rtol=1e-12)
    states = one.state_dict()["state"], other.state_dict()["state"]
    assert states[0].keys() == states[1].keys()
    for key in states[0]:
        for name, value in states[0][key].items():
            if isinstance(value, torch.Tensor):
                found = states[1][key][name]
                torch.testing.assert_close(value, found, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_and_solver_follows_torch_in_double_precision(name, solver):
    rng = np.random.default_rng(0)
    loss, dtype = LOSSES[name], torch.float64
    K = 3
    X = torch.tensor(rng.normal(size=(53, 4)))
    y = _targets(loss, 53, K, dtype, rng)
    X_val, y_val = X[:11] + 0.1, y[:11]
    n_outputs = 2 * K if isinstance(loss, GaussianLoss) else K
    module = _module((4, 9, 7, n_outputs), nn.Tanh(), dtype)
    scale = 0.05 if name.endswith("sum") else 1.0

    def make(parameters):
        optimizer = SOLVERS[solver](parameters)
        for group in optimizer.param_groups:
            group["lr"] *= scale
        return optimizer

    results = _both(
        module, X, y, make, loss=loss, epochs=15, batch_size=8, X_val=X_val, y_val=y_val
    )
    _assert_close(results, 1e-9)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_follows_torch(name, dtype):
    rng = np.random.default_rng(1)
    X = torch.tensor(2 * rng.normal(size=(61, 3)), dtype=dtype)
    y = torch.tensor(rng.normal(size=(61, 1)), dtype=dtype)
    module = _module((3, 21, 18, 1), ACTIVATIONS[name], dtype)
    results = _both(
        module, X, y, SOLVERS["momentum"], loss="squared_error", epochs=12, batch_size=7
    )
    _assert_close(results, 1e-9 if dtype == torch.float64 else 2e-4)


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "sizes"),
    [
        (1, 1, (1, 1)),
        (5, 1, (1, 1, 1)),
        (7, 3, (2, 33, 1)),
        (40, 16, (17, 16, 15)),
        (33, 32, (1, 64, 1)),
        (100, 100, (30, 5, 2)),
        (65, 64, (3, 128, 31, 1)),
        (70, 70, (5, 200, 301, 3)),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_every_shape_follows_torch(n_rows, batch_size, sizes, dtype):
    rng = np.random.default_rng(2)
    X = torch.tensor(rng.normal(size=(n_rows, sizes[0])), dtype=dtype)
    y = torch.tensor(rng.normal(size=(n_rows, sizes[-1])), dtype=dtype)
    module = _module(sizes, nn.Tanh(), dtype)
    options = {"loss": "squared_error", "epochs": 10, "batch_size": batch_size}
    results = _both(module, X, y, SOLVERS["momentum"], **options)
    _assert_close(results, 1e-9 if dtype == torch.float64 else 1e-4)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.block = nn.Linear(8, 8, bias=False)
        self.last = nn.Linear(8, 2)

    def forward(self, x):
        h = torch.tanh(self.first(x))
        h = h + F.relu(self.block(h)) * 0.5
        h = self.block(h) + h  # used twice: the weights are shared
        return self.last(h.sigmoid())


def test_residual_additions_and_shared_weights_follow_torch():
    rng = np.random.default_rng(3)
    X, y = torch.tensor(rng.normal(size=(30, 4))), torch.tensor(rng.normal(size=(30, 2)))
    torch.manual_seed(0)
    module = Residual().double()
    _assert_close(_both(module, X, y, SOLVERS["adam"], epochs=20, batch_size=7), 1e-9)


def test_frozen_weights_stay_and_the_others_follow_torch():
    rng = np.random.default_rng(4)
    X, y = torch.tensor(rng.normal(size=(30, 4))), torch.tensor(rng.normal(size=(30, 2)))
    module = _module((4, 6, 5, 2), nn.Tanh())
    module[2].weight.requires_grad_(False)
    module[0].bias.requires_grad_(False)
    results = _both(module, X, y, SOLVERS["adam"], epochs=20, batch_size=7)
    _assert_close(results, 1e-9)
    assert torch.equal(results[1][0][2].weight, module[2].weight)


def test_weights_clipping_groups_and_schedules_follow_torch():
    rng = np.random.default_rng(5)
    X, y = torch.tensor(rng.normal(size=(50, 4))), torch.tensor(rng.normal(size=(50, 2)))
    weight = rng.uniform(0, 3, 50)
    module = _module((4, 6, 2), nn.Tanh())

    def make(parameters):
        parameters = list(parameters)
        groups = [
            {"params": parameters[::2], "weight_decay": 0.1, "lr": 0.02},
            {"params": parameters[1::2]},
        ]
        return torch.optim.AdamW(groups, lr=0.01, weight_decay=0.0)

    for step in ("epoch", "batch"):
        results = _both(
            module,
            X,
            y,
            make,
            sample_weight=weight,
            clip_grad_norm=0.05,
            scheduler=lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.99),
            scheduler_step=step,
            epochs=10,
            batch_size=8,
        )
        _assert_close(results, 1e-9)


def test_training_moves_from_one_engine_to_the_other():
    rng = np.random.default_rng(6)
    X, y = torch.tensor(rng.normal(size=(50, 4))), torch.tensor(rng.normal(size=(50, 2)))
    for solver in ("momentum", "adam", "adamw"):
        ends = []
        for engines in (("torch", "torch"), ("native", "torch"), ("torch", "native")):
            module = _module((4, 6, 2), nn.Tanh())
            optimizer = SOLVERS[solver](module.parameters())
            for engine in engines:
                linnet.train(
                    module, X, y, optimizer=optimizer, engine=engine, epochs=5, random_state=1
                )
            ends.append([p.detach().clone() for p in module.parameters()])
        for other in ends[1:]:
            for p, q in zip(ends[0], other, strict=True):
                torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("count", [torch.tensor(10.0, dtype=torch.float64), 10.0])
def test_a_count_of_steps_of_another_type_is_taken_over(count):
    X = torch.linspace(-1, 1, 40, dtype=torch.float64).reshape(-1, 1)
    ends = []
    for engine in ("torch", "native"):
        module = _module((1, 5, 1), nn.Tanh())
        optimizer = SOLVERS["adam"](module.parameters())
        linnet.train(module, X, X, optimizer=optimizer, engine="torch", epochs=5, random_state=0)
        for state in optimizer.state.values():
            own = copy.deepcopy(count)
            state["step"] = torch.as_tensor(own) if engine == "torch" else own
        linnet.train(module, X, X, optimizer=optimizer, engine=engine, epochs=5, random_state=0)
        assert {float(state["step"]) for state in optimizer.state.values()} == {20.0}
        ends.append(module)
    for p, q in zip(*(m.parameters() for m in ends), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-9)


def test_any_number_of_threads_gives_the_same_bits():
    rng = np.random.default_rng(7)
    X = torch.tensor(rng.normal(size=(700, 40)), dtype=torch.float32)
    y = torch.tensor(rng.normal(size=(700, 3)), dtype=torch.float32)
    ends = []
    for n_threads in (1, 2, 3, 8):
        module = _module((40, 130, 121, 3), nn.SiLU(), torch.float32)
        linnet.train(
            module,
            X,
            y,
            engine="native",
            n_threads=n_threads,
            epochs=2,
            batch_size=300,
            clip_grad_norm=0.1,
            random_state=0,
        )
        ends.append(module.state_dict())
    for other in ends[1:]:
        assert all(torch.equal(ends[0][name], other[name]) for name in other)


def test_a_loss_that_is_not_finite_ends_the_training():
    X = torch.linspace(-1, 1, 40).reshape(-1, 1)
    module = _module((1, 8, 1), nn.ReLU(), torch.float32)
    with pytest.warns(UserWarning, match="infinite or NaN"):
        history = linnet.train(
            module,
            X,
            X**2 * 1e3,
            optimizer=torch.optim.SGD(module.parameters(), lr=1e6),
            engine="native",
            epochs=50,
            random_state=0,
        )
    assert history.outcome.value == "not_finite"
    assert all(torch.isfinite(p).all() for p in module.parameters())


def test_what_is_not_known_is_told_with_its_place():
    module = nn.Sequential(nn.Linear(2, 4), nn.Softmax(dim=1), nn.Linear(4, 1), nn.Tanhshrink())
    with pytest.raises(ValueError) as caught:
        linnet.train(module, torch.zeros(4, 2), torch.zeros(4, 1), engine="native")
    assert str(caught.value) == (
        "engine='native' cannot train this: 1: Softmax is not known to the native engine; "
        "3: Tanhshrink is not known to the native engine. Write engine='auto' or engine='torch'."
    )


def test_auto_says_why_pytorch_was_taken():
    module = nn.Sequential(nn.Linear(2, 4), nn.Softmax(dim=1), nn.Linear(4, 1))
    history = linnet.train(module, torch.zeros(4, 2), torch.zeros(4, 1), epochs=1)
    assert history.engine == "torch"
    assert history.engine_reason == "PyTorch, for 1: Softmax is not known to the native engine."


@pytest.mark.parametrize("level", ["plain", "x86-64-v2", "x86-64-v3", "x86-64-v4"])
def test_every_instruction_set_follows_torch(level):
    from linnet._native import kernels_in_use
    from linnet.native import instruction_sets

    if level != "plain" and level not in instruction_sets():
        pytest.skip(f"this processor does not offer {level}")
    if level == kernels_in_use():
        pytest.skip(f"the other tests of this file run on {level}")
    code = """
import sys; sys.path.insert(0, sys.argv[1])
import test_native_engine as t
from linnet import _native
print(_native.kernels_in_use())
import torch
for name in t.ACTIVATIONS:
    for dtype in (torch.float64, torch.float32):
        t.test_every_activation_follows_torch(name, dtype)
for dtype in (torch.float64, torch.float32):
    t.test_every_shape_follows_torch(65, 64, (3, 128, 31, 1), dtype)
for name in t.LOSSES:
    t.test_every_loss_and_solver_follows_torch_in_double_precision(name, "adamw")
"""
    run = warm_python.run(code, os.path.dirname(__file__), LINNET_INSTRUCTION_SET=level)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == level


def test_a_row_is_predicted_to_the_same_bits_alone_and_among_others():
    rng = np.random.default_rng(8)
    X = rng.normal(size=(1200, 5))
    model = linnet.MLPRegressor((37, 21), activation="tanh", max_iter=3, tol=0.0, random_state=0)
    with pytest.warns(UserWarning, match="has not converged"):
        model.fit(X, X[:, 0])
    together = model.predict(X)
    assert [model.predict(X[i : i + 1])[0] for i in range(40)] == together[:40].tolist()
    outputs = model.module_(torch.tensor(model.columns_.encode_array(X)))
    by_torch = model.target_.decode(outputs.detach().numpy())
    np.testing.assert_allclose(together, by_torch, rtol=1e-4, atol=1e-5)


def test_a_prediction_sees_weights_and_layers_that_were_changed():
    X = np.random.default_rng(9).normal(size=(60, 3))
    model = linnet.MLPRegressor((8,), max_iter=200, tol=0.0, n_iter_no_change=np.inf)
    model.fit(X, X[:, 0])
    before = model.predict(X)
    with torch.no_grad():
        model.module_[0].weight.mul_(2)
    changed = model.predict(X)
    assert not np.array_equal(changed, before)
    model.module_[1] = nn.Tanh()
    assert not np.array_equal(model.predict(X), changed)


def test_a_layer_that_comes_twice_follows_torch():
    rng = np.random.default_rng(10)
    X, y = torch.tensor(rng.normal(size=(30, 4))), torch.tensor(rng.normal(size=(30, 4)))
    torch.manual_seed(0)
    layer = nn.Linear(4, 4).double()
    module = nn.Sequential(layer, nn.Tanh(), nn.Sequential(layer, nn.SiLU()), layer)
    _assert_close(_both(module, X, y, SOLVERS["adam"], epochs=20, batch_size=7), 1e-9)


def test_trainings_in_several_threads_at_once_give_what_each_gives_alone():
    X = np.random.default_rng(11).normal(size=(200, 3))

    def fit(seed):
        module = _module((3, 16, 1), nn.Tanh(), torch.float32, seed)
        linnet.train(module, X, X[:, :1], epochs=20, random_state=seed)
        return torch.cat([p.detach().flatten() for p in module.parameters()])

    alone = [fit(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(fit, range(8)))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def test_a_prediction_sees_knobs_and_statistics_that_were_changed():
    X = torch.randn(30, 3, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.LeakyReLU(0.1), nn.Linear(8, 1))

    def change_knob():
        module[2].negative_slope = 0.9

    def change_statistics():
        module[1].running_mean = torch.ones(8)

    for change in (lambda: None, change_knob, change_statistics):
        change()
        with torch.no_grad():
            expected = module.eval()(X)
        torch.testing.assert_close(predict(module, X), expected, rtol=1e-4, atol=1e-5)


def _loaded(model):
    model.module_.load_state_dict({k: v + 1 for k, v in model.module_.state_dict().items()})


def _swapped(model):
    torch.manual_seed(1)
    model.module_ = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 1))


def _hooked(model):
    model.module_[1].register_forward_hook(lambda module, inputs, outputs: 2 * outputs)


def _turned(model):
    model.module_[0].weight.data = model.module_[0].weight.data.T


def _new_memory(model):
    model.module_[0].weight.data = model.module_[0].weight.data + 1


def _new_parameter(model):
    model.module_[2].weight = nn.Parameter(model.module_[2].weight + 1)


def _double(model):
    model.module_.double()


def _replaced(model):
    model.module_[1] = nn.Sequential(nn.Tanh(), nn.Linear(3, 3))


@pytest.mark.parametrize(
    "change",
    [_loaded, _swapped, _hooked, _turned, _new_memory, _new_parameter, _double, _replaced],
)
def test_a_row_is_predicted_by_the_module_as_it_is_now(change):
    X = np.random.default_rng(9).normal(size=(60, 3))
    model = linnet.MLPRegressor(
        (3,), "tanh", max_iter=20, tol=0.0, n_iter_no_change=np.inf, random_state=0
    )
    model.fit(X, X[:, 0] ** 2)
    before = model.predict(X[:1])
    change(model)
    module = model.module_.eval()
    with torch.no_grad():
        inputs = torch.tensor(model.columns_.encode_array(X[:1])).to(module[0].weight.dtype)
        expected = model.target_.decode(module(inputs).numpy())
    found = model.predict(X[:1])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    if change is _double:
        np.testing.assert_allclose(found, before, rtol=1e-4, atol=1e-5)
    else:
        assert abs(found - before) > 1e-3


def test_a_model_is_freed_though_a_hook_refers_to_it():
    X = np.random.default_rng(9).normal(size=(60, 3))
    model = linnet.MLPRegressor((3,), max_iter=20, tol=0.0, n_iter_no_change=np.inf)
    model.fit(X, X[:, 0]).predict(X)
    module = model.module_
    module[1].register_forward_hook(lambda *_, seen=module: None)
    model.predict(X)
    alive = weakref.ref(module)
    del model, module
    gc.collect()
    assert alive() is None
