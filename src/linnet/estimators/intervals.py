"""Standard deviations, intervals and quantiles of regressors that know their errors.

Letters: N rows, K outputs, Q levels.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch

from linnet.error_bars import ErrorBars
from linnet.estimators.targets import RegressionTarget, bounded


class Intervals:
    """`predict_interval`, `predict_quantiles` and `predict` with a standard deviation."""

    target_: RegressionTarget
    error_bars_: ErrorBars
    _counts: Callable[[], bool]  # whether y holds counts, 0 or more

    @abstractmethod
    def _scaled_errors(self, X: Any) -> tuple[np.ndarray, torch.Tensor]:
        """Return predictions (N,) or (N, K), and the local scale of errors (N, K)."""

    def predict(self, X: Any, return_std: bool = False):
        """Predict the target.

        Parameters
        ----------
        X : array-like or data frame of shape (N, D)
        return_std : bool, default=False
            Whether to return the standard deviation of y around the prediction too: that of the
            noise and of the model's own error.

        Returns
        -------
        mean : ndarray of shape (N,) or (N, K)
            In the units of y.
        std : ndarray of the same shape
            Only with ``return_std=True``; of new rows, in the units of y.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If X does not have the columns of the fit, or holds NaN or infinity.
        """
        if not return_std:
            return super().predict(X)  # pyright: ignore[reportAttributeAccessIssue]
        predicted, sigma = self._scaled_errors(X)
        return predicted, self._in_units(self.error_bars_.standard_deviation(sigma))

    def predict_interval(self, X: Any, coverage: float = 0.9) -> np.ndarray:
        """Return intervals that hold y for a share of new rows.

        Conformal: for rows drawn as those of the fit were, ``coverage`` of them on average have
        their y inside. Below and above lie as many.

        Parameters
        ----------
        X : array-like or data frame of shape (N, D)
        coverage : float, default=0.9
            Share of rows, between 0 and 1.

        Returns
        -------
        ndarray of shape (N, 2), or (N, K, 2) where y has K columns
            Lower and upper end, in the units of y.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If `coverage` is not between 0 and 1, or X does not have the columns of the fit.
        """
        _check_level("coverage", coverage, 0.9)
        return self._quantiles(X, [(1 - coverage) / 2, (1 + coverage) / 2])

    def predict_quantiles(self, X: Any, quantiles: Sequence[float] = (0.05, 0.5, 0.95)):
        """Return quantiles of y.

        Parameters
        ----------
        X : array-like or data frame of shape (N, D)
        quantiles : sequence of Q float, default=(0.05, 0.5, 0.95)
            Levels between 0 and 1.

        Returns
        -------
        ndarray of shape (N, Q), or (N, K, Q) where y has K columns
            In the units of y.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If there is no level, or one is not between 0 and 1, or X does not have the columns of
            the fit.
        """
        levels = list(np.atleast_1d(np.asarray(quantiles, dtype=object)))
        if not levels:
            raise ValueError(
                "quantiles is empty: give levels between 0 and 1, such as "
                "quantiles=(0.05, 0.5, 0.95)."
            )
        for level in levels:
            _check_level("quantiles", level, (0.05, 0.5, 0.95))
        return self._quantiles(X, [float(level) for level in levels])

    def _quantiles(self, X: Any, levels: list[float]) -> np.ndarray:
        predicted, sigma = self._scaled_errors(X)
        errors = [self._in_units(sigma * self.error_bars_.quantile(level)) for level in levels]
        with np.errstate(over="ignore"):
            found = bounded(np.stack([predicted + error for error in errors], axis=-1))
        return np.maximum(found, 0.0) if self._counts() else found

    def _in_units(self, errors: torch.Tensor) -> np.ndarray:
        """Return standardised errors (N, K) in the units and the shape of y."""
        with np.errstate(over="ignore"):
            values = bounded(errors.numpy() * self.target_.scale)
        return values if self.target_.is_column else values[:, 0]


def _check_level(name: str, level: Any, example: Any) -> None:
    is_number = isinstance(level, Real) and not isinstance(level, bool)
    if not is_number or not 0 < float(level) < 1:
        raise ValueError(
            f"{name}={level!r} is not allowed: give a share between 0 and 1, such as "
            f"{name}={example!r}."
        )
