"""Pictures of a fit, in scikit-learn's display convention.

A display computes and keeps plain arrays when it is made; ``plot(ax=None)`` draws them, keeps
the artists and returns the display. matplotlib is imported by the methods that draw, never here.
"""

from __future__ import annotations

from linnet.plots.canvas import save_figure
from linnet.plots.error_histogram import ErrorHistogramDisplay
from linnet.plots.loss_curve import LossCurveDisplay
from linnet.plots.parity import ParityDisplay
from linnet.plots.residuals import ResidualDisplay
from linnet.plots.surface import SurfaceDisplay
from linnet.plots.tuning import TuningDisplay

__all__ = [
    "ErrorHistogramDisplay",
    "LossCurveDisplay",
    "ParityDisplay",
    "ResidualDisplay",
    "SurfaceDisplay",
    "TuningDisplay",
    "save_figure",
]
