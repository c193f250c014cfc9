"""The work of ``linnet plot`` behind its options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from linnet.cli import tables
from linnet.model_file import load
from linnet.plots import (
    ErrorHistogramDisplay,
    LossCurveDisplay,
    ParityDisplay,
    ResidualDisplay,
    SurfaceDisplay,
    save_figure,
)
from linnet.plots.canvas import plain_text, shortened
from linnet.whole_file import check_writable


@dataclass
class Drawing:
    """What was asked for; see the options of ``linnet plot``."""

    model: Path
    file: Path | None
    folder: Path
    kinds: list[str] | None
    features: list[str] | None
    unit: str | None
    width: int
    rows: str | None
    interval: float | None
    encoding: str
    delimiter: str | None
    overwrite: bool


def draw(job: Drawing) -> list[Path]:
    """Draw and write the pictures; return their paths."""
    estimator = load(job.model)
    if job.interval is not None:
        tables.check_intervals(estimator)
    pictures: dict[str, Callable[[], Any]] = {
        "loss": lambda: LossCurveDisplay.from_estimator(estimator, draw=False)
    }
    if job.file is not None:
        pictures |= _of_table(job, estimator)
    wanted = job.kinds or list(pictures)
    for kind in wanted:
        if kind not in pictures:
            raise ValueError(_absent(kind, job.file, estimator))
    paths = [job.folder / f"{kind}.png" for kind in wanted]
    check_folder(job.folder, paths, overwrite=job.overwrite)
    displays = [pictures[kind]() for kind in wanted]
    job.folder.mkdir(exist_ok=True)
    for display, path in zip(displays, paths, strict=True):
        save_figure(display, path, width=job.width, overwrite=job.overwrite)
    return paths


def check_folder(folder: Path, files: Sequence[Path], *, overwrite: bool) -> None:
    """Raise, before any work is done, what writing files into a folder would end in."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file. Give the name of a folder.")
    for path in files if folder.exists() else (folder,):
        check_writable(path, overwrite=overwrite)


def _of_table(job: Drawing, estimator: Any) -> dict[str, Callable[[], Any]]:
    assert job.file is not None
    table = tables.read(
        job.file, encoding=job.encoding, delimiter=job.delimiter, estimator=estimator
    )
    target = tables.target_name(estimator)
    chosen = tables.chosen_rows(job.rows, job.file, table, estimator)
    X, y = tables.scored(table, estimator, target, chosen)
    named = {"target_name": target, "unit": job.unit}
    coverage = 0.9 if job.interval is None else job.interval
    pictures: dict[str, Callable[[], Any]] = {}
    if hasattr(estimator, "predict_proba"):
        pictures["confusion"] = lambda: _confusion(y, estimator.predict(X), estimator.classes_)
    else:
        predicted = estimator.predict(X)
        pictures["parity"] = lambda: ParityDisplay.from_estimator(
            estimator, X, y, coverage=coverage, draw=False, **named
        )
        pictures["residuals"] = lambda: ResidualDisplay.from_predictions(
            y, predicted, draw=False, **named
        )
        pictures["errors"] = lambda: _errors(estimator, table, target, chosen, named)
    columns = estimator.columns_
    numeric = [name for name, kind in columns.types.items() if kind == "number"]
    few = len(columns.names) <= 2 and len(numeric) == len(columns.names)
    if job.features or few or (job.kinds and "surface" in job.kinds):
        features = job.features or numeric[:2]
        names = {"feature_names": columns.names} if columns.is_array else {}
        pictures["surface"] = lambda: SurfaceDisplay.from_estimator(
            estimator, X, y, features=features, coverage=coverage, draw=False, **named, **names
        )
    return pictures


def _errors(
    estimator: Any, table: pa.Table, target: str, chosen: np.ndarray | None, named: dict[str, Any]
) -> Any:
    """Errors of the whole table by training, validation and test rows, where these are known."""
    groups = None
    if chosen is not None:
        used = tables.rows_with_target(table, target)
        groups = np.full(len(used), "other", dtype=object)
        for part, rows in estimator.history_.split.items():
            groups[np.isin(used, rows)] = part
    X, y = tables.scored(table, estimator, target, None)
    predicted = estimator.predict(X)
    return ErrorHistogramDisplay.from_predictions(y, predicted, groups=groups, draw=False, **named)


def _confusion(y: np.ndarray, predicted: np.ndarray, classes: np.ndarray) -> Any:
    from matplotlib.figure import Figure
    from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix

    figure = Figure(figsize=(8, 7), layout="constrained")
    ax = figure.subplots()
    matrix = confusion_matrix(y, predicted, labels=classes)
    names = [plain_text(shortened(name, 24)) for name in classes]
    few = len(classes) <= 6
    # The numbers stand in the cells, so that a colour bar would tell nothing new.
    ConfusionMatrixDisplay(matrix, display_labels=names).plot(
        ax=ax,
        cmap="cividis",
        colorbar=False,
        xticks_rotation="horizontal" if few else "vertical",
        text_kw={"fontsize": "x-large" if few else "small"},
    )
    accuracy = np.trace(matrix) / max(matrix.sum(), 1)
    ax.set(title=f"accuracy = {accuracy:.3g}, N = {matrix.sum():,}")
    ax.set(xlabel="predicted class", ylabel="actual class")
    return figure


def _absent(kind: str, file: Path | None, estimator: Any) -> str:
    if file is None:
        return f"The picture {kind!r} needs a table. Write linnet plot MODEL FILE --kind {kind}."
    if hasattr(estimator, "predict_proba"):
        return f"The picture {kind!r} is for numbers; this model predicts classes. Draw confusion."
    return f"The picture {kind!r} is for classes; this model predicts numbers. Draw parity."
