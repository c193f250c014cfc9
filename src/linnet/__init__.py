"""Train neural networks on arrays and tables."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from linnet import forks as forks  # which remembers the process that imported it

if TYPE_CHECKING:
    from linnet.ensemble import EnsembleClassifier as EnsembleClassifier
    from linnet.ensemble import EnsembleRegressor as EnsembleRegressor
    from linnet.estimators import MLPClassifier as MLPClassifier
    from linnet.estimators import MLPRegressor as MLPRegressor
    from linnet.estimators import ModuleClassifier as ModuleClassifier
    from linnet.estimators import ModuleRegressor as ModuleRegressor
    from linnet.history import History as History
    from linnet.history import Outcome as Outcome
    from linnet.model_file import load as load
    from linnet.model_file import save as save
    from linnet.plots import ErrorHistogramDisplay as ErrorHistogramDisplay
    from linnet.plots import LossCurveDisplay as LossCurveDisplay
    from linnet.plots import ParityDisplay as ParityDisplay
    from linnet.plots import ResidualDisplay as ResidualDisplay
    from linnet.plots import SurfaceDisplay as SurfaceDisplay
    from linnet.solvers import LBFGS as LBFGS
    from linnet.solvers import LevenbergMarquardt as LevenbergMarquardt
    from linnet.table import read_table as read_table
    from linnet.training import train as train
    from linnet.tuning import tune as tune

__version__ = "0.1.0"

# Where each public name lives. They are imported when first used, so that the shell
# answers `linnet --help` before torch is loaded, and nothing loads matplotlib unasked.
_ROOMS = {
    "LBFGS": "linnet.solvers",
    "EnsembleClassifier": "linnet.ensemble",
    "EnsembleRegressor": "linnet.ensemble",
    "ErrorHistogramDisplay": "linnet.plots",
    "History": "linnet.history",
    "LevenbergMarquardt": "linnet.solvers",
    "LossCurveDisplay": "linnet.plots",
    "MLPClassifier": "linnet.estimators",
    "MLPRegressor": "linnet.estimators",
    "ModuleClassifier": "linnet.estimators",
    "ModuleRegressor": "linnet.estimators",
    "Outcome": "linnet.history",
    "ParityDisplay": "linnet.plots",
    "ResidualDisplay": "linnet.plots",
    "SurfaceDisplay": "linnet.plots",
    "load": "linnet.model_file",
    "read_table": "linnet.table",
    "save": "linnet.model_file",
    "train": "linnet.training",
    "tune": "linnet.tuning",
}

__all__ = [  # pyright: ignore[reportUnsupportedDunderAll]
    "LBFGS",
    "EnsembleClassifier",
    "EnsembleRegressor",
    "ErrorHistogramDisplay",
    "History",
    "LevenbergMarquardt",
    "LossCurveDisplay",
    "MLPClassifier",
    "MLPRegressor",
    "ModuleClassifier",
    "ModuleRegressor",
    "Outcome",
    "ParityDisplay",
    "ResidualDisplay",
    "SurfaceDisplay",
    "__version__",
    "load",
    "read_table",
    "save",
    "train",
    "tune",
]


def __getattr__(name: str):
    if name in _ROOMS:
        value = getattr(importlib.import_module(_ROOMS[name]), name)
        globals()[name] = value
        return value
    from linnet.spelling import did_you_mean

    raise AttributeError(f"linnet has no name {name!r}{did_you_mean(name, __all__)}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
