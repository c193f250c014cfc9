"""``linnet fit``: from a table to a trained network."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from linnet.cli.options import (
    Delimiter,
    Encoding,
    Force,
    Json,
    Progress,
    Seed,
    TableFile,
    choice,
    names,
    sizes,
)
from linnet.cli.talk import (
    counted,
    figure,
    print_json,
    print_table,
    say,
    say_next,
    say_warnings,
    score_table,
)
from linnet.cli.words import in_shell_words

TASKS = ("regression", "classification")
# What one network is where the options do not say.
ONE_NETWORK = {
    "hidden_layer_sizes": (128, 128),
    "activation": "silu",
    "dropout": 0.0,
    "solver": "adamw",
    "alpha": 0.01,
    "batch_size": "auto",
    "learning_rate": "one_cycle",
    "learning_rate_init": 0.01,
    "validation_fraction": 0.15,
    "n_iter_no_change": float("inf"),
}
COLUMN_TYPES = ("number", "category", "boolean", "date", "identifier", "ignore")


def fit(
    file: TableFile,
    target: Annotated[str, typer.Option("--target", "-t", help="Column to predict.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Model file.", show_default="FILE's name .linnet"),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(help="Columns to predict from, a,b,c.", show_default="all but the target"),
    ] = None,
    column_types: Annotated[
        list[str] | None,
        typer.Option(
            "--column-type",
            metavar="NAME=TYPE",
            help="Type of a column: number, category, boolean, date, ignore. May be repeated.",
            show_default="inferred",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="regression or classification.",
            show_default="from the target",
            callback=lambda given: choice("--task", given, TASKS),
        ),
    ] = None,
    test_size: Annotated[
        float, typer.Option(help="Fraction of rows held out for the scores; 0 for none.")
    ] = 0.2,
    members: Annotated[
        int | None, typer.Option(help="Networks of the ensemble.", show_default="8")
    ] = None,
    hidden: Annotated[
        str | None,
        typer.Option(
            "--hidden",
            "--hidden-layer-sizes",
            help="Neurons of each hidden layer; of one network, as are the next options.",
            show_default="128,128",
        ),
    ] = None,
    activation: Annotated[
        str | None, typer.Option(help="Activation of the hidden layers.", show_default="silu")
    ] = None,
    loss: Annotated[
        str | None, typer.Option(help="Loss.", show_default="squared_error or log_loss")
    ] = None,
    dropout: Annotated[
        float | None,
        typer.Option(help="Fraction of hidden activations left out.", show_default="0.0"),
    ] = None,
    solver: Annotated[str | None, typer.Option(help="Optimizer.", show_default="adamw")] = None,
    alpha: Annotated[float | None, typer.Option(help="Weight decay.", show_default="0.01")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Rows of a step.", show_default="32 to 1024, by the rows")
    ] = None,
    learning_rate: Annotated[
        str | None, typer.Option(help="Schedule of the learning rate.", show_default="one_cycle")
    ] = None,
    learning_rate_init: Annotated[
        float | None, typer.Option(help="Greatest learning rate.", show_default="0.01")
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            "--max-iter",
            help="Greatest number of epochs.",
            show_default="200, fewer for an ensemble on many rows",
        ),
    ] = None,
    validation_fraction: Annotated[
        float | None,
        typer.Option(
            help="Fraction of the fitted rows that choose the best epoch.", show_default="0.15"
        ),
    ] = None,
    n_iter_no_change: Annotated[
        int | None,
        typer.Option(help="Stop after so many epochs without improvement.", show_default="never"),
    ] = None,
    max_time: Annotated[
        float | None, typer.Option(help="Seconds to train for.", show_default="no limit")
    ] = None,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    engine: Annotated[str, typer.Option(help="auto, native or torch.")] = "auto",
    n_threads: Annotated[
        int | None, typer.Option(help="CPU threads.", show_default="by the network")
    ] = None,
    drop_missing_target: Annotated[
        bool, typer.Option("--drop-missing-target", help="Leave out rows without a target.")
    ] = False,
    encoding: Encoding = "utf-8",
    delimiter: Delimiter = None,
    force: Force = False,
    progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Train networks on a table and write them to a file.

    An ensemble of eight networks, chosen from the size of the table, whose predictions have error
    bars; or one network, exactly as set, if one of the options from --hidden to
    --n-iter-no-change is given (--loss and --epochs serve both). The scores at the end are on rows
    that no network ever saw, beside two baselines on the same rows.

    Example: linnet fit examples/concrete.csv --target strength_mpa -o concrete.linnet
    """
    from linnet.cli.fitting import KINDS, Job, describe_fit, run
    from linnet.cli.writing import check_other_file
    from linnet.ensemble import EnsembleRegressor
    from linnet.estimators.parameters import check_parameters
    from linnet.whole_file import check_writable

    output = Path(f"{file.name.split('.')[0]}.linnet") if output is None else output
    of_one_network = {
        "hidden_layer_sizes": None if hidden is None else sizes(hidden),
        "activation": activation,
        "dropout": dropout,
        "solver": solver,
        "alpha": alpha,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "learning_rate_init": learning_rate_init,
        "validation_fraction": validation_fraction,
        "n_iter_no_change": n_iter_no_change,
    }
    of_one_network = {name: value for name, value in of_one_network.items() if value is not None}
    if loss is not None and loss not in (*EnsembleRegressor.loss_names, "log_loss"):
        of_one_network["loss"] = loss  # such as quantile
    settings: dict[str, Any] = {
        "max_time": max_time,
        "random_state": seed,
        "column_types": _types(column_types),
        "device": device,
        "engine": engine,
        "n_threads": n_threads,
        "verbose": progress,
    }
    if of_one_network:
        if members is not None:
            name = in_shell_words(f"The '{next(iter(of_one_network))}' parameter of fit")
            raise typer.BadParameter(
                f"--members {members} asks for an ensemble, and {name} for one network. Leave one "
                "of them out."
            )
        settings |= {**ONE_NETWORK, **of_one_network}
        settings["max_iter"] = 200 if epochs is None else epochs
        settings["early_stopping"] = (
            settings["validation_fraction"] > 0 and settings["solver"] != "lbfgs"
        )
    else:
        settings["n_members"] = 8 if members is None else members
        settings["max_iter"] = "auto" if epochs is None else epochs
    if loss is not None:
        settings["loss"] = loss
    if not 0 <= test_size < 1:
        raise typer.BadParameter(f"--test-size {test_size:g}: write a fraction from 0 to below 1.")
    kinds = KINDS["one network" if of_one_network else "ensemble"]
    try:
        check_parameters(kinds[loss == "log_loss"](**settings))
    except ValueError as fault:
        raise typer.BadParameter(in_shell_words(str(fault))) from None
    check_writable(output, overwrite=force)
    check_other_file(output, file)
    if output.suffix.lower() != ".linnet":
        raise ValueError(f"{output}: models are written as .linnet. Give a name with this ending.")

    job = Job(
        file=file,
        target=target,
        output=output,
        features=names(features),
        task=task,
        test_size=test_size,
        settings=settings,
        is_ensemble=not of_one_network,
        drop_missing_target=drop_missing_target,
        encoding=encoding,
        delimiter=delimiter,
        overwrite=force,
    )
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = run(job)
    say_warnings(caught, but=result.estimator.history_.outcome.sentence)
    document = describe_fit(result, time.perf_counter() - started)
    if as_json:
        print_json(document)
    elif document["scores"]:
        print_table(*score_table(document["scores"]), title=counted(document["n_test"], "test row"))
    _say_end(document, file)
    if result.interrupted:
        raise typer.Exit(130)
    if document["outcome"] == "not_finite":
        raise typer.Exit(1)


def _types(given: list[str] | None) -> dict[str, str] | None:
    if not given:
        return None
    pairs = [item.rpartition("=") for item in given]
    if any(not name or not kind for name, _, kind in pairs):
        raise typer.BadParameter(
            f"--column-type {', '.join(given)}: write NAME=TYPE, such as zip=category."
        )
    for name, _, kind in pairs:
        choice(f"--column-type {name}", kind, COLUMN_TYPES)
    return {name: kind for name, _, kind in pairs}


def _say_end(document: dict[str, Any], file: Path) -> None:
    interval = document["interval"]
    if interval:
        say(
            f"Intervals for {interval['coverage']:.0%} hold {interval['inside']:.1%} of the test "
            f"rows; their mean width is {figure(interval['mean_width'])}."
        )
    is_ensemble = document["n_members"] > 1
    say(
        f"{in_shell_words(document['outcome_sentence'])} Epoch {document['best_epoch']} "
        f"of {document['n_epochs']:,} was best{' on average' * is_ensemble}."
    )
    networks = f"{document['n_members']} networks" if is_ensemble else "Network"
    say(
        f"{networks} {document['network']}, {counted(document['n_parameters'], 'parameter')}; "
        f"{document['seconds']:.1f} s in all; engine: {document['engine']}."
    )
    model = document["model"]
    say(f"Wrote {model}. Next:", style="green")
    say_next(
        ("linnet", "predict", model, "NEW_ROWS.csv", "-o", "predictions.csv"),
        ("linnet", "plot", model, file, "-o", "pictures"),
        ("linnet", "show", model),
    )
