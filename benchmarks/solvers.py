"""Error against time of each solver on the tutorial's problem: ``python -m benchmarks.solvers``.

The tutorial's 2-80-1 network on its 2,500 rows, whole, from PyTorch's own initial weights of each
seed, on one thread (or --threads of everybody). Written: solvers.md, with the mean squared error
that each has reached after a half of the time of the tutorial's own loop, and solvers.png;
with --threads 2 solvers_2_threads.md and its picture beside them.
scikit-learn's network has no tanh at its output, and is fitted anew for each number of iterations,
for its fit cannot be watched.
``--clock cpu`` counts processor time, for machines that do other work meanwhile.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor as SklearnRegressor
from threadpoolctl import threadpool_limits
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from tutorial_code import FeedForwardNN, NumpyDataset, sinc_data, train_by_hand

import linnet
from benchmarks.machine import processor

HERE = Path(__file__).parent
TARGET = 1e-5
Curve = list[tuple[float, float]]  # seconds, mean squared error on all rows
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return FeedForwardNN(2, 80, 1)


def by_linnet(optimizer: Callable | str, **options) -> Callable:
    """Return what records the error after each epoch of `linnet.train`."""

    def run(seed: int, clock: Callable[[], float], seconds: float) -> Curve:
        X, y = sinc_data()
        module, curve, started = network(seed), [], clock()

        def keep(history: linnet.History) -> bool:
            curve.append((clock() - started, float(history.train_loss[-1])))
            return curve[-1][0] > seconds

        linnet.train(
            module, X, y, optimizer=optimizer, random_state=seed, on_epoch=keep,
            n_threads=torch.get_num_threads(), **options,
        )  # fmt: skip
        return curve

    return run


def by_scikit_learn(seed: int, clock: Callable[[], float], seconds: float) -> Curve:
    X, y = sinc_data()
    curve: Curve = []
    for n in (25, 50, 100, 200, 400, 800, 1600, 3200):
        started = clock()
        model = SklearnRegressor(
            hidden_layer_sizes=(80,), activation="tanh", solver="lbfgs", alpha=0, tol=1e-12,
            max_iter=n, max_fun=10**6, random_state=seed,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y[:, 0])
        curve.append((clock() - started, float(np.mean((model.predict(X) - y[:, 0]) ** 2))))
        if curve[-1][0] > seconds / 2:
            break
    return curve


def by_hand(seed: int, clock: Callable[[], float], seconds: float) -> Curve:
    """The tutorial's own loop; its curve is spread evenly over its time."""
    X, y = sinc_data()
    module, started = network(seed), clock()
    losses = train_by_hand(module, NumpyDataset(X, y))
    took = clock() - started
    return [(took * (i + 1) / len(losses), float(loss)) for i, loss in enumerate(losses)]


def adam(parameters):
    return torch.optim.Adam(parameters, lr=1e-2, fused=True)


SOLVERS = {
    "the tutorial's own loop (Adam)": by_hand,
    "linnet, Levenberg-Marquardt": by_linnet("lm", batch_size=2500, epochs=2000),
    "linnet, Adam": by_linnet(adam, batch_size=200, epochs=20_000),
    "linnet, L-BFGS": by_linnet("lbfgs", batch_size=2500, epochs=20_000),
    "scikit-learn, lbfgs": by_scikit_learn,
}


def at(curve: Curve, seconds: float) -> float:
    """Return the least error so far at a time; infinite before the first."""
    return min((error for t, error in curve if t <= seconds), default=float("inf"))


def first(curve: Curve, error: float) -> float:
    """Return the time at which an error was reached; infinite if never."""
    return next((t for t, e in curve if e <= error), float("inf"))


def drawn(runs: list[Curve], longest: float) -> tuple[np.ndarray, np.ndarray]:
    """Return times (T,) up to the end of the shortest run, and the errors of all, (runs, T)."""
    ends = min(longest, min(run[-1][0] for run in runs))
    grid = np.geomspace(0.02, longest, 300)
    seconds = np.append(grid[grid < ends], ends)
    errors = np.array([[at(run, t) for t in seconds] for run in runs])
    known = np.isfinite(errors).all(axis=0)
    return seconds[known], errors[:, known]


def draw(curves: dict[str, list[Curve]], half: float, unit: str) -> Figure:
    figure = Figure(figsize=(8, 5), layout="constrained", dpi=100)
    axes = figure.add_subplot()
    for color, (name, runs) in enumerate(curves.items()):
        seconds, errors = drawn(runs, 2 * half)
        label = f"{name}, {len(runs)} seed{'s' * (len(runs) > 1)}"
        axes.plot(seconds, np.median(errors, axis=0), color=f"C{color}", label=label)
        if len(runs) > 1:
            axes.fill_between(
                seconds, errors.min(0), errors.max(0), color=f"C{color}", alpha=0.15, linewidth=0
            )
    axes.axvline(half, color="0.5", linewidth=1)
    axes.axhline(TARGET, color="0.5", linewidth=1)
    axes.annotate(
        "half of the loop's time", (half, 1), xytext=(-4, -4), xycoords=("data", "axes fraction"),
        textcoords="offset points", rotation=90, va="top", ha="right", color="0.4",
    )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel=f"seconds ({unit})", ylabel="mean squared error")
    axes.set_title("The tutorial's 2-80-1 network: median over seeds, shaded their range")
    axes.legend(loc="lower left")
    axes.grid(alpha=0.3)
    return figure


def write(curves: dict[str, list[Curve]], half: float, arguments: argparse.Namespace) -> None:
    unit = {"wall": "wall time", "cpu": "processor time"}[arguments.clock]
    stem = "solvers" if arguments.threads == 1 else f"solvers_{arguments.threads}_threads"
    lines = [
        "# Error against time",
        "",
        "Written by `python -m benchmarks.solvers`, whose first lines say what is measured. "
        f"Medians over the seeds; half of the time of the tutorial's own loop is {half:.2f} s.",
        "",
        f"| training | seeds | error at half of the loop's time | seconds to {TARGET:g} | seeds "
        "that reach it |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, runs in curves.items():
        times = [first(run, TARGET) for run in runs]
        middle = float(np.median(times))
        lines.append(
            f"| {name} | {len(runs)} | {np.median([at(run, half) for run in runs]):.2g} | "
            f"{f'{middle:.2f}' if np.isfinite(middle) else 'never'} | "
            f"{sum(map(np.isfinite, times))} |"
        )
    lines += [
        "",
        f"![Error against {unit}]({stem}.png)",
        "",
        f"{processor()}, threads: {arguments.threads}, {unit}; linnet {linnet.__version__}, torch "
        f"{torch.__version__}; `python -m benchmarks.solvers {' '.join(sys.argv[1:])}`.",
    ]
    text = "\n".join(lines) + "\n"
    (arguments.output / f"{stem}.md").write_text(text, encoding="utf-8")
    draw(curves, half, unit).savefig(arguments.output / f"{stem}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10, help="of Levenberg-Marquardt")
    parser.add_argument("--other-seeds", type=int, default=3, help="of the others")
    parser.add_argument("--threads", type=int, default=1, help="of everybody")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--output", type=Path, default=HERE)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clock = CLOCKS[arguments.clock]
    curves: dict[str, list[Curve]] = {}
    half = np.inf
    for name, run in SOLVERS.items():
        n_seeds = arguments.seeds if "Levenberg" in name else arguments.other_seeds
        with threadpool_limits(arguments.threads, "blas"):  # of scikit-learn
            curves[name] = [run(seed, clock, 1.1 * half) for seed in range(n_seeds)]
        if run is by_hand:
            half = float(np.median([curve[-1][0] for curve in curves[name]])) / 2
        write(curves, half, arguments)


if __name__ == "__main__":
    main()
