"""What has to be the same where a training goes on from a file, each by its name."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import nn

from linnet.data import Rows, Stream
from linnet.training_state import TrainingState


def fingerprint(
    module: nn.Module,
    state: TrainingState,
    rows: Rows | Stream,
    validation: Rows | Stream | None,
    **settings: Any,
) -> dict[str, str]:
    """Return what decides the result of a training, each by its name.

    Parameters
    ----------
    module, state, rows, validation
        What is trained, begun with what, on what.
    **settings
        Whatever else decides the result.
    """
    assert state.history is not None and state.optimizer is not None
    shapes = [(name, tuple(value.shape), str(value.dtype)) for name, value in _tensors_of(module)]
    described = f"{module}{shapes}".encode()
    optimizer = state.optimizer
    groups = [
        {name: value for name, value in group.items() if name not in ("params", "lr", "initial_lr")}
        for group in optimizer.param_groups
    ]
    scheduler = "none" if state.scheduler is None else type(state.scheduler).__name__
    rates = [group.get("initial_lr", group.get("lr")) for group in optimizer.param_groups]
    return {
        "the module": f"{type(module).__name__} {hashlib.blake2b(described).hexdigest()[:12]}",
        "the optimizer": f"{type(optimizer).__name__} {groups} with rates {rates}",
        "the scheduler": scheduler,
        "the training rows": digest_rows(rows),
        "the validation rows": "none" if validation is None else digest_rows(validation),
        **{name: str(value) for name, value in settings.items()},
        **of_versions(state.history.versions),
    }


def of_versions(versions: dict[str, str]) -> dict[str, str]:
    """Return the versions that a training's history tells, each by its name in a fingerprint."""
    return {f"the version of {name}": text for name, text in versions.items()}


def describe(function: Any, name: str) -> str:
    """Return a loss's name and settings, such as class weights, as text."""
    held = {**getattr(function, "_buffers", {}), **getattr(function, "__dict__", {})}
    settings = {
        key: value.tolist() if isinstance(value, torch.Tensor) else value
        for key, value in held.items()
        if not key.startswith("_") and key != "training"
    }
    return f"{name} {settings}" if settings else name


def digest_rows(rows: Rows | Stream) -> str:
    """Return the number of rows, and a digest of their bytes; of a stream the number alone."""
    if isinstance(rows, Stream):
        return f"a DataLoader of {len(rows)} rows"
    digest = hashlib.blake2b()
    for tensor in (rows.X, rows.y, rows.weight):
        if tensor is not None:
            digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return f"{len(rows)} rows {digest.hexdigest()[:12]}"


def _tensors_of(module: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [(n, v) for n, v in module.state_dict().items() if isinstance(v, torch.Tensor)]
