"""The model file: one ``*.linnet`` in the safetensors format, tensors plus JSON in its header.

Tensors are named ``module.<name in the state_dict>``, ``error_bars.<name in the state_dict>`` and
``rows.<part>`` (row numbers of a split).
The header's entry ``linnet`` holds the rest as JSON. A file is data: reading one runs nothing.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import math
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted
from torch import nn

from linnet import losses
from linnet.ensemble import EnsembleClassifier, EnsembleRegressor
from linnet.ensemble.fitting import EnsembleEstimator
from linnet.ensemble.members import build as build_member
from linnet.ensemble.members import parameter_shapes
from linnet.ensemble.settings import Settings
from linnet.error_bars import ErrorBars
from linnet.estimators import MLPClassifier, MLPRegressor, ModuleClassifier, ModuleRegressor
from linnet.estimators.fitting import NetworkEstimator
from linnet.estimators.mlp import Perceptron
from linnet.estimators.parameters import check_parameters
from linnet.estimators.targets import ClassTarget, RegressionTarget
from linnet.history import History
from linnet.model_format import damaged, pack, unpack
from linnet.network import Ensemble
from linnet.table import Columns
from linnet.training import TrainingState, versions
from linnet.whole_file import check_writable, whole_file

ESTIMATORS: dict[str, type[NetworkEstimator]] = {
    cls.__name__: cls
    for cls in (
        EnsembleRegressor,
        EnsembleClassifier,
        MLPRegressor,
        MLPClassifier,
        ModuleRegressor,
        ModuleClassifier,
    )
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
    estimator : EnsembleRegressor, MLPRegressor, ModuleRegressor or one of the classifiers
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
    description = _describe(estimator)
    if card is not None:
        description["card"] = card
    try:
        content = pack(description, _tensors(estimator))
    except (TypeError, ValueError, RecursionError) as fault:
        if card is None:
            raise
        raise TypeError(
            f"The card is no plain data ({fault}). Give a dict of text, finite numbers and lists."
        ) from fault
    with whole_file(path) as part:
        part.write_bytes(content)


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
    EnsembleRegressor, MLPRegressor, ModuleRegressor or one of the classifiers
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
    description, tensors = unpack(path)
    name = description.get("estimator")
    if "checkpoint_of" in description:
        raise ValueError(
            f"{path} holds the checkpoint of a training, not a model. Go on with the training: "
            "give checkpoint= and resume=True to what began it."
        )
    if not isinstance(name, str) or name not in ESTIMATORS:
        raise damaged(path, f"an estimator {str(name)[:40]!r} is not known")
    has_own_network = issubclass(ESTIMATORS[name], Perceptron | EnsembleEstimator)
    if has_own_network and module is not None:
        raise ValueError(f"{path} holds an {name}, which needs no module. Write linnet.load(path).")
    if not has_own_network and not isinstance(module, nn.Module):
        raise ValueError(
            f"{path} holds the weights of a module of your own. Give an instance of its class: "
            "linnet.load(path, module=MyNet())."
        )
    try:
        estimator, dropped = _estimator(description, tensors, module)
        network = _network(estimator, description, tensors, module)
        _make_ready(estimator)
        _read_error_bars(estimator, tensors)
    except _FAULTS as fault:
        raise damaged(path, str(fault).splitlines()[0] if str(fault) else repr(fault)) from fault
    _fill(network, tensors, path)
    estimator.module_ = network.eval()
    if isinstance(network, Ensemble) and isinstance(estimator, EnsembleClassifier):
        estimator.temperature_ = float(network.temperature)
    if dropped:
        warnings.warn(
            f"{path} cannot hold {' and '.join(dropped)}, which {'were' if dropped[1:] else 'was'} "
            "no name or number: the default stands there now. Set it anew before training on.",
            UserWarning,
            stacklevel=2,
        )
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
    return unpack(Path(path))[0]


# What wrong entries of a file can end in, before its tensors are put into a module.
_FAULTS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
)


def _tensors(estimator: NetworkEstimator) -> dict[str, torch.Tensor]:
    """Return what the file keeps as tensors: the module's state, and rows of the split."""
    bars = getattr(estimator, "error_bars_", None)
    state = {} if bars is None else bars.state_dict()
    tensors = {f"error_bars.{name}": value.contiguous().clone() for name, value in state.items()}
    for name, value in estimator.module_.state_dict().items():
        if not isinstance(value, torch.Tensor):
            raise TypeError(
                f"The module's state {name!r} is a {type(value).__name__}; a linnet file holds "
                "tensors only. Register it as a buffer, or leave it out of the state."
            )
        # Tied weights share memory, which the format does not know: each is written out.
        tensors[f"module.{name}"] = value.detach().cpu().contiguous().clone()
    for part, rows in estimator.history_.split.items():
        tensors[f"rows.{part}"] = torch.tensor(rows, dtype=torch.int64)
    return tensors


def _describe(estimator: NetworkEstimator) -> dict[str, Any]:
    history = estimator.history_.to_dict()
    history["split"] = {}  # kept as tensors
    parameters, scores = list(estimator.module_.parameters()), estimator.validation_scores_
    names = getattr(estimator, "feature_names_in_", None)
    ensemble = {}
    if isinstance(estimator, EnsembleEstimator):
        histories = [history.to_dict() for history in estimator.histories_]
        ensemble = {"settings": estimator.settings_.to_dict(), "histories": histories}
    return {
        "estimator": type(estimator).__name__,
        "parameters": {
            name: _to_plain(value) for name, value in estimator.get_params(deep=False).items()
        },
        "network": {
            "layers": str(estimator.module_),
            "n_inputs": estimator.columns_.n_features,
            "n_outputs": estimator._n_network_outputs(estimator.target_),
            "n_parameters": sum(p.numel() for p in parameters),
        },
        **ensemble,
        "columns": estimator.columns_.to_dict(),
        "target": estimator.target_.to_dict(),
        "history": history,
        "validation_scores": None if scores is None else [_to_plain(score) for score in scores],
        "n_features_in": int(estimator.n_features_in_),
        "feature_names_in": None if names is None else [str(name) for name in names],
        "versions": versions(),
        "card": getattr(estimator, "card_", {}),
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
    if type(value) in losses.TORCH_LOSSES.values():
        return {"loss": type(value).__name__, "settings": _settings(value)}
    if isinstance(value, torch.Tensor):
        return {"tensor": value.detach().cpu().tolist()}
    return {"not_kept": getattr(value, "__name__", type(value).__name__)}


def _settings(loss: nn.Module) -> dict[str, Any]:
    """Return the arguments that make such a loss again, where it keeps them as attributes."""
    names = inspect.signature(type(loss)).parameters
    settings = {name: getattr(loss, name) for name in names if hasattr(loss, name)}
    return {name: _to_plain(value) for name, value in settings.items() if value is not None}


def _from_plain(value: Any) -> Any:
    """Return the parameter that `_to_plain` wrote down; _DROPPED if it was not kept."""
    if isinstance(value, list):
        return tuple(_from_plain(item) for item in value)
    if not isinstance(value, dict):
        return value
    if "number" in value:
        return float(value["number"])
    if "pairs" in value:
        return {_from_plain(key): _from_plain(item) for key, item in value["pairs"]}
    if "tensor" in value:
        return torch.tensor(value["tensor"])
    if "loss" in value:
        # By a table of torch's own losses, never by importing the name.
        settings = {name: _from_plain(item) for name, item in value["settings"].items()}
        return losses.TORCH_LOSSES[value["loss"]](**settings)
    return _DROPPED


_DROPPED = object()


def _estimator(
    description: dict[str, Any], tensors: dict[str, torch.Tensor], module: nn.Module | None
) -> tuple[Any, list[str]]:
    """Return the estimator without its network, and the parameters that the file did not keep."""
    kind = ESTIMATORS[description["estimator"]]
    given = {key: _from_plain(value) for key, value in description["parameters"].items()}
    parameters = {key: value for key, value in given.items() if value is not _DROPPED}
    if module is not None:
        parameters["module"] = module
    estimator: Any = kind(**parameters)
    check_parameters(estimator)
    estimator.columns_ = Columns.from_dict(description["columns"])
    estimator.target_ = _TARGETS[description["target"]["kind"]].from_dict(description["target"])
    _check_target(estimator)
    estimator.history_ = History.from_dict(description["history"])
    estimator.history_.split = {
        name.removeprefix("rows."): _row_numbers(rows)
        for name, rows in tensors.items()
        if name.startswith("rows.")
    }
    scores = description.get("validation_scores")  # not there in the first files
    if scores is not None:
        estimator._validation_scores = [float(_from_plain(score)) for score in scores]
    estimator.n_features_in_ = int(description["n_features_in"])
    if estimator.n_features_in_ != estimator.columns_.n_inputs:
        raise ValueError("its number of columns is not that of their statistics")
    if description["feature_names_in"] is not None:
        names = [str(item) for item in description["feature_names_in"]]
        estimator.feature_names_in_ = np.array(names, dtype=object)
        if not estimator.columns_.is_array and names != estimator.columns_.input_names:
            raise ValueError("its columns are not those of the fit")
    estimator.card_ = dict(description["card"])
    # A random state does its work before the training; history_.seed tells what it gave.
    dropped = [key for key in given if key not in parameters and key != "random_state"]
    return estimator, dropped


def _check_target(estimator: Any) -> None:
    target = estimator.target_
    if is_classifier(estimator) != (target.kind == ClassTarget.kind):
        raise ValueError("its target is of another kind than its estimator")
    if target.kind != ClassTarget.kind:
        return
    n_classes = len(target.classes)
    allowed = {n_classes} if target.multilabel or n_classes != 2 else {1, 2}
    if target.n_outputs not in allowed or len(set(target.classes.tolist())) != n_classes:
        raise ValueError("its classes do not belong to its outputs")


def _row_numbers(rows: torch.Tensor) -> list[int]:
    if rows.dtype != torch.int64 or rows.ndim != 1 or (rows < 0).any():
        raise ValueError("its row numbers are none")
    return rows.tolist()


def _network(
    estimator: Any,
    description: dict[str, Any],
    tensors: dict[str, torch.Tensor],
    module: nn.Module | None,
) -> nn.Module:
    """Return the network, not filled yet, in the precision of the file's weights."""
    if isinstance(estimator, EnsembleEstimator):
        return _ensemble(estimator, description, tensors)
    if module is None:
        # Sizes are compared before the network takes memory.
        target, n_inputs = estimator.target_, estimator.columns_.n_features
        sizes = [n_inputs, *estimator._hidden_sizes(), estimator._n_network_outputs(target)]
        weights = [
            tuple(tensor.shape)
            for name, tensor in tensors.items()
            if name.startswith("module.") and name.endswith(".weight")
        ]
        if sorted(weights) != sorted((b, a) for a, b in itertools.pairwise(sizes)):
            raise ValueError("its weights do not have the sizes that its parameters say")
        return estimator._build(n_inputs, target, torch.Generator())
    module = copy.deepcopy(module)
    dtypes = {
        tensor.dtype
        for name, tensor in tensors.items()
        if name.startswith("module.") and tensor.is_floating_point()
    }
    return module.to(dtype=dtypes.pop()) if len(dtypes) == 1 else module


def _ensemble(
    estimator: Any, description: dict[str, Any], tensors: dict[str, torch.Tensor]
) -> nn.Module:
    """Return the members of an ensemble, not filled yet, and set what it keeps besides."""
    estimator.settings_ = settings = Settings.from_dict(description["settings"])
    estimator.histories_ = [History.from_dict(record) for record in description["histories"]]
    n_members = len(estimator.histories_)
    sizes = estimator.columns_.n_features, estimator.target_.n_outputs
    found = [
        tuple(tensor.shape)
        for name, tensor in tensors.items()
        if name.startswith("module.members.")
    ]
    # Sizes are compared before the networks take memory.
    if n_members == 0 or sorted(found) != sorted(n_members * parameter_shapes(settings, *sizes)):
        raise ValueError("its weights do not have the sizes that its settings say")
    members = [build_member(settings, *sizes, torch.Generator()) for _ in range(n_members)]
    ensemble = Ensemble(members, estimator._link(estimator.target_))
    return ensemble.to(getattr(torch, estimator.dtype))


def _read_error_bars(estimator: Any, tensors: dict[str, torch.Tensor]) -> None:
    """Set what a regressor knows of its errors, where the file holds it."""
    state = {
        name.removeprefix("error_bars."): value
        for name, value in tensors.items()
        if name.startswith("error_bars.")
    }
    if state:
        n_inputs, n_outputs = estimator.columns_.n_features, estimator.target_.n_outputs
        estimator.error_bars_ = ErrorBars.from_state(n_inputs, n_outputs, state)
        has_variance = estimator._n_network_outputs(estimator.target_) > n_outputs
        if len(estimator.error_bars_.scores) == 0 and not has_variance:
            raise ValueError("its error bars are damaged")
    elif isinstance(estimator, EnsembleRegressor):
        raise ValueError("its error bars are missing")


def _fill(network: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Put the file's weights into the network.

    Raises
    ------
    ValueError
        Naming each weight that does not fit.
    """
    state = {
        name.removeprefix("module."): value
        for name, value in tensors.items()
        if name.startswith("module.")
    }
    try:
        network.load_state_dict(state)
    except RuntimeError as fault:
        told = " ".join(line.strip() for line in str(fault).splitlines()[1:])
        raise ValueError(
            f"The weights in {path} do not fit the module: {told} Give an instance of the class "
            "that was trained, made with the same sizes."
        ) from fault


def _make_ready(estimator: Any) -> None:
    """Let a training go on: with a new optimizer, for the file does not hold the state of one."""
    history = estimator.history_
    estimator._state = TrainingState(
        generator=torch.Generator().manual_seed((history.seed or 0) + history.n_epochs),
        history=history,
        best_loss=history.best_loss if history.n_epochs else math.inf,
    )
