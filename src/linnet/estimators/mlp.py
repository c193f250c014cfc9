"""MLPRegressor and MLPClassifier: a multilayer perceptron, exactly as set."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from linnet.estimators.classification import NetworkClassifier
from linnet.estimators.descriptions import documented
from linnet.estimators.estimator import Target
from linnet.estimators.fitting import OneNetwork
from linnet.estimators.parameters import hidden_sizes, keep
from linnet.estimators.presets import preset
from linnet.estimators.regression import NetworkRegressor
from linnet.network import mlp

REGRESSION_LOSSES = (
    "squared_error",
    "absolute_error",
    "smooth_l1",
    "huber",
    "poisson",
    "quantile",
    "gaussian",
)


class Perceptron(OneNetwork):
    """An estimator that builds its network from sizes."""

    def _build(self, n_inputs: int, target: Target, generator: torch.Generator) -> nn.Module:
        network = mlp(
            n_inputs,
            self._hidden_sizes(),
            self._n_network_outputs(target),
            activation=self.activation,
            output_activation=getattr(self, "output_activation", "identity"),
            dropout=self.dropout,
            initialization=self.initialization,
            generator=generator,
        )
        return network.to(getattr(torch, self.dtype))

    def _hidden_sizes(self) -> list[int]:
        return hidden_sizes(self.hidden_layer_sizes)

    def _linear_layers(self, name: str) -> list[nn.Linear]:
        self._fitted_history(name)
        return [layer for layer in self.module_.children() if isinstance(layer, nn.Linear)]

    @property
    def coefs_(self) -> list[np.ndarray]:
        """Weights of each layer, of shape (inputs, outputs)."""
        layers = self._linear_layers("coefs_")
        return [layer.weight.detach().numpy().T.copy() for layer in layers]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """Biases of each layer, of shape (outputs,)."""
        layers = self._linear_layers("intercepts_")
        return [layer.bias.detach().numpy().copy() for layer in layers]

    @property
    def n_layers_(self) -> int:
        """Number of layers, inputs and outputs counted."""
        return len(self._linear_layers("n_layers_")) + 1


@documented
class MLPRegressor(Perceptron, NetworkRegressor):
    """One feed-forward network for numbers: scikit-learn's MLPRegressor, trained by linnet.

    The network is trained exactly as set. X and y are standardised inside, and predictions come
    back in the units of y.

    {parameters}

    Attributes
    ----------
    module_ : torch.nn.Sequential
        The trained network, on the CPU: maps (N, D) standardised inputs to (N, K); with
        loss="gaussian" to (N, 2 K), K means and then K logarithms of variances.
    history_ : History
        Losses, rates, norms and times of each epoch, and why the training ended.
    loss_curve_, validation_loss_curve_ : list of float
        Loss of each epoch, in standardised units of y.
    loss_, best_loss_ : float
        Loss of the last epoch; least validation loss, or without validation rows training loss.
    validation_scores_, best_validation_score_ : list of float, float
        R² of the validation rows after each epoch, and with the weights kept; None without.
    error_bars_ : linnet.error_bars.ErrorBars
        What was learnt from the errors for validation rows; not there without such rows, but
        with loss="gaussian".
    n_iter_, t_ : int
        Epochs trained, and rows seen.
    test_score_ : float
        R² on the rows that `test_fraction` set aside; not there without it.
    effective_parameters_ : float or None
        How many parameters the data determine, with Bayesian regularisation (of
        `LevenbergMarquardt`) as the solver's; None without it.
    coefs_, intercepts_ : list of ndarray
        Weights (inputs, outputs) and biases (outputs,) of each layer.
    n_layers_, n_outputs_, out_activation_
        Of the network.
    columns_ : linnet.table.Columns
        How columns became inputs.
    n_features_in_, feature_names_in_
        Columns seen in `fit`, and their names if all are text.

    Examples
    --------
    >>> import numpy as np
    >>> from linnet import MLPRegressor
    >>> X = np.linspace(-3, 3, 200).reshape(-1, 1)
    >>> model = MLPRegressor((20,), activation="tanh", solver="lbfgs", random_state=0)
    >>> model = model.fit(X, 100 * np.sin(X.ravel()))
    >>> bool(abs(model.predict([[1.5]])[0] - 100 * np.sin(1.5)) < 2)
    True
    """

    loss_names = REGRESSION_LOSSES

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        loss="squared_error",
        quantile=0.5,
        output_activation="identity",
        dropout=0.0,
        initialization="glorot_uniform",
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
        test_fraction=0.0,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        scale_X=True,
        scale_y=True,
        column_types=None,
        dtype="float32",
        clip_grad_norm=None,
        max_time=None,
        device="auto",
        engine="auto",
        n_threads=None,
    ):
        keep(self, locals())

    @classmethod
    def from_preset(cls, name: str, **parameters: Any) -> MLPRegressor:
        """Make an estimator with the parameters of a preset, and others in place of some of them.

        Parameters
        ----------
        name : {"fitnet"}
            "fitnet": what MATLAB's fitnet does by default, as docs/from_matlab.md says.
        **parameters
            Parameters of the estimator.

        Returns
        -------
        MLPRegressor
            Its parameters are plain ones: `get_params` shows them and `clone` copies them.

        Raises
        ------
        ValueError
            If there is no preset of that name.

        Examples
        --------
        >>> import numpy as np
        >>> from linnet import MLPRegressor
        >>> X = np.linspace(-3, 3, 200).reshape(-1, 1)
        >>> model = MLPRegressor.from_preset("fitnet", random_state=0).fit(X, np.sin(X.ravel()))
        >>> bool(model.test_score_ > 0.9999)
        True
        """
        return cls(**preset(name, **parameters))

    def _fit_target(self, y: np.ndarray, weight: np.ndarray | None, *, partial: bool) -> Target:
        bounded = self.output_activation not in ("identity", "leaky_relu")
        if bounded and self._scales_target():
            raise ValueError(
                f"output_activation={self.output_activation!r} cannot reach every standardised "
                "target. Write scale_y=False and give y in the range of that activation, or "
                "output_activation='identity'."
            )
        if self.loss == "gaussian" and self.output_activation != "identity":
            raise ValueError(
                f"output_activation={self.output_activation!r} would hold for the variance of "
                "loss='gaussian' too. Write output_activation='identity', or another loss."
            )
        return super()._fit_target(y, weight, partial=partial)

    @property
    def out_activation_(self) -> str:
        """Activation of the output layer."""
        self._fitted_history("out_activation_")
        return self.output_activation


@documented
class MLPClassifier(Perceptron, NetworkClassifier):
    """One feed-forward network for classes: scikit-learn's MLPClassifier, trained by linnet.

    Two classes share one logistic output, more have a softmax, and multilabel targets (N, L) one
    logistic output each. X is standardised inside.

    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (L,)
        Sorted labels.
    module_ : torch.nn.Sequential
        The trained network, on the CPU: maps (N, D) standardised inputs to (N, K) logits.
    history_ : History
        Losses, rates, norms and times of each epoch, and why the training ended.
    loss_curve_, validation_loss_curve_ : list of float
        Log loss of each epoch, in nats.
    loss_, best_loss_ : float
        Loss of the last epoch; least validation loss, or without validation rows training loss.
    validation_scores_, best_validation_score_ : list of float, float
        Accuracy of the validation rows after each epoch, and with the weights kept; None without.
    n_iter_, t_ : int
        Epochs trained, and rows seen.
    coefs_, intercepts_ : list of ndarray
        Weights (inputs, outputs) and biases (outputs,) of each layer.
    n_layers_, n_outputs_, out_activation_
        Of the network.
    columns_ : linnet.table.Columns
        How columns became inputs.
    n_features_in_, feature_names_in_
        Columns seen in `fit`, and their names if all are text.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from linnet import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((20,), learning_rate_init=0.02, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.95)
    True
    """

    loss_names = ("log_loss",)

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        loss="log_loss",
        class_weight=None,
        dropout=0.0,
        initialization="glorot_uniform",
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
        dtype="float32",
        clip_grad_norm=None,
        max_time=None,
        device="auto",
        engine="auto",
        n_threads=None,
    ):
        keep(self, locals())

    @property
    def out_activation_(self) -> str:
        """Function that makes probabilities of the outputs: logistic or softmax."""
        self._fitted_history("out_activation_")
        several = not self.target_.multilabel and self.target_.n_outputs > 1
        return "softmax" if several else "logistic"
