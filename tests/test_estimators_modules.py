"""ModuleRegressor and ModuleClassifier: modules, builders and losses of the user's."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from tutorial_code import FeedForwardNN, sinc_data

from linnet import MLPRegressor, ModuleClassifier, ModuleRegressor, Outcome

RNG = np.random.default_rng(0)
X = RNG.uniform(-2, 2, size=(120, 3))
Y = np.sin(X[:, 0]) + X[:, 1] ** 2
TWO = np.where(Y > 1, "yes", "no")
THREE = np.digitize(Y, [0.5, 2])

ALL_EPOCHS = {"n_iter_no_change": np.inf, "random_state": 0}


def net(n_inputs=3, n_outputs=1):
    return nn.Sequential(nn.Linear(n_inputs, 16), nn.Tanh(), nn.Linear(16, n_outputs))


def regressor(module, **parameters):
    return ModuleRegressor(
        module, **{"solver": "lbfgs", "max_iter": 40, **ALL_EPOCHS, **parameters}
    )


def classifier(module, **parameters):
    return ModuleClassifier(
        module, **{"solver": "lbfgs", "max_iter": 40, **ALL_EPOCHS, **parameters}
    )


def test_an_instance_is_copied_with_its_weights_and_never_trained_in_place():
    module = net()
    before = copy.deepcopy(module.state_dict())
    model = regressor(module, max_iter=1, solver="sgd", learning_rate_init=1e-12).fit(X, Y)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
        assert torch.allclose(model.module_.state_dict()[name], before[name], atol=1e-6)
    assert model.module_ is not module
    assert module.training


def test_a_builder_is_told_the_numbers_of_inputs_and_outputs():
    told = []

    def build(n_inputs, n_outputs):
        told.append((n_inputs, n_outputs))
        return net(n_inputs, n_outputs)

    regressor(build).fit(X, np.c_[Y, -Y])
    classifier(build).fit(X, THREE)
    classifier(build).fit(X, TWO)
    classifier(build).fit(X, np.c_[THREE > 0, THREE > 1, X[:, 0] > 0, X[:, 1] > 0].astype(int))
    assert told == [(3, 2), (3, 3), (3, 2), (3, 4)]


def test_the_random_state_decides_the_weights_of_a_builder():
    one, other = (regressor(net, max_iter=2).fit(X, Y).predict(X) for _ in range(2))
    assert np.array_equal(one, other)


def test_lazy_layers_take_their_sizes_from_x():
    lazy = nn.Sequential(nn.LazyLinear(16), nn.Tanh(), nn.LazyLinear(1))
    model = regressor(lazy).fit(X, Y)
    assert model.module_[0].in_features == 3
    assert model.score(X, Y) > 0.95
    assert isinstance(lazy[0], nn.LazyLinear)


def test_modules_in_double_and_half_precision_predict_in_double():
    for dtype in (torch.float64, torch.bfloat16):
        model = regressor(net().to(dtype), solver="adam", max_iter=2).fit(X, Y)
        assert model.predict(X).dtype == np.float64
        assert next(model.module_.parameters()).dtype == dtype


def test_batch_norm_and_dropout_are_in_evaluation_mode_at_prediction():
    module = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))
    model = regressor(module, solver="adam", max_iter=3).fit(X, Y)
    assert np.array_equal(model.predict(X), model.predict(X))
    assert model.predict(X[:1]) == pytest.approx(model.predict(X)[:1], abs=1e-5)


def test_frozen_parameters_stay_as_they_are():
    module = net()
    module[0].requires_grad_(False)
    model = regressor(module, max_iter=3).fit(X, Y)
    assert torch.equal(model.module_[0].weight, module[0].weight)
    assert not torch.equal(model.module_[2].weight, module[2].weight)


def test_torch_losses_and_callables_train_a_regressor():
    losses = [
        nn.MSELoss(),
        nn.HuberLoss(delta=0.5),
        nn.SmoothL1Loss(),
        "absolute_error",
        F.mse_loss,
        lambda prediction, target: ((prediction - target) ** 4).mean(),
    ]
    for loss in losses:
        model = regressor(net, loss=loss, solver="adam", learning_rate_init=0.03, batch_size=30)
        assert model.set_params(max_iter=60).fit(X, Y).score(X, Y) > 0.8


@pytest.mark.parametrize("log_input", [True, False])
def test_torchs_poisson_loss_sees_counts_as_they_are(log_input):
    ends = [] if log_input else [nn.Softplus()]
    module = nn.Sequential(nn.Linear(3, 1), *ends)
    counts = np.random.default_rng(1).poisson(np.exp(X[:, 0]))
    model = regressor(module, loss=nn.PoissonNLLLoss(log_input=log_input)).fit(X, counts)
    assert model.target_.scale.tolist() == [1.0]
    assert model.predict(X).min() > 0
    assert model.predict(X).mean() == pytest.approx(counts.mean(), rel=0.1)


class TestTwoClasses:
    """With one output or two, and any loss that fits."""

    @pytest.mark.parametrize(
        ("n_outputs", "loss"),
        [
            (1, "log_loss"),
            (2, "log_loss"),
            (2, nn.CrossEntropyLoss(label_smoothing=0.1)),
            (1, nn.BCEWithLogitsLoss()),
            (2, F.cross_entropy),
            (2, lambda logits, numbers: F.cross_entropy(logits, numbers)),
            (1, lambda logit, target: F.binary_cross_entropy_with_logits(logit, target)),
            (2, nn.MultiMarginLoss()),
        ],
        ids=["1", "2", "smoothed", "BCE", "function", "callable", "callable of 1", "margin"],
    )
    def test_probabilities_and_labels_come_back(self, n_outputs, loss):
        model = classifier(net(3, n_outputs), loss=loss).fit(X, TWO)
        p = model.predict_proba(X)
        assert p.shape == (120, 2)
        assert p.sum(axis=1) == pytest.approx(np.ones(120))
        assert model.score(X, TWO) > 0.95
        assert np.array_equal(model.classes_[p.argmax(axis=1)], model.predict(X))

    def test_log_probabilities_go_with_nll_loss(self):
        module = nn.Sequential(*net(3, 2), nn.LogSoftmax(dim=1))
        model = classifier(module, loss=nn.NLLLoss()).fit(X, TWO)
        with torch.no_grad():
            outputs = model.module_(torch.from_numpy(model.columns_.encode_array(X)))
        assert model.score(X, TWO) > 0.95
        assert model.predict_proba(X) == pytest.approx(outputs.double().exp().numpy(), abs=1e-6)

    def test_a_sigmoid_goes_with_bce_loss(self):
        module = nn.Sequential(*net(3, 1), nn.Sigmoid())
        model = classifier(module, loss=nn.BCELoss()).fit(X, TWO)
        with torch.no_grad():
            inputs = torch.from_numpy(model.columns_.encode_array(X))
            outputs = model.module_(inputs).double().numpy()[:, 0]
        assert model.predict_proba(X)[:, 1] == pytest.approx(outputs, abs=1e-6)


def test_a_loss_may_weigh_the_classes():
    y = np.r_[np.zeros(100), np.ones(20)].astype(int)
    plain = classifier(nn.Linear(3, 2)).fit(X, y)
    weighted = classifier(
        nn.Linear(3, 2), loss=nn.CrossEntropyLoss(weight=torch.tensor([0.1, 1.0]))
    ).fit(X, y)
    assert weighted.predict(X).sum() > plain.predict(X).sum()


class TestTutorial:
    """The tutorial's network, by both ways."""

    def test_its_network_learns_through_module_regressor(self):
        inputs, y = sinc_data()
        model = ModuleRegressor(
            FeedForwardNN(2, 80, 1),
            scale_X=False,
            scale_y=False,
            alpha=0,
            learning_rate_init=1e-2,
            max_iter=60,
            **ALL_EPOCHS,
        ).fit(inputs, y)
        assert model.history_.outcome is Outcome.EPOCHS_DONE
        assert model.loss_curve_[-1] < 0.03
        assert model.predict(inputs).shape == (2500, 1)

    def test_its_class_takes_the_weights_of_a_fitted_mlp(self):
        inputs, y = sinc_data()
        model = MLPRegressor(
            (80,),
            "tanh",
            output_activation="tanh",
            scale_X=False,
            scale_y=False,
            max_iter=3,
            **ALL_EPOCHS,
        ).fit(inputs, y)
        network = FeedForwardNN(2, 80, 1)
        network.load_state_dict(
            dict(zip(network.state_dict(), model.module_.state_dict().values(), strict=True))
        )
        with torch.no_grad():
            outputs = network(torch.tensor(inputs, dtype=torch.float32))
        np.testing.assert_allclose(outputs.double().numpy(), model.predict(inputs), atol=1e-6)


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, x):
        return self.linear(x), x


class TwoInputs(Pair):
    def forward(self, x, z):
        return self.linear(x)


class Branch(Pair):
    def forward(self, x):
        return torch.tanh(self.linear(x)) if x.sum() > 0 else self.linear(-x)


def test_a_module_that_cannot_be_traced_is_trained_all_the_same():
    assert regressor(Branch(), max_iter=2).fit(X, Y).n_iter_ == 2


# module, error, sentence
REGRESSION_FAULTS = {
    "none": (
        None,
        ValueError,
        "module=None is no torch.nn.Module and makes none. Give a module, or a function of (number "
        "of inputs, number of outputs) that returns one.",
    ),
    "a builder of something else": (
        lambda n_inputs, n_outputs: 3,
        TypeError,
        "module=<lambda> returned a int. Give a module, or a function of (number of inputs, number "
        "of outputs) that returns a torch.nn.Module.",
    ),
    "a class of other arguments": (
        FeedForwardNN,
        TypeError,
        "module=FeedForwardNN cannot be called as FeedForwardNN(3, 1), with the numbers of inputs "
        "and outputs: FeedForwardNN.__init__() missing 1 required positional argument: "
        "'output_size'. Give a module, or a function of these two that returns one.",
    ),
    "other inputs": (
        nn.Linear(5, 1),
        ValueError,
        "The module cannot take inputs of shape (N, 3), which X has after encoding: mat1 and mat2 "
        "shapes cannot be multiplied (3x3 and 5x1). Let its first layer take 3 inputs, or give a "
        "function of (number of inputs, number of outputs) that returns the module.",
    ),
    "two inputs": (
        TwoInputs(),
        ValueError,
        "The module cannot take inputs of shape (N, 3), which X has after encoding: "
        "TwoInputs.forward() missing 1 required positional argument: 'z'. Let its first layer take "
        "3 inputs, or give a function of (number of inputs, number of outputs) that returns the "
        "module.",
    ),
    "other outputs": (
        nn.Linear(3, 4),
        ValueError,
        "The module's output has shape (N, 4), but y holds targets of shape (N, 1). Let the module "
        "end with nn.Linear(..., 1).",
    ),
    "squeezed": (
        nn.Sequential(nn.Linear(3, 1), nn.Flatten(0)),
        ValueError,
        "The module's output has shape (N,), but y holds targets of shape (N, 1). Let the module "
        "end with nn.Linear(..., 1), without squeeze or flatten after it.",
    ),
    "a tuple": (
        Pair(),
        ValueError,
        "The module returns a tuple; it has to return one tensor of shape (N, K).",
    ),
    "bounded": (
        FeedForwardNN(3, 4, 1),
        ValueError,
        "The module ends with Tanh, which cannot reach every standardised target. Write "
        "scale_y=False and give y in the range of that activation, or leave it out.",
    ),
    "nothing to train": (
        nn.Sequential(nn.Linear(3, 1).requires_grad_(False)),
        ValueError,
        "The module has no parameters to train. Give one with layers such as nn.Linear, and with "
        "requires_grad=True.",
    ),
}


@pytest.mark.parametrize(
    ("module", "error", "sentence"), REGRESSION_FAULTS.values(), ids=REGRESSION_FAULTS
)
def test_a_module_that_does_not_fit_is_told_before_the_training(module, error, sentence):
    with pytest.raises(error) as fault:
        regressor(module).fit(X, Y)
    assert str(fault.value) == sentence


# module, loss, error, sentence
CLASSIFICATION_FAULTS = {
    "three outputs for two classes": (
        nn.Linear(3, 3),
        "log_loss",
        "The module's output has shape (N, 3), but y holds 2 classes. Let the module end with "
        "nn.Linear(..., 2).",
    ),
    "softmax before a loss of logits": (
        nn.Sequential(nn.Linear(3, 2), nn.Softmax(dim=1)),
        nn.CrossEntropyLoss(),
        "The module ends with Softmax, but the loss takes logits, which go from -infinity to "
        "infinity. Leave that activation out.",
    ),
    "two outputs for a loss of one": (
        nn.Linear(3, 2),
        nn.BCEWithLogitsLoss(),
        "The module's output has shape (120, 2) and the target (120, 1): they must be equal, for "
        "torch would spread them over each other or fail. Let the module end with 1 output(s).",
    ),
    "a loss's class": (
        nn.Linear(3, 2),
        nn.CrossEntropyLoss,
        "loss=CrossEntropyLoss is a class; give an instance of it: loss=CrossEntropyLoss().",
    ),
    "an unknown loss": (
        nn.Linear(3, 2),
        "log_los",
        "loss='log_los' is not known, did you mean 'log_loss'? Allowed are 'squared_error', "
        "'absolute_error', 'smooth_l1', 'huber', 'poisson', 'quantile', 'gaussian', 'log_loss', "
        "'binary_log_loss'.",
    ),
}


@pytest.mark.parametrize(
    ("module", "loss", "sentence"), CLASSIFICATION_FAULTS.values(), ids=CLASSIFICATION_FAULTS
)
def test_a_module_or_loss_that_does_not_fit_the_classes_is_told(module, loss, sentence):
    with pytest.raises(ValueError) as fault:
        classifier(module, loss=loss).fit(X, TWO)
    assert str(fault.value) == sentence


def test_a_last_batch_of_one_row_is_told_where_batch_norm_cannot_use_it():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    with pytest.raises(ValueError) as fault:
        regressor(module, solver="adam", batch_size=17).fit(X, Y)
    assert str(fault.value) == (
        "120 rows in batches of 17 leave a last batch of one row, from which BatchNorm cannot tell "
        "a variance. Change batch_size by one, or leave out a row."
    )
