"""The networks that a file's description tells of; sizes are compared before they take memory."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import torch
from torch import nn

from linnet.ensemble import EnsembleRegressor
from linnet.ensemble.fitting import EnsembleEstimator
from linnet.ensemble.members import build as build_member
from linnet.ensemble.members import parameter_shapes
from linnet.ensemble.settings import Settings
from linnet.error_bars import ErrorBars
from linnet.history import History
from linnet.network import Ensemble


def read_network(
    estimator: Any,
    description: dict[str, Any],
    tensors: dict[str, torch.Tensor],
    module: nn.Module | None,
) -> nn.Module:
    """Return the network, not filled yet, in the precision of the file's weights."""
    if module is None:
        _check_dtype(estimator, tensors)
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


def _check_dtype(estimator: Any, tensors: dict[str, torch.Tensor]) -> None:
    """Raise ValueError for weights of other numbers than the network's, such as shorter ones."""
    for name, tensor in tensors.items():
        is_short = tensor.ndim and tensor.dtype != getattr(torch, estimator.dtype)
        if name.startswith("module.") and is_short:
            told = str(tensor.dtype).removeprefix("torch.")
            raise ValueError(f"its {name} is of type {told}, not {estimator.dtype}")


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
    # Sizes are compared before the networks take memory, and counts before the sizes do.
    shapes = parameter_shapes(settings, *sizes)
    is_as_many = n_members > 0 and len(found) == n_members * len(shapes)
    if not is_as_many or sorted(found) != sorted(n_members * shapes):
        raise ValueError("its weights do not have the sizes that its settings say")
    members = [build_member(settings, *sizes, torch.Generator()) for _ in range(n_members)]
    ensemble = Ensemble(members, estimator._link(estimator.target_))
    return ensemble.to(getattr(torch, estimator.dtype))


def read_error_bars(estimator: Any, tensors: dict[str, torch.Tensor]) -> None:
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
