"""Layers beyond linear ones in the native engine, and modules with a forward of their own."""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest
import torch
from test_native_engine import SOLVERS, _assert_close, _both
from torch import nn
from torch.nn import functional as F
from tutorial_code import FeedForwardNN

import linnet
from linnet.network import FeatureScale, PeriodicEmbedding

_native = pytest.importorskip("linnet._native", reason="the native module is not installed")


class Bottleneck(nn.Module):
    """Residual blocks, concatenation, functional forms, a scale of the user's own."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 12)
        self.norm = nn.LayerNorm(12)
        self.factors = nn.Parameter(torch.linspace(0.5, 1.5, 12))
        self.blocks = nn.ModuleList([nn.Linear(12, 12) for _ in range(2)])
        self.last = nn.Linear(28, 2)

    def forward(self, x):
        h = x.view(x.size(0), -1)
        h = F.gelu(self.norm(self.first(h))) * self.factors
        for block in self.blocks:
            h = h + 0.5 * torch.tanh(block(h)) - h.sigmoid() / 2 + 1
        gate = self.blocks[0](h).sigmoid()
        return self.last(torch.cat([h, h * gate, x], dim=1))


class Functional(nn.Module):
    """Weights and dropout in functional forms."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(9, 4) / 2)
        self.out = nn.Linear(9, 2)

    def forward(self, x):
        h = F.layer_norm(F.linear(x, self.weight), (9,))
        return self.out(F.dropout(F.softplus(h), 0.0, self.training))


MODULES = {
    "layer_norm": lambda: nn.Sequential(
        nn.Linear(4, 11), nn.LayerNorm(11), nn.ReLU(), nn.Linear(11, 2)
    ),
    "layer_norm_without_weights": lambda: nn.Sequential(
        nn.Linear(4, 11), nn.LayerNorm(11, elementwise_affine=False), nn.Linear(11, 2)
    ),
    "rms_norm": lambda: nn.Sequential(
        nn.RMSNorm(4, eps=1e-3, elementwise_affine=False),
        nn.Linear(4, 11),
        nn.RMSNorm(11),
        nn.ReLU(),
        nn.Linear(11, 2),
    ),
    "batch_norm": lambda: nn.Sequential(
        nn.BatchNorm1d(4),
        nn.Linear(4, 11),
        nn.BatchNorm1d(11, momentum=0.3),
        nn.SiLU(),
        nn.Linear(11, 9),
        nn.BatchNorm1d(9, momentum=None),
        nn.Linear(9, 2),
        nn.BatchNorm1d(2, affine=False),
    ),
    "periodic": lambda: nn.Sequential(
        PeriodicEmbedding(4, 5), nn.Linear(24, 17), nn.Tanh(), nn.Linear(17, 2)
    ),
    "feature_scale": lambda: nn.Sequential(
        FeatureScale(4), PeriodicEmbedding(4, 3), nn.Linear(16, 9), nn.SiLU(), nn.Linear(9, 2)
    ),
    "identity_and_flatten": lambda: nn.Sequential(
        nn.Flatten(),
        nn.Identity(),
        nn.Linear(4, 8, bias=False),
        nn.ReLU6(),
        nn.Dropout(0.0),
        nn.Linear(8, 2),
    ),
    "residual": Bottleneck,
    "functional": Functional,
    "tutorial": lambda: FeedForwardNN(4, 13, 2),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", MODULES)
def test_every_layer_follows_torch(name, dtype):
    rng = np.random.default_rng(0)
    X = torch.tensor(rng.normal(size=(77, 4)), dtype=dtype)
    y = torch.tensor(rng.normal(size=(77, 2)), dtype=dtype)
    torch.manual_seed(0)
    module = MODULES[name]().to(dtype)
    results = _both(
        module,
        X,
        y,
        SOLVERS["momentum"],
        epochs=12,
        batch_size=15,
        sample_weight=rng.uniform(0.2, 2.0, 77),
        X_val=X[:30] * 1.1,
        y_val=y[:30],
        clip_grad_value=0.05,
    )
    _assert_close(results, 1e-9 if dtype == torch.float64 else 2e-4)
    buffers = [dict(m.named_buffers()) for m, _, _ in results]
    for key, value in buffers[0].items():
        torch.testing.assert_close(value, buffers[1][key], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", MODULES)
def test_layers_give_the_same_bits_with_any_number_of_threads(name):
    rng = np.random.default_rng(1)
    X = torch.tensor(rng.normal(size=(300, 4)), dtype=torch.float32)
    y = torch.tensor(rng.normal(size=(300, 2)), dtype=torch.float32)
    torch.manual_seed(0)
    module = MODULES[name]()
    module = nn.Sequential(module, nn.Dropout(0.3)) if type(module) is nn.Sequential else module
    ends = []
    for n_threads in (1, 2, 3, 8):
        trained = copy.deepcopy(module)
        history = linnet.train(
            trained,
            X,
            y,
            epochs=3,
            batch_size=100,
            n_threads=n_threads,
            random_state=0,
            engine="native",
            X_val=X,
            y_val=y,
        )
        ends.append((trained.state_dict(), history.validation_loss))
    for weights, losses in ends[1:]:
        assert all(torch.equal(ends[0][0][key], value) for key, value in weights.items())
        assert np.array_equal(losses, ends[0][1])


class Masked(nn.Module):
    """A network whose dropout multiplies by masks that it is given, batch after batch."""

    def __init__(self, module, masks):
        super().__init__()
        self.module, self.masks = module, masks

    def forward(self, x):
        if not self.training:
            return self.module(x)
        layers = [m for m in self.module if not isinstance(m, nn.Dropout)]
        masks = next(self.masks)
        return layers[2](torch.tanh(layers[0](x)) * masks)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_dropout_with_its_masks_given_follows_torch(dtype):
    rng = np.random.default_rng(2)
    N, B, H, epochs = 70, 16, 21, 4
    X = torch.tensor(rng.normal(size=(N, 3)), dtype=dtype)
    y = torch.tensor(rng.normal(size=(N, 1)), dtype=dtype)
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, H), nn.Tanh(), nn.Dropout(0.4), nn.Linear(H, 1)).to(dtype)
    generator = torch.Generator().manual_seed(5)
    seeds = []
    for _ in range(epochs):  # what train draws for each epoch: the order of rows, and a seed
        torch.randperm(N, generator=generator)
        seeds.append(int(torch.randint(2**62, (), generator=generator)))

    def masks():
        for seed in seeds:
            mask = torch.empty(N, H, dtype=dtype)
            _native.dropout_mask(seed, 0, 0.4, mask.numpy())
            yield from mask.split(B)

    by_native, by_torch = copy.deepcopy(module), copy.deepcopy(module)
    options = {"epochs": epochs, "batch_size": B}
    linnet.train(
        by_native, X, y, engine="native", random_state=torch.Generator().manual_seed(5), **options
    )
    linnet.train(
        Masked(by_torch, masks()),
        X,
        y,
        engine="torch",
        random_state=torch.Generator().manual_seed(5),
        **options,
    )
    tolerance = 1e-9 if dtype == torch.float64 else 1e-4
    for p, q in zip(by_native.parameters(), by_torch.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.83])
def test_dropout_masks_have_their_rate_and_are_independent(rate):
    N, H = 4096, 65
    mask = np.empty((N, H), dtype=np.float32)
    _native.dropout_mask(12345, 0, rate, mask)
    np.testing.assert_allclose(np.unique(mask), [0, 1 / (1 - rate)], rtol=1e-6)
    left_out = (mask == 0).astype(float)
    sigma = np.sqrt(rate * (1 - rate))
    assert abs(left_out.mean() - rate) < 5 * sigma / np.sqrt(N * H)
    # Each unit and each row has the rate; chi-squared over all of them, 5 sigma.
    for axis, n in ((0, N), (1, H)):
        z = (left_out.mean(axis) - rate) / (sigma / np.sqrt(n))
        assert abs((z**2).mean() - 1) < 5 * np.sqrt(2 / len(z))
    # Neighbours among rows, units, layers, seeds and epochs' seeds are uncorrelated.
    centred = (left_out - rate) / sigma
    others = []
    for seed, layer in ((12346, 0), (12345, 1), (12345 + 2**32, 0)):
        other = np.empty_like(mask)
        _native.dropout_mask(seed, layer, rate, other)
        others.append(((other == 0) - rate) / sigma)
    pairs = [
        (centred[1:], centred[:-1]),
        (centred[:, 1:], centred[:, :-1]),
        (centred[1:, 1:], centred[:-1, :-1]),
        *((centred, other) for other in others),
    ]
    for a, b in pairs:
        assert abs((a * b).mean()) < 5 / np.sqrt(a.size)


def test_the_same_seed_draws_the_same_mask_in_either_precision():
    small, large = np.empty((50, 7), np.float32), np.empty((50, 7))
    _native.dropout_mask(3, 1, 0.5, small)
    _native.dropout_mask(3, 1, 0.5, large)
    assert np.array_equal(small, large)


def test_dropout_is_off_in_evaluation_and_all_is_left_out_at_rate_one():
    X = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    module = nn.Sequential(nn.Linear(3, 8), nn.Dropout(1.0), nn.Linear(8, 1))
    history = linnet.train(module, X, X[:, :1], X_val=X, y_val=X[:, :1], epochs=2, engine="native")
    with torch.no_grad():
        expected = F.mse_loss(module(X), X[:, :1])
    assert min(history.validation_loss) == pytest.approx(float(expected), rel=1e-5)


def test_the_forward_of_ones_own_is_taken_unasked_where_it_traces():
    X = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    history = linnet.train(FeedForwardNN(2, 5, 1), X, X[:, :1], epochs=1)
    assert history.engine == "native"
    assert history.engine_reason == (
        "Every layer, the loss and the optimizer are known to the native engine."
    )


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.layer(x)


class Noisy(Counting):
    def forward(self, x):
        return self.layer(x) + random.random()


class Asking(Counting):
    def forward(self, x):
        return self.layer(x) * 2 if isinstance(x, torch.Tensor) else self.layer(x)


class Branching(Counting):
    def forward(self, x):
        return self.layer(x) if x.sum() > 0 else -self.layer(x)


class Calling(Counting):
    def forward(self, x):
        return self.layer(x)

    def __call__(self, x):
        return super().__call__(x) * 3 if isinstance(x, torch.Tensor) else super().__call__(x)


class InTraining(Counting):
    def forward(self, x):
        return self.layer(x) * (2 if self.training else 1)


MODES = "PyTorch, for the module does other things in training than in evaluation."
DIFFERENT = "PyTorch, for its forward does not do the same each time that it is called."


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Noisy, MODES),
        (Asking, DIFFERENT),
        (Calling, DIFFERENT),
        (
            Branching,
            "PyTorch, for the module cannot be traced: symbolically traced variables cannot be "
            "used as inputs to control flow.",
        ),
        (InTraining, MODES),
    ],
)
def test_a_forward_that_is_more_than_its_layers_goes_to_pytorch(kind, reason):
    X = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    history = linnet.train(kind(), X, X[:, :1], epochs=1, random_state=0)
    assert history.engine == "torch"
    assert history.engine_reason == reason


def test_tracing_leaves_the_module_as_it_was():
    from linnet.engine.tracing import trace

    module = Counting()
    before = dict(module.__dict__)
    module.eval()
    program, faults = trace(module, 2)
    assert program is None
    assert faults == ["the module cannot be traced: the forward of Counting changes its attributes"]
    assert module.__dict__ == {**before, "training": False}
    assert module.calls == 0


def test_a_layer_that_stays_in_evaluation_goes_to_pytorch():
    class Frozen(nn.BatchNorm1d):
        def train(self, mode=True):
            return super().train(False)

    X = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    module = nn.Sequential(Frozen(2), nn.Linear(2, 1))
    history = linnet.train(module, X, X[:, :1], epochs=1)
    assert history.engine_reason == "PyTorch, for 0: stays in evaluation."


def test_parameters_that_lead_nowhere_stay():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Linear(2, 1), nn.Linear(2, 3)

        def forward(self, x):
            self.idle(x)
            return self.used(x)

    X = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    module = Idle()
    before = module.idle.weight.detach().clone()
    optimizer = torch.optim.AdamW(module.parameters(), weight_decay=0.5)
    history = linnet.train(module, X, X[:, :1], optimizer=optimizer, epochs=3)
    assert history.engine == "native"
    assert torch.equal(module.idle.weight, before)


def test_weights_of_another_module_train_too():
    X = torch.randn(40, 2, generator=torch.Generator().manual_seed(0)).double()
    torch.manual_seed(0)
    tied = nn.Linear(2, 2).double()

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = copy.deepcopy(tied)

        def forward(self, x):
            return F.linear(torch.tanh(self.layer(x)), self.layer.weight, self.layer.bias)

    _assert_close(_both(Tied(), X, X, SOLVERS["adam"], epochs=10, batch_size=7), 1e-9)
