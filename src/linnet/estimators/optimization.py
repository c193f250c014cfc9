"""Optimizer, schedule and patience of an estimator's parameters, which are scikit-learn's.

Letters: N rows.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import torch
from sklearn.base import is_classifier
from torch import nn

from linnet import solvers
from linnet.estimators.schedules import make_scheduler
from linnet.losses import Loss
from linnet.solvers.levenberg_marquardt import refusal


def patience_of(estimator: Any) -> int | None:
    """Return the epochs without an improvement after which training stops; None for never."""
    if math.isinf(estimator.n_iter_no_change):
        return None
    # With "adaptive" the rate is lowered after n_iter_no_change stale epochs; only when it cannot
    # be lowered any further does the training end.
    return int(estimator.n_iter_no_change) + (estimator.learning_rate == "adaptive")


def make_optimizer(
    estimator: Any, solver: Any, module: nn.Module, batch_size: int, weight: np.ndarray | None
) -> torch.optim.Optimizer:
    """Return the optimizer of the module's parameters.

    Parameters
    ----------
    estimator : OneNetwork
        Has rates, decays and momenta.
    solver : str or callable
        That of the estimator, or the one chosen for it.
    module : torch.nn.Module
    batch_size : int
        Rows of a step.
    weight : ndarray of shape (N,) or None

    Raises
    ------
    ValueError
        If the module has nothing to train.
    """
    trained = [p for p in module.parameters() if p.requires_grad]
    if not trained:
        raise ValueError(
            "The module has no parameters to train. Give one with layers such as nn.Linear, and "
            "with requires_grad=True."
        )
    if not isinstance(solver, str):
        return solvers.make(solver, trained)
    # scikit-learn's penalty is alpha / 2 * sum(w**2) / (rows of a batch), and a row of weight 2
    # counts as two rows. AdamW's is its own.
    rows_of_batch = batch_size * (1.0 if weight is None else float(weight.mean()))
    decay = float(estimator.alpha) / (1.0 if solver == "adamw" else rows_of_batch)
    if solvers.takes_all_rows(solver):
        return solvers.make(solver, trained, weight_decay=decay)
    weights = [p for p in trained if p.ndim > 1]
    others = [p for p in trained if p.ndim <= 1]  # biases are not penalised
    groups = [
        {"params": parameters, "weight_decay": strength}
        for parameters, strength in ((weights, decay), (others, 0.0))
        if parameters
    ]
    options: dict[str, Any] = {"lr": float(estimator.learning_rate_init)}
    if solver == "sgd":
        options["momentum"] = float(estimator.momentum)
        options["nesterov"] = bool(estimator.nesterovs_momentum and estimator.momentum > 0)
    elif solver in ("adam", "adamw", "nadam", "radam"):
        options["betas"] = (float(estimator.beta_1), float(estimator.beta_2))
        options["eps"] = float(estimator.epsilon)
    return solvers.make(solver, groups, **options)


def check_least_squares(estimator: Any, loss: Loss) -> None:
    """Raise ValueError where an estimator's loss or dropout is not for Levenberg-Marquardt."""
    if not _is_least_squares(estimator.solver):
        return
    others = "solver='adamw' or solver='lbfgs'"
    if not isinstance(loss.function, nn.MSELoss) or loss.is_sum:
        remedy = others if is_classifier(estimator) else f"loss='squared_error', or {others}"
        raise ValueError(
            "Levenberg-Marquardt minimises the mean squared error, and the loss is "
            f"{loss.name}{' with a sum' * loss.is_sum}. Write {remedy}."
        )
    dropout = getattr(estimator, "dropout", 0.0)
    if dropout:
        raise ValueError(
            f"{refusal(f'with dropout={dropout!r} the outputs depend on chance')} Write "
            "dropout=0.0, or solver='adamw'."
        )


def without_effect(estimator: Any) -> str:
    """Return a sentence that names what is set and without effect on the solver."""
    solver = estimator.solver
    if not solvers.takes_all_rows(solver):
        return ""
    is_lm = _is_least_squares(solver)
    rate = "it has no learning rate" if is_lm else "its line search finds the length of a step"
    reasons = {
        "batch_size": "it takes all rows at once",
        "learning_rate": rate,
        "learning_rate_init": rate,
    }
    if not isinstance(solver, str):
        reasons["alpha"] = "a solver that is no name has its own weight_decay"
    defaults = inspect.signature(type(estimator)).parameters
    values = {name: getattr(estimator, name) for name in reasons}
    given = [name for name, value in values.items() if value != defaults[name].default]
    told = ", ".join(f"{name}={values[name]!r}" for name in given)
    why = " and ".join(dict.fromkeys(reasons[name] for name in given))
    name = "Levenberg-Marquardt" if is_lm else "L-BFGS"
    return f"{told}: without effect on {name}, for {why}." if given else ""


def _is_least_squares(solver: Any) -> bool:
    factory = solvers.SOLVERS.get(solver) if isinstance(solver, str) else solver
    factory = getattr(factory, "func", factory)
    return isinstance(factory, type) and issubclass(factory, solvers.LevenbergMarquardt)


def make_schedule(
    estimator: Any,
    solver: Any,
    name: str,
    optimizer: torch.optim.Optimizer,
    n_rows: int,
    batch_size: int,
) -> Any:
    """Return the scheduler of that name for an estimator's optimizer; None for a constant rate."""
    if solvers.takes_all_rows(solver) or (solver == "adam" and name == "invscaling"):
        name = "constant"  # scikit-learn's schedules are for sgd; Adam would come to a halt
    return make_scheduler(
        name,
        optimizer,
        n_rows=n_rows,
        n_steps=estimator.max_iter * math.ceil(n_rows / batch_size),
        power_t=estimator.power_t,
        tol=estimator.tol,
        n_iter_no_change=estimator.n_iter_no_change,
    )


def schedule_settings(estimator: Any, solver: Any, name: str) -> dict[str, str]:
    """Return what decides the rates of a schedule, each by its name, to compare checkpoints."""
    if solvers.takes_all_rows(solver):
        return {}
    deciding = {
        "invscaling": ["power_t"],
        "adaptive": ["n_iter_no_change"],
        "cosine": ["max_iter"],
        "one_cycle": ["max_iter"],
    }
    settings = {parameter: getattr(estimator, parameter) for parameter in deciding.get(name, [])}
    return {"learning_rate": name, **{p: str(value) for p, value in settings.items()}}
