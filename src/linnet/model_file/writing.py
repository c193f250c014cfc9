"""Fitted estimators to files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from sklearn.utils.validation import check_is_fitted

from linnet.ensemble.fitting import EnsembleEstimator
from linnet.estimators.estimator import NetworkEstimator
from linnet.model_file.kinds import ESTIMATORS
from linnet.model_file.plain_parameters import to_plain
from linnet.model_format import pack
from linnet.training import versions
from linnet.whole_file import check_writable, whole_file


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
    if hasattr(estimator, "best_estimator_"):
        raise TypeError(
            f"A {type(estimator).__name__} cannot be saved to a linnet file, and the model that it "
            "found can: write linnet.save(found.best_estimator_, path)."
        )
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
            # Splits are of the rows of the fit, which the file does not hold.
            name: to_plain(value) if name != "cv" or value is None else {"not_kept": "cv"}
            for name, value in estimator.get_params(deep=False).items()
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
        "validation_scores": None if scores is None else [to_plain(score) for score in scores],
        "n_features_in": int(estimator.n_features_in_),
        "feature_names_in": None if names is None else [str(name) for name in names],
        "versions": versions(),
        "card": getattr(estimator, "card_", {}),
    }
