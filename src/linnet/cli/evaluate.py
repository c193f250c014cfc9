"""``linnet evaluate``: scores of a model on a table."""

from __future__ import annotations

from typing import Any

from linnet.cli.options import Delimiter, Encoding, Json, ModelFile, Rows, TableFile
from linnet.cli.talk import print_json, print_table


def evaluate(
    model: ModelFile,
    file: TableFile,
    rows: Rows = None,
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = None,
    as_json: Json = False,
) -> None:
    """Score a model on a table that holds the target.

    Numbers: R², RMSE and MAE, the last two in the target's units. Classes: accuracy, log loss
    (nats), ROC AUC and the confusion matrix.

    Example: linnet evaluate concrete.linnet examples/concrete.csv
    """
    import numpy as np

    from linnet.cli import tables
    from linnet.model_file import load
    from linnet.report import classification_scores, confusion, regression_scores

    estimator = load(model)
    table = tables.read(file, encoding=encoding, delimiter=delimiter, estimator=estimator)
    target = tables.target_name(estimator)
    chosen = tables.chosen_rows(rows, file, table, estimator)
    if chosen is not None:
        table = table.take(chosen)
    y = tables.target_values(table, target)
    X = tables.inputs(estimator, table)
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
        unknown = np.setdiff1d(y, classes)
        if len(unknown):
            raise ValueError(
                f"The target {target!r} has classes that the model does not know: "
                f"{', '.join(map(repr, unknown[:5].tolist()))}. Leave these rows out."
            )
        scores = classification_scores(y, estimator.predict_proba(X), classes)
        matrix = confusion(y, estimator.predict(X), classes)
        document |= {"scores": scores, "classes": classes.tolist(), "confusion": matrix}
    else:
        scores = regression_scores(y.astype(np.float64), estimator.predict(X))
        document["scores"] = scores
    if as_json:
        print_json(document)
        return
    print_table(["score", "value"], list(scores.items()), title=f"{len(y):,} rows of {file.name}")
    if "confusion" in document:
        labels = [str(label) for label in document["classes"]]
        body = [[label, *row] for label, row in zip(labels, document["confusion"], strict=True)]
        print_table(["actual \\ predicted", *labels], body, title="Confusion matrix")
