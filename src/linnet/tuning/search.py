"""``tune``: the best settings of an ensemble within a budget of seconds, and the model of them."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
from sklearn.exceptions import ConvergenceWarning

from linnet import user_warnings
from linnet.engine.placement import threads
from linnet.ensemble import EnsembleClassifier, EnsembleRegressor
from linnet.ensemble.fitting import EnsembleEstimator, Prepared
from linnet.ensemble.members import Member, threads_of
from linnet.estimators.parameters import check_parameters
from linnet.estimators.targets import plain_array
from linnet.history import Outcome
from linnet.report import task_of
from linnet.spelling import check_choice
from linnet.training import TrainingState, draw_seed, versions
from linnet.tuning import space
from linnet.tuning.halving import _LAST, Clock, Entry, Halving
from linnet.tuning.record import Candidate, TuningOutcome, TuningRecord

TASKS = ("regression", "classification")
_PROBED_EPOCHS = 3
# Share of the budget that the members of the defaults may take.
_DEFAULTS = 0.8
# Share of the budget by which what is learnt from rows held out is done.
_LEARN_ERRORS = 0.98


@dataclass
class Tuning:
    """What `linnet.tune` found.

    Attributes
    ----------
    best_estimator_ : EnsembleRegressor or EnsembleClassifier
        Fitted on all rows with the best settings: the model, with `predict_interval`, `history_`
        and all else. `linnet.save` takes it.
    best_params_ : dict
        These settings, by the names of its parameters.
    best_score_ : float
        Minus the mean loss of rows held out, in the units of `history_`; greater is better.
    best_index_ : int
        Place of the winner in `cv_results_`; 0 are the defaults.
    cv_results_ : dict
        A row for each candidate, as scikit-learn's searches have it; for a data frame.
    record_ : TuningRecord
        Everything that happened; it can be written to JSON.
    """

    best_estimator_: Any
    record_: TuningRecord

    @property
    def best_params_(self) -> dict[str, Any]:
        return dict(self.record_.best.params)

    @property
    def best_score_(self) -> float:
        return -self.record_.best.loss

    @property
    def best_index_(self) -> int:
        return self.record_.best_index

    @property
    def cv_results_(self) -> dict[str, Any]:
        return self.record_.cv_results()

    def __getattr__(self, name: str) -> NoReturn:
        instead = "."
        if not name.startswith("__") and hasattr(self.__dict__.get("best_estimator_"), name):
            instead = f": the model has it. Write best_estimator_.{name}."
        raise AttributeError(f"Tuning has no {name}{instead}")

    def predict(self, X: Any) -> np.ndarray:
        """Predict with the best estimator; see its `predict`."""
        return self.best_estimator_.predict(X)


def tune(
    X: Any,
    y: Any,
    *,
    budget: float | None = 60.0,
    task: str | None = None,
    sample_weight: Any = None,
    n_candidates: int = 30,
    param_distributions: Mapping[str, Any] | None = None,
    random_state: Any = None,
    n_threads: int | None = None,
    progress: bool = False,
    **parameters: Any,
) -> Tuning:
    """Find the settings of an ensemble that fit a table best, and fit it with them.

    Candidates are the defaults and settings drawn around them: layers, learning rate, weight decay,
    dropout, cosines, their scale and rows of a step. In rungs, each candidate is trained on more
    folds and the best third goes on (successive halving); all are judged by the same rows held out.
    The defaults are given up only for settings that are better beyond chance.

    Parameters
    ----------
    X : array-like, sparse matrix or data frame of shape (N, D)
        Inputs, as in `EnsembleRegressor.fit`.
    y : array-like of shape (N,) or (N, K)
        Targets.
    budget : float or None, default=60.0
        Seconds for the search and the final model together, above 0; None: no limit. They include
        what torch loads on first use, about 2 s once in a process. Where they are not enough for an
        ensemble with the defaults, that is trained for fewer epochs, and nothing is searched.
    task : {"regression", "classification"}, optional
        By default classification for text, booleans and two numbers, else regression.
    sample_weight : array-like of shape (N,), optional
        Weights of the rows.
    n_candidates : int, default=30
        How many settings to try, the defaults among them; 2 or more.
    param_distributions : dict, optional
        What to search instead: names of parameters, each with a list of values or a distribution
        of SciPy's.
    random_state : int, RandomState, Generator or None
        Decides candidates, folds and trainings. The same one gives the same result, unless the
        budget ended the search.
    n_threads : int, optional
        Trainings at once; by default the threads that torch is set to.
    progress : bool, default=False
        Show progress bars on the standard error stream.
    **parameters
        Of the ensemble, such as n_members or loss. One that would be searched is taken as given.

    Returns
    -------
    Tuning

    Raises
    ------
    ValueError
        If an argument is out of its range, or what `fit` raises for X and y.
    TypeError
        If a parameter is unknown, or X or y is of a kind that cannot be read.
    KeyboardInterrupt
        If Ctrl-C came before the defaults had finished an epoch. Later it ends the search, and the
        best so far is returned.

    Examples
    --------
    >>> import numpy as np
    >>> import linnet
    >>> X = np.random.default_rng(0).uniform(-1, 1, (200, 1))
    >>> y = np.sin(12 * X.ravel())
    >>> found = linnet.tune(X, y, n_candidates=3, max_iter=20, n_members=4, random_state=0)
    >>> len(found.record_.candidates), found.predict(X).shape
    (3, (200,))
    """
    clock = Clock(math.inf if budget is None else check_budget(budget))
    check_count(n_candidates)
    if task is None:
        task = _task_of(y)
    check_choice("task", task, TASKS)
    kind = EnsembleClassifier if task == "classification" else EnsembleRegressor
    unknown = {"max_time": "budget", "verbose": "progress", "warm_start": "nothing"}
    for name in parameters.keys() & unknown.keys() & set(inspect.signature(kind).parameters):
        raise TypeError(f"tune has no parameter {name!r}: write {unknown[name]}.")
    seed = draw_seed(random_state)
    base = kind(**parameters, random_state=seed, n_threads=n_threads)
    if param_distributions is not None:
        space.check_distributions(param_distributions, kind)
    check_parameters(base)
    check_members(base.n_members)
    with threads():
        prepared = base._prepare(X, y, sample_weight, seed)
        return _Search(base, prepared, clock, budget, progress).run(
            n_candidates, param_distributions
        )


class _Search:
    """One call of `tune`, once everything is checked."""

    def __init__(
        self,
        base: EnsembleEstimator,
        prepared: Prepared,
        clock: Clock,
        budget: float | None,
        progress: bool,
    ):
        self.base, self.prepared, self.clock, self.progress = base, prepared, clock, progress
        # Whether there is time for the defaults alone, and not for all of their epochs.
        self.is_hopeless = False
        # The first epochs of the defaults, if Ctrl-C ended them.
        self.interrupted: Member | None = None
        plan = prepared.plan
        plan.options = {"engine": base.engine, "device": base.device}
        self.n_at_once, self.n_threads = threads_of(plan, base.n_threads)
        self.record = TuningRecord(
            estimator=type(base).__name__,
            loss=plan.loss.name,
            seed=prepared.seed,
            budget=budget,
            versions=versions(),
        )

    def run(self, n_candidates: int, distributions: Mapping[str, Any] | None) -> Tuning:
        """Race, finish the winner's members, and join them."""
        record, plan = self.record, self.prepared.plan
        usual = self._fit_to_budget()
        size = (len(plan.folds.trained(0)), plan.X.shape[1], plan.n_outputs)
        record.n_candidates = n_candidates
        n_drawn = 1 if self.is_hopeless or self.interrupted else n_candidates
        found = space.draw(self.base, size, n_drawn, distributions, record.seed)
        if len(found) < n_drawn:
            record.n_candidates = len(found)
            record.notes.append(
                f"Only {len(found)} candidates differ from each other."
                if len(found) > 1
                else "No settings to be searched differ from the defaults."
            )
        names = self._searched(distributions)
        entries = [
            Entry(settings, Candidate({name: getattr(settings, name) for name in names}))
            for settings in found
        ]
        race = Halving(
            plan,
            entries,
            n_at_once=self.n_at_once,
            n_threads=self.n_threads,
            clock=self.clock,
            usual=usual,
            progress=self.progress,
        )
        if self.interrupted is not None:
            race.note(0, 0, self.interrupted, started=0.0)
        winner = 0 if race.interrupted else race.run()
        members = self._finish(race, winner)
        if not members:
            raise KeyboardInterrupt
        self._close(race, winner)
        self._join(entries[winner], members)
        record.seconds = self.clock()
        if record.outcome is TuningOutcome.INTERRUPTED:
            user_warnings.warn(record.outcome.sentence, ConvergenceWarning)
        return Tuning(self.base, record)

    def _searched(self, distributions: Mapping[str, Any] | None) -> list[str]:
        """Return the names of the parameters that candidates differ in, in the class's order."""
        names = set(distributions or space.distributions(self.prepared.plan.settings))
        given = self.base.get_params(deep=False)
        if distributions is None:
            names = {name for name in names if isinstance(given[name], str)}
        if self.is_hopeless:
            names.add("max_iter")
        return [name for name in given if name in names]

    def _fit_to_budget(self) -> float:
        """Give up the search, and some epochs, where time is not enough for the defaults.

        Candidates that cost the defaults some of their epochs would make them worse by more than
        they win. Returns the seconds that a training with the defaults takes, about.
        """
        budget, plan = self.clock.budget, self.prepared.plan
        if math.isinf(budget):
            return 0.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # `run` tells of Ctrl-C
            member = plan.train(
                0,
                TrainingState(),
                n_threads=self.n_threads,
                max_time=budget / 10,
                on_epoch=lambda history: history.n_epochs >= _PROBED_EPOCHS,
            )
        if member.history.outcome is Outcome.INTERRUPTED:
            self.interrupted = member
            return 0.0
        epoch = float(np.median(member.history.seconds))  # the first one takes longer
        usual = epoch * plan.settings.max_iter
        affordable = _DEFAULTS * budget / math.ceil(len(plan.seeds) / self.n_at_once)
        if usual <= affordable:
            return usual
        epochs = max(1, int(affordable / epoch))
        self.record.notes.append(
            f"Each training has at most {epochs} epochs in place of {plan.settings.max_iter}, to "
            f"keep to {budget:g} s."
        )
        self.is_hopeless = True
        self.base.set_params(max_iter=epochs)
        plan.settings = replace(plan.settings, max_iter=epochs)
        return epoch * epochs

    def _finish(self, race: Halving, winner: int) -> list[Member]:
        """Train the winner's members that the race has not, and return all that are there."""
        entry, n_members = race.entries[winner], len(self.prepared.plan.seeds)
        missing = [fold for fold in range(n_members) if fold not in entry.row_losses]
        if missing and not race.interrupted:
            end = self.clock.budget * _LAST
            usual = max(entry.usual_seconds, 0.0)

            def ends_at(number: int) -> float:
                # Members still to come have their share of the time that is left.
                n_rounds = math.ceil((len(missing) - number) / self.n_at_once)
                return self.clock() + (end - self.clock()) / n_rounds

            def begins_until(number: int) -> float:
                # A member that has learnt for less than half of its time would do harm.
                has_one = bool(entry.members)
                return math.inf if not has_one else ends_at(number) - usual / 2

            race.train(
                [(winner, fold) for fold in missing], begins_until=begins_until, ends_at=ends_at
            )
        return [entry.members[fold] for fold in sorted(entry.members)]

    def _close(self, race: Halving, winner: int) -> None:
        record = self.record
        tried = [i for i, entry in enumerate(race.entries) if entry.candidate.trials]
        place = {number: k for k, number in enumerate(tried)}
        record.candidates = [race.entries[i].candidate for i in tried]
        record.standing = [[place[i] for i in rung] for rung in race.standing]
        record.folds, record.best_index = race.folds, place[winner]
        record.outcome = TuningOutcome.ALL_TRIED
        if race.cut_off or len(tried) < record.n_candidates or self.is_hopeless:
            record.outcome = TuningOutcome.TIME_UP
        if race.interrupted:
            record.outcome = TuningOutcome.INTERRUPTED
        for candidate in record.candidates:
            candidate.trials.sort(key=lambda trial: trial.fold)

    def _join(self, entry: Entry, members: list[Member]) -> None:
        """Make the model that the best settings give."""
        base, record = self.base, self.record
        base.set_params(**record.best.params)
        if record.outcome is TuningOutcome.INTERRUPTED:
            for member in members:
                member.history.outcome = Outcome.INTERRUPTED
        prepared = replace(self.prepared, plan=replace(self.prepared.plan, settings=entry.settings))
        left = self.clock.budget * _LEARN_ERRORS - self.clock()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # `run` tells of Ctrl-C
            base._join(prepared, members, max(0.0, left) if math.isfinite(left) else None)
        if base.history_.outcome is Outcome.INTERRUPTED:
            record.outcome = TuningOutcome.INTERRUPTED
        n = len(members)
        base.history_.notes = [
            f"Found by a search: {n} member{'s' * (n > 1)} with {entry.settings.sentence}.",
            record.sentence,
            *record.notes,
            *prepared.lines,
        ]


def check_budget(budget: Any) -> float:
    """Return the seconds, or raise ValueError."""
    is_number = isinstance(budget, int | float | np.number) and not isinstance(budget, bool)
    if not is_number or not 0 < budget < math.inf:
        raise ValueError(
            f"budget={budget!r} is not allowed: give seconds above 0, such as budget=60, or None "
            "for no limit."
        )
    return float(budget)


def check_members(n_members: int) -> None:
    """Raise ValueError where candidates could not be compared."""
    if n_members < 2:
        raise ValueError(
            f"n_members={n_members} leaves one fold to compare candidates by. Give 2 or more."
        )


def check_count(n_candidates: Any) -> None:
    """Raise ValueError unless there are at least two."""
    is_whole = isinstance(n_candidates, Integral) and not isinstance(n_candidates, bool)
    if not is_whole or n_candidates < 2:
        raise ValueError(
            f"n_candidates={n_candidates!r} is not allowed: give a whole number of 2 or more, or "
            "fit an EnsembleRegressor or EnsembleClassifier, which has the defaults."
        )


def _task_of(y: Any) -> str:
    """Return what `linnet fit` takes such a target as."""
    values = plain_array(y)
    if values.ndim > 1 and values.shape[1] > 1:
        return "regression"
    return task_of(pa.chunked_array([pa.array(values.ravel().tolist())]))
