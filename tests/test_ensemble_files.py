"""Ensembles in model files, and the intervals of one network: all of it comes back, as data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import linnet
from linnet import EnsembleClassifier, EnsembleRegressor, MLPRegressor
from linnet.model_file import read_card
from linnet.model_format import pack, unpack

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 3))
Y = X[:, 0] - X[:, 1] ** 2 + 0.1 * RNG.normal(size=80)
SMALL = {"hidden_layer_sizes": (6,), "max_iter": 4, "random_state": 0}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.linnet"


def there_and_back(model, path):
    linnet.save(model, path)
    return linnet.load(path)


@pytest.mark.parametrize("y", [Y, np.c_[Y, X[:, 2]]], ids=["n", "nk"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_regressor_comes_back_to_the_bit_with_its_error_bars(path, y, dtype):
    model = EnsembleRegressor(4, **SMALL, dtype=dtype).fit(X, y)
    again = there_and_back(model, path)
    assert (again.predict(X) == model.predict(X)).all()
    assert (again.predict(X, return_std=True)[1] == model.predict(X, return_std=True)[1]).all()
    assert (again.predict_interval(X, 0.8) == model.predict_interval(X, 0.8)).all()
    assert again.settings_ == model.settings_
    assert again.history_.notes == model.history_.notes
    assert [h.to_dict() for h in again.histories_] == [h.to_dict() for h in model.histories_]
    assert len(again.module_.members) == 4


@pytest.mark.parametrize("loss", ["huber", "poisson"])
def test_other_losses_come_back_with_their_links(path, loss):
    y = np.floor(np.exp(X[:, 0])) if loss == "poisson" else Y
    model = EnsembleRegressor(2, **SMALL, loss=loss).fit(X, y)
    assert (there_and_back(model, path).predict(X) == model.predict(X)).all()
    assert loss != "poisson" or (model.predict(X) > 0).all()


@pytest.mark.parametrize("kind", ["two", "three", "multilabel"])
def test_a_classifier_comes_back_with_its_temperature(path, kind):
    y = {
        "two": (Y > 0),
        "three": np.array(["a", "b", "c"])[np.digitize(Y, [-1, 0])],
        "multilabel": (X > 0).astype(int),
    }[kind]
    model = EnsembleClassifier(3, **SMALL).fit(X, y)
    again = there_and_back(model, path)
    assert (again.predict_proba(X) == model.predict_proba(X)).all()
    assert again.temperature_ == pytest.approx(model.temperature_)


def test_one_network_keeps_what_it_knows_of_its_errors(path):
    model = MLPRegressor((6,), early_stopping=True, n_iter_no_change=np.inf, random_state=0)
    model.fit(X, Y)
    again = there_and_back(model, path)
    assert (again.predict_interval(X) == model.predict_interval(X)).all()


def test_the_card_tells_what_was_chosen(path):
    linnet.save(EnsembleRegressor(2, **SMALL).fit(X, Y), path)
    card = read_card(path)
    assert card["estimator"] == "EnsembleRegressor"
    assert card["settings"]["hidden_layer_sizes"] == [6]
    assert len(card["histories"]) == 2
    assert card["network"]["n_outputs"] == 1


def test_an_ensemble_needs_no_module(path):
    linnet.save(EnsembleRegressor(2, **SMALL).fit(X, Y), path)
    with pytest.raises(ValueError) as fault:
        linnet.load(path, module=torch.nn.Linear(3, 1))
    assert str(fault.value) == (
        f"{path} holds an EnsembleRegressor, which needs no module. Write linnet.load(path)."
    )


# Wrong entries ----------------------------------------------------------------------------------


def giant(description, tensors):
    description["settings"]["hidden_layer_sizes"] = [10**6, 10**6]
    return "its weights do not have the sizes that its settings say"


def more_members(description, tensors):
    description["histories"] *= 1000
    return "its weights do not have the sizes that its settings say"


def no_members(description, tensors):
    description["histories"] = []
    return "its weights do not have the sizes that its settings say"


def unknown_setting(description, tensors):
    description["settings"]["command"] = "rm"
    return "its settings are not those of an ensemble"


def no_settings(description, tensors):
    del description["settings"]
    return "'settings'"


def no_error_bars(description, tensors):
    for name in [name for name in tensors if name.startswith("error_bars.")]:
        del tensors[name]
    return "its error bars are missing"


def infinite_scores(description, tensors):
    tensors["error_bars.scores"][0] = torch.inf
    return "its error bars are damaged"


def no_scores(description, tensors):
    tensors["error_bars.scores"] = torch.zeros(0, 1, dtype=torch.float64)
    return "its error bars are damaged"


@pytest.mark.parametrize(
    "spoil",
    [
        giant,
        more_members,
        no_members,
        unknown_setting,
        no_settings,
        no_error_bars,
        infinite_scores,
        no_scores,
    ],
)
def test_wrong_entries_are_told_and_nothing_large_is_made(path, spoil):
    linnet.save(EnsembleRegressor(2, **SMALL).fit(X, Y), path)
    description, tensors = unpack(path)
    description = {k: v for k, v in description.items() if k not in ("format_version", "sha256")}
    told = spoil(description, tensors)
    path.write_bytes(pack(description, tensors))
    with pytest.raises(ValueError) as fault:
        linnet.load(path)
    assert str(fault.value) == (
        f"{path} is a damaged linnet model ({told}). Copy it anew, or fit the model again."
    )
