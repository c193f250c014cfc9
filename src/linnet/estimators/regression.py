"""What the regressors share: targets that are numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import RegressorMixin

from linnet import losses
from linnet.estimators.fitting import NetworkEstimator, Target
from linnet.estimators.targets import RegressionTarget, check_regression_target


class NetworkRegressor(RegressorMixin, NetworkEstimator):
    """A regressor around a network."""

    def _read_target(self, y: Any, name: str) -> np.ndarray:
        return check_regression_target(y, name)

    def _fit_target(self, y: np.ndarray, weight: np.ndarray | None, *, partial: bool) -> Target:
        # The logarithm that links outputs to counts has no place for standardised counts.
        is_poisson = self.loss == "poisson"
        return RegressionTarget.fit(
            y,
            weight,
            scaled=self.scale_y and not is_poisson,
            least=0.0 if is_poisson else -np.inf,
            allow_constant=partial,
        )

    def _loss(self, target: Target) -> losses.Loss:
        if self.loss == "quantile":
            return losses.resolve("quantile", quantile=self.quantile)
        return losses.resolve(self.loss)

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
        with torch.no_grad():
            predictions = self._loss(self.target_).link(outputs)
        return self.target_.decode(predictions.numpy())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
