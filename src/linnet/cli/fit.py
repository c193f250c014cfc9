"""``linnet fit``: from a table to a trained network."""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from linnet.cli import options
from linnet.cli.talk import (
    caught_warnings,
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
from linnet.termination import ended_by_sigterm

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


def fit(
    context: typer.Context,
    file: options.TableFile,
    target: options.Target,
    output: options.ModelOutput = None,
    features: options.Features = None,
    column_types: options.ColumnTypes = None,
    task: options.Task = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="fitnet: as MATLAB's fitnet; other options change parts of it.",
            show_default="none",
        ),
    ] = None,
    test_size: options.TestSize = 0.2,
    interval: options.Interval = None,
    members: options.Members = None,
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
    loss: options.Loss = None,
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
    checkpoint: options.Checkpoint = None,
    checkpoint_every: options.CheckpointEvery = None,
    resume: options.Resume = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    engine: options.Engine = "auto",
    n_threads: options.Threads = None,
    drop_missing_target: options.DropMissingTarget = False,
    encoding: options.Encoding = "utf-8",
    delimiter: options.Delimiter = None,
    force: options.Force = False,
    progress: options.Progress = True,
    as_json: options.Json = False,
) -> None:
    """Train networks on a table and write them to a file.

    An ensemble of eight networks, chosen from the size of the table, whose predictions have error
    bars; or one network, exactly as set, if one of the options from --hidden to
    --n-iter-no-change is given (--loss and --epochs serve both). The scores at the end are on rows
    that no network ever saw, beside two baselines on the same rows.

    With --checkpoint a training that was stopped, by Ctrl-C, a crash or a reboot, goes on with
    --resume from where it stood, and ends as though it had never been stopped.

    Example: linnet fit examples/concrete.csv --target strength_mpa -o concrete.linnet
    """
    from linnet.checkpoint import CheckpointWarning
    from linnet.cli.fitting import describe_fit, run
    from linnet.cli.job import KINDS, Job, check_keeping, check_model, check_request, model_path
    from linnet.ensemble import EnsembleRegressor

    output = model_path(output, file)
    of_one_network = {
        "hidden_layer_sizes": None if hidden is None else options.sizes(hidden),
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
        "column_types": options.types(column_types),
        "device": device,
        "engine": engine,
        "n_threads": n_threads,
        "verbose": progress,
    }
    is_one_network = bool(of_one_network) or preset is not None
    if is_one_network:
        if members is not None:
            name = "--preset"
            if of_one_network:
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
    if preset is not None:
        if loss not in (None, "squared_error"):
            raise typer.BadParameter(
                f"--preset {preset} minimises squared_error: leave out --loss."
            )
        try:
            settings |= _of_preset(preset, context)
        except ValueError as fault:
            raise typer.BadParameter(in_shell_words(str(fault))) from None
        if _is_default(context, "test_size"):
            test_size = settings.pop("test_fraction")
        else:
            settings.pop("test_fraction")
        task = "regression"
        # The preset's is a fraction of all rows, the estimator's of those that it is given.
        if _is_default(context, "validation_fraction"):
            settings["validation_fraction"] /= 1 - test_size
    if settings.get("solver") == "lm":  # it has no rate, and is told of one only if it was given
        for name in {"learning_rate", "learning_rate_init"} - of_one_network.keys():
            settings.pop(name, None)
    kinds = KINDS["one network" if is_one_network else "ensemble"]
    check_request(kinds[loss == "log_loss"], settings, test_size)
    knows_errors = settings.get("early_stopping", True) or loss == "gaussian"
    if interval is not None and not knows_errors:
        raise typer.BadParameter(
            f"--interval {interval:g} needs validation rows, and this network has none. Write "
            "--validation-fraction 0.15, or --loss gaussian."
        )
    check_model(output, file, overwrite=force)
    keeping = {"checkpoint": checkpoint, "checkpoint_every": checkpoint_every, "resume": resume}
    check_keeping(keeping, output)

    job = Job(
        file=file,
        target=target,
        output=output,
        features=options.names(features),
        task=task,
        test_size=test_size,
        interval=interval,
        settings=settings,
        is_ensemble=not is_one_network,
        drop_missing_target=drop_missing_target,
        encoding=encoding,
        delimiter=delimiter,
        overwrite=force,
        is_preset=preset is not None,
        keeping=keeping,
    )
    started = time.perf_counter()
    with (
        ended_by_sigterm() if checkpoint is not None else nullcontext(),
        caught_warnings(at_once=CheckpointWarning) as caught,
    ):
        try:
            result = run(job)
        except KeyboardInterrupt:
            say_warnings(caught)
            _say_how_to_go_on(checkpoint, "--resume")
            raise
    say_warnings(caught, but=result.estimator.history_.outcome.sentence)
    document = describe_fit(result, time.perf_counter() - started)
    print_fit(document, as_json=as_json)
    say_end(document, file)
    if document["outcome"] in ("interrupted", "time_up"):
        _say_how_to_go_on(checkpoint, "--resume", "--force")  # for the model is there now
    if result.interrupted:
        raise typer.Exit(130)
    if document["outcome"] == "not_finite":
        raise typer.Exit(1)


def _say_how_to_go_on(checkpoint: Path | None, *options: str) -> None:
    """Say which command goes on with a training that was stopped, where a file keeps it."""
    if checkpoint is None or not checkpoint.exists():
        return
    say(f"{checkpoint} holds where the training stands. Go on with:")
    given = sys.argv[1:]
    say_next(("linnet", *given, *(option for option in options if option not in given)))


def _is_default(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is None or source.name == "DEFAULT"


# What the shell calls an estimator's parameters, where it calls them otherwise.
_OPTION_OF = {"hidden_layer_sizes": "hidden", "max_iter": "epochs"}


def _of_preset(name: str, context: typer.Context) -> dict[str, Any]:
    """Return a preset's parameters but those that were given as options."""
    from linnet.estimators.presets import preset

    own = preset(name)
    given = {p for p in own if not _is_default(context, _OPTION_OF.get(p, p))}
    given -= {"scale_X", "scale_y", "initialization", "early_stopping", "test_fraction"}
    return {parameter: value for parameter, value in own.items() if parameter not in given}


def print_fit(document: dict[str, Any], *, as_json: bool) -> None:
    """Print the scores of a fit, or all of it as JSON."""
    if as_json:
        print_json(document)
    elif document["scores"]:
        print_table(*score_table(document["scores"]), title=counted(document["n_test"], "test row"))


def say_end(document: dict[str, Any], file: Path, *, but: str = "") -> None:
    """Say how a fit ended, what was written, and what may come next; but for a note told before."""
    for note in document["notes"][len(document["chosen"]) :]:
        if note != but:
            say(in_shell_words(note))
    interval = document["interval"]
    if interval:
        say(
            f"Intervals for {100 * interval['coverage']:g}% hold {interval['inside']:.1%} of the "
            f"test rows; their mean width is {figure(interval['mean_width'])}."
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
