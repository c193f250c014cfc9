"""Code written for sklearn.neural_network, run with both."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import sklearn.neural_network
import torch
from sklearn.base import clone
from torch import nn

from linnet import MLPClassifier, MLPRegressor

ALL_EPOCHS = {"n_iter_no_change": np.inf, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 3))
    y = 2 * np.sin(X[:, 0]) + X[:, 1] ** 2 + 0.1 * rng.normal(size=300)
    return X[:200], X[200:], (y[:200] - 1) / 2, (y[200:] - 1) / 2


def test_every_parameter_but_max_fun_is_taken_with_the_same_default():
    for ours, theirs in (
        (MLPRegressor, sklearn.neural_network.MLPRegressor),
        (MLPClassifier, sklearn.neural_network.MLPClassifier),
    ):
        expected = {k: v for k, v in theirs().get_params().items() if k != "max_fun"}
        given = ours().get_params()
        assert {name: given[name] for name in expected} == expected
        assert clone(ours(**expected)).get_params() == given


@pytest.mark.parametrize(
    ("solver", "learning_rate"),
    # Not sgd with invscaling: its rate falls so fast that neither learns anything.
    [
        *itertools.product(["lbfgs", "adam"], ["constant", "adaptive", "invscaling"]),
        *itertools.product(["sgd"], ["constant", "adaptive"]),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # both are short
def test_a_regressor_is_as_good_as_scikit_learns(data, solver, learning_rate):
    X, X_test, y, y_test = data
    scores = [
        package(
            hidden_layer_sizes=(50,),
            solver=solver,
            learning_rate=learning_rate,
            learning_rate_init=0.01,
            max_iter=150,
            random_state=0,
        )
        .fit(X, y)
        .score(X_test, y_test)
        for package in (sklearn.neural_network.MLPRegressor, MLPRegressor)
    ]
    assert scores[1] > max(0.8, scores[0] - 0.03)


@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # both are short
def test_a_classifier_is_as_good_as_scikit_learns(data, solver):
    X, X_test, y, y_test = data
    bins = [-0.5, 0.5]
    scores = [
        package((50,), solver=solver, learning_rate_init=0.02, max_iter=100, random_state=0)
        .fit(X, np.digitize(y, bins))
        .score(X_test, np.digitize(y_test, bins))
        for package in (sklearn.neural_network.MLPClassifier, MLPClassifier)
    ]
    assert scores[1] > max(0.7, scores[0] - 0.05)


def test_coefficients_and_intercepts_make_the_predictions(data):
    X, _, y, _ = data
    model = MLPRegressor((8, 5), "tanh", max_iter=3, scale_X=False, scale_y=False, **ALL_EPOCHS)
    hidden = X
    model.fit(X, y)
    for weights, biases in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        hidden = np.tanh(hidden @ weights + biases)
    by_hand = hidden @ model.coefs_[-1] + model.intercepts_[-1]
    assert model.predict(X) == pytest.approx(by_hand[:, 0], abs=1e-5)
    assert [w.shape for w in model.coefs_] == [(3, 8), (8, 5), (5, 1)]
    assert (model.n_layers_, model.n_outputs_, model.out_activation_) == (4, 1, "identity")


def test_one_epoch_of_sgd_is_scikit_learns_with_half_the_rate_and_alpha_doubled(data):
    X, _, y, _ = data
    theirs = sklearn.neural_network.MLPRegressor(
        hidden_layer_sizes=(8,),
        activation="tanh",
        solver="sgd",
        learning_rate_init=0.02,
        alpha=1.0,
        shuffle=False,
        batch_size=50,
        max_iter=1,
        random_state=0,
    )
    ours = MLPRegressor(
        (8,),
        "tanh",
        solver="sgd",
        learning_rate_init=0.01,  # squared_error is half as large there
        alpha=2.0,
        shuffle=False,
        batch_size=50,
        max_iter=1,
        scale_X=False,
        scale_y=False,
        dtype="float64",
        warm_start=True,
        **ALL_EPOCHS,
    )
    theirs.partial_fit(X, y)
    ours.partial_fit(X, y)
    layers = [layer for layer in ours.module_ if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        for i, layer in enumerate(layers):
            layer.weight.copy_(torch.from_numpy(theirs.coefs_[i].T.copy()))
            layer.bias.copy_(torch.from_numpy(theirs.intercepts_[i]))
    # Both begin anew from these weights, without momentum.
    theirs._optimizer.velocities = [0 * v for v in theirs._optimizer.velocities]
    ours._state.optimizer.state.clear()
    theirs.partial_fit(X, y)
    ours.partial_fit(X, y)
    for mine, other in zip(ours.coefs_, theirs.coefs_, strict=True):
        assert mine == pytest.approx(other, abs=1e-10)
