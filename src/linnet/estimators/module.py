"""ModuleRegressor and ModuleClassifier: a module of the user's in scikit-learn's contract."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from linnet.estimators.classification import NetworkClassifier
from linnet.estimators.descriptions import documented
from linnet.estimators.fitting import OneNetwork
from linnet.estimators.parameters import keep
from linnet.estimators.regression import NetworkRegressor
from linnet.estimators.targets import ClassTarget
from linnet.preflight import check_no_lazy, first_line
from linnet.randomness import seeded

# Activations that end a network's range somewhere, by autograd's name of the step.
_BOUNDED = {
    "Tanh",
    "Sigmoid",
    "Relu",
    "Elu",  # and SELU
    "Celu",
    "Gelu",
    "Silu",
    "Mish",
    "Softplus",
    "Hardtanh",  # and ReLU6
    "Hardsigmoid",
    "Softmax",
}
# Steps after it that only give its numbers another shape.
_SHAPING = {"View", "Squeeze", "Unsqueeze"}


def _copied(module: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(module)
    except (RuntimeError, TypeError) as fault:
        # Such as of torch's older weight_norm, or of a lock or an open file.
        raise ValueError(
            f"The module cannot be copied, and a copy is what an estimator trains ({fault}). Give "
            "a function that makes one, such as module=lambda n_inputs, n_outputs: MyNet(), and "
            "write torch.nn.utils.parametrizations.weight_norm for torch.nn.utils.weight_norm."
        ) from fault


class OwnModule(OneNetwork):
    """An estimator that trains a copy of a module of the user's."""

    loss_names = None  # any

    def _build(self, n_inputs: int, target: Any, generator: torch.Generator) -> nn.Module:
        seed = int(torch.randint(2**62, (), generator=generator))
        is_class = isinstance(target, ClassTarget)
        with seeded(seed, torch.device("cpu")):
            if isinstance(self.module, nn.Module):
                module = _copied(self.module).cpu()
            else:
                n_outputs = len(target.classes) if is_class else target.n_outputs
                module = _call(self.module, n_inputs, n_outputs)
            outputs = _first_outputs(module, n_inputs)
        n_outputs = _count_outputs(outputs)
        if is_class and not target.multilabel and (target.n_outputs, n_outputs) == (1, 2):
            target.n_outputs = 2  # one output for each of the two
        _check_outputs(n_outputs, self._n_network_outputs(target), target)
        self._check_end(_last_activation(outputs), target)
        return module

    @abstractmethod
    def _check_end(self, activation: str, target: Any) -> None:
        """Raise ValueError if the module's last activation keeps it from what it has to learn."""


def _call(build: Callable[[int, int], Any], n_inputs: int, n_outputs: int) -> nn.Module:
    name = getattr(build, "__name__", type(build).__name__)
    try:
        module = build(n_inputs, n_outputs)
    except TypeError as fault:
        raise TypeError(
            f"module={name} cannot be called as {name}({n_inputs}, {n_outputs}), with the numbers "
            f"of inputs and outputs: {fault}. Give a module, or a function of these two that "
            "returns one."
        ) from fault
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"module={name} returned a {type(module).__name__}. Give a module, or a function of "
            "(number of inputs, number of outputs) that returns a torch.nn.Module."
        )
    return module.cpu()


def _last_activation(outputs: torch.Tensor) -> str:
    """Return the name of the bounded activation that outputs come from, or an empty string."""
    step = outputs.grad_fn
    while step is not None:
        name = step.name().split("Backward")[0]
        if name not in _SHAPING:
            return name if name in _BOUNDED else ""
        step = step.next_functions[0][0]
    return ""


def _first_outputs(module: nn.Module, n_inputs: int) -> torch.Tensor:
    """Return what the module gives for three rows; lazy layers take their sizes from them."""
    was_training = module.training
    module.eval()
    dtype = next((p.dtype for p in module.parameters() if not is_lazy(p)), torch.float32)
    try:
        with torch.enable_grad():  # for autograd knows which step was the last
            outputs = module(torch.zeros(3, n_inputs, dtype=dtype))
    except (RuntimeError, TypeError, ValueError, IndexError) as fault:
        raise ValueError(
            f"The module cannot take inputs of shape (N, {n_inputs}), which X has after encoding: "
            f"{first_line(fault)}. Let its first layer take {n_inputs} inputs, or give a "
            "function of (number of inputs, number of outputs) that returns the module."
        ) from fault
    finally:
        module.train(was_training)
    check_no_lazy(module)
    if not isinstance(outputs, torch.Tensor):
        raise ValueError(
            f"The module returns a {type(outputs).__name__}; it has to return one tensor of shape "
            "(N, K)."
        )
    return outputs


def _count_outputs(outputs: torch.Tensor) -> int | tuple:
    """Return the number K of outputs for three rows; the shape itself if it is not (B, K)."""
    if outputs.ndim != 2 or len(outputs) != 3:
        return ("N", *outputs.shape[1:]) if len(outputs) == 3 else tuple(outputs.shape)
    return outputs.shape[1]


def _check_outputs(found: int | tuple, n_outputs: int, target: Any) -> None:
    if found == n_outputs:
        return
    shape = f"(N, {found})" if isinstance(found, int) else str(found).replace("'", "")
    if isinstance(target, ClassTarget):
        kinds = "labels" if target.multilabel else "classes"
        wanted = f"{len(target.classes)} {kinds}"
        end = f"nn.Linear(..., {len(target.classes)})"
    else:
        wanted = f"targets of shape (N, {target.n_outputs})"
        end = f"nn.Linear(..., {n_outputs})"
        if n_outputs > target.n_outputs:
            wanted += ", and the loss takes a mean and the logarithm of a variance for each"
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
        The trained copy, on the CPU: maps (N, D) standardised inputs to (N, K); with
        loss="gaussian" to (N, 2 K), K means and then K logarithms of variances.
    history_ : History
        Losses, rates, norms and times of each epoch, and why the training ended.
    loss_curve_, validation_loss_curve_, validation_scores_, n_iter_, t_, n_outputs_
    loss_, best_loss_, best_validation_score_, effective_parameters_
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

    def _check_end(self, activation: str, target: Any) -> None:
        if activation and self._scales_target():
            raise ValueError(
                f"The module ends with {activation}, which cannot reach every standardised target. "
                "Write scale_y=False and give y in the range of that activation, or leave it out."
            )


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
    loss_curve_, validation_loss_curve_, validation_scores_, n_iter_, t_, n_outputs_
    loss_, best_loss_, best_validation_score_
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

    def _check_end(self, activation: str, target: Any) -> None:
        takes_logits = (nn.CrossEntropyLoss, nn.BCEWithLogitsLoss)
        if activation and isinstance(self._loss(target).function, takes_logits):
            raise ValueError(
                f"The module ends with {activation}, but the loss takes logits, which go from "
                "-infinity to infinity. Leave that activation out."
            )
