"""``linnet predict``: predictions for new rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linnet.cli.options import Delimiter, Encoding, Force, Json, ModelFile, TableFile, share
from linnet.cli.talk import counted, print_json, say


def predict(
    model: ModelFile,
    file: TableFile,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File to write, .csv, .tsv, .parquet or .feather.",
            show_default="standard output, as CSV",
        ),
    ] = None,
    only_predictions: Annotated[
        bool, typer.Option("--only-predictions", help="Leave the table's own columns out.")
    ] = False,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Add each class's probability.")
    ] = False,
    interval: Annotated[
        float | None,
        typer.Option(
            help="Add the ends of intervals that hold such a share of new rows, such as 0.9.",
            show_default="none",
            callback=lambda given: share("--interval", given),
        ),
    ] = None,
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Predict the target of every row of a table.

    Columns are found by name, in any order; the target may be there or not. The predictions stand
    in a new last column.

    Example: linnet predict concrete.linnet examples/concrete.csv -o predictions.csv
    """
    from linnet.cli import tables
    from linnet.cli.writing import check_other_file, check_output, print_csv, write_table
    from linnet.model_file import load

    output = None if str(output) == "-" else output
    if output is not None:
        check_output(output, overwrite=force)
        check_other_file(output, file)
    estimator = load(model)
    table = tables.read(file, encoding=encoding, delimiter=delimiter, estimator=estimator)
    predicted = tables.predictions(estimator, table, probabilities=probabilities, coverage=interval)
    if not only_predictions:
        predicted = tables.beside(table, predicted)
    if output is not None:
        write_table(predicted, output)
        say(f"Wrote {output}: {counted(predicted.num_rows, 'row')}.", style="green")
        if as_json:
            print_json({"command": "predict", "file": str(output), "n_rows": predicted.num_rows})
    elif as_json:
        print_json({"command": "predict", "rows": predicted.to_pylist()})
    else:
        print_csv(predicted)
