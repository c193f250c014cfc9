"""``linnet demo``: the tutorial's problem, from data to pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linnet.cli.options import Force, Json, Progress, Seed
from linnet.cli.talk import print_json, print_table, say, say_next


def demo(
    out: Annotated[
        Path, typer.Option("--out", help="Folder for what it writes; made if absent.")
    ] = Path("linnet-demo"),
    epochs: Annotated[
        int, typer.Option("--epochs", "--max-iter", min=1, help="Number of epochs.")
    ] = 400,
    seed: Seed = 0,
    force: Force = False,
    progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Fit sin(r)/r with a small network, draw it, and keep it.

    A network of 2-80-1 neurons learns the function from 2,500 points. Everything is written into
    one folder: loss.png, surface.png, parity.png, sinc.linnet, history.json.

    Example: linnet demo --out linnet-demo
    """
    from linnet.cli.demonstration import run

    document = run(out, epochs=epochs, seed=seed, overwrite=force, progress=progress)
    if as_json:
        print_json(document)
    else:
        rows = [
            ["final loss (mean squared error)", document["final_loss"]],
            ["best loss", document["best_loss"]],
            ["seconds", document["seconds"]],
            ["engine", f"{document['engine']}: {document['engine_reason']}"],
        ]
        print_table(["linnet demo", ""], rows)
    say(f"Wrote {', '.join(Path(name).name for name in document['files'])} into {out}/. Next:")
    say_next(
        ("linnet", "show", out / "sinc.linnet"),
        ("linnet", "fit", "YOUR_TABLE.csv", "--target", "COLUMN", "-o", "model.linnet"),
        ("linnet", "fit", "--help"),
    )
    if document["outcome"] == "interrupted":
        raise typer.Exit(130)
