"""Where and with how many threads a training runs; everything is put back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from linnet.forks import is_forked


@contextmanager
def threads(n_threads: int | None = None) -> Iterator[None]:
    """Let torch use so many threads for a while; one in a forked process; None: as it is set."""
    n_threads = 1 if is_forked() else n_threads
    if n_threads is None:
        yield
        return
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(n_threads)
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def moved(
    modules: list[nn.Module],
    optimizer: torch.optim.Optimizer,
    device: torch.device,
    home: torch.device,
) -> Iterator[None]:
    """Keep the module, its loss and the optimizer's state on a device for a while."""
    if device == home:
        yield
        return
    _move(modules, optimizer, device)
    try:
        yield
    finally:
        _move(modules, optimizer, home)


def _move(modules: list[nn.Module], optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    for module in modules:
        module.to(device)
    for group in optimizer.param_groups:
        # Adam's count of steps lies on the CPU unless the optimizer is fused or capturable.
        counts_on_cpu = not (group.get("fused") or group.get("capturable"))
        for values in (optimizer.state[p] for p in group["params"] if p in optimizer.state):
            for name, value in values.items():
                if isinstance(value, torch.Tensor) and not (name == "step" and counts_on_cpu):
                    values[name] = value.to(device)
