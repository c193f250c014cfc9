"""``linnet show``: the card of a model."""

from __future__ import annotations

from typing import Any

from linnet.cli.options import Json, ModelFile
from linnet.cli.talk import cell, counted, figure, print_json, print_table, score_table
from linnet.printable import printable


def show(model: ModelFile, as_json: Json = False) -> None:
    """Show what a model file says of itself; nothing in it is run.

    Network, columns, scores, and how the training went and ended.

    Example: linnet show concrete.linnet
    """
    from linnet.history import History
    from linnet.model_file import read_card
    from linnet.table import Columns

    description = read_card(model)
    if as_json:
        print_json({"command": "show", "file": str(model), **description})
        return
    try:
        history = History.from_dict(description["history"])
        columns = Columns.from_dict(description["columns"])
        rows = _summary(description, history)
        scores = description["card"].get("scores") or {}
        score_rows = score_table(scores) if scores else None
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as fault:
        raise ValueError(
            f"{model} is a damaged linnet model ({type(fault).__name__}: {fault}). Copy it anew, "
            "or fit the model again."
        ) from fault
    print_table(["", ""], rows, title=str(model), lines=True)
    told = [[cell(row["name"]), row["type"], cell(row["note"])] for row in columns.describe()]
    if not columns.is_array:
        print_table(["column", "type", "what is done"], told, title="Columns")
    if score_rows:
        print_table(*score_rows, title="Scores")


def _summary(description: dict[str, Any], history: Any) -> list[list[str]]:
    card, network, target = description["card"], description["network"], description["target"]
    best = history.best_epoch
    classes = ", ".join(map(str, target.get("classes", [])[:12]))
    table = card.get("table", {})
    n_members = len(description.get("histories", []))
    of_members = f", the mean of {counted(n_members, 'member')}" if n_members else ""
    rows = [
        ["estimator", description["estimator"]],
        ["target", card.get("target", "not named") + (f" (classes: {classes})" if classes else "")],
        ["fitted on", counted(history.n_rows, "row") + (f" of {table['name']}" if table else "")],
        [
            "network",
            f"{counted(network['n_inputs'], 'input')}, {counted(network['n_outputs'], 'output')}, "
            f"{counted(network['n_parameters'], 'parameter')}",
        ],
        ["layers", network["layers"]],
        ["loss", history.loss],
        ["ended", history.outcome.sentence if history.outcome else "not told"],
        [
            "best epoch",
            "none"
            if best is None
            else f"{best + 1} of {history.n_epochs}, loss {figure(history.best_loss)}",
        ],
        ["seconds", figure(float(sum(history.seconds))) + of_members],
        ["engine", f"{history.engine}: {history.engine_reason}"],
        *([["notes", " ".join(history.notes)]] if history.notes else []),
        ["seed", str(history.seed)],
        ["versions", ", ".join(f"{k} {v}" for k, v in description["versions"].items())],
    ]
    # The layers alone stand in lines of their own.
    return [[name, printable(text, lines=name == "layers")] for name, text in rows]
