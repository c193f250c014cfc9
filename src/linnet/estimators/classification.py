"""What the classifiers share: targets that are classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight

from linnet import losses
from linnet.engine.placement import threads
from linnet.estimators.absent import Absent
from linnet.estimators.estimator import NetworkEstimator, Target
from linnet.estimators.fitting import OneNetwork
from linnet.estimators.scores import accuracy_scorer
from linnet.estimators.targets import ClassTarget, check_class_target

_NO_ORDER = "classes have no order. How sure a prediction is, predict_proba tells."


class Classification(ClassifierMixin, NetworkEstimator):
    """An estimator of classes."""

    _scorer = staticmethod(accuracy_scorer)

    def _read_target(self, y: Any, name: str) -> np.ndarray:
        return check_class_target(y, name)

    _classes_to_come: Any = None

    def _fit_target(self, y: np.ndarray, weight: np.ndarray | None, *, partial: bool) -> Target:
        if partial and self._classes_to_come is None and y.ndim == 1:
            raise ValueError(
                "classes must be passed on the first call to partial_fit: write "
                "partial_fit(X, y, classes=[...]) with every class that may come."
            )
        return ClassTarget.fit(y, weight, self._classes_to_come if partial else None)

    def _targets(
        self,
        target: ClassTarget,
        y: np.ndarray,
        name: str,
        loss: losses.Loss,
        *,
        overwrite: bool = False,
    ) -> np.ndarray:
        encoded = target.encode(y, name)
        one_output = target.n_outputs == 1 and loss.compares == "anything"
        if encoded.ndim == 1 and (loss.compares == "values" or one_output):
            return encoded.astype(np.float64).reshape(-1, 1)  # 0 and 1, of the output's shape
        return encoded

    def _class_weighted(self, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray | None:
        if self.class_weight is None:
            return weight
        if isinstance(self.class_weight, dict):
            unnamed = [label for label in np.unique(y).tolist() if label not in self.class_weight]
            if len(unnamed) == len(np.unique(y)):
                raise ValueError(
                    f"class_weight={self.class_weight!r} names none of the classes: "
                    f"{', '.join(map(repr, unnamed[:5]))}. Give {{class: weight}} for some."
                )
        by_class = compute_sample_weight(self.class_weight, y)
        if not (by_class >= 0).all():
            raise ValueError(
                f"class_weight={self.class_weight!r} is not allowed: weights are numbers of 0 or "
                "more. Give such, or class_weight='balanced'."
            )
        return by_class if weight is None else by_class * weight

    def _loss(self, target: ClassTarget) -> losses.Loss:
        if self.loss != "log_loss":
            loss = losses.resolve(self.loss)
            if loss.compares == "moments":
                raise ValueError(
                    f"The loss {loss.name} is for numbers, of which it takes a mean and a "
                    "variance, and y holds classes. Write loss='log_loss', or use ModuleRegressor."
                )
            return loss
        one_logit_each = target.multilabel or target.n_outputs == 1
        return losses.resolve("binary_log_loss" if one_logit_each else "log_loss")

    @property
    def classes_(self) -> np.ndarray:
        """Sorted class labels, of shape (L,)."""
        self._fitted_history("classes_")
        return self.target_.classes

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like or data frame of shape (N, D)

        Returns
        -------
        ndarray of shape (N, L)
            Rows sum to 1; for multilabel targets each column is the probability of its label.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If X does not have the columns of the fit, or holds NaN or infinity.
        """
        outputs = self._outputs(X)
        return self._probabilities(outputs, self.target_)

    def _probabilities(self, outputs: torch.Tensor, target: ClassTarget) -> np.ndarray:
        loss = self._loss(target)
        with threads():
            if loss.compares == "values":
                probabilities = loss.link(outputs).clamp(0, 1)
            elif target.multilabel or target.n_outputs == 1:
                probabilities = torch.sigmoid(outputs)
            else:  # of logarithms of probabilities, NLLLoss's outputs, it gives the probabilities
                probabilities = torch.softmax(outputs, dim=-1)
        one = probabilities.numpy()
        return np.hstack([1 - one, one]) if target.n_outputs == 1 and not target.multilabel else one

    predict_interval = Absent(_NO_ORDER)
    predict_quantiles = Absent(_NO_ORDER)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the natural logarithm of `predict_proba`.

        Parameters
        ----------
        X : array-like or data frame of shape (N, D)

        Returns
        -------
        ndarray of shape (N, L)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """Predict the class of each row.

        Parameters
        ----------
        X : array-like or data frame of shape (N, D)

        Returns
        -------
        ndarray of shape (N,), or (N, L) of zeros and ones for multilabel targets

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If X does not have the columns of the fit, or holds NaN or infinity.
        """
        outputs = self._outputs(X)
        return self._predictions(outputs, self.target_)

    def _predictions(self, outputs: torch.Tensor, target: ClassTarget) -> np.ndarray:
        probabilities = self._probabilities(outputs, target)
        if target.multilabel:
            return (probabilities > 0.5).astype(np.int64)
        return target.classes[probabilities.argmax(axis=1)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class NetworkClassifier(Classification, OneNetwork):
    """A classifier around one network."""

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None):
        """Train one epoch on these rows, going on from where the last call stopped.

        Parameters
        ----------
        X : array-like or data frame of shape (N, D)
        y : array-like of shape (N,), or (N, L) of zeros and ones
        sample_weight : array-like of shape (N,), optional
        classes : array-like of shape (L,)
            All classes that may ever come; needed in the first call only.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `classes` is missing in the first call, or as `fit`.
        AttributeError
            For solver="lbfgs", which needs all rows at once.
        """
        if hasattr(self, "module_") and classes is not None:
            known = self.classes_.tolist()
            if np.unique(np.asarray(classes)).tolist() != known:
                raise ValueError(
                    f"classes={classes!r} is not the same as on last call to partial_fit, which "
                    f"was {known}. Leave classes out, or begin with a new estimator."
                )
        self._classes_to_come = classes
        try:
            return self._partial_fit(X, y, sample_weight)
        finally:
            del self._classes_to_come
