"""What the regressors share: targets that are numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from torch import nn

from linnet import losses
from linnet.engine.placement import threads
from linnet.engine.prediction import predict as predict_rows
from linnet.error_bars import ErrorBars, HeldOutErrors
from linnet.estimators.encoding import checked_outputs
from linnet.estimators.estimator import NetworkEstimator, Target
from linnet.estimators.fitting import OneNetwork
from linnet.estimators.inputs import check_lengths, read_weights
from linnet.estimators.intervals import Intervals
from linnet.estimators.parts import Part
from linnet.estimators.preparation import Network
from linnet.estimators.scores import r2_scorer
from linnet.estimators.targets import RegressionTarget, check_regression_target, plain_array
from linnet.randomness import seeded


class Regression(RegressorMixin, NetworkEstimator):
    """An estimator of numbers."""

    _scorer = staticmethod(r2_scorer)

    def _read_target(self, y: Any, name: str) -> np.ndarray:
        return check_regression_target(y, name)

    def _fit_target(self, y: np.ndarray, weight: np.ndarray | None, *, partial: bool) -> Target:
        return RegressionTarget.fit(
            y,
            weight,
            scaled=self._scales_target(),
            least=0.0 if self._counts() else -np.inf,
            allow_constant=partial,
        )

    def _counts(self) -> bool:
        """Whether the loss is one of counts, 0 or more."""
        loss = self._loss(None)
        return loss.link is torch.exp or isinstance(loss.function, nn.PoissonNLLLoss)

    def _scales_target(self) -> bool | str:
        # Standardised counts are no counts, and have no logarithm.
        return False if self._counts() else self.scale_y

    def _loss(self, target: Any) -> losses.Loss:
        if self.loss == "quantile":
            return losses.resolve("quantile", quantile=self.quantile)
        loss = losses.resolve(self.loss)
        if isinstance(loss.function, nn.PoissonNLLLoss) and loss.function.log_input:
            return replace(loss, link=torch.exp)
        return loss

    def predict(self, X: Any) -> np.ndarray:
        """Predict the target.

        Parameters
        ----------
        X : array-like or data frame of shape (N, D)

        Returns
        -------
        ndarray of shape (N,) or (N, K)
            In the units of y.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If X does not have the columns of the fit, or holds NaN or infinity.
        """
        outputs = self._outputs(X)
        return self._predictions(outputs, self.target_)

    def _predictions(self, outputs: torch.Tensor, target: RegressionTarget) -> np.ndarray:
        named = losses.LOSSES.get(self.loss) if isinstance(self.loss, str) else None
        link = self._loss(target).link if named is None else named[1]
        if link is losses.identity:
            return target.decode(outputs.numpy())
        with threads():
            return target.decode(checked_outputs(link(outputs)).numpy())

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R², the mean over outputs.

        Parameters
        ----------
        X : array-like or data frame of shape (N, D)
        y : array-like of shape (N,) or (N, K)
        sample_weight : array-like of shape (N,), optional

        Returns
        -------
        float
            1 at best; 0 for the mean of y.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            As `predict` for X, and as `fit` for y.
        """
        predicted = self.predict(X)
        y = self._read_target(plain_array(y), "y")
        check_lengths(X, y)
        y = y.reshape(len(y), -1)
        predicted = predicted.reshape(len(y), -1)
        if y.shape != predicted.shape:
            raise ValueError(
                f"y has {y.shape[1]} outputs; this model was fitted on {predicted.shape[1]}. Give "
                "as many."
            )
        # By a power of two, which rounds nothing, so that squares neither overflow nor vanish.
        greatest = np.maximum(np.abs(y).max(axis=0), np.abs(predicted).max(axis=0))
        size = -np.frexp(greatest)[1]
        y, predicted = np.ldexp(y, size), np.ldexp(predicted, size)
        weight = read_weights(sample_weight, len(y), "sample_weight")
        return float(r2_score(y, predicted, sample_weight=weight))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class NetworkRegressor(Intervals, Regression, OneNetwork):
    """A regressor around one network."""

    def _learn_errors(
        self, network: Network, inputs: np.ndarray | None, held_out: Part | None
    ) -> None:
        self.__dict__.pop("error_bars_", None)  # of an earlier fit
        target, loss = network.target, network.loss
        if inputs is None or held_out is None:
            if loss.compares == "moments":
                self.error_bars_ = ErrorBars.normal(target.n_outputs)
            return
        with seeded(0, torch.device("cpu")):  # a module may draw random numbers in evaluation too
            outputs = predict_rows(network.module, torch.from_numpy(inputs)).double()
        predicted = loss.link(outputs).numpy()
        errors = target.encode(held_out.y, "y_val") - predicted
        if loss.compares == "moments":
            errors = errors / losses.standard_deviation(outputs).numpy()
        rows = np.arange(len(errors))
        found = HeldOutErrors(inputs, predicted, errors, rows, held_out.weight)
        if not found.is_usable.all():
            return
        self.error_bars_ = ErrorBars.fit(found, n_members=1, seed=0, n_threads=1, local=False)

    def _scaled_errors(self, X: Any) -> tuple[np.ndarray, torch.Tensor]:
        outputs = self._outputs(X)
        predicted = self._predictions(outputs, self.target_)
        if not hasattr(self, "error_bars_") and self.history_.has_validation:
            raise ValueError(
                "The predictions for the validation rows are infinite or beyond 1e150, so that "
                "nothing is known of the errors for new rows. Fit with a smaller "
                "learning_rate_init, or with scaled inputs."
            )
        if not hasattr(self, "error_bars_"):
            raise ValueError(
                "This model was fitted without validation rows, so that nothing is known of its "
                "errors for new rows. Fit it with early_stopping=True, or with X_val and y_val, or "
                "with loss='gaussian'; or use EnsembleRegressor, which knows them always."
            )
        nothing = torch.zeros(len(predicted), self.target_.n_outputs, dtype=torch.float64)
        sigma = self.error_bars_.sigma(nothing, nothing, nothing)
        if self._loss(self.target_).compares == "moments":
            with threads():
                sigma = sigma * losses.standard_deviation(outputs)
        return predicted, sigma

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None):
        """Train one epoch on these rows, going on from where the last call stopped.

        Scales of X and y are learnt from the rows of the first call.

        Parameters
        ----------
        X : array-like or data frame of shape (N, D)
        y : array-like of shape (N,) or (N, K)
        sample_weight : array-like of shape (N,), optional

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As `fit`.
        AttributeError
            For solver="lbfgs", which needs all rows at once.
        """
        return self._partial_fit(X, y, sample_weight)
