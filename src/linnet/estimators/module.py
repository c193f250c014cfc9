"""ModuleRegressor and ModuleClassifier: a module of the user's in scikit-learn's contract."""

from __future__ import annotations

import copy

import torch
from torch import nn

from linnet.engine.torch_engine import seeded
from linnet.estimators.classification import NetworkClassifier
from linnet.estimators.fitting import NetworkEstimator, Target
from linnet.estimators.parameters import documented, keep
from linnet.estimators.regression import NetworkRegressor
from linnet.estimators.targets import ClassTarget


class OwnModule(NetworkEstimator):
    """An estimator that trains a copy of a module of the user's."""

    def _build(self, n_inputs: int, target: Target, generator: torch.Generator) -> nn.Module:
        seed = int(torch.randint(2**62, (), generator=generator))
        with seeded(seed, torch.device("cpu")):
            if isinstance(self.module, nn.Module):
                module = copy.deepcopy(self.module)
            elif callable(self.module):
                n_outputs = target.n_outputs
                if isinstance(target, ClassTarget):
                    n_outputs = len(target.classes)
                module = self.module(n_inputs, n_outputs)
            else:
                module = self.module
            if not isinstance(module, nn.Module):
                raise TypeError(
                    f"module={self.module!r} is no torch.nn.Module and makes none. Give a module, "
                    "or a function of (number of inputs, number of outputs) that returns one."
                )
            n_outputs = _count_outputs(module, n_inputs)
        two_classes = isinstance(target, ClassTarget) and target.n_outputs == 1
        if two_classes and not target.multilabel and n_outputs == 2:
            target.n_outputs = 2  # one output for each of the two
        _check_outputs(n_outputs, target)
        return module


def _count_outputs(module: nn.Module, n_inputs: int) -> int | tuple:
    """Return the number of outputs K of a module; the shape itself if it is not (B, K)."""
    was_training = module.training
    module.eval()
    dtype = next(
        (p.dtype for p in module.parameters() if not isinstance(p, nn.UninitializedParameter)),
        torch.float32,
    )
    try:
        with torch.no_grad():
            outputs = module(torch.zeros(3, n_inputs, dtype=dtype))
    except RuntimeError as fault:
        raise ValueError(
            f"The module cannot take inputs of shape (N, {n_inputs}), which X has after encoding: "
            f"{str(fault).splitlines()[0]}. Let its first layer take {n_inputs} inputs, or give a "
            "function of (number of inputs, number of outputs) that returns the module."
        ) from fault
    finally:
        module.train(was_training)
    if not isinstance(outputs, torch.Tensor):
        raise ValueError(
            f"The module returns a {type(outputs).__name__}; it has to return one tensor of shape "
            "(N, K)."
        )
    if outputs.ndim != 2 or len(outputs) != 3:
        return ("N", *outputs.shape[1:]) if len(outputs) == 3 else tuple(outputs.shape)
    return outputs.shape[1]


def _check_outputs(found: int | tuple, target: Target) -> None:
    if found == target.n_outputs:
        return
    shape = f"(N, {found})" if isinstance(found, int) else str(found).replace("'", "")
    if isinstance(target, ClassTarget):
        kinds = "labels" if target.multilabel else "classes"
        wanted = f"{len(target.classes)} {kinds}"
        end = f"nn.Linear(..., {len(target.classes)})"
    else:
        wanted = f"targets of shape (N, {target.n_outputs})"
        end = f"nn.Linear(..., {target.n_outputs})"
    squeezed = "" if isinstance(found, int) else ", without squeeze or flatten after it"
    raise ValueError(
        f"The module's output has shape {shape}, but y holds {wanted}. Let the module end with "
        f"{end}{squeezed}."
    )


@documented
class ModuleRegressor(OwnModule, NetworkRegressor):
    """A torch module of your own as a scikit-learn regressor.

    The module is copied, and the copy trained; X and y are standardised inside, and predictions
    come back in the units of y.

    {parameters}

    Attributes
    ----------
    module_ : torch.nn.Module
        The trained copy, on the CPU: maps (N, D) standardised inputs to (N, K).
    history_ : History
        Losses, rates, norms and times of each epoch, and why the training ended.
    loss_curve_, validation_loss_curve_, best_loss_, n_iter_, t_, n_outputs_
        As in MLPRegressor.
    columns_ : linnet.table.Columns
        How columns became inputs.
    n_features_in_, feature_names_in_
        Columns seen in `fit`, and their names if all are text.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from linnet import ModuleRegressor
    >>> X = np.linspace(-3, 3, 200).reshape(-1, 1)
    >>> net = torch.nn.Sequential(torch.nn.Linear(1, 20), torch.nn.Tanh(), torch.nn.Linear(20, 1))
    >>> model = ModuleRegressor(net, solver="lbfgs", random_state=0).fit(X, np.sin(X.ravel()))
    >>> bool(model.score(X, np.sin(X.ravel())) > 0.99)
    True
    """

    def __init__(
        self,
        module=None,
        *,
        loss="squared_error",
        quantile=0.5,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        scale_X=True,
        scale_y=True,
        column_types=None,
        clip_grad_norm=None,
        max_time=None,
        device="auto",
        engine="auto",
        n_threads=None,
    ):
        keep(self, locals())


@documented
class ModuleClassifier(OwnModule, NetworkClassifier):
    """A torch module of your own as a scikit-learn classifier.

    The module is copied, and the copy trained; X is standardised inside. The module returns logits:
    one a class; for two classes a single one is enough; for multilabel targets one a label.

    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (L,)
        Sorted labels.
    module_ : torch.nn.Module
        The trained copy, on the CPU: maps (N, D) standardised inputs to (N, K) logits.
    history_ : History
        Losses, rates, norms and times of each epoch, and why the training ended.
    loss_curve_, validation_loss_curve_, best_loss_, n_iter_, t_, n_outputs_
        As in MLPClassifier.
    columns_ : linnet.table.Columns
        How columns became inputs.
    n_features_in_, feature_names_in_
        Columns seen in `fit`, and their names if all are text.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from linnet import ModuleClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> def build(n_inputs, n_outputs):
    ...     return torch.nn.Sequential(
    ...         torch.nn.Linear(n_inputs, 20), torch.nn.ReLU(), torch.nn.Linear(20, n_outputs)
    ...     )
    >>> model = ModuleClassifier(build, learning_rate_init=0.02, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.95)
    True
    """

    def __init__(
        self,
        module=None,
        *,
        loss="log_loss",
        class_weight=None,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        scale_X=True,
        column_types=None,
        clip_grad_norm=None,
        max_time=None,
        device="auto",
        engine="auto",
        n_threads=None,
    ):
        keep(self, locals())
