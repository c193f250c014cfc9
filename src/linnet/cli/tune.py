"""``linnet tune``: the settings of an ensemble that fit a table best."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from linnet.cli import options
from linnet.cli.fit import print_fit, say_end
from linnet.cli.talk import finite, print_table, say, say_warnings
from linnet.cli.words import in_shell_words


def tune(
    file: options.TableFile,
    target: options.Target,
    output: options.ModelOutput = None,
    budget: Annotated[
        float, typer.Option(help="Seconds for the search and the final model together.")
    ] = 60.0,
    candidates: Annotated[
        int, typer.Option(help="How many settings to try, the defaults among them.")
    ] = 30,
    features: options.Features = None,
    column_types: options.ColumnTypes = None,
    task: options.Task = None,
    test_size: options.TestSize = 0.2,
    members: options.Members = None,
    loss: options.Loss = None,
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
    """Search the settings that fit a table best, and write a network with them.

    The defaults of linnet fit, and settings drawn around them, are compared by rows held out; the
    best go on to further rows. The defaults are given up only for settings that are better beyond
    chance. Beside the model stand the record of the search, as JSON, and its picture. Ctrl-C ends
    the search, and the best so far is written.

    Example: linnet tune examples/concrete.csv --target strength_mpa --budget 60 -o tuned.linnet
    """
    from linnet.cli.fitting import describe_fit, run
    from linnet.cli.job import KINDS, Job, check_model, check_request, model_path
    from linnet.tuning.search import check_budget, check_count, check_members
    from linnet.whole_file import check_writable

    output = model_path(output, file)
    settings: dict[str, Any] = {
        "n_members": 8 if members is None else members,
        "random_state": seed,
        "column_types": options.types(column_types),
        "device": device,
        "engine": engine,
        "n_threads": n_threads,
    }
    if loss is not None:
        settings["loss"] = loss
    try:
        check_budget(budget)
        check_count(candidates)
        check_members(settings["n_members"])
    except ValueError as fault:
        raise typer.BadParameter(in_shell_words(str(fault))) from None
    check_request(KINDS["ensemble"][loss == "log_loss"], settings, test_size)
    check_model(output, file, overwrite=force)
    record_path = output.with_suffix(".tuning.json")
    picture_path = output.with_suffix(".tuning.png")
    for path in (record_path, picture_path):
        check_writable(path, overwrite=force)
    job = Job(
        file=file,
        target=target,
        output=output,
        features=options.names(features),
        task=task,
        test_size=test_size,
        settings=settings,
        is_ensemble=True,
        drop_missing_target=drop_missing_target,
        encoding=encoding,
        delimiter=delimiter,
        overwrite=force,
        search={"budget": budget, "n_candidates": candidates, "progress": progress},
    )
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = run(job)
    record = result.record
    assert record is not None
    say_warnings(caught, but=record.outcome.sentence)
    _write(record, record_path, picture_path, overwrite=force)
    document = describe_fit(result, time.perf_counter() - started)
    document |= {
        "command": "tune",
        "outcome_sentence": document["outcome_sentence"].replace(
            "time given by max_time", "budget of the search"
        ),
        "search_outcome": record.outcome.value,
        "search_sentence": record.sentence,
        "search_seconds": record.seconds,
        "n_candidates": len(record.candidates),
        "best_params": finite(record.best.params),
        "record": str(record_path),
        "picture": str(picture_path),
    }
    print_fit(document, as_json=as_json)
    rows = [[name, _words(value)] for name, value in record.best.params.items()]
    print_table(["setting", "best"], rows, to_stderr=True)
    say(f"{record.sentence} {record.outcome.sentence}")
    say(f"Wrote {record_path} and {picture_path}.")
    say_end(document, file, but=record.sentence)
    if result.interrupted:
        raise typer.Exit(130)


def _words(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else f"{value:g}"


def _write(record: Any, record_path: Path, picture_path: Path, *, overwrite: bool) -> None:
    from linnet.plots import TuningDisplay, save_figure
    from linnet.whole_file import whole_file

    with whole_file(record_path) as part:
        record.to_json(part)
    display = TuningDisplay.from_record(record, draw=False)
    save_figure(display, picture_path, overwrite=overwrite)
