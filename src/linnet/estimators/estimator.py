"""What all six estimators share: their contract, how rows are read, how outputs are given.

Letters: N rows, D inputs, K outputs.
"""

from __future__ import annotations

import os
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from linnet import losses
from linnet.engine.placement import threads
from linnet.engine.prediction import predictor
from linnet.estimators.absent import Absent
from linnet.estimators.encoding import checked_outputs, encode
from linnet.estimators.fitted import Fitted
from linnet.estimators.inputs import check_lengths, read_inputs, read_weights
from linnet.estimators.parameters import CONSTRAINTS, check_names
from linnet.estimators.parts import Part, take
from linnet.estimators.scores import Scorer
from linnet.estimators.targets import OF_WEIGHT, ClassTarget, RegressionTarget, plain_array
from linnet.table import Columns, mapped

Target = RegressionTarget | ClassTarget


class NetworkEstimator(Fitted, BaseEstimator, ABC):
    """What estimators of one network and of many share.

    A subclass says how y is read (`_read_target`, `_fit_target`), which loss it trains with
    (`_loss`), how it is trained (`fit`), and how predictions are given back (`predict`).
    """

    _parameter_constraints: dict = CONSTRAINTS

    def __new__(cls, *args: Any, **parameters: Any):
        check_names(cls, parameters)
        return super().__new__(cls)

    def set_params(self, **parameters: Any):
        """Set parameters by name; those that do not exist are answered as in the constructor."""
        own = {name: value for name, value in parameters.items() if "__" not in name}
        try:
            check_names(type(self), own)
        except TypeError as fault:
            raise ValueError(f"Invalid parameter: {fault}") from None  # scikit-learn's type
        return super().set_params(**parameters)

    # What a subclass says -------------------------------------------------------------------

    @abstractmethod
    def _read_target(self, y: Any, name: str) -> np.ndarray:
        """Check y and return it as an array."""

    @abstractmethod
    def _fit_target(self, y: np.ndarray, weight: np.ndarray | None, *, partial: bool) -> Target:
        """Learn scale or classes from y; less is asked of the first of many parts."""

    @abstractmethod
    def _loss(self, target: Any) -> losses.Loss:
        """Return the loss for such a target."""

    def _n_network_outputs(self, target: Target) -> int:
        """Return how many outputs the loss needs: two for a mean and a variance."""
        return target.n_outputs * (2 if self._loss(target).compares == "moments" else 1)

    @abstractmethod
    def _predictions(self, outputs: torch.Tensor, target: Any) -> np.ndarray:
        """Return predictions (N,) or (N, K) for raw outputs (N, K)."""

    @staticmethod
    @abstractmethod
    def _scorer(y: np.ndarray, weight: np.ndarray | None) -> Scorer:
        """Return a function of predictions for such rows that gives what `score` does."""

    def _class_weighted(self, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray | None:
        """Return the rows' weights, times those of their classes."""
        return weight

    def _targets(
        self, target: Any, y: np.ndarray, name: str, loss: losses.Loss, *, overwrite: bool = False
    ) -> np.ndarray:
        """Return y as the loss compares it, in y's own memory if it may be written over."""
        return target.encode(y, name, overwrite=overwrite)

    # The fit --------------------------------------------------------------------------------

    def _read(self, X: Any, y: Any, sample_weight: Any, *, reset: bool, fewest: int) -> Part:
        given = plain_array(y)
        y = self._read_target(given, "y")
        mapped.release(given)
        X = read_inputs(self, X, reset=reset)
        check_lengths(X, y)
        if len(y) < fewest:
            raise ValueError(
                "X holds 1 sample (n_samples=1): one row is too little to learn from. Give two or "
                "more."
            )
        weight = read_weights(sample_weight, len(y), "sample_weight")
        if weight is not None and np.count_nonzero(weight) < fewest:
            raise ValueError(
                f"1 of {len(y):,} rows has a weight above 0: one row is too little to learn from. "
                "Give two or more such weights."
            )
        return Part(X, y, weight)

    def _fit_columns(self, X: Any, weight: np.ndarray | None, *, partial: bool) -> Columns:
        options = {"standardize": self.scale_X, "allow_constant": partial}
        if isinstance(X, np.ndarray):
            if self.column_types:
                raise ValueError(
                    f"column_types names columns ({', '.join(map(repr, self.column_types))}), and "
                    "X is an array, whose columns have no names. Give X as a data frame, or leave "
                    "column_types out."
                )
        elif weight is not None:
            X = take(X, np.flatnonzero(weight > 0))  # a row of weight 0 is as good as absent
        try:
            if isinstance(X, np.ndarray):
                return Columns.for_array(X, sample_weight=weight, **options)
            return Columns.fit(X, types=self.column_types, **options)
        except ValueError as fault:
            # The table room calls the parameter `types`, as read_table does.
            told = re.sub(r"\btypes(?==| gives| names)", "column_types", str(fault))
            if weight is not None:
                told = told.replace("X is constant,", f"X is constant{OF_WEIGHT},")
            raise ValueError(told) from fault

    _says_lines = True  # the shell says them in its own words

    def _say(self, lines: list[str]) -> None:
        """Print what was found in the rows, where anything is to be printed."""
        if self.verbose and self._says_lines:
            for line in lines:
                print(f"Note: {line}", file=sys.stderr)

    @contextmanager
    def _left_as_found(self) -> Iterator[None]:
        """Leave the estimator as it was where a fit fails, and torch's threads in any case."""
        before = dict(vars(self))
        try:
            with threads():
                yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    from_preset: Any = Absent(
        "presets are of one network for numbers. Write MLPRegressor.from_preset('fitnet')."
    )

    # After the fit --------------------------------------------------------------------------

    def _outputs(self, X: Any) -> torch.Tensor:
        """Return the module's raw outputs (N, K) for raw inputs, as float64."""
        if "module_" not in vars(self):
            check_is_fitted(self, "module_")  # which takes as long as a row
        X = read_inputs(self, X, reset=False)
        predict = predictor(self.module_, self.columns_.n_features)
        encoded = encode(self.columns_, X, predict.dtype)
        return checked_outputs(torch.from_numpy(predict(self.module_, encoded)))

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the fitted estimator to one file, ``*.linnet``; see `linnet.save`."""
        import linnet  # later, for files are read and written by a room further on

        linnet.save(self, path, overwrite=overwrite)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
