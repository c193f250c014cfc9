"""The model file: what comes back is what was saved, and nothing in a file is ever run."""

from __future__ import annotations

import functools
import json
import os
import re
import warnings
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import safetensors.torch
import torch
from shell import birds
from torch import nn
from tutorial_code import FeedForwardNN

import linnet
from linnet import MLPClassifier, MLPRegressor, ModuleClassifier, ModuleRegressor, load, save
from linnet.model_file import read_card
from linnet.model_format import pack, unpack

SOURCE = Path(linnet.__file__).parent
QUICK = {"max_iter": 3, "n_iter_no_change": np.inf, "random_state": 0}
X = np.random.default_rng(0).normal(size=(60, 3))
Y = X[:, 0] - X[:, 1] ** 2


def net(n_inputs: int = 3, n_outputs: int = 1) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(n_inputs, 5), nn.Tanh(), nn.Linear(5, n_outputs))


def there_and_back(estimator, path, **options):
    save(estimator, path)
    return load(path, **options)


def same_predictions(one, other, X=X):
    np.testing.assert_array_equal(one.predict(X), other.predict(X))
    if hasattr(one, "predict_proba"):
        np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.linnet"


@pytest.mark.parametrize("y", [Y, Y.reshape(-1, 1), np.c_[Y, X[:, 2]]], ids=["n", "n1", "nk"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_regressor_comes_back_to_the_bit(path, y, dtype):
    fitted = MLPRegressor((6, 4), dtype=dtype, dropout=0.1, early_stopping=True, **QUICK).fit(X, y)
    again = there_and_back(fitted, path)
    same_predictions(fitted, again)
    assert again.predict(X).shape == y.shape
    assert again.module_[0].weight.dtype == getattr(torch, dtype)
    assert again.get_params() == fitted.get_params()
    assert again.history_.to_dict() == fitted.history_.to_dict()
    assert again.loss_curve_ == fitted.loss_curve_ and again.n_iter_ == 3
    assert not again.module_.training


CLASSES = {
    "text": np.array(["b", "a", "c"]),
    "unicode": np.array(["ä", "鳥", "z" * 50]),
    "objects": np.array(["b", "a", "c"], dtype=object),
    "integers": np.array([3, -1, 7]),
    "small integers": np.array([3, 1, 7], dtype=np.uint8),
    "booleans": np.array([True, False]),
    "floats": np.array([0.0, 1.0, 2.0]),
    "two": np.array(["yes", "no"]),
}


@pytest.mark.parametrize("kind", CLASSES)
def test_classes_of_every_type_come_back(path, kind):
    labels = CLASSES[kind]
    y = labels[np.arange(60) % len(labels)]
    fitted = MLPClassifier((6,), **QUICK).fit(X, y)
    again = there_and_back(fitted, path)
    same_predictions(fitted, again)
    assert again.classes_.dtype == fitted.classes_.dtype
    assert again.classes_.tolist() == fitted.classes_.tolist()


def test_multilabel_targets_come_back(path):
    fitted = MLPClassifier((6,), **QUICK).fit(X, (X > 0).astype(int))
    again = there_and_back(fitted, path)
    same_predictions(fitted, again)
    assert again.predict(X).shape == (60, 3)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_frames_of_every_type_of_column_come_back(path, frame):
    table = birds()
    table["seen"] = pd.to_datetime(table["seen"])
    given = table.drop(columns="species")
    given = given if frame is pd.DataFrame else pl.from_pandas(given)
    fitted = MLPClassifier((6,), **QUICK).fit(given, table["species"])
    again = there_and_back(fitted, path)
    same_predictions(fitted, again, given)
    assert again.columns_ == fitted.columns_
    assert again.feature_names_in_.tolist() == fitted.feature_names_in_.tolist()
    assert set(again.columns_.types.values()) == {
        "number",
        "category",
        "boolean",
        "date",
        "identifier",
    }


@pytest.mark.parametrize("loss", ["poisson", "quantile", "huber", "absolute_error"])
def test_predictions_pass_the_link_of_the_loss(path, loss):
    fitted = MLPRegressor((6,), loss=loss, quantile=0.9, **QUICK).fit(X, np.exp(Y))
    same_predictions(fitted, there_and_back(fitted, path))


def test_a_module_of_ones_own_comes_back_in_an_instance_of_its_class(path):
    fitted = ModuleRegressor(net(), **QUICK).fit(X, Y)
    given = net()
    before = [p.clone() for p in given.parameters()]
    again = there_and_back(fitted, path, module=given)
    same_predictions(fitted, again)
    assert again.module_ is not given
    assert all(torch.equal(a, b) for a, b in zip(before, given.parameters(), strict=True))


def test_a_module_of_double_precision_comes_back_in_it_whatever_the_instance(path):
    fitted = ModuleRegressor(net().double(), **QUICK).fit(X, Y)
    again = there_and_back(fitted, path, module=net())
    assert again.module_[0].weight.dtype == torch.float64
    same_predictions(fitted, again)


def test_buffers_and_tied_weights_come_back(path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(3)
            self.a = nn.Linear(3, 3)
            self.b = nn.Linear(3, 3)
            self.b.weight = self.a.weight
            self.out = nn.Linear(3, 1)

        def forward(self, x):
            return self.out(torch.tanh(self.b(torch.tanh(self.a(self.norm(x))))))

    fitted = ModuleRegressor(Tied(), **QUICK).fit(X, Y)
    again = there_and_back(fitted, path, module=Tied())
    same_predictions(fitted, again)
    assert again.module_.b.weight is again.module_.a.weight


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        (nn.CrossEntropyLoss(label_smoothing=0.1, weight=torch.tensor([1.0, 2.0, 3.0])), "class"),
        (nn.NLLLoss(), "class"),
        (nn.HuberLoss(delta=0.3), "number"),
        (nn.SmoothL1Loss(beta=0.2), "number"),
        (nn.MSELoss(), "number"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_losses_of_torch_come_back_with_their_settings(path, loss, y):
    if y == "class":
        module = nn.Sequential(*net(3, 3), nn.LogSoftmax(dim=1))
        fitted = ModuleClassifier(module, loss=loss, **QUICK).fit(X, np.arange(60) % 3)
    else:
        module = net()
        fitted = ModuleRegressor(module, loss=loss, **QUICK).fit(X, Y)
    again = there_and_back(fitted, path, module=module)
    same_predictions(fitted, again)
    assert type(again.loss) is type(loss)
    for name in ("label_smoothing", "delta", "beta", "reduction"):
        assert getattr(again.loss, name, None) == getattr(loss, name, None)
    if getattr(loss, "weight", None) is not None:
        assert torch.equal(again.loss.weight, loss.weight)


def test_parameters_of_every_plain_kind_come_back(path):
    parameters = {
        "hidden_layer_sizes": [np.int64(5), 4],
        "alpha": np.float32(0.5),
        "n_iter_no_change": np.inf,
        "class_weight": {0: 1.0, 1: 2.5},
        "random_state": np.random.RandomState(0),
        "max_time": None,
        "max_iter": np.int64(2),
        "early_stopping": np.bool_(False),
    }
    fitted = MLPClassifier(**parameters).fit(X, np.arange(60) % 2)
    again = there_and_back(fitted, path)
    same_predictions(fitted, again)
    found = again.get_params()
    assert found["hidden_layer_sizes"] == (5, 4) and found["class_weight"] == {0: 1.0, 1: 2.5}
    assert found["n_iter_no_change"] == np.inf and found["alpha"] == 0.5
    assert found["random_state"] is None and again.history_.seed == fitted.history_.seed


def test_class_weights_of_text_come_back(path):
    weights = {"a": 1.0, "b": 3.0}
    fitted = MLPClassifier((4,), class_weight=weights, **QUICK).fit(X, np.array(["a", "b"] * 30))
    assert there_and_back(fitted, path).class_weight == weights


def test_what_is_no_plain_data_is_told_when_it_is_missing(path):
    solver = functools.partial(torch.optim.Adam, lr=1e-3)

    def own_loss(prediction, target):
        return (prediction - target).abs().mean()

    fitted = ModuleRegressor(net(), loss=own_loss, solver=solver, **QUICK).fit(X, Y)
    save(fitted, path)
    sentence = (
        f"{path} cannot hold loss and solver, which were no name or number: the default stands "
        "there now. Set it anew before training on."
    )
    with pytest.warns(UserWarning, match=re.escape(sentence)):
        again = load(path, module=net())
    same_predictions(fitted, again)


@pytest.mark.parametrize("kind", [MLPRegressor, MLPClassifier])
def test_training_goes_on_after_loading(path, kind):
    y = Y if kind is MLPRegressor else np.arange(60) % 3
    fitted = kind((6,), warm_start=True, **QUICK).fit(X, y)
    again = there_and_back(fitted, path)
    weights = again.coefs_[0].copy()
    again.fit(X, y)
    assert again.n_iter_ == 6 and not np.array_equal(again.coefs_[0], weights)
    assert again.loss_curve_[:3] == fitted.loss_curve_
    again.partial_fit(X, y)
    assert again.n_iter_ == 7
    assert again.loss_curve_[-1] < fitted.loss_curve_[0]


def test_a_loaded_model_saves_the_same_bytes_again(path, tmp_path):
    fitted = MLPClassifier((6,), early_stopping=True, **QUICK).fit(
        birds().drop(columns="species"), birds()["species"]
    )
    save(fitted, path, card={"target": "species"})
    save(load(path), tmp_path / "again.linnet")
    assert (tmp_path / "again.linnet").read_bytes() == path.read_bytes()


def test_equal_fits_differ_in_nothing_but_their_seconds(path):
    texts = []
    for _ in range(2):
        save(MLPRegressor((6,), **QUICK).fit(X, Y), path, overwrite=True)
        description, tensors = unpack(path)
        description["history"]["curves"].pop("seconds")
        description.pop("sha256")
        texts.append(json.dumps(description) + str({k: v.tolist() for k, v in tensors.items()}))
    assert texts[0] == texts[1]


def test_the_card_is_kept_and_can_be_read_alone(path):
    fitted = MLPRegressor((6,), **QUICK).fit(X, Y)
    save(fitted, path, card={"target": "y", "notes": ["a", 1, None]})
    assert load(path).card_ == {"target": "y", "notes": ["a", 1, None]}
    card = read_card(path)
    assert card["estimator"] == "MLPRegressor" and card["card"]["target"] == "y"
    assert card["network"]["n_parameters"] == 3 * 6 + 6 + 6 + 1
    for value in ({1, 2}, float("nan"), np.zeros(3)):
        with pytest.raises(TypeError, match="The card is no plain data"):
            save(fitted, path, card={"x": value}, overwrite=True)
    assert load(path).card_["target"] == "y"


def test_the_file_is_plain_safetensors_and_fits_the_tutorials_own_class(path):
    fitted = MLPRegressor((8,), activation="tanh", alpha=0.0, **QUICK).fit(X, Y)
    save(fitted, path)
    tensors = safetensors.torch.load_file(path)
    assert set(tensors) == {
        "module.0.weight",
        "module.0.bias",
        "module.2.weight",
        "module.2.bias",
    }

    class Tutorial(FeedForwardNN):
        def forward(self, x):
            return self.output_layer(self.hidden_activation(self.hidden_layer(x)))

    module = Tutorial(3, 8, 1)
    names = {"0": "hidden_layer", "2": "output_layer"}
    state = {}
    for name, tensor in tensors.items():
        _, layer, kind = name.split(".")
        state[f"{names[layer]}.{kind}"] = tensor
    module.load_state_dict(state)
    inputs = torch.from_numpy(fitted.columns_.encode_array(X, np.float32))
    with torch.no_grad():
        outputs = module(inputs).double().numpy()[:, 0]
    mean, scale = fitted.target_.mean[0], fitted.target_.scale[0]
    np.testing.assert_allclose(outputs * scale + mean, fitted.predict(X), rtol=1e-5, atol=1e-6)


def test_no_source_unpickles_or_imports_by_name():
    for file in SOURCE.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"\b(pickle|marshal|joblib|shelve|dill)\b\.\w+\(", text), file
        assert not re.search(
            r"(?<!safetensors\.)torch\.load\(|\beval\((?!\))|\bexec\(|__import__", text
        ), file
        if "import_module" in text:  # of linnet's own rooms, from a table in the source
            assert file.name == "__init__.py" and "import_module(_ROOMS[name])" in text
        if "allow_pickle" in text:
            assert "allow_pickle=False" in text and "allow_pickle=True" not in text


# Rules of writing ---------------------------------------------------------------------------


def test_an_existing_file_is_replaced_only_when_asked(path):
    fitted = MLPRegressor((6,), **QUICK).fit(X, Y)
    path.write_text("mine")
    sentence = f"{path} already exists. Choose another name, or write overwrite=True to replace it."
    with pytest.raises(FileExistsError, match=f"^{re.escape(sentence)}$"):
        fitted.save(path)
    assert path.read_text() == "mine"
    fitted.save(path, overwrite=True)
    same_predictions(fitted, load(path))


def test_a_link_is_followed_and_not_replaced(path, tmp_path):
    link = tmp_path / "link.linnet"
    link.symlink_to(path)
    save(MLPRegressor((6,), **QUICK).fit(X, Y), link)
    assert link.is_symlink() and path.is_file()


def test_nothing_is_left_of_a_write_that_fails(path, tmp_path):
    fitted = MLPRegressor((6,), **QUICK).fit(X, Y)
    with pytest.raises(FileNotFoundError, match=r"The folder .*no does not exist\. Make it first"):
        save(fitted, tmp_path / "no" / "m.linnet")
    with pytest.raises(IsADirectoryError, match=r"is a folder\. Give the name of a file in it\."):
        save(fitted, tmp_path)
    with pytest.raises(OSError, match="is too long"):
        save(fitted, tmp_path / ("m" * 300))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows sets no limit to the size of files")
def test_a_full_disk_leaves_the_old_file_and_no_other(path, tmp_path):
    import resource

    fitted = MLPRegressor((6,), **QUICK).fit(X, Y)
    path.write_text("mine")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"cannot be written: File too large\. Choose another"):
            save(fitted, path, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == [path] and path.read_text() == "mine"


def test_only_fitted_estimators_of_linnet_are_saved(path):
    from sklearn.exceptions import NotFittedError
    from sklearn.linear_model import LinearRegression

    with pytest.raises(NotFittedError):
        save(MLPRegressor(), path)
    sentence = (
        "A LinearRegression cannot be saved to a linnet file. Give a fitted EnsembleRegressor, "
        "EnsembleClassifier, MLPRegressor, MLPClassifier, ModuleRegressor, ModuleClassifier."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        save(LinearRegression().fit(X, Y), path)  # pyright: ignore[reportArgumentType]
    assert not path.exists()


# Rules of reading ---------------------------------------------------------------------------


def test_a_module_is_asked_for_and_a_wrong_one_is_told_by_the_names_of_its_weights(path):
    save(ModuleRegressor(net(), **QUICK).fit(X, Y), path)
    sentence = (
        f"{path} holds the weights of a module of your own. Give an instance of its class: "
        "linnet.load(path, module=MyNet())."
    )
    for module in (None, net, "net"):
        with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
            load(path, module=module)
    with pytest.raises(ValueError, match="do not fit the module: Missing key") as fault:
        load(path, module=FeedForwardNN(3, 5, 1))
    assert '"hidden_layer.weight"' in str(fault.value) and '"0.weight"' in str(fault.value)
    with pytest.raises(ValueError, match=r"size mismatch for 0\.weight"):
        load(path, module=nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 1)))


def test_a_perceptron_needs_no_module(path):
    save(MLPRegressor((6,), **QUICK).fit(X, Y), path)
    sentence = f"{path} holds an MLPRegressor, which needs no module. Write linnet.load(path)."
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        load(path, module=net())


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "birds.linnet"
    table = birds()
    fitted = MLPClassifier((6,), early_stopping=True, **QUICK)
    save(fitted.fit(table.drop(columns="species"), table["species"]), path, card={"target": "y"})
    return path


DAMAGED = (
    r" is (a damaged linnet model \(.*\)\. Copy it anew, or fit the model again\.|"
    r"no linnet model, or is cut off\. Give a file made by linnet fit or linnet\.save, or copy it "
    r"anew\.)"
)
FOREIGN = (
    " holds tensors in the safetensors format, but linnet did not write it. Give a file made by "
    "linnet fit or linnet.save."
)


def refused(path: Path) -> str:
    with pytest.raises(ValueError) as fault:
        load(path)
    told = str(fault.value)
    assert told.startswith(str(path)) and len(told) < 600
    rest = told.removeprefix(str(path))
    assert rest == FOREIGN or re.fullmatch(DAMAGED, rest), told
    return told


def test_a_flipped_bit_anywhere_is_noticed(saved, path):
    content = saved.read_bytes()
    rng = np.random.default_rng(0)
    for place in [*range(12), *rng.integers(len(content), size=200).tolist(), len(content) - 1]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(damaged))
        refused(path)


def test_a_file_cut_off_or_grown_is_noticed(saved, path):
    content = saved.read_bytes()
    for length in (0, 1, 7, 8, 9, 1000, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        refused(path)
    path.write_bytes(content + b"\0")
    assert "its bytes are not those that were written" in refused(path)


def test_a_header_of_an_absurd_size_is_refused_without_reading_it(path):
    for size in (2**62, 2**64 - 1, 200_000_000):
        path.write_bytes(size.to_bytes(8, "little") + b"{}")
        refused(path)


def test_files_of_other_programs_are_told_apart(path):
    safetensors.torch.save_file({"a": torch.zeros(3)}, path)
    assert refused(path).endswith(FOREIGN)
    torch.save({"a": torch.zeros(3)}, path)
    refused(path)
    path.write_text("cement,water\n1,2\n")
    refused(path)


def test_a_newer_format_asks_for_a_newer_linnet(path):
    text = json.dumps({"format_version": 99})
    path.write_bytes(safetensors.torch.save({}, metadata={"linnet": text}))
    sentence = (
        f"{path} was written in format version 99; this linnet reads up to 1. Install a newer "
        "linnet: pip install --upgrade linnet."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        read_card(path)


def plain(path: Path) -> tuple[dict, dict]:
    description, tensors = unpack(path)
    del description["format_version"], description["sha256"]
    return description, tensors


@pytest.mark.parametrize("text", ["", "[]", "5", "{", '{"format_version": true}', "[" * 100_000])
def test_a_description_that_is_none_is_refused(path, text):
    path.write_bytes(safetensors.torch.save({}, metadata={"linnet": text}))
    refused(path)


def test_numbers_that_json_does_not_know_are_refused(path):
    text = '{"format_version": 1, "sha256": NaN}'
    path.write_bytes(safetensors.torch.save({}, metadata={"linnet": text}))
    assert "it holds NaN, which JSON does not know" in refused(path)


def places(data, before=()):
    """Every place in nested plain data."""
    items = data.items() if isinstance(data, dict) else enumerate(data[:2])
    for key, value in items:
        yield (*before, key)
        if isinstance(value, dict | list):
            yield from places(value, (*before, key))


def attempt(path):
    """Return the model, or None and what was told."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of parameters marked as not kept
        try:
            return load(path), ""
        except ValueError as fault:
            return None, str(fault)


HOSTILE = [None, -1, 10**30, 1e300, "x", [], {}, [[]], True, {"not_kept": 1}, {"loss": "os"}]


def test_wrong_entries_are_refused_or_harmless(saved, path):
    """Each entry of the description is replaced by something else, with the right checksum."""
    description, tensors = plain(saved)
    text = json.dumps(description)
    table = birds().drop(columns="species")
    rng = np.random.default_rng(0)
    n_refused = 0
    for place in places(description):
        for value in rng.choice(len(HOSTILE), size=3, replace=False):
            hostile = json.loads(text)
            inner = hostile
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = HOSTILE[value]
            path.write_bytes(pack(hostile, tensors))
            model, told = attempt(path)
            if model is None:
                n_refused += 1
                assert told.startswith(str(path)) and "\n" not in told, told
                continue
            # A file may say that there were no names of columns; scikit-learn tells that.
            has_names = hasattr(model, "feature_names_in_")
            told = nullcontext() if has_names else pytest.warns(UserWarning, match="^X has feature")
            with told:
                assert len(model.predict(table.head(3))) == 3
    assert n_refused > 200


def test_giant_networks_are_refused_before_they_take_memory(saved, path):
    description, tensors = plain(saved)
    for sizes in ([10**9, 10**9], [10**30], [6] * 100_000, [0], [-5], ["6"], [6.5], None):
        description["parameters"]["hidden_layer_sizes"] = sizes
        path.write_bytes(pack(description, tensors))
        refused(path)


def test_wrong_tensors_are_refused(saved, path):
    description, tensors = plain(saved)
    weight, rows = tensors["module.0.weight"], tensors["rows.train"]
    for name, tensor in (
        ("module.0.weight", weight[:-1]),
        ("module.0.weight", weight.T.contiguous()),
        ("module.9.weight", weight.clone()),
        ("module.other", torch.zeros(2)),
        ("rows.train", rows.float()),
        ("rows.train", rows - 10_000),
        ("rows.train", rows.reshape(1, -1)),
    ):
        path.write_bytes(pack(description, {**tensors, name: tensor}))
        with pytest.raises(ValueError, match=r"damaged|do not fit") as fault:
            load(path)
        assert "\n" not in str(fault.value)
    del tensors["module.0.bias"]
    path.write_bytes(pack(description, tensors))
    with pytest.raises(ValueError, match=r'Missing key\(s\) in state_dict: "0.bias"'):
        load(path)


def test_a_card_nested_without_end_can_be_shown_or_is_refused(saved, path):
    from shell import linnet as shell

    description, tensors = plain(saved)
    nested: list = []
    for _ in range(300):
        nested = [nested]
    path.write_bytes(pack({**description, "card": {"target": nested, "table": nested}}, tensors))
    for command in (["show", path], ["show", path, "--json"], ["evaluate", path, path]):
        ran = shell(*command)
        assert ran.code in (0, 1) and "Traceback" not in ran.err
