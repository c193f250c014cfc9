"""The fitted attributes of scikit-learn's MLP: losses, and scores of the validation rows."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from torch import nn

import linnet
from linnet import MLPClassifier, MLPRegressor, ModuleClassifier, ModuleRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(160, 3))
Y = X[:, 0] + 0.1 * RNG.normal(size=160)
WEIGHT = RNG.uniform(0.1, 2, size=40)
ALL = {"max_iter": 6, "n_iter_no_change": np.inf, "random_state": 0, "learning_rate_init": 0.05}

TARGETS = {
    "one output": Y,
    "two outputs": np.c_[Y, X[:, 1]],
    "an output that is constant for the validation rows": np.c_[Y, np.r_[X[:120, 1], np.ones(40)]],
    "two classes": np.where(Y > 0, "a", "b"),
    "three classes": np.digitize(Y, [-0.5, 0.5]),
    "labels": (X[:, :2] > 0).astype(int),
}


def estimator(name, y, **parameters):
    n_outputs = y.shape[1] if y.ndim == 2 else len(np.unique(y))
    if "output" in name:
        n_outputs = y.shape[1] if y.ndim == 2 else 1
        yield MLPRegressor((8,), **ALL, **parameters)
        yield ModuleRegressor(nn.Linear(3, n_outputs), **ALL, **parameters)
    else:
        yield MLPClassifier((8,), **ALL, **parameters)
        yield ModuleClassifier(nn.Linear(3, n_outputs), **ALL, **parameters)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("name", TARGETS)
def test_scores_of_the_validation_rows_are_those_of_score(name, weight):
    y = TARGETS[name]
    for model in estimator(name, y):
        model.fit(X[:120], y[:120], X_val=X[120:], y_val=y[120:], sample_weight_val=weight)
        assert len(model.validation_scores_) == model.n_iter_ == 6
        # The weights kept are the best epoch's, so its score is the model's.
        expected = model.score(X[120:], y[120:], weight)
        assert model.best_validation_score_ == pytest.approx(expected, rel=1e-9, abs=1e-12)
        best = int(np.argmin(model.validation_loss_curve_))
        assert model.best_validation_score_ == model.validation_scores_[best]


def test_scores_go_on_with_a_fit_that_goes_on_and_are_none_without_validation_rows():
    model = MLPRegressor((8,), early_stopping=True, warm_start=True, **ALL).fit(X, Y)
    first = copy.copy(model.validation_scores_)
    model.fit(X, Y)
    assert len(model.validation_scores_) == 12
    assert model.validation_scores_[:6] == first
    plain = MLPRegressor((8,), **ALL).fit(X, Y)
    assert plain.validation_scores_ is None
    assert plain.best_validation_score_ is None


def test_scores_are_kept_in_the_file(tmp_path):
    model = MLPRegressor((8,), early_stopping=True, **ALL).fit(X, Y)
    linnet.save(model, tmp_path / "m.linnet")
    again = linnet.load(tmp_path / "m.linnet")
    assert again.validation_scores_ == model.validation_scores_
    assert again.best_validation_score_ == model.best_validation_score_


class Noisy(nn.Linear):
    def forward(self, x):
        return super().forward(x) + 0.01 * torch.randn(len(x), 1)  # in evaluation too


def test_scoring_leaves_torchs_generator_as_found():
    state = torch.get_rng_state()
    ModuleRegressor(Noisy(3, 1), early_stopping=True, **ALL).fit(X, Y)
    after = torch.get_rng_state()
    torch.set_rng_state(state)
    Noisy(3, 1)  # what the line above drew
    assert torch.equal(torch.get_rng_state(), after)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(
    ("ours", "theirs", "y"),
    [(MLPRegressor, TheirRegressor, Y), (MLPClassifier, TheirClassifier, TARGETS["two classes"])],
    ids=["regressor", "classifier"],
)
def test_each_fitted_attribute_of_scikit_learns_mlp_is_there(ours, theirs, y, early_stopping):
    settings = {"max_iter": 3, "random_state": 0, "early_stopping": early_stopping}
    fitted, model = (kind(**settings).fit(X, y) for kind in (theirs, ours))
    names = [name for name in dir(fitted) if name.endswith("_") and not name.startswith("_")]
    assert {"loss_", "validation_scores_", "best_validation_score_", "t_"} <= set(names)
    for name in names:
        one, other = getattr(model, name), getattr(fitted, name)
        if isinstance(other, list):
            assert [np.shape(value) for value in one] == [np.shape(value) for value in other], name
        elif isinstance(other, int | str):
            assert one == other, name
        elif other is None and name != "best_loss_":  # ours is there with validation rows too
            assert one is None, name
    assert model.loss_ == model.loss_curve_[-1]


def test_an_attribute_asked_for_too_early_is_named():
    for name in ("loss_", "validation_scores_", "best_validation_score_"):
        with pytest.raises(AttributeError) as fault:
            getattr(MLPRegressor(), name)
        assert str(fault.value) == f"MLPRegressor has no {name} yet: call fit first."


# A module's last activation -----------------------------------------------------------------


class End(nn.Module):
    def __init__(self, end):
        super().__init__()
        self.linear, self.end = nn.Linear(3, 1), end

    def forward(self, x):
        if x.sum() > 1e9:  # which torch.fx cannot trace
            return x
        return self.end(self.linear(x))


@pytest.mark.parametrize(
    ("end", "name"),
    [
        (torch.tanh, "Tanh"),
        (nn.Sequential(nn.Sigmoid(), nn.Dropout(0.5)), "Sigmoid"),
        (lambda x: torch.relu(x).squeeze(1).unsqueeze(1), "Relu"),
        (nn.ReLU6(), "Hardtanh"),
    ],
)
def test_a_bounded_end_is_found_whatever_the_forward_does(end, name):
    with pytest.raises(ValueError) as fault:
        ModuleRegressor(End(end), max_iter=1).fit(X, Y)
    assert str(fault.value) == (
        f"The module ends with {name}, which cannot reach every standardised target. Write "
        "scale_y=False and give y in the range of that activation, or leave it out."
    )
    ModuleRegressor(End(lambda x: end(x) * 2), learning_rate="cosine", max_iter=1).fit(X, Y)


def test_negative_class_weights():
    with pytest.raises(ValueError) as fault:
        MLPClassifier(class_weight={"a": -1.0}).fit(X, TARGETS["two classes"])
    assert str(fault.value) == (
        "class_weight={'a': -1.0} is not allowed: weights are numbers of 0 or more. Give such, or "
        "class_weight='balanced'."
    )
