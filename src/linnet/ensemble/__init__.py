"""Ensembles: many networks trained side by side, their mean and their spread."""

from __future__ import annotations

from linnet.ensemble.classification import EnsembleClassifier
from linnet.ensemble.regression import EnsembleRegressor

__all__ = ["EnsembleClassifier", "EnsembleRegressor"]
