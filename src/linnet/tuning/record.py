"""The record of a search: every candidate, every training of it, and why the search ended.

Letters: E epochs.
"""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from typing import Any

import numpy as np

from linnet import json_record

FORMAT_VERSION = 1
# As many as an ensemble may have members.
_MOST_FOLDS = 1000


class TuningOutcome(Enum):
    """Why a search ended. Each member carries its sentence."""

    ALL_TRIED = "all_tried", "All candidates asked for were tried."
    TIME_UP = (
        "time_up",
        "The budget ended the search; with more seconds it would have gone further.",
    )
    INTERRUPTED = "interrupted", "The search was interrupted; the best so far is kept."

    sentence: str

    def __new__(cls, code: str, sentence: str):
        member = object.__new__(cls)
        member._value_ = code
        member.sentence = sentence
        return member


# What is said where nothing but the defaults was tried.
_ALONE = {
    TuningOutcome.ALL_TRIED: "No other settings than the defaults were to be tried.",
    TuningOutcome.TIME_UP: "There was time for the defaults alone.",
    TuningOutcome.INTERRUPTED: "Nothing but the defaults was tried.",
}


@dataclass
class Trial:
    """One training: a candidate, and a fold that it was not trained on.

    Attributes
    ----------
    fold : int
        Which fold was held out, from 0.
    loss : float
        Mean loss of its rows, by the weights of the best epoch.
    weight : float
        Sum of the weights of its rows; where no weights are given, their number.
    validation_loss : list of E float
        That loss after each epoch.
    started, seconds : float
        When the training began, counted from the start of the search, and how long it took.
    finished : bool
        Whether it ended by itself: not by the budget, nor by Ctrl-C.
    """

    fold: int
    loss: float
    weight: float
    validation_loss: list[float]
    started: float
    seconds: float
    finished: bool


@dataclass
class Candidate:
    """Settings that were tried.

    Attributes
    ----------
    params : dict
        Parameters of the ensemble, by name.
    trials : list of Trial
    gain, standard_error : float
        By how much its loss is lower than that of the defaults on the rows that both were judged
        by, and the standard error of this difference; NaN where it is not known.
    """

    params: dict[str, Any]
    trials: list[Trial] = field(default_factory=list)
    gain: float = math.nan
    standard_error: float = math.nan

    @property
    def finished(self) -> list[Trial]:
        """Trials that count."""
        return [trial for trial in self.trials if trial.finished]

    @property
    def loss(self) -> float:
        """Mean loss of all rows held out so far; NaN before the first fold is done."""
        trials = self.finished
        if not trials:
            return math.nan
        total = sum(trial.weight for trial in trials)
        return sum(trial.loss * trial.weight for trial in trials) / total


@dataclass
class TuningRecord:
    """The record of a search.

    Attributes
    ----------
    estimator, loss : str
        Class of the model, and name of the loss by which candidates are compared.
    seed : int
        Decides everything random.
    budget : float or None
        Seconds that were allowed.
    n_candidates : int
        How many were asked for; those of `candidates` were tried.
    folds : list of int
        Folds by which the candidates of each rung were judged.
    standing : list of list of int
        Candidates in each rung, by their place in `candidates`.
    candidates : list of Candidate
        The first has the default settings.
    best_index : int
        Place of the winner.
    outcome : TuningOutcome
    seconds : float
        What the search took, the final model included.
    notes : list of str

    Examples
    --------
    >>> from linnet.tuning import Candidate, TuningRecord
    >>> record = TuningRecord(estimator="EnsembleRegressor", candidates=[Candidate({"alpha": 0.1})])
    >>> TuningRecord.from_json(record.to_json()).candidates[0].params
    {'alpha': 0.1}
    """

    estimator: str = ""
    loss: str = ""
    seed: int = 0
    budget: float | None = None
    n_candidates: int = 0
    folds: list[int] = field(default_factory=list)
    standing: list[list[int]] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    best_index: int = 0
    outcome: TuningOutcome = TuningOutcome.ALL_TRIED
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def best(self) -> Candidate:
        """The winner."""
        return self.candidates[self.best_index]

    @property
    def sentence(self) -> str:
        """What was found, for people."""
        n = len(self.candidates)
        if n == 1:
            return _ALONE[self.outcome]
        tried = f"{n} candidates of {self.n_candidates}"
        if self.best_index == 0:
            return f"Of {tried} none was better than the defaults beyond chance: they are kept."
        best = f"Of {tried} number {self.best_index + 1} was best"
        default, gain = self.candidates[0].loss, self.best.gain
        if math.isnan(gain):
            return f"{best}."
        if math.isinf(gain):
            return f"{best}: the loss of the defaults became infinite."
        # A loss may be 0 or, as Poisson's, below; then a share of it says nothing.
        lower = f"{gain / default:.1%} lower" if default > 0 else f"lower by {gain:.4g}"
        return f"{best}: on the same rows held out its loss is {lower} than that of the defaults."

    def cv_results(self) -> dict[str, Any]:
        """Return the search as scikit-learn's ``cv_results_``: a dict of arrays, for a data frame.

        Returns
        -------
        dict
            ``mean_test_score`` and ``split0_test_score`` and so on are losses with a minus, so that
            greater is better; NaN where a candidate was not tried. ``n_resources`` counts folds.
        """
        # The winner is trained on all folds for the final model, however far the search came.
        n_folds = max((t.fold + 1 for c in self.candidates for t in c.finished), default=0)
        scores = np.full((len(self.candidates), n_folds), np.nan)
        for i, candidate in enumerate(self.candidates):
            for trial in candidate.finished:
                scores[i, trial.fold] = -trial.loss
        n_done = np.array([len(candidate.finished) for candidate in self.candidates])
        mean = np.array([-candidate.loss for candidate in self.candidates])
        deviation = [
            float(np.std(row[~np.isnan(row)])) if n else np.nan
            for row, n in zip(scores, n_done, strict=True)
        ]
        # Who stayed longer is better; the winner comes first.
        order = np.lexsort((-mean, -n_done, np.arange(len(mean)) != self.best_index))
        rank = np.empty(len(mean), dtype=int)
        rank[order] = np.arange(1, len(mean) + 1)
        names = list(dict.fromkeys(name for c in self.candidates for name in c.params))
        times = [[trial.seconds for trial in c.trials] for c in self.candidates]
        return {
            "params": [dict(candidate.params) for candidate in self.candidates],
            **{
                f"param_{name}": _column([c.params.get(name) for c in self.candidates])
                for name in names
            },
            **{f"split{k}_test_score": scores[:, k] for k in range(n_folds)},
            "mean_test_score": mean,
            "std_test_score": np.array(deviation),
            "rank_test_score": rank,
            "n_resources": n_done,
            "mean_fit_time": np.array([np.mean(t) if t else np.nan for t in times]),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain data; a number that is not finite becomes a string."""
        record = {f.name: getattr(self, f.name) for f in fields(self)}
        record["outcome"] = self.outcome.value
        record["candidates"] = [
            {**asdict(candidate), "loss": candidate.loss} for candidate in self.candidates
        ]
        # The two derived entries serve readers of the JSON; from_dict works them out anew.
        return _plain(
            {
                "format_version": FORMAT_VERSION,
                "outcome_sentence": self.outcome.sentence,
                "sentence": self.sentence if self.candidates else None,
                **record,
            }
        )

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> TuningRecord:
        """Make a record from what `to_dict` returned.

        Parameters
        ----------
        record : dict

        Raises
        ------
        ValueError
            If an entry is missing or of the wrong type.
        """
        try:
            if record.get("format_version") != FORMAT_VERSION:
                raise ValueError(f"its format version is {record.get('format_version')!r}")
            read = cls(
                estimator=str(record["estimator"]),
                loss=str(record["loss"]),
                seed=int(record["seed"]),
                budget=None if record["budget"] is None else float(record["budget"]),
                n_candidates=int(record["n_candidates"]),
                folds=[int(n) for n in record["folds"]],
                standing=[[int(i) for i in rung] for rung in record["standing"]],
                candidates=[_candidate(c) for c in record["candidates"]],
                best_index=int(record["best_index"]),
                outcome=TuningOutcome(record["outcome"]),
                seconds=float(record["seconds"]),
                notes=[str(note) for note in record["notes"]],
                versions={str(k): str(v) for k, v in record["versions"].items()},
            )
            _check(read)
            return read
        except KeyError as problem:
            raise ValueError(_no_record(f"the entry {problem} is missing")) from problem
        except (ValueError, TypeError, AttributeError, OverflowError) as problem:
            raise ValueError(_no_record(str(problem))) from problem

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the record as JSON text, and write it to `path` if one is given.

        Parameters
        ----------
        path : str or path, optional
            File to write; an existing one is replaced.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        return json_record.write(self.to_dict(), path)

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> TuningRecord:
        """Read a record from JSON text or from a file.

        Parameters
        ----------
        source : str or path
            JSON text (it begins with a brace), or the path of a file.

        Raises
        ------
        ValueError
            If it is no record of a search.
        OSError
            If the file cannot be read.
        """
        return cls.from_dict(json_record.read(source, _no_record))


def _candidate(record: dict[str, Any]) -> Candidate:
    return Candidate(
        params={
            str(name): tuple(value) if isinstance(value, list) else value
            for name, value in record["params"].items()
        },
        trials=[
            Trial(
                fold=int(trial["fold"]),
                loss=float(trial["loss"]),
                weight=float(trial["weight"]),
                validation_loss=[float(loss) for loss in trial["validation_loss"]],
                started=float(trial["started"]),
                seconds=float(trial["seconds"]),
                finished=trial["finished"] is True,
            )
            for trial in record["trials"]
        ],
        gain=float(record["gain"]),
        standard_error=float(record["standard_error"]),
    )


def _check(record: TuningRecord) -> None:
    """Raise ValueError for numbers that the rest of the record does not bear out."""
    if not 0 <= record.best_index < len(record.candidates):
        raise ValueError(f"its best_index {record.best_index} is none of its candidates")
    for trial in (trial for candidate in record.candidates for trial in candidate.trials):
        # The table of results has a column for each fold.
        if not 0 <= trial.fold < _MOST_FOLDS:
            raise ValueError(f"its fold {trial.fold} is none of {_MOST_FOLDS}")
        if not (math.isfinite(trial.weight) and trial.weight > 0):
            raise ValueError(f"its weight {trial.weight} is not positive")


def _no_record(reason: str) -> str:
    return (
        f"This is no record of a search that linnet wrote ({reason}). Give the text or the file "
        "that TuningRecord.to_json made."
    )


def _column(values: list[Any]) -> np.ndarray:
    """Return values as an array of objects, each tuple one of them."""
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _plain(value: Any) -> Any:
    # JSON has no NaN and no infinity; Python's float() reads these words back.
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
