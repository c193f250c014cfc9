"""The numbers that a solver is given, and the states that it is to go on from."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from linnet.spelling import did_you_mean

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


def answers_typos(**told: str) -> Callable[[Callable], Callable]:
    """Return a decorator of a solver's ``__init__`` that names an argument it does not have.

    Parameters
    ----------
    **told
        What to say of names that other solvers have.
    """

    def decorate(init: Callable) -> Callable:
        names = list(inspect.signature(init).parameters)[1:]

        @functools.wraps(init)
        def checked(self: torch.optim.Optimizer, *args: Any, **knobs: Any) -> None:
            unknown = [
                f"{name}{f': {told[name]}' if name in told else did_you_mean(name, names) or '.'}"
                for name in knobs
                if name not in names
            ]
            if unknown:
                raise TypeError(
                    f"{type(self).__name__} has no argument {' '.join(unknown)} Its arguments are "
                    f"{', '.join(names)}."
                )
            init(self, *args, **knobs)

        return checked

    return decorate


def check_parameters(solver: str, params: Any) -> list[Any]:
    """Return what a solver is to change as a list of parameters, or of groups.

    Raises
    ------
    TypeError
        If a module was given.
    ValueError
        If there are none.
    """
    if isinstance(params, torch.nn.Module):
        raise TypeError(
            f"{solver} got a {type(params).__name__} for the parameters. Write "
            f"{solver}(module.parameters())."
        )
    if isinstance(params, torch.Tensor):
        return params  # pyright: ignore[reportReturnType]  # for torch to refuse
    given = list(params)
    if not given:
        raise ValueError(
            f"There are no parameters that {solver} could change. Give those of a module with "
            "layers such as torch.nn.Linear: module.parameters()."
        )
    return given


def check_sized(parameters: list[torch.Tensor]) -> None:
    """Raise ValueError if a parameter of a lazy layer has no size yet."""
    n_lazy = sum(isinstance(p, torch.nn.UninitializedParameter) for p in parameters)
    if n_lazy:
        raise ValueError(
            f"{n_lazy} of {len(parameters)} parameters have no size yet, for their layer is lazy. "
            "Call module(X) once before the solver is made."
        )


def check_state(solver: torch.optim.Optimizer, state_dict: Any) -> None:
    """Raise ValueError where a state is of another solver or of other parameters."""
    kind = type(solver).__name__
    remedy = f"Give what {kind}.state_dict() gave, of the same parameters."
    groups = state_dict.get("param_groups") if isinstance(state_dict, dict) else None
    if not isinstance(groups, list) or not isinstance(state_dict.get("state"), dict):
        raise ValueError(f"This {type(state_dict).__name__} is no optimizer's state. {remedy}")
    pairs = zip(solver.param_groups, [*groups, *[{}] * len(solver.param_groups)], strict=False)
    missing = sorted({name for own, given in pairs for name in own if name not in given})
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
