"""What happened in a training, epoch by epoch, and why it ended."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any

import numpy as np

from linnet import criteria, json_record


class Outcome(Enum):
    """Why a training ended. Each member carries its sentence.

    Attributes
    ----------
    value : str
        The code that files keep, such as "time_up".
    sentence : str
        What happened and, where something is amiss, the likely cause. How many epochs are long
        enough to wait for a better loss is `patience` of `train`, ``n_iter_no_change`` of an
        estimator.

    Examples
    --------
    >>> from linnet import Outcome
    >>> Outcome("time_up").sentence
    'The time given by max_time was used up.'
    """

    EPOCHS_DONE = "epochs_done", "All epochs asked for are done."
    NO_IMPROVEMENT = (
        "no_improvement",
        "The training loss no longer improved, and training had waited long enough for it to.",
    )
    VALIDATION_LEAST = (
        "validation_least",
        "The validation loss has passed its least value, and training had waited long enough for "
        "a lower one.",
    )
    SMALL_GRADIENT = criteria.SMALL_GRADIENT
    CONVERGED = criteria.CONVERGED
    GOAL_REACHED = criteria.GOAL_REACHED
    TIME_UP = "time_up", "The time given by max_time was used up."
    STOPPED_BY_CALLBACK = "stopped_by_callback", "on_epoch returned True."
    INTERRUPTED = (
        "interrupted",
        "The training was interrupted; the best weights so far are kept.",
    )
    NOT_FINITE = (
        "not_finite",
        "The loss or the weights became infinite or NaN; the best finite weights are restored. "
        "Likely causes: a learning rate that is too high, or inputs or targets that are not "
        "scaled.",
    )

    sentence: str

    def __new__(cls, code: str, sentence: str):
        member = object.__new__(cls)
        member._value_ = code
        member.sentence = sentence
        return member


FORMAT_VERSION = 1
_CURVES = ("train_loss", "validation_loss", "learning_rate", "gradient_norm", "seconds")


@dataclass
class History:
    """The record of a training.

    Attributes
    ----------
    train_loss : ndarray of shape (E,)
        Mean loss over the rows of each epoch, while the weights were changing; of
        Levenberg-Marquardt that after the epoch's step.
    validation_loss : ndarray of shape (E,)
        Loss on the validation rows after each epoch; NaN without validation rows.
    learning_rate : ndarray of shape (E,)
        Learning rate of the first parameter group at the epoch's last step; of Levenberg-Marquardt
        its damping mu.
    gradient_norm : ndarray of shape (E,)
        Euclidean norm of the gradient of the epoch's last step, before clipping.
    seconds : ndarray of shape (E,)
        Wall time of each epoch, validation included.
    best_epoch : int or None
        Index (from 0) of the epoch with the least monitored loss: the validation loss where there
        is one, else the training loss. None before the first finite epoch.
    outcome : Outcome or None
        Why the training ended; None while it runs.
    engine, engine_reason : str
        Which engine trained, and the sentence that says why.
    device : str
        Where the arithmetic ran.
    loss : str
        Name of the loss.
    seed : int or None
        Seed that decides everything random; None if a generator was handed in.
    n_rows, batch_size : int
        Training rows (N), and rows per step (B).
    versions : dict of str to str
        Versions of linnet, torch, numpy and Python.
    split : dict of str to ndarray of int
        Row numbers (from 0) of "train", "validation" and "test" rows, where linnet made the split.
    effective_parameters : float or None
        How many parameters the data determine, at the last step of a training with Bayesian
        regularisation; None without it. See `linnet.LevenbergMarquardt`.
    notes : list of str
        Remarks worth telling, such as a batch size that was clipped.

    Examples
    --------
    >>> from linnet import History
    >>> history = History(loss="squared_error")
    >>> history.add_epoch(train_loss=0.5, learning_rate=0.01, gradient_norm=1.0, seconds=0.1)
    >>> history.best_epoch, float(history.best_loss)
    (0, 0.5)
    >>> History.from_json(history.to_json()).train_loss
    array([0.5])
    """

    loss: str = ""
    engine: str = ""
    engine_reason: str = ""
    device: str = "cpu"
    seed: int | None = None
    n_rows: int = 0
    batch_size: int = 0
    outcome: Outcome | None = None
    has_validation: bool = False
    versions: dict[str, str] = field(default_factory=dict)
    split: dict[str, np.ndarray] = field(default_factory=dict)
    effective_parameters: float | None = None
    notes: list[str] = field(default_factory=list)
    curves: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in _CURVES})

    def add_epoch(
        self,
        *,
        train_loss: float,
        validation_loss: float = float("nan"),
        learning_rate: float = float("nan"),
        gradient_norm: float = float("nan"),
        seconds: float = float("nan"),
    ) -> None:
        """Append one epoch's figures.

        Parameters
        ----------
        train_loss, validation_loss : float
            Mean losses over the rows; NaN where there are no validation rows.
        learning_rate : float
            Of the epoch's last step.
        gradient_norm : float
            Euclidean norm of the gradient of the epoch's last step.
        seconds : float
            Wall time of the epoch.
        """
        row = (train_loss, validation_loss, learning_rate, gradient_norm, seconds)
        for name, value in zip(_CURVES, row, strict=True):
            self.curves[name].append(float(value))

    @property
    def n_epochs(self) -> int:
        """Number of epochs recorded."""
        return len(self.curves["train_loss"])

    @property
    def train_loss(self) -> np.ndarray:
        return np.array(self.curves["train_loss"])

    @property
    def validation_loss(self) -> np.ndarray:
        return np.array(self.curves["validation_loss"])

    @property
    def learning_rate(self) -> np.ndarray:
        return np.array(self.curves["learning_rate"])

    @property
    def gradient_norm(self) -> np.ndarray:
        return np.array(self.curves["gradient_norm"])

    @property
    def seconds(self) -> np.ndarray:
        return np.array(self.curves["seconds"])

    @property
    def monitored_loss(self) -> np.ndarray:
        """The loss that decides which epoch is best: validation where there is one, else train."""
        return self.validation_loss if self.has_validation else self.train_loss

    @property
    def best_epoch(self) -> int | None:
        loss = self.monitored_loss
        finite = np.isfinite(loss)
        return int(np.argmin(np.where(finite, loss, np.inf))) if finite.any() else None

    @property
    def best_loss(self) -> float:
        """The monitored loss of the best epoch; NaN where there is none."""
        best = self.best_epoch
        return float("nan") if best is None else float(self.monitored_loss[best])

    def __eq__(self, other: object) -> bool:
        # Arrays of row numbers have no single truth, and NaN is not itself: their plain data have.
        return self.to_dict() == other.to_dict() if isinstance(other, History) else NotImplemented

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain data; a number that is not finite becomes a string.

        Returns
        -------
        dict
        """
        record = {f.name: getattr(self, f.name) for f in fields(self)}
        record["split"] = {part: np.asarray(rows).tolist() for part, rows in self.split.items()}
        effective = self.effective_parameters
        record["effective_parameters"] = None if effective is None else _plain(effective)
        record["outcome"] = self.outcome.value if self.outcome else None
        record["curves"] = {name: [_plain(v) for v in c] for name, c in self.curves.items()}
        best = self.best_epoch
        # The three derived entries serve readers of the JSON; from_dict works them out anew.
        return {
            "format_version": FORMAT_VERSION,
            "n_epochs": self.n_epochs,
            "best_epoch": best,
            "best_loss": None if best is None else self.best_loss,
            "sentence": self.outcome.sentence if self.outcome else None,
            **record,
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> History:
        """Make a History from what `to_dict` returned.

        Parameters
        ----------
        record : dict
            Plain data.

        Returns
        -------
        History

        Raises
        ------
        ValueError
            If an entry is missing or of the wrong type.
        """
        if not isinstance(record, dict):
            raise ValueError(_no_history(f"it is a {type(record).__name__}, not an object"))
        version = record.get("format_version", FORMAT_VERSION)
        if version != FORMAT_VERSION:
            raise ValueError(
                f"This history has format version {version!r}; this linnet reads version "
                f"{FORMAT_VERSION}. Install the linnet that wrote it, or a newer one."
            )
        try:
            curves = {name: _numbers(record["curves"][name], name) for name in _CURVES}
            if len({len(curve) for curve in curves.values()}) > 1:
                raise ValueError("the curves differ in length")
            outcome = record["outcome"]
            effective = record.get("effective_parameters")  # earlier files have none
            split = {
                str(part): np.array([int(i) for i in rows], dtype=np.int64)
                for part, rows in dict(record["split"]).items()
            }
            return cls(
                loss=str(record["loss"]),
                engine=str(record["engine"]),
                engine_reason=str(record["engine_reason"]),
                device=str(record["device"]),
                seed=None if record["seed"] is None else int(record["seed"]),
                n_rows=int(record["n_rows"]),
                batch_size=int(record["batch_size"]),
                outcome=None if outcome is None else Outcome(outcome),
                has_validation=record["has_validation"] is True,
                versions={str(k): str(v) for k, v in dict(record["versions"]).items()},
                split=split,
                effective_parameters=None if effective is None else float(effective),
                notes=[str(note) for note in record["notes"]],
                curves=curves,
            )
        except KeyError as problem:
            raise ValueError(_no_history(f"the entry {problem} is missing")) from problem
        except (ValueError, TypeError, AttributeError, OverflowError) as problem:
            raise ValueError(_no_history(str(problem))) from problem

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the record as JSON text, and write it to `path` if one is given.

        Parameters
        ----------
        path : str or path, optional
            File to write; an existing one is replaced.

        Returns
        -------
        str

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        return json_record.write(self.to_dict(), path)

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> History:
        """Read a record from JSON text or from a file.

        Parameters
        ----------
        source : str or path
            JSON text (it begins with a brace), or the path of a file.

        Returns
        -------
        History

        Raises
        ------
        ValueError
            If it is no history.
        OSError
            If the file cannot be read.
        """
        return cls.from_dict(json_record.read(source, _no_history))


@dataclass(frozen=True)
class EpochResult:
    """What an engine says of one epoch.

    Its mean loss, norm and rate of its last step, whether all weights are finite after it, and the
    solver's own criterion, if one is met.
    """

    loss: float
    gradient_norm: float
    learning_rate: float
    n_rows: int
    is_finite: bool
    criterion: criteria.Criterion | None = None


def _no_history(reason: str) -> str:
    return (
        f"This is no history that linnet wrote ({reason}). Give the text or the file that "
        "History.to_json made."
    )


def _numbers(values: object, name: str) -> list[float]:
    if not isinstance(values, list):
        raise TypeError(f"{name} is no list")
    return [float(value) for value in values]


def _plain(value: float) -> float | str:
    # JSON has no NaN and no infinity; Python's float() reads these words back.
    return value if np.isfinite(value) else str(float(value))
