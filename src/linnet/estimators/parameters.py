"""The parameters of the estimators: their legal values, and what to write instead of others."""

from __future__ import annotations

import inspect
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    validate_parameter_constraints,
)

from linnet import losses
from linnet.engine.choice import DEVICES, ENGINES
from linnet.estimators.schedules import SCHEDULES
from linnet.losses import SYNONYMS
from linnet.network import ACTIVATIONS, INITIALIZATIONS
from linnet.solvers import SOLVERS
from linnet.spelling import check_choice, did_you_mean


class _Number(Interval):
    """An interval of numbers. Python takes True for 1, but who writes it means something else."""

    def is_satisfied_by(self, val: Any) -> bool:
        return not isinstance(val, bool | np.bool_) and super().is_satisfied_by(val)


_POSITIVE = _Number(Real, 0, np.inf, closed="neither")
_FRACTION = _Number(Real, 0, 1, closed="left")

# scikit-learn's table of legal values, for what scikit-learn's MLP has and what linnet adds.
# `loss`, `device`, `hidden_layer_sizes` and `module` have checks of their own.
CONSTRAINTS: dict[str, list] = {
    "n_members": [_Number(Integral, 1, 1000, closed="both")],
    "cv": ["cv_object"],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "output_activation": [StrOptions(set(ACTIVATIONS))],
    "initialization": [StrOptions(set(INITIALIZATIONS))],
    "dropout": [_FRACTION],
    "label_smoothing": [_FRACTION],
    "n_frequencies": [_Number(Integral, 0, 1000, closed="both")],
    "frequency_scale": [_POSITIVE],
    "quantile": [_Number(Real, 0, 1, closed="neither")],
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "solver": [StrOptions({*SOLVERS, "auto"}), callable],
    "alpha": [_Number(Real, 0, np.inf, closed="left")],
    "batch_size": [StrOptions({"auto"}), _Number(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions(set(SCHEDULES))],
    "learning_rate_init": [_POSITIVE],
    "power_t": [_Number(Real, 0, np.inf, closed="left")],
    "max_iter": [_Number(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state", np.random.Generator],
    "tol": [_Number(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [_Number(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [_FRACTION],
    "test_fraction": [_FRACTION],
    "beta_1": [_FRACTION],
    "beta_2": [_FRACTION],
    "epsilon": [_POSITIVE],
    "n_iter_no_change": [_Number(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    "scale_X": ["boolean", StrOptions({"minmax"})],
    "scale_y": ["boolean", StrOptions({"minmax"})],
    "column_types": [dict, None],
    "dtype": [StrOptions({"float32", "float64"})],
    "clip_grad_norm": [_POSITIVE, None],
    "max_time": [_Number(Real, 0, None, closed="left"), None],
    "engine": [StrOptions(set(ENGINES))],
    # Each takes memory for its stack; far more of them than that and the process dies.
    "n_threads": [_Number(Integral, 1, 1024, closed="both"), None],
}

# A value of each parameter whose default shows none; the shell has no word for "auto".
_EXAMPLES = {
    "alpha": 0.01,
    "batch_size": 32,
    "class_weight": "balanced",
    "clip_grad_norm": 1.0,
    "column_types": {"zip": "category"},
    "cv": 4,
    "dropout": 0.1,
    "frequency_scale": 0.2,
    "label_smoothing": 0.1,
    "learning_rate_init": 0.01,
    "max_iter": 200,
    "max_time": 60,
    "n_frequencies": 2,
    "n_threads": 2,
    "random_state": 0,
}

# What people write who come from elsewhere, and what it is called here.
_INSTEAD = {
    "max_fun": "max_iter, or max_time for a limit in seconds",
    "lr": "learning_rate_init",
    "epochs": "max_iter",
    "n_epochs": "max_iter",
    "max_epochs": "max_iter",
    "optimizer": "solver",
    "optimizer_class": "solver",
    "criterion": "loss",
    "loss_function": "loss",
    "weight_decay": "alpha",
    "l2": "alpha",
    "patience": "n_iter_no_change together with early_stopping=True",
    "seed": "random_state",
    "hidden": "hidden_layer_sizes",
    "hidden_size": "hidden_layer_sizes",
    "hidden_units": "hidden_layer_sizes",
    "scheduler": "learning_rate, such as learning_rate='cosine'",
    "betas": "beta_1 and beta_2",
    "eps": "epsilon",
    "n_jobs": "n_threads",
    "validation_split": "validation_fraction together with early_stopping=True",
    "tolerance": "tol",
    "standardize": "scale_X and scale_y",
}

_OF_THE_MODULE = (
    "hidden_layer_sizes",
    "activation",
    "output_activation",
    "dropout",
    "initialization",
    "dtype",
)
# What a fit that goes on cannot change, and what it takes up with a new optimizer.
_OF_THE_NETWORK = (
    "module",
    *_OF_THE_MODULE,
    "loss",
    "quantile",
    "scale_X",
    "scale_y",
    "column_types",
)
_OF_THE_OPTIMIZER = (
    "solver",
    "alpha",
    "learning_rate",
    "learning_rate_init",
    "power_t",
    "momentum",
    "nesterovs_momentum",
    "beta_1",
    "beta_2",
    "epsilon",
)


def check_names(estimator: type, parameters: dict[str, Any]) -> None:
    """Raise TypeError, with what to write instead, for parameters that an estimator has not.

    Every one of them is told at once.
    """
    known = estimator._get_param_names()  # pyright: ignore[reportAttributeAccessIssue]
    faults = [
        f"{estimator.__name__} has no parameter {name!r}{_instead(name, known)}"
        for name in parameters
        if name not in known
    ]
    if faults:
        raise TypeError(" ".join(faults))


def _instead(name: str, known: list[str]) -> str:
    instead = _INSTEAD.get(name)
    if instead is not None and instead.split()[0].strip(",") in known:
        return f": write {instead}."
    if name == "preset":
        return ": write MLPRegressor.from_preset('fitnet', ...), which sets plain parameters."
    if name in _OF_THE_MODULE and "module" in known:
        return ": the module itself decides it."
    if name in ("early_stopping", "validation_fraction") and "n_members" in known:
        return ": each member holds out rows of its own, and keeps its best epoch. Leave it out."
    if name == "class_weight":
        return ": give each row its weight, fit(X, y, sample_weight=...)."
    if name in ("scale_y", "quantile"):
        return ": it is for numbers, and y holds classes here."
    return did_you_mean(name, known) or f"; it has {', '.join(known)}."


def check_parameters(estimator: Any) -> None:
    """Raise one error that names every parameter of an estimator that is out of its range."""
    faults = []
    for name, value in estimator.get_params(deep=False).items():
        try:
            _check_parameter(estimator, name, value)
        except (ValueError, TypeError) as fault:
            faults.append(str(fault))
    if faults:
        raise InvalidParameterError(" ".join(faults))


def _check_parameter(estimator: Any, name: str, value: Any) -> None:
    if name in getattr(estimator, "automatic", ()) and isinstance(value, str) and value == "auto":
        return
    if name == "loss":
        if estimator.loss_names is None:
            losses.resolve(value)
        else:
            _check_loss(value, estimator.loss_names)
    elif name == "device":
        on_cuda = isinstance(value, str) and value.startswith("cuda:")
        if not isinstance(value, torch.device) and not on_cuda:
            check_choice("device", value, DEVICES)
    elif name == "hidden_layer_sizes":
        hidden_sizes(value)
    elif name == "module" and not callable(value):
        raise TypeError(
            f"module={value!r} is no torch.nn.Module and makes none. Give a module, or a function "
            "of (number of inputs, number of outputs) that returns one."
        )
    elif name in CONSTRAINTS:
        constraints = CONSTRAINTS[name]
        words = [c for c in constraints if isinstance(c, StrOptions)]
        if isinstance(value, str) and words:
            check_choice(name, value, sorted(words[0].options))
        _check_range(estimator, name, value)


def _check_range(estimator: Any, name: str, value: Any) -> None:
    """Raise scikit-learn's error for a value out of its range, with a value that is in it."""
    constraints = CONSTRAINTS[name]
    try:
        validate_parameter_constraints({name: constraints}, {name: value}, type(estimator).__name__)
    except InvalidParameterError as fault:
        default = inspect.signature(type(estimator)).parameters[name].default
        example = _EXAMPLES.get(name, default)
        raise InvalidParameterError(f"{fault} Write {name}={example!r}, for example.") from None


def _check_loss(value: Any, allowed: tuple[str, ...]) -> None:
    is_gaussian = isinstance(value, str) and SYNONYMS.get(value.lower(), value) == "gaussian"
    if is_gaussian and "squared_error" in allowed and "gaussian" not in allowed:
        raise ValueError(
            f"loss={value!r} is for one network, MLPRegressor: an ensemble learns the variance "
            "from rows held out, with any loss. Write loss='squared_error'."
        )
    check_choice("loss", value, allowed, SYNONYMS)


def hidden_sizes(given: Any) -> list[int]:
    """Return the neurons of each hidden layer as a list.

    Raises
    ------
    ValueError
        If `given` is neither a whole number of 1 or more nor a sequence of such.
    """
    sizes = [given] if isinstance(given, Integral) else given
    try:
        sizes = list(sizes)
        good = all(
            isinstance(n, Integral) and not isinstance(n, bool) and int(n) > 0 for n in sizes
        )
    except TypeError:
        good = False
    if not good:
        raise ValueError(
            f"hidden_layer_sizes={given!r} is not allowed: sizes must be > 0. Give whole numbers "
            "of 1 or more, such as (64, 64), or () for a linear model."
        )
    return [int(size) for size in sizes]


def check_same_network(estimator: Any) -> None:
    """Raise ValueError if a fit is to go on with another network than the last one trained."""
    changed = _changed(estimator, _OF_THE_NETWORK)
    if changed:
        raise ValueError(
            f"{', '.join(changed)} changed since the last fit, and this one goes on with its "
            "network. Set what it was, or write warm_start=False to begin anew."
        )


def has_new_rates(estimator: Any) -> bool:
    """Return whether the optimizer or its schedule has been set otherwise since the last fit."""
    return bool(_changed(estimator, _OF_THE_OPTIMIZER))


def _changed(estimator: Any, names: tuple[str, ...]) -> list[str]:
    before = getattr(estimator, "_fitted_as", {})  # not there in a model that was read from a file
    now = estimator.get_params(deep=False)
    return [
        name
        for name in names
        if name in now
        and name in before
        and now[name] is not before[name]
        and not np.array_equal(now[name], before[name])
    ]


def keep(estimator: Any, arguments: dict[str, Any]) -> None:
    """Set each argument of `__init__`, as in ``locals()``, as an attribute of its name."""
    for name, value in arguments.items():
        if name != "self":
            setattr(estimator, name, value)
