"""``linnet evaluate``: scores of a model on a table."""

from __future__ import annotations

from typing import Any

from linnet.cli.options import Delimiter, Encoding, Interval, Json, ModelFile, Rows, TableFile
from linnet.cli.talk import SCORE_NAMES, counted, print_json, print_table


def evaluate(
    model: ModelFile,
    file: TableFile,
    rows: Rows = None,
    interval: Interval = None,
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = None,
    as_json: Json = False,
) -> None:
    """Score a model on a table that holds the target.

    Numbers: R², RMSE and MAE, the last two in the target's units; and which share of the rows
    lies inside of their 90 % intervals (--interval for another share), and how wide these are on
    average, for models that know their errors. Classes: accuracy, log loss (nats), ROC AUC and the
    confusion matrix.

    Example: linnet evaluate concrete.linnet examples/concrete.csv
    """
    from linnet.cli import tables
    from linnet.model_file import load
    from linnet.report import (
        classification_scores,
        confusion,
        interval_scores,
        regression_scores,
    )

    estimator = load(model)
    if interval is not None:
        tables.check_intervals(estimator)
    table = tables.read(file, encoding=encoding, delimiter=delimiter, estimator=estimator)
    target = tables.target_name(estimator)
    chosen = tables.chosen_rows(rows, file, table, estimator)
    X, y = tables.scored(table, estimator, target, chosen)
    document: dict[str, Any] = {
        "command": "evaluate",
        "model": str(model),
        "file": str(file),
        "target": target,
        "rows": "all" if chosen is None else "test",
        "n_rows": len(y),
    }
    if hasattr(estimator, "predict_proba"):
        classes = estimator.classes_
        scores = classification_scores(y, estimator.predict_proba(X), classes)
        matrix = confusion(y, estimator.predict(X), classes)
        document |= {"scores": scores, "classes": classes.tolist(), "confusion": matrix}
    else:
        scores = regression_scores(y, estimator.predict(X))
        found = interval_scores(estimator, X, y, 0.9 if interval is None else interval)
        document |= {"scores": scores, "interval": found}
    if as_json:
        print_json(document)
        return
    told = [[SCORE_NAMES.get(name, name), value] for name, value in scores.items()]
    found = document.get("interval")
    if found:
        name = f"{100 * found['coverage']:g}% interval"
        told += [[f"inside {name}", found["inside"]], [f"{name}, width", found["mean_width"]]]
    print_table(["score", "value"], told, title=f"{counted(len(y), 'row')} of {file.name}")
    if "confusion" in document:
        labels = [str(label) for label in document["classes"]]
        body = [[label, *row] for label, row in zip(labels, document["confusion"], strict=True)]
        print_table(["actual \\ predicted", *labels], body, title="Confusion matrix")
