"""Solvers: each is a `torch.optim.Optimizer` that also serves in a loop of the user's own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

import torch

from linnet.solvers.lbfgs import LBFGS
from linnet.solvers.levenberg_marquardt import LevenbergMarquardt
from linnet.spelling import check_choice

__all__ = ["LBFGS", "SOLVERS", "TAKE_ALL_ROWS", "LevenbergMarquardt", "make", "takes_all_rows"]


def _fused(factory: Callable[..., torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    # torch's fused form of a step computes the same update in one kernel instead of a dozen.
    def build(parameters: Iterable[Any], **options: Any) -> torch.optim.Optimizer:
        return factory(parameters, fused=True, **options)

    return build


SOLVERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": _fused(torch.optim.Adam),
    "adamw": _fused(torch.optim.AdamW),
    "sgd": _fused(torch.optim.SGD),
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "lbfgs": LBFGS,
    "lm": LevenbergMarquardt,
}

# Those that cannot learn from a part of the rows.
TAKE_ALL_ROWS = (LBFGS, LevenbergMarquardt)


def takes_all_rows(solver: object) -> bool:
    """Whether a name or a factory, a partial one too, gives a solver that takes all rows."""
    factory = SOLVERS.get(solver) if isinstance(solver, str) else getattr(solver, "func", solver)
    return isinstance(factory, type) and issubclass(factory, TAKE_ALL_ROWS)


def _import_compiler() -> None:
    """Let torch import what its first optimizer asks for, whole, even if Ctrl-C comes meanwhile.

    It takes seconds, and where it is cut off, no optimizer can be made in this process any more.
    Python raises Ctrl-C in the main thread only.
    """

    def import_it() -> None:
        import torch._dynamo  # noqa: F401

    if "torch._dynamo" not in sys.modules:
        thread = threading.Thread(target=import_it)
        thread.start()
        thread.join()


def make(
    solver: object, parameters: Any, *, called: str = "solver", **options: Any
) -> torch.optim.Optimizer:
    """Turn a name or a factory into an optimizer over the parameters.

    Parameters
    ----------
    solver : str or callable
        A key of `SOLVERS`, or a callable ``solver(parameters, **options)`` such as
        ``torch.optim.AdamW``.
    parameters : iterable of torch.nn.Parameter, or of parameter groups
        What the optimizer changes.
    called : str, default="solver"
        What messages call the parameter.
    **options
        What the optimizer takes, such as ``lr=1e-3``.

    Returns
    -------
    torch.optim.Optimizer

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If `solver` is no factory, or gives no optimizer.

    Examples
    --------
    >>> import torch
    >>> from linnet.solvers import make
    >>> type(make("sgd", torch.nn.Linear(2, 1).parameters(), lr=0.1)).__name__
    'SGD'
    """
    _import_compiler()
    if isinstance(solver, str):
        if solver == "auto":
            raise ValueError(
                f"{called}='auto' is for MLPRegressor and its like, which choose a solver by the "
                f"rows and the network. Write {called}='lm' for a small network under squared "
                f"error, else {called}='adamw'."
            )
        check_choice(called, solver, SOLVERS)
        return SOLVERS[solver](parameters, **options)
    if not callable(solver):
        raise TypeError(
            f"{called}={solver!r} is neither a name nor a factory. Give a name "
            f"({', '.join(SOLVERS)}) or a callable that takes the parameters, such as "
            "torch.optim.AdamW."
        )
    optimizer = solver(parameters, **options)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(
            f"{called}={solver!r} gave a {type(optimizer).__name__}; it has to give a "
            "torch.optim.Optimizer, as torch.optim.AdamW does."
        )
    return optimizer
