"""Does a search take luck for a gain? ``python -m benchmarks.tuning_evidence``.

Races of simulated candidates, whose true losses are known. A model's error for a row is noise that
all models share, and an error of its own with a scale that is drawn for each training: its spread
is the luck of trainings. "Taken" counts races that gave up the defaults, "worse" those whose winner
is truly no better than the defaults; "change" is that of the true loss, on a logarithmic scale.
"""

from __future__ import annotations

import argparse
import math
from types import SimpleNamespace
from typing import Any

import numpy as np

from linnet.tuning.halving import Clock, Entry, Halving
from linnet.tuning.record import Candidate, Trial

# Name; candidates, folds, rows of a fold; noise, luck of trainings, and that of the defaults; the
# scale of the second candidate's own errors, as a factor.
PROBLEMS: tuple[tuple[str, int, int, int, float, float, float, float], ...] = (
    ("all alike", 30, 8, 50, 1.0, 0.0, 0.0, 1.0),
    ("all alike, few rows", 30, 8, 10, 1.0, 0.0, 0.0, 1.0),
    ("all alike, two members", 12, 2, 50, 1.0, 0.0, 0.0, 1.0),
    ("alike but for luck, much noise", 30, 8, 50, 1.0, 0.2, 0.2, 1.0),
    ("alike but for luck, little noise", 30, 8, 50, 0.1, 0.2, 0.2, 1.0),
    ("one better, much noise", 30, 8, 50, 1.0, 0.1, 0.1, 0.4),
    ("one better, little noise", 30, 8, 50, 0.1, 0.1, 0.1, 0.7),
    ("one better, erratic defaults", 30, 8, 50, 0.1, 0.1, 0.7, 0.5),
    ("the same with four members", 8, 4, 100, 0.1, 0.1, 0.7, 0.5),
)
# Scale of a model's own errors, and the part of them that all models have in common.
OWN, COMMON = 0.5, 0.7


class SimulatedRace(Halving):
    """A race whose losses of rows are given: losses[candidate, fold]."""

    def __init__(self, losses: np.ndarray):
        n_candidates, n_members, n_rows = losses.shape
        rows = np.split(np.arange(n_members * n_rows), n_members)
        plan: Any = SimpleNamespace(
            seeds=range(n_members), folds=SimpleNamespace(held_out=rows), weight=None
        )
        settings: Any = None
        entries = [Entry(settings, Candidate({})) for _ in range(n_candidates)]
        super().__init__(plan, entries, n_at_once=1, n_threads=1, clock=Clock(math.inf))
        self.losses = losses

    def _train_one(self, number: int, fold: int, ends_at: float) -> None:
        values, entry = self.losses[number, fold], self.entries[number]
        entry.row_losses[fold] = values
        trial = Trial(fold, float(values.mean()), len(values), [], 0.0, 0.0, finished=True)
        entry.candidate.trials.append(trial)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--races", type=int, default=300)
    n_races = parser.parse_args().races
    print(f"{n_races} races each         | taken | worse | change")
    for name, *problem in PROBLEMS:
        rng = np.random.default_rng(0)
        found = np.array([_race(rng, *problem) for _ in range(n_races)])
        taken, worse, change = found.mean(axis=0)
        print(f"{name:34} | {taken:5.1%} | {worse:5.1%} | {100 * change:+6.1f} %", flush=True)


def _race(
    rng: np.random.Generator,
    n_candidates: int,
    n_members: int,
    n_rows: int,
    noise: float,
    luck: float,
    luck_of_defaults: float,
    better: float,
) -> tuple[bool, bool, float]:
    spread = np.full((n_candidates, 1), luck)
    spread[0] = luck_of_defaults
    scale = OWN * np.exp(spread * rng.normal(size=(n_candidates, n_members)))
    scale[1] *= better
    shape = (n_candidates, n_members, n_rows)
    shared, common = rng.normal(size=(2, 1, *shape[1:]))
    own = COMMON * common + math.sqrt(1 - COMMON**2) * rng.normal(size=shape)
    winner = SimulatedRace((noise * shared + scale[:, :, None] * own) ** 2).run()
    true = noise**2 + (scale**2).mean(axis=1)
    return winner != 0, winner != 0 and true[winner] >= true[0], math.log(true[winner] / true[0])


if __name__ == "__main__":
    main()
