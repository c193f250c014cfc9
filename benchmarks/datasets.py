"""The tables of `quality`: real ones with their splits, scikit-learn's, and known functions.

Each split gives training rows and test rows. The target is a number, or a class from 0.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from sklearn import datasets
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

from benchmarks import ROOT

UCI = ROOT.parent / "shared" / "data" / "uci"
N_SPLITS = 20
TEST_SHARE = 0.1
TEST_ROWS = 2000


@dataclass(frozen=True)
class Split:
    """Training rows (N, D) and (N,), test rows likewise."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


@dataclass(frozen=True)
class Dataset:
    """A table; `split(k)` gives one of its 20 splits.

    Attributes
    ----------
    name : str
    kind : {"regression", "classification"}
    source : str
        Where it is from, and what a split is.
    split : callable
    """

    name: str
    kind: str
    source: str
    split: Callable[[int], Split]


class Missing(Exception):
    """A table is not there; the message says where it was looked for."""


def _standard_split(folder: Path, name: str, k: int) -> Split:
    path = folder / f"{name}.csv"
    if not path.exists():
        raise Missing(f"{name}.csv is not in {folder.name}/ beside the repository (--data)")
    table = np.genfromtxt(path, delimiter=",", skip_header=1)
    test = json.loads(path.with_suffix(".splits.json").read_text())["test_rows"][k]
    return _divided(table[:, :-1], table[:, -1], np.array(test))


def _bundled_split(load: Callable, is_classes: bool, k: int) -> Split:
    X, y = load(return_X_y=True)
    draw = StratifiedShuffleSplit if is_classes else ShuffleSplit
    splits = draw(N_SPLITS, test_size=TEST_SHARE, random_state=0).split(X, y)
    return _divided(X, y, list(splits)[k][1])


def _divided(X: np.ndarray, y: np.ndarray, test: np.ndarray) -> Split:
    is_test = np.zeros(len(y), dtype=bool)
    is_test[test] = True
    return Split(X[~is_test], y[~is_test], X[is_test], y[is_test])


def _friedman_split(make: Callable, n_rows: int, noise: float, k: int) -> Split:
    X, y = make(n_samples=n_rows, noise=noise, random_state=k)
    X_test, truth = make(n_samples=TEST_ROWS, noise=0.0, random_state=1000 + k)
    return Split(X, y, X_test, truth)


def _known_split(truth: Callable, draw: Callable, n_rows: int, noise: Callable, k: int) -> Split:
    rng = np.random.default_rng(k)
    X, X_test = draw(rng, n_rows), draw(rng, TEST_ROWS)
    return Split(X, truth(X) + noise(rng, X), X_test, truth(X_test))


# Functions of our own -----------------------------------------------------------------------------


def _ripple(X: np.ndarray) -> np.ndarray:
    """Return sin(5 x) / (1 + x^2), D = 1."""
    return np.sin(5 * X[:, 0]) / (1 + X[:, 0] ** 2)


def _steps(X: np.ndarray) -> np.ndarray:
    """Return jumps along the axes and along a diagonal, D = 8, three of them without effect."""
    corner = (X[:, 0] > 0.3) & (X[:, 1] > 0.6)
    return 2.0 * corner + 1.5 * (X[:, 2] + X[:, 3] > 1) - (X[:, 4] > 0.5)


def _needle(X: np.ndarray) -> np.ndarray:
    """Return a function of 4 of D = 50 inputs."""
    return X[:, 0] * X[:, 1] + np.sin(2 * X[:, 2]) + np.abs(X[:, 3])


def _tails(X: np.ndarray) -> np.ndarray:
    """Return a bounded function of inputs with heavy tails, D = 6."""
    Z = np.tanh(X)
    return 3 * Z[:, 0] * Z[:, 1] + 2 * Z[:, 2] ** 2 + Z[:, 3]


def _normal(scale: float) -> Callable:
    return lambda rng, X: scale * rng.standard_normal(len(X))


def _rings_split(k: int) -> Split:
    """Return four classes by the distance from the origin in 3 of D = 5 inputs, with noise."""
    rng = np.random.default_rng(k)
    X = rng.standard_normal((2000 + TEST_ROWS, 5))
    distance = np.square(X[:, :3]).sum(axis=1)
    true = np.minimum(distance // 1.7, 3).astype(int)
    noisy = np.clip((distance + 0.3 * rng.standard_normal(len(X))) // 1.7, 0, 3).astype(int)
    return Split(X[:2000], noisy[:2000], X[2000:], true[2000:])


_STANDARD = "UCI or DELVE; standard splits of Hernández-Lobato and Adams (2015)"
_BUNDLED = "scikit-learn's own; a tenth of the rows is tested, drawn anew for each split"
_FRIEDMAN = "Friedman (1991); rows drawn anew for each split, tested against the function itself"
_OWN = "a known function; rows drawn anew for each split, tested against the function itself"


def all_datasets(folder: Path = UCI) -> dict[str, Dataset]:
    """Return the tables by name.

    Parameters
    ----------
    folder : Path
        Where concrete, energy and kin8nm lie, each with its splits.
    """
    uniform = lambda rng, n, d: rng.uniform(0, 1, (n, d))  # noqa: E731
    found = [
        Dataset(name, "regression", _STANDARD, partial(_standard_split, folder, name))
        for name in ("concrete", "energy", "kin8nm")
    ]
    found += [
        Dataset(
            "diabetes",
            "regression",
            _BUNDLED,
            partial(_bundled_split, datasets.load_diabetes, False),
        )
    ]
    found += [
        Dataset(name, "regression", _FRIEDMAN, partial(_friedman_split, make, n_rows, noise))
        for name, make, n_rows, noise in (
            ("friedman1", datasets.make_friedman1, 1000, 1.0),
            ("friedman2", datasets.make_friedman2, 600, 125.0),
            ("friedman3", datasets.make_friedman3, 2000, 0.1),
        )
    ]
    found += [
        Dataset(name, "regression", _OWN, partial(_known_split, truth, draw, n_rows, noise))
        for name, truth, draw, n_rows, noise in (
            ("ripple", _ripple, lambda rng, n: rng.uniform(-4, 4, (n, 1)), 600, _normal(0.1)),
            ("steps", _steps, lambda rng, n: uniform(rng, n, 8), 2500, _normal(0.2)),
            ("needle", _needle, lambda rng, n: rng.standard_normal((n, 50)), 1500, _normal(0.3)),
            (
                "tails",
                _tails,
                lambda rng, n: rng.standard_t(2.5, (n, 6)),
                1500,
                lambda rng, X: 0.3 * rng.standard_t(2.5, len(X)),
            ),
        )
    ]
    found += [
        Dataset(name, "classification", _BUNDLED, partial(_bundled_split, load, True))
        for name, load in (
            ("digits", datasets.load_digits),
            ("breast_cancer", datasets.load_breast_cancer),
            ("wine", datasets.load_wine),
        )
    ]
    found += [Dataset("rings", "classification", _OWN, _rings_split)]
    return {dataset.name: dataset for dataset in found}
