"""Files to fitted estimators; nothing in a file is trusted, and nothing in it is run."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from linnet import user_warnings
from linnet.ensemble import EnsembleClassifier
from linnet.ensemble.fitting import EnsembleEstimator
from linnet.estimators.mlp import Perceptron
from linnet.model_file.description import read_estimator
from linnet.model_file.kinds import ESTIMATORS
from linnet.model_file.networks import read_error_bars, read_network
from linnet.model_format import damaged, unpack
from linnet.network import Ensemble
from linnet.training import TrainingState


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
        estimator, dropped = read_estimator(description, tensors, module)
        network = read_network(estimator, description, tensors, module)
        _make_ready(estimator)
        read_error_bars(estimator, tensors)
    except _FAULTS as fault:
        raise damaged(path, str(fault).splitlines()[0] if str(fault) else repr(fault)) from fault
    _fill(network, tensors, path)
    estimator.module_ = network.eval()
    if isinstance(network, Ensemble) and isinstance(estimator, EnsembleClassifier):
        estimator.temperature_ = float(network.temperature)
    if dropped:
        user_warnings.warn(
            f"{path} cannot hold {' and '.join(dropped)}, which {'were' if dropped[1:] else 'was'} "
            "no name or number: the default stands there now. Set it anew before training on.",
            UserWarning,
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
