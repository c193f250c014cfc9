"""The numbers that a solver is given, and the states that it is to go on from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

# What is allowed, in words, and whether a number is.
Range = tuple[str, Callable[[Any], bool]]

ABOVE_0: Range = ("a number above 0", lambda x: x > 0)
FROM_0: Range = ("a number of 0 or more", lambda x: x >= 0)


def or_none(allowed: Range) -> Range:
    """Return a range that None belongs to."""
    return f"{allowed[0]}, or None", lambda x: x is None or (_is_number(x) and allowed[1](x))


def check_knobs(knobs: Mapping[str, tuple[Any, Range]], **flags: Any) -> None:
    """Raise one error that names every knob out of its range.

    Parameters
    ----------
    knobs : dict of str to (value, range)
    **flags
        What has to be True or False.

    Raises
    ------
    ValueError
    """
    wrong = [
        f"{name}={value!r} has to be {words}"
        for name, (value, (words, holds)) in knobs.items()
        if not ((_is_number(value) or (value is None and words.endswith("None"))) and holds(value))
    ]
    wrong += [
        f"{name}={value!r} has to be True or False"
        for name, value in flags.items()
        if not isinstance(value, bool)
    ]
    if wrong:
        raise ValueError("; ".join(wrong) + ".")


def check_state(solver: torch.optim.Optimizer, state_dict: Any) -> None:
    """Raise ValueError where a state is of another solver or of other parameters."""
    kind = type(solver).__name__
    remedy = f"Give what {kind}.state_dict() gave, of the same parameters."
    groups = state_dict.get("param_groups") if isinstance(state_dict, dict) else None
    if not isinstance(groups, list) or not isinstance(state_dict.get("state"), dict):
        raise ValueError(f"This {type(state_dict).__name__} is no optimizer's state. {remedy}")
    knobs = set(solver.param_groups[0]) - {"params"}
    missing = sorted(knobs - set.intersection(*map(set, groups)) if groups else knobs)
    if missing:
        raise ValueError(
            f"The state has no {', '.join(missing)}: it is of another solver. {remedy}"
        )
    own, given = ([len(g["params"]) for g in gs] for gs in (solver.param_groups, groups))
    if own != given:
        raise ValueError(
            f"The state is of groups of {given} parameters, and the solver has {own}. {remedy}"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
