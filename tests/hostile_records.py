"""Hostile records: histories of trainings and records of searches, as JSON files."""

from __future__ import annotations

import json
import random
from pathlib import Path

from hostile_mutations import changed_bytes, changed_json, json_text

from linnet import History, Outcome
from linnet.plots import LossCurveDisplay, TuningDisplay
from linnet.tuning import Candidate, TuningRecord
from linnet.tuning.record import Trial


def seeds(suffix: str) -> list[bytes]:
    """Good files of one kind."""
    return [_history().encode()] if suffix == ".history.json" else [_record().encode()]


def _history() -> str:
    history = History(loss="squared_error", engine="torch", seed=1, n_rows=40, batch_size=20)
    history.outcome, history.has_validation = Outcome.EPOCHS_DONE, True
    history.split, history.versions = {"train": [0, 2], "test": [1]}, {"linnet": "1"}
    for loss in (3.0, 2.0, float("nan")):
        history.add_epoch(train_loss=loss, validation_loss=loss + 1, seconds=0.1)
    return history.to_json()


def _record() -> str:
    trials = [Trial(fold, 0.5, 10.0, [0.9, 0.5], 0.0, 1.0, True) for fold in range(2)]
    candidates = [
        Candidate({}, trials),
        Candidate({"alpha": 0.1, "sizes": (3, 4)}, trials, 0.1, 0.2),
    ]
    record = TuningRecord("EnsembleRegressor", "squared_error", 0, 9.0, 3, [0, 1], [[0, 1], [1]])
    record.candidates, record.best_index, record.notes = candidates, 1, ["a note"]
    return record.to_json()


def changed(rng: random.Random, files: list[bytes], suffix: str) -> bytes:
    """A hostile file made of a good one."""
    content = rng.choice(files)
    other = seeds(".tuning.json" if suffix == ".history.json" else ".history.json")[0]
    if rng.random() < 0.3:
        return changed_bytes(rng, content, other)
    data = changed_json(rng, json.loads(content), json.loads(other))
    return json_text(rng, data).encode("utf-8", "surrogatepass")


def read(path: Path) -> None:
    """Read a record, and all that is worked out from it."""
    if path.name.endswith(".history.json"):
        history = History.from_json(path)
        assert history.best_loss == history.best_loss or history.best_epoch is None
        LossCurveDisplay.from_history(history, draw=False)
        History.from_json(history.to_json())
    else:
        record = TuningRecord.from_json(path)
        assert record.best.loss is not None and record.sentence and record.cv_results()
        TuningDisplay.from_record(record, draw=False)
        TuningRecord.from_json(record.to_json())
