"""The estimators and targets that a model file can hold, by name."""

from __future__ import annotations

from linnet.ensemble import EnsembleClassifier, EnsembleRegressor
from linnet.estimators import MLPClassifier, MLPRegressor, ModuleClassifier, ModuleRegressor
from linnet.estimators.estimator import NetworkEstimator
from linnet.estimators.targets import ClassTarget, RegressionTarget

ESTIMATORS: dict[str, type[NetworkEstimator]] = {
    cls.__name__: cls
    for cls in (
        EnsembleRegressor,
        EnsembleClassifier,
        MLPRegressor,
        MLPClassifier,
        ModuleRegressor,
        ModuleClassifier,
    )
}
TARGETS = {cls.kind: cls for cls in (RegressionTarget, ClassTarget)}
