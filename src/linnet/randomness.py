"""Seeds and generators: everything random in a training comes from one `random_state`."""

from __future__ import annotations

import secrets
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
