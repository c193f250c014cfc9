"""Hostile models and checkpoints: good ones, changes that know the format, and how each is read."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import random
import re
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from hostile_mutations import changed_bytes, changed_json, hostile_value, json_text
from shell import birds
from torch import nn

import linnet
from linnet.cli.show import show
from linnet.model_format import unpack

QUICK = {"max_iter": 2, "random_state": 0}
_rng = np.random.default_rng(0)
X = _rng.normal(size=(40, 3))
Y = X[:, 0] - X[:, 1] ** 2
TABLE = birds(40)
INPUTS = TABLE.drop(columns="species")
DTYPES = (
    "BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "I16", "U16", "F16", "BF16", "I32", "U32", "F32",
    "F64", "I64", "U64", "C64", "F4", "X", "", 5,
)  # fmt: skip


def net() -> nn.Module:
    """A small network of the user's own."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.1), nn.Linear(4, 1))


def file_of(estimator: Any, card: dict[str, Any]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.linnet")
        linnet.save(estimator, path, card=card)
        return path.read_bytes()


@functools.cache
def models() -> list[bytes]:
    """A good file of every kind of model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two epochs converge to nothing
        return _fitted()


def _fitted() -> list[bytes]:
    card = {"target": "y", "table": {"name": "t.csv", "sha256": "0" * 64, "n_rows": 40}}
    card["scores"] = {"linnet": {"r2": 0.5, "rmse": 1.0}}
    regressor = linnet.MLPRegressor((4,), early_stopping=True, loss="huber", **QUICK).fit(X, Y)
    own = linnet.ModuleRegressor(net(), loss=nn.HuberLoss(), **QUICK).fit(X, Y)
    classifier = linnet.MLPClassifier((4,), class_weight={"linnet": 2.0, "siskin": 1, "twite": 1})
    classifier.set_params(**QUICK).fit(INPUTS, TABLE["species"])
    small = {"n_members": 2, "hidden_layer_sizes": (3,), **QUICK}
    ensemble = linnet.EnsembleRegressor(**small).fit(X, Y)
    classes = linnet.EnsembleClassifier(**small).fit(INPUTS, TABLE["species"])
    fitted = (regressor, own, classifier, ensemble, classes)
    return [file_of(estimator, card) for estimator in fitted]


def predict(path: Path) -> None:
    """Read a model, show it, and predict with it."""
    description = unpack(path)[0]
    if path.read_bytes()[-1] % 8 == 0:  # laying out tables takes ten times as long as the rest
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            show(path)
        assert all(c.isprintable() or c == "\n" for c in told.getvalue())
    is_own = description.get("estimator") in ("ModuleRegressor", "ModuleClassifier")
    model = linnet.load(path, module=net()) if is_own else linnet.load(path)
    rows = X[:5] if model.columns_.is_array else INPUTS.head(5)
    model.predict(rows)
    if hasattr(model, "predict_proba"):
        model.predict_proba(rows)
    if hasattr(model, "error_bars_"):
        model.predict_interval(rows)


# Checkpoints --------------------------------------------------------------------------------------

OPTIMIZERS = {
    "adam": ("native", lambda p: torch.optim.Adam(p, lr=1e-2), None),
    "sgd": (
        "torch",
        lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9),
        lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [1, 3]),
    ),
    "lm": ("auto", "lm", None),
    "lbfgs": ("auto", "lbfgs", None),
}


def train(path: Path, name: str, epochs: int) -> None:
    """Train for some epochs, going on from the checkpoint where there is one."""
    engine, optimizer, scheduler = OPTIMIZERS[name]
    module = net() if isinstance(optimizer, str) is False else nn.Sequential(*list(net())[:2])
    target = X[:, :4] if name in ("lm", "lbfgs") else Y.reshape(-1, 1)
    target = np.c_[target, Y] if target.shape[1] == 3 else target
    if not isinstance(optimizer, str):
        optimizer = optimizer(module.parameters())
        scheduler = scheduler and scheduler(optimizer)
    linnet.train(
        module, X.astype("f4"), target.astype("f4"), epochs=epochs, batch_size=20, engine=engine,
        optimizer=optimizer, scheduler=scheduler, X_val=X[:9].astype("f4"),
        y_val=target[:9].astype("f4"), random_state=0, checkpoint=path, resume=True,
    )  # fmt: skip


@functools.cache
def checkpoints() -> list[bytes]:
    """A good checkpoint for each optimizer."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name in OPTIMIZERS:
            path = Path(folder, name)
            train(path, name, 2)
            found.append(path.read_bytes())
    return found


def resume(path: Path) -> None:
    """Go on with the training that a checkpoint seems to be of."""
    content = path.read_bytes()
    tokens = {"sgd": b"SGD", "lm": b"LevenbergMarquardt", "lbfgs": b"LBFGS"}
    name = next((name for name, token in tokens.items() if token in content), "adam")
    train(path, name, 3)


# Changes ------------------------------------------------------------------------------------------


def taken_apart(content: bytes) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The description and the tensors of a good file."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return json.loads(header["__metadata__"]["linnet"]), safetensors.torch.load(content)


def signed(content: bytes) -> bytes:
    """A changed file with the checksum that it should have."""
    found = re.search(rb'sha256\\": \\"([0-9a-f]{64})', content)
    if not found:
        return content
    start, stop = found.span(1)
    unsigned = content[:start] + b"0" * 64 + content[stop:]
    return content[:start] + hashlib.sha256(unsigned).hexdigest().encode() + content[stop:]


def changed_file(rng: random.Random, files: list[bytes]) -> bytes:
    """A hostile file made of good ones; most have a checksum that is right."""
    content, other = rng.choice(files), rng.choice(files)
    kind = rng.randrange(10)
    if kind == 0:
        return changed_bytes(rng, content, other)
    if kind == 1:
        return signed(changed_bytes(rng, content, other))
    if kind == 2:
        return signed(changed_header(rng, content))
    description, tensors = taken_apart(content)
    description_2, tensors_2 = taken_apart(other)
    if kind == 3:
        tensors = tensors_2 if rng.random() < 0.5 else {**tensors, **tensors_2}
    elif kind <= 5:
        tensors = changed_tensors(rng, tensors)
    else:
        kept = {key: description[key] for key in ("format_version", "sha256")}
        description = changed_json(rng, description, description_2)
        if isinstance(description, dict) and rng.random() < 0.9:
            description |= kept
    text = json_text(rng, description)
    return signed(safetensors.torch.save(tensors, metadata={"linnet": text}))


def changed_header(rng: random.Random, content: bytes) -> bytes:
    """A file whose header tells of other types, shapes, places or lengths."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    name = rng.choice([*header])
    entry = header[name]
    kind = rng.randrange(7)
    if kind == 0 and "dtype" in entry:
        entry["dtype"] = rng.choice(DTYPES)
    elif kind == 1 and "shape" in entry:
        entry["shape"] = rng.choice([[], [0], [2**40, 2**40], [-1], [1.5], [2**64], [1] * 70, None])
    elif kind == 2 and "data_offsets" in entry:
        place = rng.randrange(2)
        entry["data_offsets"][place] += rng.choice([1, -1, 8, 2**40, 2**63, -(2**40)])
    elif kind == 3:
        header[rng.choice(["x", "module.0.weight", "__metadata__"])] = entry
    elif kind == 4:
        del header[name]
    elif kind == 5:
        header[name] = hostile_value(rng)
    text = json_text(rng, header).encode("utf-8", "surrogatepass")
    told = (
        len(text) if kind < 6 else int(rng.choice([0, 1, len(text) + 1, 2**31, 2**63, 2**64 - 1]))
    )
    return told.to_bytes(8, "little") + text + content[8 + length :]


def changed_tensors(
    rng: random.Random, tensors: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Tensors of other types, shapes, values and names."""
    tensors = dict(tensors)
    for _ in range(rng.choice([1, 1, 2])):
        name = rng.choice([*tensors])
        tensor = tensors[name]
        kind = rng.randrange(7)
        if kind == 0:
            types = [torch.bool, torch.uint8, torch.int64, torch.float16, torch.float64]
            tensor = tensor.to(rng.choice([*types, torch.float32, torch.bfloat16]))
        elif kind == 1:
            shapes = [(-1,), (1, -1), (-1, 1), (1,) * 9 + (-1,)]
            tensor = tensor.reshape(rng.choice(shapes))
        elif kind == 2:
            tensor = tensor[: rng.choice([0, 1, -1])] if tensor.ndim else tensor.repeat(3)
        elif kind == 3:
            value = rng.choice([0, -1, 1, float("nan"), float("inf"), 1e38, 2**62])
            if tensor.dtype.is_floating_point or abs(value) < 2:
                tensor = torch.full_like(tensor, value)
        elif kind == 4:
            del tensors[name]
        elif kind == 5:
            name = rng.choice(["x", "rows.train", "module.9.weight", f"{name}.0", "rows."])
        else:
            name = rng.choice([*tensors])
        if kind != 4:
            tensors[name] = tensor.contiguous().clone()
        if not tensors:
            break
    return tensors
