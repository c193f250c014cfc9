"""What a file's description says of an estimator, checked: all but its network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import is_classifier
from torch import nn

from linnet.estimators.parameters import check_parameters
from linnet.estimators.targets import ClassTarget
from linnet.history import History
from linnet.model_file.kinds import ESTIMATORS, TARGETS
from linnet.model_file.plain_parameters import DROPPED, from_plain
from linnet.table import Columns


def read_estimator(
    description: dict[str, Any], tensors: dict[str, torch.Tensor], module: nn.Module | None
) -> tuple[Any, list[str]]:
    """Return the estimator without its network, and the parameters that the file did not keep."""
    kind = ESTIMATORS[description["estimator"]]
    given = {key: from_plain(value) for key, value in description["parameters"].items()}
    parameters = {key: value for key, value in given.items() if value is not DROPPED}
    if module is not None:
        parameters["module"] = module
    estimator: Any = kind(**parameters)
    check_parameters(estimator)
    estimator.columns_ = Columns.from_dict(description["columns"])
    estimator.target_ = TARGETS[description["target"]["kind"]].from_dict(description["target"])
    _check_target(estimator)
    estimator.history_ = History.from_dict(description["history"])
    estimator.history_.split = {
        name.removeprefix("rows."): _row_numbers(rows)
        for name, rows in tensors.items()
        if name.startswith("rows.")
    }
    scores = description.get("validation_scores")  # not there in the first files
    if scores is not None:
        estimator._validation_scores = [float(from_plain(score)) for score in scores]
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


def _row_numbers(rows: torch.Tensor) -> np.ndarray:
    if rows.dtype != torch.int64 or rows.ndim != 1 or (rows < 0).any():
        raise ValueError("its row numbers are none")
    return rows.numpy()
