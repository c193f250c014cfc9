"""The model file: one ``*.linnet`` in the safetensors format, tensors plus JSON in its header.

Tensors are named ``module.<name in the state_dict>`` and ``rows.<part>`` (row numbers of a split).
The header's entry ``linnet`` holds the rest as JSON. A file is data: reading one runs nothing.
"""

from __future__ import annotations

import copy
import functools
import itertools
import json
import math
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from linnet import losses
from linnet.estimators import MLPClassifier, MLPRegressor, ModuleClassifier, ModuleRegressor
from linnet.estimators.fitting import NetworkEstimator
from linnet.estimators.mlp import Perceptron
from linnet.estimators.targets import ClassTarget, RegressionTarget
from linnet.history import History
from linnet.table import Columns
from linnet.training import TrainingState, versions

FORMAT_VERSION = 1
ESTIMATORS: dict[str, type[NetworkEstimator]] = {
    cls.__name__: cls for cls in (MLPRegressor, MLPClassifier, ModuleRegressor, ModuleClassifier)
}
_TARGETS = {cls.kind: cls for cls in (RegressionTarget, ClassTarget)}


def save(
    estimator: NetworkEstimator,
    path: str | os.PathLike[str],
    *,
    card: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a fitted estimator to one file.

    The file holds the network's weights, what was learnt of columns and targets, the parameters,
    the history and the versions; no code. It is written beside its place and renamed, so that
    there is never half a file. The optimizer's state is not kept.

    Parameters
    ----------
    estimator : MLPRegressor, MLPClassifier, ModuleRegressor or ModuleClassifier
        Fitted. Of a module of your own the weights are kept, not its code.
    path : str or path
        File to write, such as ``model.linnet``.
    card : dict, optional
        Plain data to keep with the model, given back as ``card_``.
    overwrite : bool, default=False
        Whether an existing file may be replaced.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is none of linnet's, or the card is no plain data.
    FileExistsError
        If the file exists and `overwrite` is False.
    FileNotFoundError
        If the folder does not exist.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile, os, numpy as np, linnet
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> model = linnet.MLPRegressor((8,), solver="lbfgs", random_state=0).fit(X, X.ravel() ** 2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "square.linnet")
    ...     linnet.save(model, path)
    ...     again = linnet.load(path)
    >>> bool((again.predict(X) == model.predict(X)).all())
    True
    """
    if type(estimator) not in ESTIMATORS.values():
        raise TypeError(
            f"A {type(estimator).__name__} cannot be saved to a linnet file. Give a fitted "
            f"{', '.join(ESTIMATORS)}."
        )
    check_is_fitted(estimator, "module_")
    path = Path(path)
    check_writable(path, overwrite=overwrite)
    try:
        text = json.dumps(_describe(estimator, card), allow_nan=False)
    except (TypeError, ValueError) as fault:
        if card is None:
            raise
        raise TypeError(
            f"The card is no plain data ({fault}). Give a dict of text, numbers and lists."
        ) from fault
    tensors = {
        # Tied weights share memory, which the format does not know: each is written out.
        f"module.{name}": value.detach().cpu().contiguous().clone()
        for name, value in estimator.module_.state_dict().items()
    }
    for part, rows in estimator.history_.split.items():
        tensors[f"rows.{part}"] = torch.tensor(rows, dtype=torch.int64)
    _write(path, safetensors.torch.save(tensors, metadata={"linnet": text}))


def load(path: str | os.PathLike[str], module: nn.Module | None = None) -> Any:
    """Read an estimator from a file that `save` wrote.

    Parameters
    ----------
    path : str or path
        The file.
    module : torch.nn.Module, optional
        For a ModuleRegressor or ModuleClassifier: an instance of the user's class, into a copy of
        which the weights are put. Nothing is imported by name.

    Returns
    -------
    MLPRegressor, MLPClassifier, ModuleRegressor or ModuleClassifier
        Fitted; ``card_`` holds the card.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no linnet file, is damaged, was written in a newer format, or does not fit the
        module.

    Examples
    --------
    >>> import os, tempfile, linnet, torch
    >>> X, y = torch.linspace(-1, 1, 50).reshape(-1, 1).numpy(), torch.linspace(0, 3, 50).numpy()
    >>> net = torch.nn.Linear(1, 1)
    >>> model = linnet.ModuleRegressor(net, solver="lbfgs", random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "line.linnet")
    ...     linnet.save(model, path)
    ...     again = linnet.load(path, module=torch.nn.Linear(1, 1))
    >>> bool((again.predict(X) == model.predict(X)).all())
    True
    """
    path = Path(path)
    description, shapes = _read_header(path)
    try:
        estimator = _rebuild(description, shapes, path, module)
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as fault:
        raise _damaged(path, f"{type(fault).__name__}: {fault}") from fault
    return estimator


def read_card(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a file says of its model, without its weights.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    dict
        "estimator", "parameters", "network", "columns", "target", "history", "versions", "card".

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no linnet file or damaged.
    """
    return _read_header(Path(path))[0]


def check_writable(path: Path, *, overwrite: bool) -> None:
    """Raise the OSError that writing to a path would end in, before any work is done."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Give the name of a file in it.")
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{path} already exists. Choose another name, or write overwrite=True (--force in the "
            "shell) to replace it."
        )
    folder = path.parent
    if not folder.is_dir():
        raise FileNotFoundError(f"The folder {folder} does not exist. Make it first.")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"The folder {folder} cannot be written to. Choose another one.")


def _write(path: Path, content: bytes) -> None:
    """Write a file beside its place, flush it to the disk, and rename it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _describe(estimator: NetworkEstimator, card: dict[str, Any] | None) -> dict[str, Any]:
    history = estimator.history_.to_dict()
    history["split"] = {}  # kept as tensors
    parameters = list(estimator.module_.parameters())
    names = getattr(estimator, "feature_names_in_", None)
    return {
        "format_version": FORMAT_VERSION,
        "estimator": type(estimator).__name__,
        "parameters": {
            name: _to_plain(value) for name, value in estimator.get_params(deep=False).items()
        },
        "network": {
            "layers": str(estimator.module_),
            "n_inputs": estimator.columns_.n_features,
            "n_outputs": estimator.target_.n_outputs,
            "n_parameters": sum(p.numel() for p in parameters),
        },
        "columns": estimator.columns_.to_dict(),
        "target": estimator.target_.to_dict(),
        "history": history,
        "n_features_in": int(estimator.n_features_in_),
        "feature_names_in": None if names is None else [str(name) for name in names],
        "versions": versions(),
        "card": getattr(estimator, "card_", {}) if card is None else card,
    }


def _to_plain(value: Any) -> Any:
    """Return a parameter as plain data; what is none becomes its name, marked as not kept."""
    if isinstance(value, bool | str | None | int):
        return value
    if isinstance(value, np.bool_ | np.integer):
        return value.item()
    if isinstance(value, float | np.floating):
        value = float(value)
        return value if math.isfinite(value) else {"number": str(value)}
    if isinstance(value, list | tuple | np.ndarray):
        return [_to_plain(item) for item in value]
    if isinstance(value, dict):
        return {"pairs": [[_to_plain(k), _to_plain(v)] for k, v in value.items()]}
    return {"not_kept": getattr(value, "__name__", type(value).__name__)}


def _from_plain(name: str, value: Any) -> tuple[bool, Any]:
    """Return whether a parameter was kept, and its value."""
    if isinstance(value, list):
        return True, tuple(_from_plain(name, item)[1] for item in value)
    if not isinstance(value, dict):
        return True, value
    if "number" in value:
        return True, float(value["number"])
    if "pairs" in value:
        pairs = [(_from_plain(name, k)[1], _from_plain(name, v)[1]) for k, v in value["pairs"]]
        return True, dict(pairs)
    if name == "loss" and value.get("not_kept") in losses.TORCH_LOSSES:
        # By a table of torch's own losses, never by importing the name.
        return True, losses.TORCH_LOSSES[value["not_kept"]]()
    return False, None


def _read_header(path: Path) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """Return the description and the shape of each tensor; no tensor is read."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Give a file, such as {path}/model.linnet.")
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}. Give one that linnet wrote.")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            names = file.keys()
            shapes = {name: list(file.get_slice(name).get_shape()) for name in names}
    except safetensors.SafetensorError as fault:
        raise ValueError(
            f"{path} is no linnet model, or is damaged or cut off ({fault}). Give a file that "
            "linnet wrote, or copy it anew."
        ) from fault
    if "linnet" not in metadata:
        raise ValueError(
            f"{path} holds tensors in the safetensors format, but linnet did not write it. Give a "
            "file made by linnet fit or linnet.save."
        )
    try:
        description = json.loads(metadata["linnet"])
    except (json.JSONDecodeError, RecursionError) as fault:
        raise _damaged(path, str(fault)) from fault
    if not isinstance(description, dict):
        raise _damaged(path, "its description is no object")
    version = description.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise _damaged(path, "it has no format version")
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{path} was written in format version {version}; this linnet reads up to "
            f"{FORMAT_VERSION}. Install a newer linnet: pip install --upgrade linnet."
        )
    return description, shapes


def _damaged(path: Path, why: str) -> ValueError:
    return ValueError(
        f"{path} is a damaged linnet model ({why}). Copy it anew, or fit the model again."
    )


def _rebuild(
    description: dict[str, Any],
    shapes: dict[str, list[int]],
    path: Path,
    module: nn.Module | None,
) -> NetworkEstimator:
    name = description["estimator"]
    if name not in ESTIMATORS:
        raise _damaged(path, f"an estimator {name!r} is not known")
    parameters = {}
    for key, value in dict(description["parameters"]).items():
        kept, value = _from_plain(key, value)
        if kept:
            parameters[key] = value
    columns = Columns.from_dict(description["columns"])
    target = _TARGETS[description["target"]["kind"]].from_dict(description["target"])
    history = History.from_dict(description["history"])

    estimator: Any = ESTIMATORS[name]
    if issubclass(estimator, Perceptron):
        if module is not None:
            raise ValueError(
                f"{path} holds an {name}, which needs no module. Write linnet.load(path)."
            )
        estimator = estimator(**parameters)
        build = _sized(estimator, columns, target, shapes, path)
    else:
        if not isinstance(module, nn.Module):
            raise ValueError(
                f"{path} holds the weights of a module of your own. Give an instance of its class: "
                "linnet.load(path, module=MyNet())."
            )
        estimator = estimator(**{**parameters, "module": module})
        build = functools.partial(copy.deepcopy, module)
    estimator.columns_, estimator.target_, estimator.history_ = columns, target, history
    estimator.n_features_in_ = int(description["n_features_in"])
    if description["feature_names_in"] is not None:
        names = [str(item) for item in description["feature_names_in"]]
        estimator.feature_names_in_ = np.array(names, dtype=object)
    estimator.card_ = dict(description["card"])
    _fill(estimator, build, path)
    return estimator


def _sized(
    estimator: Any, columns: Columns, target: Any, shapes: dict[str, list[int]], path: Path
) -> Callable[[], nn.Module]:
    """Return the function that builds the network, once the file's shapes are seen to fit.

    Sizes are compared before the network takes memory.
    """
    sizes = [columns.n_features, *estimator._hidden_sizes(), target.n_outputs]
    weights = [shapes[n] for n in shapes if n.startswith("module.") and n.endswith(".weight")]
    wanted = [[b, a] for a, b in itertools.pairwise(sizes)]
    if sorted(weights) != sorted(wanted):
        raise _damaged(path, "the weights do not have the sizes that the parameters say")
    return lambda: estimator._build(columns.n_features, target, torch.Generator())


def _fill(estimator: Any, build: Callable[[], nn.Module], path: Path) -> None:
    """Put the file's tensors into the module, and make the estimator ready to go on."""
    module = build()
    state, split = {}, {}
    with safetensors.safe_open(path, framework="pt") as file:
        names = file.keys()
        for name in names:
            kind, _, rest = name.partition(".")
            if kind == "module":
                state[rest] = file.get_tensor(name)
            elif kind == "rows":
                split[rest] = file.get_tensor(name).tolist()
    try:
        module.load_state_dict(state)
    except RuntimeError as fault:
        told = "; ".join(line.strip() for line in str(fault).splitlines()[1:])
        raise ValueError(
            f"The weights in {path} do not fit the module: {told} Give an instance of the class "
            "that was trained, made with the same sizes."
        ) from fault
    estimator.module_ = module.eval()
    estimator.history_.split = split
    # The optimizer's state is not in the file: a training that goes on begins with a new one.
    history = estimator.history_
    optimizer = estimator._make_optimizer(module, max(1, history.batch_size), None)
    estimator._state = TrainingState(
        optimizer=optimizer,
        scheduler=estimator._make_scheduler(
            optimizer, max(1, history.n_rows), max(1, history.batch_size)
        ),
        generator=torch.Generator().manual_seed((history.seed or 0) + history.n_epochs),
        history=history,
        best_loss=history.best_loss if history.n_epochs else math.inf,
    )
