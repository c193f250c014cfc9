"""Estimators: scikit-learn's contract outside, a plain torch module inside."""

from __future__ import annotations

from linnet.estimators.mlp import MLPClassifier, MLPRegressor
from linnet.estimators.module import ModuleClassifier, ModuleRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "ModuleClassifier", "ModuleRegressor"]
