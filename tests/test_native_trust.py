"""Where a module, a loss or an optimizer is not what it seems: then PyTorch trains, and says why.

And where it is changed between two epochs, the native engine sees it.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import linnet

pytest.importorskip("linnet._native", reason="the native module is not installed")

X = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.randn(50, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
CLASSES = torch.arange(50) % 3


class Layers(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.inner, self.last = nn.Linear(3, 8), nn.Linear(8, 8), nn.Linear(8, 2)
        self.factors = nn.Parameter(torch.linspace(0.5, 1.5, 8))
        self.register_buffer("kept", torch.linspace(0.5, 1.5, 8))
        self.register_buffer("count", torch.zeros(()))
        self.norm = nn.BatchNorm1d(8)
        self.calls, self.latest = 0, None


class WithoutGradients(Layers):
    def forward(self, x):
        with torch.no_grad():
            h = torch.tanh(self.first(x))
        return self.last(torch.tanh(self.inner(h)))


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 1.0

    @staticmethod
    def backward(ctx, gradient):
        return -gradient


class ReversedGradients(Layers):
    def forward(self, x):
        return self.last(Reversed.apply(torch.tanh(self.first(x))))


class ComputedFactors(Layers):
    def forward(self, x):
        return self.last(torch.tanh(self.first(x)) * self.factors.exp())


class ComputedWeight(Layers):
    def forward(self, x):
        return self.last(F.linear(torch.tanh(self.first(x)), self.inner.weight[:]))


class DetachedWeight(Layers):
    def forward(self, x):
        return self.last(F.linear(torch.tanh(self.inner(self.first(x))), self.inner.weight.data))


class OtherWeights(Layers):
    """In evaluation by a copy of the weights, equal to them at first."""

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)) * (self.factors if self.training else self.kept))


class Counting(Layers):
    def forward(self, x):
        self.count += 1
        return self.last(torch.tanh(self.first(x)))


class Late(Layers):
    def forward(self, x):
        self.calls += 1
        h = torch.tanh(self.first(x))
        return self.last(h * 2 if self.calls > 20 else h)


class Keeping(Layers):
    def forward(self, x):
        self.latest = torch.tanh(self.first(x))
        return self.last(self.latest)


class InPlace(Layers):
    """ReLU in place changes what is added to it; with a last layer of zeros nobody sees it."""

    def __init__(self):
        super().__init__()
        nn.init.zeros_(self.last.weight)

    def forward(self, x):
        h = self.inner(torch.tanh(self.first(x)))
        return self.last(h + F.relu(h, inplace=True))


class Aside(Layers):
    def forward(self, x):
        h = torch.tanh(self.first(x))
        self.norm(h)
        return self.last(h)


def _sequential():
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))


def _replaced():
    module = _sequential()
    layer = module[0]
    layer.forward = lambda x: 3 * F.linear(x, layer.weight, layer.bias)
    return module


def _overlapping():
    module = _sequential().double()
    module[2].bias = nn.Parameter(module[0].weight.data[0, :2])
    return module


NO_GRADIENTS = "a part of its forward has no gradients, or gradients of its own"
OWN_TENSORS = "its forward computes with its own tensors"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (WithoutGradients, f"the module cannot be traced: {NO_GRADIENTS}"),
        (ReversedGradients, f"the module cannot be traced: {NO_GRADIENTS}"),
        (ComputedFactors, f"the module cannot be traced: {OWN_TENSORS} (exp)"),
        (ComputedWeight, f"the module cannot be traced: {OWN_TENSORS} (slice)"),
        (DetachedWeight, f"the module cannot be traced: {OWN_TENSORS} (detach)"),
        (OtherWeights, "the module does other things in training than in evaluation"),
        (Counting, f"the module cannot be traced: {OWN_TENSORS} (add_)"),
        (Late, "the module cannot be traced: the forward of Late changes its attributes"),
        (Keeping, "the module cannot be traced: the forward of Keeping changes its attributes"),
        (InPlace, "its forward does not do the same each time that it is called"),
        (Aside, "a batch normalisation does not lead to the output"),
        (_replaced, "0: its forward was replaced"),
        (_overlapping, "weights share a part of their memory"),
    ],
)
def test_a_module_that_is_more_than_it_seems_goes_to_pytorch(make, reason):
    torch.manual_seed(0)
    module = make().double()
    with pytest.raises(ValueError) as raised:
        linnet.train(module, X, Y, epochs=1, engine="native")
    assert str(raised.value) == (
        f"engine='native' cannot train this: {reason}. Write engine='auto' or engine='torch'."
    )
    history = linnet.train(module, X, Y, epochs=1, random_state=0)
    assert history.engine == "torch"
    assert history.engine_reason == f"PyTorch, for {reason}."


def test_tracing_a_forward_that_counts_in_a_buffer_leaves_the_buffer():
    from linnet.engine.tracing import trace

    module = Counting()
    trace(module, 3)
    assert module.count == 0


def test_what_follows_an_unknown_layer_is_not_told_too():
    from linnet.engine.tracing import trace

    class Following(Layers):
        def forward(self, x):
            return self.last(F.relu(F.linear(F.hardswish(self.first(x)), self.inner.weight)) + x)

    chain = nn.Sequential(nn.Bilinear(3, 3, 8), nn.LayerNorm(8), nn.Linear(8, 2), nn.CELU(-1.0))
    assert trace(chain, 3)[1] == ["0: Bilinear is not known to the native engine"]
    assert trace(Following(), 3)[1] == ["hardswish: hardswish is not known to the native engine"]


def test_flatten_is_known_by_its_keywords_too():
    class Flat(Layers):
        def forward(self, x):
            return self.last(torch.tanh(self.first(torch.flatten(x, start_dim=1))))

    assert linnet.train(Flat().double(), X, Y, epochs=1).engine == "native"


def _both(make, y=Y, change=None, optimizer=None, seen="native", **options):
    """Train by each engine from the same weights; return modules, histories, optimizers."""
    results = []
    for engine in ("torch", "auto"):
        torch.manual_seed(0)
        module = make().double()
        steps = (optimizer or (lambda p: torch.optim.Adam(p, lr=0.01)))(module.parameters())
        options["on_epoch"] = (
            None if change is None else lambda h, m=module, o=steps: change(m, o, h.n_epochs)
        )
        history = linnet.train(
            module,
            X,
            y,
            optimizer=steps,
            epochs=6,
            batch_size=16,
            engine=engine,
            random_state=3,
            **options,
        )
        results.append((module, history))
    assert results[1][1].engine == seen
    (one, first), (other, second) = results
    for p, q in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(first.train_loss, second.train_loss, rtol=1e-9)
    np.testing.assert_allclose(first.validation_loss, second.validation_loss, rtol=1e-9)
    return second


def _freeze(module, optimizer, epoch):
    module[0].weight.requires_grad_(epoch % 2 == 0)


def _new_memory(module, optimizer, epoch):
    module[0].weight.data = module[0].weight.data.clamp(-0.3, 0.3)


def _new_parameter(module, optimizer, epoch):
    if epoch == 2:
        module[0].weight = nn.Parameter(module[0].weight.detach() / 2)


def _new_layer(module, optimizer, epoch):
    if epoch == 2:
        module[1] = nn.ReLU()


def _new_knob(module, optimizer, epoch):
    module[1].negative_slope = 0.1 * epoch


def _turned_groups(module, optimizer, epoch):
    optimizer.param_groups.reverse()


def _other_count(module, optimizer, epoch):
    optimizer.state[module[0].weight]["step"].zero_()


def _two_groups(parameters):
    parameters = list(parameters)
    groups = [{"params": parameters[:2], "lr": 0.1}, {"params": parameters[2:]}]
    return torch.optim.Adam(groups, lr=0.001)


@pytest.mark.parametrize(
    ("change", "optimizer"),
    [
        (_freeze, None),
        (_new_memory, None),
        (_new_parameter, None),
        (_new_layer, None),
        (_new_knob, None),
        (_turned_groups, _two_groups),
        (_other_count, None),
    ],
)
def test_what_is_changed_between_two_epochs_is_seen(change, optimizer):
    def make():
        return nn.Sequential(nn.Linear(3, 8), nn.LeakyReLU(0.01), nn.Linear(8, 2))

    _both(make, change=change, optimizer=optimizer)


def test_a_switch_of_the_modules_own_is_seen_between_two_epochs():
    class Switched(Layers):
        def forward(self, x):
            h = torch.tanh(self.first(x))
            return self.last(torch.tanh(self.inner(h)) if self.calls else h)

    def switch(module, optimizer, epoch):
        module.calls = epoch % 2

    _both(Switched, change=switch)


def _hook(module, optimizer, epoch):
    if epoch == 2:
        module[1].register_forward_hook(lambda layer, inputs, output: output * 2)


def test_pytorch_goes_on_where_a_hook_is_set_between_two_epochs():
    history = _both(_sequential, change=_hook, seen="torch")
    assert history.engine_reason == "PyTorch, for 1: has hooks, which only PyTorch calls."


def test_the_native_engine_refuses_a_hook_set_between_two_epochs():
    module = _sequential().double()
    with pytest.raises(ValueError) as raised:
        linnet.train(
            module, X, Y, engine="native", on_epoch=lambda h: _hook(module, None, h.n_epochs)
        )
    assert str(raised.value) == (
        "engine='native' cannot train this: 1: has hooks, which only PyTorch calls. Write "
        "engine='auto' or engine='torch'."
    )


def _three_classes():
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3))


def test_a_class_that_is_ignored_goes_to_pytorch():
    loss = nn.CrossEntropyLoss(ignore_index=1)
    history = _both(_three_classes, y=CLASSES, loss=loss, seen="torch")
    assert history.engine_reason == "PyTorch, for the cross-entropy ignores some rows."


def test_validation_rows_that_are_ignored_are_left_out():
    ignored = torch.where(torch.arange(50) < 5, -100, CLASSES)
    _both(_three_classes, y=CLASSES, loss=nn.CrossEntropyLoss(), X_val=X, y_val=ignored)


def test_a_batch_without_weight_has_no_loss_where_classes_have_weights():
    weight = np.zeros(50)
    weight[0] = 1.0
    loss = nn.CrossEntropyLoss(weight=torch.tensor([0.3, 1.0, 2.0], dtype=torch.float64))
    _both(_three_classes, y=CLASSES, loss=loss, sample_weight=weight)


def test_a_loss_whose_forward_was_replaced_goes_to_pytorch():
    loss = nn.MSELoss()
    loss.forward = lambda prediction, target: (prediction - target).abs().mean()
    history = _both(_sequential, loss=loss, seen="torch")
    assert history.engine_reason == "PyTorch, for the forward of the loss MSELoss was replaced."


def test_adam_decouples_its_decay_where_it_is_told_to():
    def make(parameters):
        return torch.optim.Adam(parameters, lr=0.01, weight_decay=0.5, decoupled_weight_decay=True)

    _both(_sequential, optimizer=make)


def test_groups_that_differ_in_their_kind_of_decay_go_to_pytorch():
    def make(parameters):
        parameters = list(parameters)
        groups = [
            {"params": parameters[:2], "decoupled_weight_decay": True},
            {"params": parameters[2:]},
        ]
        return torch.optim.Adam(groups, lr=0.01, weight_decay=0.5)

    history = _both(_sequential, optimizer=make, seen="torch")
    assert history.engine_reason == (
        "PyTorch, for the optimizer's groups differ in decoupled_weight_decay."
    )


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_a_scheduler_of_batches_has_made_as_many_steps_as_the_optimizer(engine):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(100_000, 3, generator=generator)
    module = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3))
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=60_000)
    history = linnet.train(
        module,
        rows,
        rows,
        optimizer=optimizer,
        scheduler=scheduler,
        scheduler_step="batch",
        batch_size=2,
        epochs=1,
        max_time=0.01,
        engine=engine,
    )
    assert history.outcome is linnet.Outcome.TIME_UP
    n_steps = int(optimizer.state[module[0].weight]["step"])
    assert scheduler.last_epoch == n_steps < 50_000
    by_itself = torch.optim.Adam(module.parameters(), lr=0.01)
    expected = torch.optim.lr_scheduler.OneCycleLR(by_itself, 0.1, total_steps=60_000)
    by_itself._opt_called = True
    for _ in range(n_steps):
        expected.step()
    assert optimizer.param_groups[0]["lr"] == by_itself.param_groups[0]["lr"]
    assert optimizer.param_groups[0]["betas"] == by_itself.param_groups[0]["betas"]
