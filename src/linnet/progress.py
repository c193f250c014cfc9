"""A progress bar for a training, on the standard error stream."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from linnet.history import History


class EpochBar:
    """Shows epoch, loss, rows per second and time left while a training runs.

    Parameters
    ----------
    epochs : int
        Epochs asked for.
    n_rows : int
        Rows of an epoch.
    """

    def __init__(self, epochs: int, n_rows: int):
        self._n_rows = n_rows
        self._done = 0
        console = Console(stderr=True)
        columns = [
            TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[losses]}"),
            TimeRemainingColumn(),
        ]
        # A narrow terminal is told less, rather than words cut off.
        if console.width >= 76:
            columns.insert(1, BarColumn(bar_width=None))
            columns.insert(3, TextColumn("{task.fields[speed]}"))
        self._has_room = console.width >= 60
        self._progress = Progress(
            *columns,
            console=console,
            # Ten times a second: drawing then takes no measurable share of the training.
            refresh_per_second=10,
        )
        self._task = self._progress.add_task("", total=epochs, losses="", speed="")

    def __enter__(self) -> EpochBar:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def update(self, history: History) -> None:
        """Show the newest epoch."""
        self._done += 1
        curves = history.curves
        losses = f"loss {curves['train_loss'][-1]:.4g}"
        if history.has_validation and self._has_room:
            losses += f", validation {curves['validation_loss'][-1]:.4g}"
        recent = curves["seconds"][-20:]
        speed = f"{self._n_rows * len(recent) / max(sum(recent), 1e-9):,.0f} rows/s"
        self._progress.update(self._task, completed=self._done, losses=losses, speed=speed)


class CountBar:
    """Shows how many of a number of things are done; from any thread.

    Parameters
    ----------
    total : int
    what : str
        Their name, such as "members".
    shown : bool, default=True
    """

    def __init__(self, total: int, what: str, *, shown: bool = True):
        self._progress = Progress(
            TextColumn(what + " {task.completed:.0f}/{task.total:.0f}"),
            BarColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            refresh_per_second=4,
            disable=not shown,
        )
        self._task = self._progress.add_task("", total=total)

    def __enter__(self) -> CountBar:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def step(self, number: int = 0) -> None:
        """Count one more."""
        self._progress.advance(self._task)
