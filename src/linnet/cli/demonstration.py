"""The work of ``linnet demo``."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from linnet.cli.pictures import check_folder
from linnet.cli.talk import say, say_warnings
from linnet.estimators import MLPRegressor
from linnet.model_file import save
from linnet.plots import LossCurveDisplay, ParityDisplay, SurfaceDisplay, save_figure
from linnet.whole_file import whole_file

FILES = ("loss.png", "surface.png", "parity.png", "sinc.linnet", "history.json")


def sinc(X: np.ndarray) -> np.ndarray:
    """Return sin(r)/r of the distance r from the origin, for points (N, 2)."""
    r = np.hypot(X[:, 0], X[:, 1])
    # numpy's sinc is sin(pi x)/(pi x), and 1 at 0.
    return np.sinc(r / np.pi)


def sinc_grid(n_side: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Return the points (N, 2) of a square grid over [-10, 10]² and their values (N,)."""
    axis = np.linspace(-10, 10, n_side)
    X = np.column_stack([part.ravel() for part in np.meshgrid(axis, axis)])
    return X, sinc(X)


def run(folder: Path, *, epochs: int, seed: int, overwrite: bool, progress: bool) -> dict[str, Any]:
    """Fit, draw and write; return what is printed.

    Raises
    ------
    OSError
        If the folder cannot be made, or holds one of the files and `overwrite` is False.
    KeyboardInterrupt
        If it came before the first epoch was done; nothing is written then.
    """
    check_folder(folder, [folder / name for name in FILES], overwrite=overwrite)
    X, y = sinc_grid()
    model = MLPRegressor(
        (80,),
        activation="tanh",
        output_activation="tanh",
        initialization="torch",
        solver="adam",
        alpha=0.0,
        batch_size=200,
        learning_rate_init=1e-2,
        max_iter=epochs,
        n_iter_no_change=np.inf,
        scale_y=False,
        random_state=seed,
        verbose=progress,
    )
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    seconds = time.perf_counter() - started
    say_warnings(caught)
    history = model.history_
    if history.best_epoch is None:
        say("Interrupted before the first epoch was done: nothing is written.")
        raise KeyboardInterrupt
    folder.mkdir(exist_ok=True)
    card = {"target": "y", "task": "regression"}
    save(model, folder / "sinc.linnet", card=card, overwrite=overwrite)
    with whole_file(folder / "history.json") as part:
        history.to_json(part)
    _draw(model, X, y, folder, overwrite)
    return {
        "command": "demo",
        "final_loss": float(history.train_loss[-1]),
        "best_loss": history.best_loss,
        "seconds": seconds,
        "n_epochs": history.n_epochs,
        "outcome": history.outcome.value if history.outcome else None,
        "engine": history.engine,
        "engine_reason": history.engine_reason,
        "seed": seed,
        "files": [str(folder / name) for name in FILES],
    }


def _draw(model: MLPRegressor, X: np.ndarray, y: np.ndarray, folder: Path, overwrite: bool) -> None:
    loss = LossCurveDisplay.from_estimator(model, draw=False)
    surface = SurfaceDisplay.from_estimator(
        model,
        X,
        y,
        function=sinc,
        feature_names=["x1", "x2"],
        target_name="y",
        data_name="training data",
        draw=False,
    )
    parity = ParityDisplay.from_estimator(model, X, y, target_name="y", draw=False)
    for display, name in ((loss, "loss.png"), (surface, "surface.png"), (parity, "parity.png")):
        save_figure(display, folder / name, overwrite=overwrite)
