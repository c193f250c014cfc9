"""A search for the settings of an ensemble that fit a table best."""

from __future__ import annotations

from linnet.tuning.record import Candidate, Trial, TuningOutcome, TuningRecord
from linnet.tuning.search import Tuning, tune

__all__ = ["Candidate", "Trial", "Tuning", "TuningOutcome", "TuningRecord", "tune"]
