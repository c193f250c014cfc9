"""How linnet's time grows with rows, width and depth; a cliff would show as a jump.

A curve's points take turns, as contestants do. What should stay flat or fall is the time for a row
(for more rows) or for a multiply-add (for wider and deeper networks).
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contestants import LINNET, Contestant
from benchmarks.problems import Problem
from benchmarks.rounds import PAUSE, Worker, save_data, say, start

WORK = 5e8  # multiply-adds of a training, unless four steps are more


@dataclass(frozen=True)
class Curve:
    """Networks that differ in one number."""

    of: str  # what the number is
    points: tuple[tuple[int, Problem], ...]


def curves() -> tuple[Curve, ...]:
    """Return what is measured."""
    rows = (1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
    widths = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
    depths = (1, 2, 3, 4, 6, 8, 12, 16)
    return (
        Curve("rows", tuple((n, _of_rows(n)) for n in rows)),
        Curve("width", tuple((w, _of_work((8, w, w, 1), 256)) for w in widths)),
        Curve("depth", tuple((d, _of_work((8, *[64] * d, 1), 256)) for d in depths)),
    )


def _of_rows(rows: int) -> Problem:
    epochs = max(1, 200_000 // rows)
    return Problem((8, 32, 1), "relu", "identity", rows, 256, epochs, 1e-3)


def _of_work(sizes: tuple[int, ...], batch_size: int) -> Problem:
    one = Problem(sizes, "relu", "identity", batch_size, batch_size, 1, 1e-3)
    steps = max(4, math.ceil(WORK / (one.multiply_adds * batch_size)))
    steps_an_epoch = min(steps, 400)
    epochs = math.ceil(steps / steps_an_epoch)
    return Problem(sizes, "relu", "identity", batch_size * steps_an_epoch, batch_size, epochs, 1e-3)


def run(
    rounds: int,
    threads: tuple[int, ...],
    contestant: Contestant = LINNET,
    which: tuple[Curve, ...] | None = None,
) -> dict:
    """Return this part of the results."""
    measured = []
    with ExitStack() as stack:
        workers, skipped = start((contestant,), threads, stack)
        for curve in curves() if which is None else which:
            for worker in workers:
                measured.append(_measure(curve, worker, rounds))
        versions = {k: v for worker in workers for k, v in worker.versions.items()}
    return {"versions": versions, "curves": measured, "skipped": skipped}


def _measure(curve: Curve, worker: Worker, rounds: int) -> dict:
    say(f"-- {curve.of}, {worker.threads} thread(s)")
    for _, problem in curve.points:
        with tempfile.TemporaryDirectory() as folder:
            worker.prepare(problem, save_data(problem, Path(folder)))
    seconds: dict[int, list[float]] = {x: [] for x, _ in curve.points}
    time.sleep(PAUSE)
    for turn in range(rounds):
        for x, problem in curve.points:
            seconds[x].append(worker.train(problem, seed=turn)["seconds"])
    points = []
    for x, problem in curve.points:
        rows = problem.rows * problem.epochs
        row_ns = 1e9 * statistics.median(seconds[x]) / rows
        multiply_add_ps = 1e3 * row_ns / problem.multiply_adds
        points.append(
            {
                "x": x,
                "problem": problem.to_json(),
                "seconds": seconds[x],
                "row_ns": row_ns,
                "multiply_add_ps": multiply_add_ps,
            }
        )
        say(f"{curve.of} {x}: {row_ns:.1f} ns a row, {multiply_add_ps:.1f} ps a multiply-add")
    xs, ys = [p["x"] for p in points], [p["multiply_add_ps"] for p in points]
    return {
        "of": curve.of,
        "threads": worker.threads,
        "points": points,
        "cliffs": [xs[i] for i in cliffs(xs, ys)],
    }


def cliffs(xs: list[float], ys: list[float]) -> list[int]:
    """Return which points stand over twice as high as their neighbours lead one to expect.

    That is: twice the point before it (a step up), or twice what the straight line between both
    neighbours, in logarithms, gives there (a spike).
    """
    found = []
    for i in range(1, len(xs)):
        expected = [ys[i - 1]]
        if i + 1 < len(xs):
            share = math.log(xs[i] / xs[i - 1]) / math.log(xs[i + 1] / xs[i - 1])
            expected.append(ys[i - 1] ** (1 - share) * ys[i + 1] ** share)
        if ys[i] > 2 * min(expected):
            found.append(i)
    return found


def draw(part: dict, path: Path) -> None:
    """Draw the curves: above the time for a row, below the time for a multiply-add."""
    from matplotlib.figure import Figure

    kinds = list(dict.fromkeys(curve["of"] for curve in part["curves"]))
    figure = Figure(figsize=(4 * len(kinds), 6), layout="constrained")
    axes = figure.subplots(2, len(kinds), squeeze=False)
    for curve in part["curves"]:
        column = axes[:, kinds.index(curve["of"])]
        xs = [point["x"] for point in curve["points"]]
        label = f"{curve['threads']} thread{'s' if curve['threads'] > 1 else ''}"
        for panel, key in zip(column, ("row_ns", "multiply_add_ps"), strict=True):
            ys = [point[key] for point in curve["points"]]
            panel.plot(xs, ys, "o-", markersize=4, label=label)
            marked = [(x, y) for x, y in zip(xs, ys, strict=True) if x in curve["cliffs"]]
            for x, y in marked:
                panel.annotate("cliff", (x, y), ha="center", va="bottom", color="tab:red")
            panel.set(xscale="log", yscale="log", xlabel=curve["of"])
            panel.grid(alpha=0.3, which="both")
            panel.legend()
    axes[0, 0].set_ylabel("nanoseconds for a row")
    axes[1, 0].set_ylabel("picoseconds for a multiply-add")
    figure.savefig(path, dpi=110)
