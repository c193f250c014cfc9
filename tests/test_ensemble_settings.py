"""What an ensemble chooses from the size of a table, and the rates of a member's layers."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from linnet import EnsembleClassifier, EnsembleRegressor, losses
from linnet.engine.prediction import predictor
from linnet.ensemble.folds import Folds, windows
from linnet.ensemble.members import Plan, build, parameter_shapes
from linnet.ensemble.settings import Settings, choose
from linnet.network import FeatureScale


def member(n_inputs=6, **given):
    """Return a member's module and optimizer as its training begins."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, n_inputs)).astype(np.float32)
    folds = Folds(100, windows(100, 8, seed=0))
    settings = choose(80, n_inputs, 1, **given)
    loss = losses.resolve("squared_error")
    plan = Plan(X, X[:, :1], None, 1, loss, settings, list(range(8)), folds, torch.float32)
    return plan.start(0)[:2]


def rates(module, optimizer):
    """Return the learning rate and the decay of each parameter by its name."""
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def test_each_layer_has_a_rate_of_its_own_and_only_weights_decay():
    found = rates(*member(hidden_layer_sizes=(32,), learning_rate_init=0.01, alpha=0.1))
    first = (128 / 18) ** 0.5  # 6 inputs and 2 cosines of each
    assert found == {
        "0.weight": (0.04, 0.0),
        "1.frequencies": (0.005, 0.0),
        "1.phases": (0.005, 0.0),
        "2.weight": pytest.approx((0.01 * first, 0.1 / first)),
        "2.bias": (0.001, 0.0),
        "4.weight": pytest.approx((0.02, 0.05)),
        "4.bias": (0.001, 0.0),
    }


def test_an_optimizer_that_does_not_adapt_has_one_rate():
    found = rates(*member(solver="sgd", learning_rate_init=0.01))
    assert {rate for rate, _ in found.values()} == {0.01}


def test_a_feature_scale_multiplies_each_input_by_its_factor():
    scale = FeatureScale(3)
    x = torch.arange(6.0).reshape(2, 3)
    assert torch.equal(scale(x), x)
    with torch.no_grad():
        scale.weight.copy_(torch.tensor([0.0, 1.0, 2.0]))
    assert torch.equal(scale(x), torch.tensor([[0.0, 1.0, 4.0], [0.0, 4.0, 10.0]]))


def test_a_member_has_the_shapes_that_files_expect():
    for n_inputs in (1, 500):
        settings = choose(100, n_inputs, 2)
        module = build(settings, n_inputs, 2, torch.Generator().manual_seed(0))
        shapes = [tuple(parameter.shape) for parameter in module.parameters()]
        assert sorted(shapes) == sorted(parameter_shapes(settings, n_inputs, 2))


def test_members_of_what_is_chosen_are_trained_natively():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    for model, y in (
        (EnsembleRegressor(2, max_iter=2), X[:, 0]),
        (EnsembleClassifier(2, max_iter=2), (X[:, 0] > 0).astype(int)),
    ):
        assert model.fit(X, y).history_.engine == "native"
        assert all(predictor(member, 2).is_native for member in model.module_.members)


def test_what_takes_all_rows_has_no_batches():
    told = choose(1_000, 8, 1, solver="lbfgs", max_iter=30).sentence
    assert told == (
        "2 cosines of each input, hidden layers 128,128, silu; lbfgs, all rows at once, at most 30 "
        "epochs"
    )
    assert choose(1_000, 8, 1, n_frequencies=1).sentence.startswith("1 cosine of each input, ")


def test_classes_are_learnt_at_a_lower_rate_unless_it_is_given():
    numbers, classes = choose(500, 4, 1), choose(500, 4, 3, is_classes=True)
    assert classes.learning_rate_init < numbers.learning_rate_init
    given = choose(500, 4, 3, is_classes=True, learning_rate_init=0.5)
    assert given.learning_rate_init == 0.5
    X = np.linspace(-1, 1, 40).reshape(-1, 1)
    model = EnsembleClassifier(2, max_iter=1, random_state=0).fit(X, (X[:, 0] > 0).astype(int))
    assert model.settings_.learning_rate_init == classes.learning_rate_init


def test_labels_of_classes_are_smoothed_unless_it_is_given():
    assert choose(500, 4, 1).label_smoothing == 0
    assert choose(500, 4, 3, is_classes=True).label_smoothing == 0.1
    assert choose(500, 4, 3, is_classes=True, label_smoothing=0.0).label_smoothing == 0
    told = [choose(1000, 8, 3, is_classes=True, label_smoothing=s).sentence for s in (0.25, 0.0)]
    assert told == [
        "hidden layers 128,128, silu; adamw, batches of 64, at most 45 epochs, labels smoothed by "
        "0.25",
        "hidden layers 128,128, silu; adamw, batches of 64, at most 45 epochs",
    ]


SIGNS = np.repeat([[-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]], 40, axis=0)  # (N, D) of three classes


@pytest.mark.parametrize(
    ("y", "smoothed"),
    [
        (SIGNS[:, 0] > 0, [0.9, 0.1]),
        (np.repeat([0, 1, 2], 40), [0.8 + 0.2 / 3, 0.2 / 3, 0.2 / 3]),
        ((SIGNS > 0).astype(int), [0.9, 0.1]),
    ],
    ids=["two classes", "three classes", "multilabel"],
)
def test_members_learn_smoothed_labels_and_the_ensemble_knows_them_as_they_are(y, smoothed):
    model = EnsembleClassifier(4, label_smoothing=0.2, random_state=0).fit(SIGNS, y)
    module = model.module_
    inputs = torch.from_numpy(model.columns_.encode_array(SIGNS)).float()
    for member in module.members:
        learnt = module.LINKS[module.link](member(inputs))
        assert learnt.max().item() == pytest.approx(smoothed[0], abs=0.01)
    entropy = -np.sum(smoothed * np.log(smoothed))
    assert min(model.validation_loss_curve_) == pytest.approx(entropy, abs=0.01)
    assert model.predict_proba(SIGNS).max(axis=1).min() > 0.98
    assert model.oof_probabilities_.max(axis=1).min() > 0.98


def test_small_tables_have_more_epochs_and_large_ones_fewer():
    epochs = [choose(n_rows, 8, 1).max_iter for n_rows in (20, 150, 1000, 10_000, 10**5, 10**6)]
    assert epochs == sorted(epochs, reverse=True) and epochs[0] == 150 and epochs[-1] >= 1
    steps = 150 / choose(150, 8, 1).batch_size * choose(150, 8, 1).max_iter
    assert 500 < steps < 700


def test_inputs_have_fewer_cosines_where_there_are_many():
    waves = [choose(1000, n_inputs, 1).n_frequencies for n_inputs in (1, 17, 30, 64, 100, 1000)]
    assert waves == [8, 2, 1, 0, 0, 0]


def test_classes_of_more_than_two_inputs_have_no_cosines():
    waves = [choose(1000, n, 3, is_classes=True).n_frequencies for n in (1, 2, 3, 30)]
    assert waves == [8, 8, 0, 0]


def test_a_wave_of_one_input_is_followed():
    rng = np.random.default_rng(0)
    X = rng.uniform(-4, 4, (600, 1))
    wave = np.sin(5 * X[:, 0]) / (1 + X[:, 0] ** 2)
    model = EnsembleRegressor(4, random_state=0).fit(X, wave + 0.1 * rng.normal(size=600))
    assert np.sqrt(np.mean((model.predict(X) - wave) ** 2)) < 0.08


def test_what_is_given_is_never_chosen_otherwise():
    for field in fields(Settings):
        default = getattr(Settings(), field.name)
        value = {str: "relu", tuple: (7,), int: 3, float: 0.25}[type(default)]
        for n_rows, n_inputs in [(20, 1), (1_000, 2), (1_000_000, 30), (100, 1_000)]:
            for is_classes in (False, True):
                chosen = choose(n_rows, n_inputs, 1, is_classes=is_classes, **{field.name: value})
                assert getattr(chosen, field.name) == value, field.name
