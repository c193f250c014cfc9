"""The work of ``linnet fit`` behind its options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from linnet.cli import tables
from linnet.cli.talk import print_table, say
from linnet.estimators import MLPClassifier, MLPRegressor
from linnet.model_file import save
from linnet.randomness import draw_seed
from linnet.report import (
    boosting_baseline,
    classification_scores,
    regression_scores,
    simple_baseline,
    split_rows,
    task_of,
)
from linnet.table import Columns


@dataclass
class Job:
    """What was asked for; see the options of ``linnet fit``."""

    file: Path
    target: str
    output: Path
    features: list[str] | None
    task: str | None
    test_size: float
    settings: dict[str, Any]
    has_batch_size: bool
    drop_missing_target: bool
    encoding: str
    delimiter: str | None
    overwrite: bool


@dataclass
class Result:
    """What came of it."""

    job: Job
    task: str
    estimator: Any
    n_test: int
    scores: dict[str, dict[str, float]]


def run(job: Job) -> Result:
    """Read, split, fit, score and save."""
    table = tables.read(
        job.file,
        encoding=job.encoding,
        delimiter=job.delimiter,
        types=job.settings["column_types"],
    )
    n_in_file = table.num_rows
    kept = np.arange(n_in_file)
    if job.drop_missing_target:
        kept = tables.rows_with_target(table, job.target)
        table = table.take(kept)
    y = tables.target_values(table, job.target)
    X = _inputs(job, table)
    task = job.task or task_of(table[job.target])
    is_classes = task == "classification"
    if not is_classes and y.dtype.kind not in "iuf":
        raise ValueError(
            f"The target {job.target!r} holds text such as {str(y[0])!r} where numbers are needed. "
            "Write --task classification for classes."
        )
    if len(y) < 5:
        raise ValueError(
            f"{job.file} has {len(y)} row{'s' * (len(y) != 1)}: too few to fit on and to test. "
            "Give at least 5."
        )
    _check_target(job.target, y, is_classes)
    seed = draw_seed(job.settings["random_state"])
    rows, held_out = np.arange(len(y)), np.arange(0)
    if job.test_size:
        rows, held_out = split_rows(len(y), job.test_size, seed, y if is_classes else None)
    estimator = _make(job, is_classes, len(rows), seed)
    _say_plan(job, estimator, X.take(rows), y, is_classes, held_out)
    estimator.fit(X.take(rows), y[rows])
    scores = {}
    if len(held_out):
        scores = _score(estimator, X, y, rows, held_out, seed)
    # The fit counts its own rows; the model keeps the numbers of the file's rows.
    split = estimator.history_.split or {"train": np.arange(len(rows)).tolist()}
    split = {part: kept[rows[numbers]].tolist() for part, numbers in split.items()}
    estimator.history_.split = {**split, "test": kept[held_out].tolist()}
    card = {
        "target": job.target,
        "task": task,
        "table": {
            "name": job.file.name,
            "n_rows": n_in_file,
            "sha256": tables.digest(job.file),
        },
        "n_test": len(held_out),
        "scores": scores,
    }
    save(estimator, job.output, card=card, overwrite=job.overwrite)
    return Result(job, task, estimator, len(held_out), scores)


def describe_fit(result: Result, seconds: float) -> dict[str, Any]:
    """Return the JSON document of a fit."""
    estimator, history = result.estimator, result.estimator.history_
    best = history.best_epoch
    return {
        "command": "fit",
        "model": str(result.job.output),
        "file": str(result.job.file),
        "target": result.job.target,
        "task": result.task,
        "estimator": type(estimator).__name__,
        "columns": estimator.columns_.describe(),
        "n_inputs": estimator.columns_.n_features,
        "n_parameters": sum(p.numel() for p in estimator.module_.parameters()),
        "n_test": result.n_test,
        "scores": result.scores,
        "outcome": history.outcome.value,
        "outcome_sentence": history.outcome.sentence,
        "n_epochs": history.n_epochs,
        "best_epoch": None if best is None else best + 1,
        "best_loss": history.best_loss,
        "seed": history.seed,
        "engine": history.engine,
        "engine_reason": history.engine_reason,
        "seconds": seconds,
    }


def _inputs(job: Job, table: pa.Table) -> pa.Table:
    if job.features is None:
        names = [name for name in table.column_names if name != job.target]
    else:
        names = job.features
        for name in names:
            tables.check_column(name, table, "feature")
        if job.target in names:
            raise ValueError(
                f"The target {job.target!r} is among the features: the network would only copy it. "
                "Leave it out of --features."
            )
    if not names:
        raise ValueError(
            f"The table has no column besides the target {job.target!r}: there is nothing to "
            "predict from. Give a table with more columns."
        )
    return table.select(names)


def _check_target(name: str, y: np.ndarray, is_classes: bool) -> None:
    values = np.unique(y)
    if len(values) == 1:
        raise ValueError(
            f"The target {name!r} is always {str(values[0])!r}: there is nothing to learn. Choose "
            "another column with --target."
        )
    if is_classes and len(values) > 0.5 * len(y) and len(y) > 10:
        raise ValueError(
            f"The target {name!r} has {len(values)} different values in {len(y)} rows: too many "
            "for classes. Choose another column, or --task regression if they are numbers."
        )


def _make(job: Job, is_classes: bool, n_rows: int, seed: int) -> Any:
    settings = {**job.settings, "random_state": seed}
    if not job.has_batch_size and settings["solver"] != "lbfgs":
        # About 30 to 60 steps an epoch, so that small tables are not done in a few steps and
        # large ones do not wait for the overhead of a million.
        settings["batch_size"] = min(1024, max(32, 2 ** round(np.log2(n_rows / 40))), n_rows)
    return MLPClassifier(**settings) if is_classes else MLPRegressor(**settings)


def _say_plan(
    job: Job, estimator: Any, X: pa.Table, y: np.ndarray, is_classes: bool, held_out: np.ndarray
) -> None:
    columns = Columns.fit(X, types=job.settings["column_types"])
    rows = [[row["name"], row["type"], row["note"]] for row in columns.describe()]
    print_table(["column", "type", "what is done"], rows, to_stderr=True)
    classes = f", {len(np.unique(y))} classes" if is_classes else ""
    n_outputs = len(np.unique(y)) if is_classes else 1
    sizes = "-".join(map(str, (columns.n_features, *estimator.hidden_layer_sizes, n_outputs)))
    say(
        f"Target {job.target} ({'classification' if is_classes else 'regression'}{classes}). "
        f"Network {sizes}, {estimator.activation}; {estimator.solver}, batches of "
        f"{estimator.batch_size}, up to {estimator.max_iter} epochs; seed "
        f"{estimator.random_state}. {len(held_out):,} rows are held out for the scores."
    )


def _score(
    estimator: Any,
    X: pa.Table,
    y: np.ndarray,
    rows: np.ndarray,
    held_out: np.ndarray,
    seed: int,
) -> dict[str, dict[str, float]]:
    """Return the scores of the network and of two baselines on the same rows."""
    X_fit, X_test = X.take(rows), X.take(held_out)
    if isinstance(estimator, MLPClassifier):
        classes = estimator.classes_
        own = classification_scores(y[held_out], estimator.predict_proba(X_test), classes)
    else:
        classes = None
        own = regression_scores(y[held_out], estimator.predict(X_test))
    simple = simple_baseline(y[rows], y[held_out], classes)
    boosted = boosting_baseline(
        estimator.columns_, (X_fit, X_test), y[rows], y[held_out], classes, seed
    )
    return {"linnet": own, boosted[0]: boosted[1], simple[0]: simple[1]}
