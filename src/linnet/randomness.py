"""Seeds and generators: everything random in a training comes from one `random_state`."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def make_generator(random_state: Any) -> tuple[torch.Generator, int | None]:
    """Return a generator of its own, and the seed it began with (None for a given generator)."""
    if isinstance(random_state, torch.Generator):
        return random_state, None
    seed = draw_seed(random_state)
    return torch.Generator().manual_seed(seed), seed


def draw_seed(random_state: Any) -> int:
    """Return a seed below 2**32: the given whole number, one drawn from a generator, or a new one.

    Raises
    ------
    ValueError
        If `random_state` is none of these.
    """
    if random_state is None:
        return secrets.randbits(32)
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**32, dtype=np.uint64))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**32))
    is_whole = isinstance(random_state, int | np.integer) and not isinstance(random_state, bool)
    if is_whole and 0 <= int(random_state) < 2**32:
        return int(random_state)
    raise ValueError(
        f"random_state={random_state!r} is not allowed: give a whole number from 0 to 2**32 - 1, "
        "a numpy RandomState or Generator, a torch.Generator, or None."
    )


# torch has one generator a device for all threads. Those that seed it take turns, or none would
# draw what its seed says, nor leave the generator as it was found.
_TURN = threading.RLock()


def _renew_turn() -> None:
    global _TURN
    _TURN = threading.RLock()  # the old one may belong to a thread that was not forked


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_turn)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators for a while, and leave them as they were found.

    Other threads that ask for the same wait meanwhile.
    """
    with _TURN:
        cpu_state = torch.default_generator.get_state()
        accelerator = _accelerator_generator(device)
        accelerator_state = None if accelerator is None else accelerator.get_state()
        try:
            torch.default_generator.manual_seed(seed)
            if accelerator is not None:
                accelerator.manual_seed(seed)
            yield
        finally:
            torch.default_generator.set_state(cpu_state)
            if accelerator is not None and accelerator_state is not None:
                accelerator.set_state(accelerator_state)


def _accelerator_generator(device: torch.device) -> torch.Generator | None:
    if device.type == "cuda":
        torch.cuda.init()
        index = torch.cuda.current_device() if device.index is None else device.index
        return torch.cuda.default_generators[index]
    return torch.mps._get_default_mps_generator() if device.type == "mps" else None
