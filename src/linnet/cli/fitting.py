"""The work of ``linnet fit`` behind its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.base import is_classifier

from linnet import lint
from linnet.cli import tables
from linnet.cli.job import KINDS, Job
from linnet.cli.talk import cell, counted, finite, print_table, say
from linnet.ensemble.fitting import EnsembleEstimator
from linnet.history import Outcome
from linnet.model_file import save
from linnet.report import (
    boosting_baseline,
    classification_scores,
    interval_scores,
    regression_scores,
    simple_baseline,
    split_rows,
    task_of,
)
from linnet.solvers import takes_all_rows
from linnet.table import Columns
from linnet.table.values import is_date, is_text, reads_as_marked_number
from linnet.tuning import TuningRecord, tune

NOTHING_DONE = "Interrupted before the first epoch was done: nothing is written."


@dataclass
class Result:
    """What came of it."""

    job: Job
    task: str
    estimator: Any
    n_rows: int
    n_test: int
    scores: dict[str, dict[str, float]]
    interval: dict[str, float] | None
    interrupted: bool
    record: TuningRecord | None = None


def run(job: Job) -> Result:
    """Read, split, fit, score and save.

    Raises
    ------
    ValueError
        If the table or the options cannot be fitted, or the training broke in its first epoch.
    KeyboardInterrupt
        If it came before the first epoch was done; nothing is written then.
    """
    table = tables.read(
        job.file,
        encoding=job.encoding,
        delimiter=job.delimiter,
        types=job.settings["column_types"],
    )
    n_in_file = table.num_rows
    X, y, task, kept = _prepare(job, table)
    types = job.settings["column_types"] or {}
    # That of the target has done its work in reading.
    of_inputs = {name: kind for name, kind in types.items() if name in X.column_names}
    job.settings["column_types"] = of_inputs or None
    is_classes = task == "classification"
    seed = job.settings["random_state"]
    rows, held_out = np.arange(len(y)), np.arange(0)
    if job.test_size:
        rows, held_out = split_rows(len(y), job.test_size, seed, y if is_classes else None)
    estimator = _make(job, is_classes, len(rows))
    _say_plan(job, estimator, X.take(rows), y, is_classes, held_out)
    record = None
    if job.search is None:
        _say_keeping(job)
        estimator.fit(X.take(rows), y[rows], **job.keeping)
    else:
        try:
            found = tune(X.take(rows), y[rows], task=task, **job.search, **job.settings)
        except KeyboardInterrupt:
            say(NOTHING_DONE)
            raise
        estimator, record = found.best_estimator_, found.record_
    if isinstance(estimator, EnsembleEstimator):
        say(estimator.history_.notes[0])
    _check_outcome(estimator)
    notes = estimator.history_.notes
    notes += [line for line in _lint(estimator, X, y, (rows, held_out)) if line not in notes]
    interrupted = estimator.history_.outcome is Outcome.INTERRUPTED
    scores: dict[str, dict[str, float]] = {}
    interval = None
    if len(held_out):
        coverage = 0.9 if job.interval is None else job.interval
        interval = interval_scores(estimator, X.take(held_out), y[held_out], coverage)
        interrupted |= _score(
            scores, estimator, X, y, (rows, held_out), with_boosting=not interrupted
        )
    # The fit counts its own rows; the model keeps the numbers of the file's rows.
    split = estimator.history_.split or {"train": np.arange(len(rows))}
    split = {part: kept[rows[numbers]] for part, numbers in split.items()}
    estimator.history_.split = {**split, "test": kept[held_out]}
    card = {
        "target": job.target,
        "task": task,
        "table": {
            "name": job.file.name,
            "n_rows": n_in_file,
            "sha256": tables.digest(job.file),
        },
        "n_test": len(held_out),
        "scores": finite(scores),
    }
    save(estimator, job.output, card=card, overwrite=job.overwrite)
    return Result(
        job, task, estimator, n_in_file, len(held_out), scores, interval, interrupted, record
    )


def _lint(
    estimator: Any, X: pa.Table, y: np.ndarray, split: tuple[np.ndarray, np.ndarray]
) -> list[str]:
    """Return what misleads in the table's own order, and in the rows held out for the scores."""
    lines, (rows, held_out) = lint.sorted_target(y), split
    if len(held_out):
        # The rows are in a random order, and as many as are compared need be encoded.
        rows = rows[: max(1, lint.COMPARED_NUMBERS // (estimator.columns_.n_features + 1))]
        held_out = held_out[: lint.COMPARED_ROWS]
        inputs, inputs_test = (estimator.columns_.encode(X.take(r)) for r in (rows, held_out))
        numbers = np.unique(y, return_inverse=True)[1]
        told = (inputs, numbers[rows], inputs_test, numbers[held_out])
        lines += lint.shared_rows(*told, called="test rows")
    return lines


def _prepare(job: Job, table: pa.Table) -> tuple[pa.Table, np.ndarray, str, np.ndarray]:
    """Return inputs, target, the task, and the numbers of the rows that are used."""
    tables.check_column(job.target, table, "target")
    X = _inputs(job, table)
    types = job.settings["column_types"] or {}
    tables.check_numbers(X, types)
    _check_kind(job, table[job.target], types)
    kept = np.arange(table.num_rows)
    if job.drop_missing_target:
        kept = tables.rows_with_target(table, job.target)
        table, X = table.take(kept), X.take(kept)
    y = tables.target_values(table, job.target, remedy="write --drop-missing-target")
    if len(y) < 5:
        raise ValueError(
            f"{job.file} has {counted(len(y), 'row')}{' with a target' * job.drop_missing_target}: "
            "too few to fit on and to test. Give at least 5."
        )
    task = job.task or task_of(table[job.target])
    _check_target(job, y, task)
    if job.interval is not None and task == "classification":
        raise ValueError(
            f"--interval is for numbers, and the target {job.target!r} is taken as classes. Leave "
            "it out."
        )
    return X, y, task, kept


def _check_outcome(estimator: Any) -> None:
    """Raise, so that nothing is written, where no epoch has made a network worth keeping."""
    history = estimator.history_
    if history.outcome is Outcome.INTERRUPTED and history.best_epoch is None:
        say(NOTHING_DONE)
        raise KeyboardInterrupt
    if history.outcome is Outcome.NOT_FINITE and history.best_epoch is None:
        raise ValueError(
            "The loss became infinite or NaN in the first epoch: nothing was learnt, and no model "
            "is written. The likely cause is a learning rate that is too high. Write a smaller "
            f"--learning-rate-init than {_settings(estimator).learning_rate_init:g}."
        )


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
        "n_rows": result.n_rows,
        "network": "-".join(map(str, _layer_sizes(estimator))),
        "n_members": len(getattr(estimator.module_, "members", [estimator.module_])),
        "chosen": history.notes[:1] if result.job.is_ensemble else [],
        "n_inputs": estimator.columns_.n_features,
        "n_parameters": sum(p.numel() for p in estimator.module_.parameters()),
        "n_test": result.n_test,
        "scores": result.scores,
        "interval": result.interval,
        "outcome": history.outcome.value,
        "outcome_sentence": history.outcome.sentence,
        "n_epochs": history.n_epochs,
        "best_epoch": None if best is None else best + 1,
        "best_loss": history.best_loss,
        "seed": history.seed,
        "engine": history.engine,
        "engine_reason": history.engine_reason,
        "notes": history.notes,
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


def _check_kind(job: Job, target: pa.ChunkedArray, types: dict[str, str]) -> None:
    """Raise ValueError for dates, and for text among numbers, unless they are to be classes."""
    if job.task == "classification" or job.target in types:
        return
    if is_date(target.type):
        raise ValueError(
            f"The target {job.target!r} holds dates, which are no numbers to predict. Choose "
            "another column with --target, or write numbers, such as days since the first."
        )
    if is_text(target.type):
        tables.check_numbers(pa.table({job.target: target}), types)


def _check_target(job: Job, y: np.ndarray, task: str) -> None:
    name, values = job.target, np.unique(y)
    is_number = y.dtype.kind in "iuf"
    if task == "regression" and not is_number and job.is_preset:
        raise ValueError(
            f"The target {name!r} holds text such as {tables.first_text(y)!r}, and the preset is "
            "for numbers. Leave --preset out to train a classifier."
        )
    if task == "regression" and not is_number:
        raise ValueError(
            f"The target {name!r} holds text such as {tables.first_text(y)!r} where numbers are "
            "needed. Write --task classification for classes."
        )
    if len(values) == 1:
        raise ValueError(
            f"The target {name!r} is always {str(values[0])!r}: there is nothing to learn. Choose "
            "another column with --target."
        )
    if task == "classification" and len(values) > 0.5 * len(y) and len(y) > 10:
        instead = ", or write --task regression" if is_number else ""
        marked = [] if is_number else [v for v in values.tolist() if reads_as_marked_number(v)]
        if marked:
            instead = (
                f"; if these are numbers, write {marked[0]!r} with a decimal point and no other "
                "mark"
            )
        raise ValueError(
            f"The target {name!r} has {len(values)} different values in {len(y)} rows: too many "
            f"for classes. Choose another column with --target{instead}."
        )
    kind = _kind(job, task == "classification")
    loss = job.settings.get("loss")
    if loss is not None and loss not in kind.loss_names:
        raise ValueError(
            f"--loss {loss} is not for {task}, as which the target {name!r} is taken. Write "
            f"--loss {', '.join(kind.loss_names)}, or another --task."
        )
    if job.task is None and task == "regression" and y.dtype.kind in "iu" and len(values) <= 10:
        say(
            f"The target {name} has {len(values)} different whole numbers, which are taken as "
            "numbers. If they are classes, write --task classification."
        )


def _kind(job: Job, is_classes: bool) -> Any:
    return KINDS["ensemble" if job.is_ensemble else "one network"][is_classes]


def _make(job: Job, is_classes: bool, n_rows: int) -> Any:
    settings = dict(job.settings)
    if settings.get("early_stopping"):
        n_rows -= max(1, round(settings["validation_fraction"] * n_rows))
    if settings.get("batch_size") == "auto" and settings["solver"] not in ("lbfgs", "lm", "auto"):
        # About 30 to 60 steps an epoch, so that small tables are not done in a few steps and
        # large ones do not wait for the overhead of a million.
        size = 2 ** round(np.log2(max(1, n_rows) / 40))
        settings["batch_size"] = max(1, min(1024, max(32, size), n_rows))
    estimator = _kind(job, is_classes)(**settings)
    estimator._says_lines = False  # they are said at the end, in the shell's words
    return estimator


def _settings(estimator: Any) -> Any:
    """Return what holds the settings: an ensemble chooses them in its fit."""
    return getattr(estimator, "settings_", estimator)


def _say_plan(
    job: Job, estimator: Any, X: pa.Table, y: np.ndarray, is_classes: bool, held_out: np.ndarray
) -> None:
    columns = Columns.fit(X, types=job.settings["column_types"])
    rows = [[cell(row["name"]), row["type"], cell(row["note"])] for row in columns.describe()]
    print_table(["column", "type", "what is done"], rows, to_stderr=True)
    task = f"classification, {len(np.unique(y))} classes" if is_classes else "regression"
    say(f"Target {job.target}: {task}.")
    choose = ", each of them held out by some member" if job.is_ensemble else ""
    if job.settings.get("early_stopping"):
        choose = f", {estimator.validation_fraction:.0%} of them to choose the best epoch"
    rows_told = f"{counted(X.num_rows, 'row')} to fit on{choose}"
    say(f"{rows_told}; {len(held_out):,} held out for the scores.")
    if job.is_ensemble:
        say(f"{counted(estimator.n_members, 'member')}; seed {estimator.random_state}.")
        return
    layers = ",".join(map(str, estimator.hidden_layer_sizes))
    size = estimator.batch_size
    if takes_all_rows(estimator.solver):
        steps = "all rows at once"
    else:
        steps = "batches of up to 200" if size == "auto" else f"batches of {size:,}"
    say(
        f"Hidden layers {layers}, {estimator.activation}; {estimator.solver}, {steps}, at most "
        f"{counted(estimator.max_iter, 'epoch')}; seed {estimator.random_state}."
    )


def _say_keeping(job: Job) -> None:
    path = job.keeping.get("checkpoint")
    if path is not None and path.exists():
        say(f"Goes on from {path}.")
    elif path is not None:
        say(f"{path} keeps where the training stands.")


def _layer_sizes(estimator: Any) -> list[int]:
    outputs = estimator._n_network_outputs(estimator.target_)
    return [estimator.columns_.n_features, *_settings(estimator).hidden_layer_sizes, outputs]


def _score(
    scores: dict[str, dict[str, float]],
    estimator: Any,
    X: pa.Table,
    y: np.ndarray,
    split: tuple[np.ndarray, np.ndarray],
    *,
    with_boosting: bool,
) -> bool:
    """Fill in the scores of the network and of two baselines; return whether it was interrupted.

    The network is trained by now: whatever happens to a baseline, it is not lost.
    """
    rows, held_out = split
    X_test, y_fit, y_test = X.take(held_out), y[rows], y[held_out]
    try:
        if is_classifier(estimator):
            classes = estimator.classes_
            probabilities = estimator.predict_proba(X_test)
            scores["linnet"] = classification_scores(y_test, probabilities, classes)
        else:
            classes = None
            scores["linnet"] = regression_scores(y_test, estimator.predict(X_test))
        if with_boosting:
            features = (X.take(rows), X_test)
            seed = estimator.random_state
            try:
                name, boosted = boosting_baseline(
                    estimator.columns_, features, y_fit, y_test, classes, seed
                )
                scores[name] = boosted
            except ValueError as fault:
                say(f"Note: HistGradientBoosting cannot fit this table: {fault}", style="yellow")
        name, simple = simple_baseline(y_fit, y_test, classes)
        scores[name] = simple
    except KeyboardInterrupt:
        return True
    return False
