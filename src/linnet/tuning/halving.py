"""Successive halving over folds (Jamieson and Talwalkar 2016, figure 3).

Each rung trains the candidates that are left on further folds and keeps the best third. A rung adds
folds, not epochs: the rate falls as a cosine over all epochs, so that a loss on the way says more
about the rate than about the end, whereas the loss of one fold is the one that counts, with more
noise. Nothing is trained twice: what was learnt on earlier folds stays, and the folds are those of
an ensemble's members, so that the trainings of the winner are members of the final model.

Letters: N rows, M members, which are the folds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from linnet.crew import Crew
from linnet.ensemble.members import Member, Plan
from linnet.ensemble.settings import Settings
from linnet.history import Outcome
from linnet.progress import CountBar
from linnet.training import TrainingState
from linnet.tuning.evidence import Comparison
from linnet.tuning.record import Candidate, Trial

# One candidate of so many goes on to the next rung.
ETA = 3
# Share of the budget that the first rung may take, and that all rungs may take: the rest is for
# members of the winner that are not trained yet.
_FIRST, _ALL = 0.45, 0.85
# When trainings are cut off: error bars have to be learnt within the budget too.
_LAST = 0.88


@dataclass
class Clock:
    """Seconds since the start of the search, and how many there may be."""

    budget: float
    start: float = field(default_factory=lambda: time.monotonic())

    def __call__(self) -> float:
        return time.monotonic() - self.start


@dataclass
class Entry:
    """A candidate in the race: its record, and for each fold its member and the rows' losses."""

    settings: Settings
    candidate: Candidate
    members: dict[int, Member] = field(default_factory=dict)
    row_losses: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def n_done(self) -> int:
        """Number of folds that are done, without a gap from the first."""
        n = 0
        while n in self.row_losses:
            n += 1
        return n

    @property
    def usual_seconds(self) -> float:
        """What a training takes."""
        trials = self.candidate.finished
        return max((trial.seconds for trial in trials), default=0.0)


def rungs(n_members: int) -> list[int]:
    """Return by how many folds candidates are judged in each rung.

    Examples
    --------
    >>> from linnet.tuning.halving import rungs
    >>> rungs(8)
    [1, 2, 4, 8]
    """
    return [2**r for r in range(int(math.log2(n_members)) + 1) if 2**r < n_members] + [n_members]


class Halving:
    """The race of the candidates; the first of them has the default settings.

    Parameters
    ----------
    plan : Plan
        Rows, folds and seeds; its settings are replaced by those of each candidate.
    entries : list of Entry
    n_at_once, n_threads : int
        Trainings at once, and threads of each.
    clock : Clock
    usual : float
        Seconds that a training with the defaults takes, as far as is known.
    progress : bool

    Attributes
    ----------
    standing : list of list of int
        Candidates in each rung.
    folds : list of int
        Folds by which the candidates of each rung were judged.
    cut_off, interrupted : bool
        Whether the budget or Ctrl-C ended the race.
    """

    def __init__(
        self,
        plan: Plan,
        entries: list[Entry],
        *,
        n_at_once: int,
        n_threads: int | None,
        clock: Clock,
        usual: float = 0.0,
        progress: bool = False,
    ):
        self.plan, self.entries = plan, entries
        self.n_at_once, self.n_threads = n_at_once, n_threads
        self.clock, self.usual, self.progress = clock, usual, progress
        self.standing: list[list[int]] = []
        self.folds: list[int] = []
        self.cut_off = self.interrupted = False

    def run(self) -> int:
        """Return the number of the winner."""
        standing, judged_by = list(range(len(self.entries))), 0
        steps = rungs(len(self.plan.seeds))
        for r, n_folds in enumerate(steps):
            if len(standing) < 2:
                break
            self._train_rung(standing, judged_by, n_folds, self._end_of(r, len(steps)))
            # Those that were not reached, before time was up, are out of the race.
            done = self.entries[standing[0]].n_done
            reached = [i for i in standing if self.entries[i].n_done >= done]
            if len(reached) < 2:
                done = min(self.entries[i].n_done for i in standing)
                reached = standing if done else standing[:1]
            standing = reached
            if done == 0:
                break
            self.standing.append(standing)
            self.folds.append(done)
            is_whole, judged_by = done == n_folds, done
            if self.interrupted or not is_whole or r == len(steps) - 1:
                break
            standing = self._kept(standing, judged_by)
        return self._winner(standing, judged_by)

    def train(self, pieces: list[tuple[int, int]], **when: Callable[[int], float]) -> None:
        """Train candidates on folds, so many at once; what is finished is kept in the entries.

        Parameters
        ----------
        pieces : list of (candidate, fold)
        begins_until, ends_at : callable
            For the number of a piece, until when it may begin, and when it is cut off, in seconds
            of the clock.
        """
        n_candidates = len({i for i, _ in pieces})
        what = f"trainings of {n_candidates} candidate{'s' * (n_candidates > 1)}"
        crew = Crew(len(pieces), self.n_at_once)
        with CountBar(len(pieces), what, shown=self.progress) as bar:

            def work(number: int) -> None:
                if self.clock() > when["begins_until"](number):
                    self.cut_off = True
                    return
                finished = self._train_one(*pieces[number], when["ends_at"](number))
                crew.interrupted |= finished is Outcome.INTERRUPTED
                bar.step()

            crew.run(work)
        self.interrupted |= crew.interrupted

    def _train_rung(self, standing: list[int], first: int, last: int, end: float) -> None:
        # Fold by fold, so that all candidates have the same number of folds when time is up.
        pieces = [(i, fold) for fold in range(first, last) for i in standing]
        n_left = len(self.plan.seeds) - last

        def cut_off(number: int) -> float:
            usual = max([self.usual, *(self.entries[i].usual_seconds for i in standing[:1])])
            return self.clock.budget * _LAST - usual * math.ceil(n_left / self.n_at_once)

        self.train(pieces, begins_until=lambda number: min(end, cut_off(number)), ends_at=cut_off)

    def _end_of(self, rung: int, n_rungs: int) -> float:
        """Return until when trainings of a rung may begin."""
        share = _FIRST + (_ALL - _FIRST) * rung / max(1, n_rungs - 1)
        return self.clock.budget * share

    def _train_one(self, number: int, fold: int, ends_at: float) -> Outcome | None:
        # A candidate whose loss becomes infinite is a bad one, and nothing to warn of.
        entry, state = self.entries[number], TrainingState(warns=False)
        started = self.clock()
        how: dict[str, Any] = {"n_threads": self.n_threads}
        if math.isfinite(ends_at):
            how["max_time"] = max(0.0, ends_at - started)
        member = replace(self.plan, settings=entry.settings).train(fold, state, **how)
        self.note(number, fold, member, started)
        return member.history.outcome

    def note(self, number: int, fold: int, member: Member, started: float) -> None:
        """Keep what a training of a candidate has given."""
        entry, history = self.entries[number], member.history
        finished = history.outcome not in (Outcome.TIME_UP, Outcome.INTERRUPTED)
        losses, weight = self._row_losses(member)
        trial = Trial(
            fold=fold,
            loss=float((losses * weight).sum() / weight.sum()),
            weight=float(weight.sum()),
            validation_loss=history.validation_loss.tolist(),
            started=started,
            seconds=self.clock() - started,
            finished=finished,
        )
        if history.best_epoch is not None:
            entry.members[fold] = member
        if finished:
            entry.row_losses[fold] = losses
        self.cut_off |= history.outcome is Outcome.TIME_UP
        self.interrupted |= history.outcome is Outcome.INTERRUPTED
        # A list grows in one step, whatever other threads do.
        entry.candidate.trials.append(trial)

    def _row_losses(self, member: Member) -> tuple[np.ndarray, np.ndarray]:
        """Return loss and weight of each row that a member was not trained on."""
        rows = member.held_out
        # That of the training: outputs of who has learnt smoothed labels are true of those.
        loss, y = self.plan.learnt()
        outputs = torch.from_numpy(member.outputs)
        losses = loss.by_row(outputs, torch.from_numpy(y[rows])).numpy()
        weight = np.ones(len(rows)) if self.plan.weight is None else self.plan.weight[rows]
        return np.where(np.isfinite(losses), losses, np.inf), weight

    # Judging --------------------------------------------------------------------------------

    @property
    def n_rivals(self) -> int:
        """Among how many others a candidate is the best, whatever rung it is the best in."""
        return len(self.standing[0]) - 1

    def _ranked(self, standing: list[int], n_folds: int) -> list[int]:
        """Return candidates by their mean loss on the first folds, the best first."""

        def loss(number: int) -> float:
            trials = [t for t in self.entries[number].candidate.finished if t.fold < n_folds]
            return sum(t.loss * t.weight for t in trials) / sum(t.weight for t in trials)

        return sorted(standing, key=lambda number: (loss(number), number))

    def compare(self, number: int, n_folds: int) -> Comparison:
        """Compare the defaults with a candidate on the first folds."""
        default, other = self.entries[0], self.entries[number]
        folds = range(n_folds)
        held_out = [self.plan.folds.held_out[fold] for fold in folds]
        weight = self.plan.weight
        return Comparison.of(
            [default.row_losses[fold] for fold in folds],
            [other.row_losses[fold] for fold in folds],
            [np.ones(len(rows)) if weight is None else weight[rows] for rows in held_out],
            held_out,
            len(self.plan.seeds),
        )

    def _note_gains(self, standing: list[int], n_folds: int) -> None:
        if 0 in standing:
            for number in standing[1:]:
                found, candidate = self.compare(number, n_folds), self.entries[number].candidate
                candidate.gain, candidate.standard_error = found.gain, found.standard_error

    def _kept(self, standing: list[int], n_folds: int) -> list[int]:
        """Return who goes on to the next rung; the defaults go, unless there is evidence."""
        self._note_gains(standing, n_folds)
        ranked = self._ranked(standing, n_folds)
        kept = ranked[: math.ceil(len(ranked) / ETA)]
        if 0 in standing and 0 not in kept:
            is_out = self.compare(kept[0], n_folds).is_better(self.n_rivals)
            kept += [] if is_out else [0]
        for number in set(standing) - set(kept):
            self.entries[number].members.clear()
        return sorted(kept)

    def _winner(self, standing: list[int], n_folds: int) -> int:
        if len(standing) == 1 or n_folds == 0:
            return standing[0]
        self._note_gains(standing, n_folds)
        best = self._ranked(standing, n_folds)[0]
        if 0 in standing and best != 0:
            best = best if self.compare(best, n_folds).is_better(self.n_rivals) else 0
        return best
