"""The parameters of the estimators: their legal values, and what to write instead of others."""

from __future__ import annotations

import inspect
import textwrap
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

_POSITIVE = Interval(Real, 0, np.inf, closed="neither")
_FRACTION = Interval(Real, 0, 1, closed="left")

# scikit-learn's table of legal values, for what scikit-learn's MLP has and what linnet adds.
# `loss`, `device`, `hidden_layer_sizes` and `module` have checks of their own.
CONSTRAINTS: dict[str, list] = {
    "n_members": [Interval(Integral, 1, 1000, closed="both")],
    "cv": ["cv_object"],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "output_activation": [StrOptions(set(ACTIVATIONS))],
    "initialization": [StrOptions(set(INITIALIZATIONS))],
    "dropout": [_FRACTION],
    "n_frequencies": [Interval(Integral, 0, 1000, closed="both")],
    "frequency_scale": [_POSITIVE],
    "quantile": [Interval(Real, 0, 1, closed="neither")],
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "solver": [StrOptions({*SOLVERS, "auto"}), callable],
    "alpha": [Interval(Real, 0, np.inf, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions(set(SCHEDULES))],
    "learning_rate_init": [_POSITIVE],
    "power_t": [Interval(Real, 0, np.inf, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state", np.random.Generator],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [_FRACTION],
    "test_fraction": [_FRACTION],
    "beta_1": [_FRACTION],
    "beta_2": [_FRACTION],
    "epsilon": [_POSITIVE],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    "scale_X": ["boolean", StrOptions({"minmax"})],
    "scale_y": ["boolean", StrOptions({"minmax"})],
    "column_types": [dict, None],
    "dtype": [StrOptions({"float32", "float64"})],
    "clip_grad_norm": [_POSITIVE, None],
    "max_time": [Interval(Real, 0, None, closed="left"), None],
    "engine": [StrOptions(set(ENGINES))],
    # Each takes memory for its stack; far more of them than that and the process dies.
    "n_threads": [Interval(Integral, 1, 1024, closed="both"), None],
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
        validate_parameter_constraints({name: constraints}, {name: value}, type(estimator).__name__)


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


# One description for each parameter; the classes' docstrings and the shell's help are made of it.
# "{default}" becomes the default of the class.
DESCRIPTIONS: dict[str, tuple[str, str]] = {
    "n_members": ("int, default={default}", "Networks that are trained side by side, M."),
    "cv": (
        "int, splitter, iterable or None, default={default}",
        "Which rows members are trained on and which they hold out, as in scikit-learn: a "
        "splitter, or pairs of row numbers (train, test), of which members take one each in turn. "
        "So rows that belong together are held out together: list(GroupKFold(8).split(X, y, "
        "patients)). None: windows of linnet's own, by which each row is held out.",
    ),
    "module": (
        "torch.nn.Module or callable",
        "A module, which is copied with its weights; or a function of (number of inputs, number "
        "of outputs) that returns one. Lazy modules take their sizes from X. It ends without an "
        "activation: logits for classes, and any number for a standardised y.",
    ),
    "hidden_layer_sizes": (
        "int or sequence of int, default={default}",
        "Neurons of each hidden layer.",
    ),
    "activation": (
        "str, default={default}",
        f"Activation of the hidden layers: {', '.join(ACTIVATIONS)}.",
    ),
    "output_activation": (
        "str, default={default}",
        "Activation of the output layer. One that is bounded needs scale_y=False.",
    ),
    "dropout": (
        "float, default={default}",
        "Fraction of hidden activations set to zero in training, from 0 to below 1.",
    ),
    "n_frequencies": (
        "int, default={default}",
        "Cosines of each input next to the input itself (`linnet.network.PeriodicEmbedding`).",
    ),
    "frequency_scale": (
        "float, default={default}",
        "Standard deviation of their frequencies at the start, in standardised units of the input.",
    ),
    "initialization": (
        '{{"glorot_uniform", "he_uniform", "torch", "nguyen_widrow"}}, default={default}',
        "How weights start; see `linnet.network.mlp`.",
    ),
    "class_weight": (
        'dict, "balanced" or None, default={default}',
        "Weight of each class; balanced: in inverse proportion to its rows.",
    ),
    "quantile": (
        "float, default={default}",
        'The quantile that loss="quantile" predicts, between 0 and 1.',
    ),
    "solver": (
        "str or callable, default={default}",
        f"Optimizer: {', '.join(SOLVERS)}; or a callable that makes one from the parameters, its "
        "rate and penalty set, such as functools.partial(torch.optim.AdamW, lr=1e-3). lm "
        "(Levenberg-Marquardt) and lbfgs take all rows and stop by their own criteria and by "
        "validation rows. auto: lm for small networks under squared_error, else adamw, its rate "
        "falling as cosine; history_.notes say which, and why.",
    ),
    "alpha": (
        "float, default={default}",
        "Strength of the penalty on squared weights (biases are free): alpha / 2 * sum(w**2) / "
        "rows of a batch, as in scikit-learn (whose squared_error is half of this one). With adamw "
        "its decoupled weight decay.",
    ),
    "batch_size": (
        'int or "auto", default={default}',
        "Rows of a step; auto: 200, or all rows if they are fewer. lm and lbfgs take all rows.",
    ),
    "learning_rate": (
        "str, default={default}",
        "Schedule of the learning rate: constant; invscaling (falls with rows seen; not for adam, "
        "as in scikit-learn); adaptive (divided by 5 when the loss stalls); cosine (falls to 0 "
        "over max_iter); one_cycle (rises, then falls as cosine). lm and lbfgs have none.",
    ),
    "learning_rate_init": ("float, default={default}", "Initial, and greatest, learning rate."),
    "power_t": ("float, default={default}", 'Exponent of learning_rate="invscaling".'),
    "max_iter": ("int, default={default}", "Greatest number of epochs (passes over the rows)."),
    "shuffle": ("bool, default={default}", "Draw a new order of the rows for each epoch."),
    "random_state": (
        "int, RandomState, Generator or None, default={default}",
        "Decides initial weights, split, order of rows and dropout; None: different each time.",
    ),
    "tol": (
        "float, default={default}",
        "The least improvement of the loss that counts as one.",
    ),
    "verbose": ("bool, default={default}", "Show a progress bar on the standard error stream."),
    "warm_start": ("bool, default={default}", "Let fit go on from where the last fit stopped."),
    "momentum": ("float, default={default}", "Momentum of sgd, from 0 to 1."),
    "nesterovs_momentum": ("bool, default={default}", "Whether sgd's momentum is Nesterov's."),
    "early_stopping": (
        "bool, default={default}",
        "Hold validation rows out and stop where their loss is least; the best epoch's weights are "
        "kept.",
    ),
    "validation_fraction": (
        "float, default={default}",
        "Fraction of rows held out for early_stopping.",
    ),
    "test_fraction": (
        "float, default={default}",
        "Fraction of rows that are set aside and never trained on; `test_score_` is the score on "
        "them.",
    ),
    "beta_1": ("float, default={default}", "Decay of Adam's mean of gradients."),
    "beta_2": ("float, default={default}", "Decay of Adam's mean of squared gradients."),
    "epsilon": ("float, default={default}", "Added to Adam's denominator."),
    "n_iter_no_change": (
        "int or inf, default={default}",
        "Stop after so many epochs in which the loss (of the validation rows if there are some) "
        "did not improve by tol.",
    ),
    "scale_X": (
        'bool or "minmax", default={default}',
        "Standardise the columns of X, or move them to [-1, 1] (minmax).",
    ),
    "scale_y": (
        'bool or "minmax", default={default}',
        "Standardise y for the training, or move it to [-1, 1] (not for poisson losses).",
    ),
    "column_types": (
        "dict of str to str or None, default={default}",
        "Types of columns of a frame that should not be inferred: number, category, boolean, date, "
        "ignore.",
    ),
    "dtype": (
        '{{"float32", "float64"}}, default={default}',
        "Numbers of the network: 7 or 16 digits.",
    ),
    "clip_grad_norm": (
        "float or None, default={default}",
        "Greatest Euclidean norm of a step's gradient.",
    ),
    "max_time": ("float or None, default={default}", "Seconds after which the training ends."),
    "device": ('{{"auto", "cpu", "cuda", "mps"}}, default={default}', "Where to train."),
    "engine": (
        '{{"auto", "torch", "native"}}, default={default}',
        "Who does the arithmetic.",
    ),
    "n_threads": (
        "int or None, default={default}",
        "CPU threads during the training; None: as torch is set, but one for small networks, which "
        "more would slow down.",
    ),
}
# What is said of those that an ensemble decides from the size of the table.
AUTOMATIC = {
    "solver": f"Optimizer: {', '.join(SOLVERS)}.",
    "alpha": "Weight decay; for other solvers than adamw the penalty of MLPRegressor.",
    "batch_size": "Rows of a step.",
    "learning_rate_init": "Greatest learning rate; it rises, then falls as a cosine.",
    "max_iter": "Greatest number of epochs (passes over the rows).",
}
_LOSS = {
    "EnsembleRegressor": "squared_error, absolute_error, smooth_l1, huber or poisson (log link).",
    "EnsembleClassifier": "log_loss, the cross-entropy.",
    "MLPRegressor": "squared_error, absolute_error, smooth_l1, huber, poisson (log link), "
    "quantile, or gaussian: a mean, which is predicted, and a variance, which gives standard "
    "deviations and intervals.",
    "MLPClassifier": "log_loss, the cross-entropy.",
    "ModuleRegressor": "A name as in MLPRegressor, a torch loss such as nn.HuberLoss(), or any "
    "loss(prediction, target).",
    "ModuleClassifier": "log_loss, a torch loss such as nn.CrossEntropyLoss(label_smoothing=0.1), "
    "or any loss(logits, target): the target is class numbers (B,), or zeros and ones of the shape "
    "of the logits where the module has a single output or y is multilabel.",
}


def documented(cls: type) -> type:
    """Put the descriptions of its parameters into a class's docstring."""
    lines = ["Parameters", "    ----------"]
    for name, parameter in inspect.signature(cls).parameters.items():
        is_loss = name == "loss"
        kinds = "str, torch loss or callable" if cls.__name__.startswith("Module") else "str"
        described = (kinds + ", default={default}", _LOSS[cls.__name__])
        kind, text = described if is_loss else DESCRIPTIONS[name]
        kind = kind.format(default=repr(parameter.default))
        if name in getattr(cls, "automatic", ()):
            first, _, default = kind.partition(", default=")
            kind = first.removesuffix(' or "auto"') + f' or "auto", default={default}'
            text = AUTOMATIC.get(name, text)
        lines.append(f"    {name} : {kind}")
        lines += textwrap.wrap(text, 88, initial_indent=" " * 8, subsequent_indent=" " * 8)
    cls.__doc__ = (cls.__doc__ or "").replace("{parameters}", "\n".join(lines))
    return cls
