"""What each parameter of the estimators is, for their docstrings."""

from __future__ import annotations

import inspect
import textwrap

from linnet.network import ACTIVATIONS
from linnet.solvers import SOLVERS

# One description for each parameter; the classes' docstrings are made of it.
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
    "label_smoothing": (
        "float, default={default}",
        "Share of each label that is spread evenly over all classes in training, from 0 to below "
        "1; 0: labels as they are.",
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
        "Greatest Euclidean norm of a step's gradient; without effect on lm, which the notes say.",
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
