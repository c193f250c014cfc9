"""Small problems as hard as tables get, drawn at random, and what each estimator makes of them.

    python tests/hard_problems.py --problems 10000        every estimator in turn, by seed
    python tests/hard_problems.py --only MLPRegressor:17  one of them, with its traceback

A problem ends well with finite answers, or with an error whose sentence is linnet's own. It ends
badly with NaN or infinity, a warning of another library, or an error from elsewhere.

Letters: N rows, D inputs, K outputs, L classes.
"""

from __future__ import annotations

import argparse
import collections
import os
import re
import sys
import time
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import scipy.sparse
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

import linnet

NAMES = (
    "MLPRegressor",
    "MLPClassifier",
    "ModuleRegressor",
    "ModuleClassifier",
    "EnsembleRegressor",
    "EnsembleClassifier",
)
HOME = Path(linnet.__file__).parent


@dataclass
class Problem:
    """Rows to fit on and rows to predict, and the kinds of trouble in them."""

    X: Any
    y: Any
    weight: np.ndarray | None
    X_new: Any
    kinds: list[str] = field(default_factory=list)


@dataclass
class Ending:
    """How a problem ended: "answer", "refusal" (our error) or "fault"."""

    how: str
    sentence: str = ""
    kinds: tuple[str, ...] = ()
    engine: str = ""


# Inputs -------------------------------------------------------------------------------------------


def _numbers(rng: np.random.Generator, n: int) -> tuple[np.ndarray, str]:
    """Return a column (N,) of float64, and its kind."""
    z = rng.normal(size=n)
    columns = {
        "usual": lambda: z,
        "constant": lambda: np.full(n, rng.choice([0.0, 1.0, -7.3, 1e30, 1e-320])),
        "scaled": lambda: z * 10.0 ** rng.integers(-30, 31),
        "far off": lambda: 10.0 ** rng.integers(3, 16) + z,
        "denormal": lambda: np.abs(z) * 1e-310,
        "denormal in float32": lambda: z * 1e-40,
        "near 2**53": lambda: 2.0**53 + rng.integers(-9, 9, n),
        "greatest": lambda: np.where(z > 0, 1.7e308, -1.7e308),
        "least and greatest": lambda: rng.choice([5e-324, 1e-30, 1.0, 1e30, 1e300], n),
        "one outlier": lambda: np.where(np.arange(n) == rng.integers(n), 1e30, z),
        "one differs": lambda: (np.arange(n) == rng.integers(n)).astype(float),
        "last digit": lambda: 1.0 + rng.integers(0, 2, n) * 2.0**-52,
        "few values": lambda: rng.integers(0, 3, n).astype(float),
        "steps": lambda: np.arange(n, dtype=float),
        "heavy tail": lambda: rng.standard_cauchy(n) ** 3,
    }
    usual = rng.random() < 0.3
    kind = "usual" if usual else str(rng.choice(list(columns)))
    return columns[kind](), kind


def _array(rng: np.random.Generator, n: int, d: int) -> tuple[np.ndarray, list[str]]:
    """Return X (N, D) of float64, and its kinds."""
    columns, kinds = [], []
    for _ in range(d):
        if columns and rng.random() < 0.1:
            column, kind = columns[rng.integers(len(columns))], "duplicate column"
        else:
            column, kind = _numbers(rng, n)
        columns.append(column)
        kinds.append(kind)
    X = np.column_stack(columns)
    if rng.random() < 0.15:
        X, _ = X[rng.integers(0, max(1, n // 4), n)], kinds.append("duplicate rows")
    if rng.random() < 0.04:
        X[rng.integers(n), rng.integers(d)] = rng.choice([np.nan, np.inf])
        kinds.append("not finite")
    return X, kinds


_FORMS = (
    *("float64", "float64", "float64", "float32", "float32", "float16", "object", "list"),
    *("int64", "bool", "uint8", "sparse", "tensor", "bfloat16", "fortran", "strided"),
)


def _in_some_form(rng: np.random.Generator, X: np.ndarray) -> tuple[Any, str]:
    """Return the same numbers in another container or type."""
    form = str(rng.choice(_FORMS))
    with np.errstate(all="ignore"):
        if form in ("float32", "float16", "int64", "bool", "uint8"):
            return X.astype(form), form
    if form == "list":
        return X.tolist(), form
    if form == "object":
        return X.astype(object), form
    if form == "sparse":
        return scipy.sparse.csr_array(np.where(np.abs(X) < 0.5, 0, X)), form
    if form == "tensor":
        return torch.from_numpy(X), form
    if form == "bfloat16":
        return torch.from_numpy(X).bfloat16(), form
    if form == "fortran":
        return np.asfortranarray(X), form
    if form == "strided":
        return np.repeat(X, 2, axis=1)[::-1, ::2], form
    return X, form


def _series(rng: np.random.Generator, n: int) -> tuple[Any, str]:
    """Return a column of a data frame, and its kind."""
    gaps = rng.random(n) < rng.choice([0.1, 0.5, 0.95])
    words = np.array(["a", "b", "", " c", "ü", "NA", "1", "2.0", "true", "long " * 20])
    days = pd.to_datetime("2020-02-29") + pd.to_timedelta(rng.integers(0, 2000, n), unit="D")
    number, kind = _numbers(rng, n)
    columns = {
        f"{kind}": lambda: pd.Series(number),
        f"{kind} with gaps": lambda: pd.Series(np.where(gaps, np.nan, number)),
        "all missing": lambda: pd.Series(np.full(n, np.nan)),
        "all None": lambda: pd.Series([None] * n, dtype=object),
        "all missing but one": lambda: pd.Series(np.where(np.arange(n) == 0, 1.0, np.nan)),
        "text": lambda: pd.Series(rng.choice(words, n)),
        "text with gaps": lambda: pd.Series(np.where(gaps, None, rng.choice(words, n))),
        "all different": lambda: pd.Series([f"id{i}" for i in range(n)]),
        "numbers as text": lambda: pd.Series(rng.integers(0, 4, n).astype(str)),
        "category": lambda: pd.Series(pd.Categorical(rng.choice(words[:4], n), ["z", *words[:4]])),
        "category of numbers": lambda: pd.Series(pd.Categorical(rng.integers(0, 3, n))),
        "boolean": lambda: pd.Series(rng.random(n) < 0.3),
        "boolean with gaps": lambda: pd.Series(np.where(gaps, None, rng.random(n) < 0.5)),
        "nullable boolean": lambda: pd.Series(rng.random(n) < 0.5).astype("boolean").mask(gaps),
        "date": lambda: pd.Series(days),
        "date with gaps": lambda: pd.Series(days).mask(gaps),
        "date with zone": lambda: pd.Series(days).dt.tz_localize("Europe/Berlin"),
        "date as text": lambda: pd.Series(days.strftime("%Y-%m-%d")),
        "one date": lambda: pd.Series([pd.Timestamp("2024-01-01")] * n),
        "far dates": lambda: pd.Series(
            rng.choice([np.datetime64("0001-01-01", "s"), np.datetime64("9999-12-31", "s")], n)
        ),
        "duration": lambda: pd.Series(pd.to_timedelta(rng.integers(0, 99, n), unit="h")),
        "Int64": lambda: pd.Series(2**53 + rng.integers(0, 3, n)).astype("Int64").mask(gaps),
        "uint64": lambda: pd.Series(
            rng.choice(np.array([2**64 - 1, 1, 2**63], dtype=np.uint64), n)
        ),
        "Float32": lambda: pd.Series(rng.normal(size=n)).astype("Float32").mask(gaps),
        "float16": lambda: pd.Series(rng.normal(size=n).astype(np.float16)),
        "mixed": lambda: pd.Series(
            [rng.choice(np.array([1, "a", None, 2.5, True], dtype=object)) for _ in range(n)],
            dtype=object,
        ),
        "lists": lambda: pd.Series([[1, 2]] * n),
        "infinite": lambda: pd.Series(np.where(gaps, np.inf, 1.0)),
        "complex": lambda: pd.Series(rng.normal(size=n) + 1j),
    }
    names = list(columns)
    weights = np.where(np.isin(names, ["lists", "infinite", "complex", "duration"]), 0.05, 1.0)
    chosen = str(rng.choice(names, p=weights / weights.sum()))
    return columns[chosen](), chosen


def _frame(rng: np.random.Generator, n: int, d: int) -> tuple[Any, list[str]]:
    series, kinds = zip(*(_series(rng, n) for _ in range(d)), strict=True)
    frame = pd.DataFrame({f"c{i}": s for i, s in enumerate(series)})
    form = str(rng.choice(["pandas", "pandas", "pandas", "polars", "pyarrow"]))
    kinds = [*kinds, form]
    try:
        if form == "polars":
            return pl.from_pandas(frame), kinds
        if form == "pyarrow":
            return pa.Table.from_pandas(frame, preserve_index=False), kinds
    except (pa.ArrowException, TypeError, ValueError, pl.exceptions.PolarsError):
        pass
    return frame, kinds


def _rows(X: Any, rows: np.ndarray) -> Any:
    if isinstance(X, list):
        return [X[i] for i in rows]
    if isinstance(X, pd.DataFrame):
        return X.iloc[rows]
    if isinstance(X, pa.Table):
        return X.take(rows)
    if isinstance(X, pl.DataFrame):
        return X[rows.tolist()]
    return X[rows]


# Targets and weights ------------------------------------------------------------------------------


def _target(rng: np.random.Generator, n: int) -> tuple[Any, str]:
    """Return numbers to predict, (N,) or (N, K), and their kind."""
    z = rng.normal(size=n)
    targets = {
        "usual": lambda: z,
        "constant": lambda: np.full(n, rng.choice([0.0, 1.0, 1e300])),
        "scaled": lambda: z * 10.0 ** rng.integers(-30, 31),
        "huge": lambda: z * 1e307,
        "tiny": lambda: z * 1e-300,
        "denormal": lambda: z * 1e-315,
        "far off": lambda: 1e15 + z,
        "whole": lambda: rng.integers(-3, 4, n),
        "counts": lambda: rng.poisson(2.0, n),
        "huge counts": lambda: rng.poisson(2.0, n) * 1e30,
        "near 2**53": lambda: 2**53 + rng.integers(-9, 9, n),
        "uint64": lambda: rng.choice(np.array([2**64 - 1, 1], dtype=np.uint64), n),
        "zero and one": lambda: rng.integers(0, 2, n),
        "boolean": lambda: rng.random(n) < 0.5,
        "one differs": lambda: (np.arange(n) == rng.integers(n)).astype(float),
        "one outlier": lambda: np.where(np.arange(n) == rng.integers(n), 1e30, z),
        "several": lambda: rng.normal(size=(n, 3)) * np.array([1.0, 1e25, 1e-25]),
        "several, one constant": lambda: np.column_stack([z, np.ones(n)]),
        "a column": lambda: z.reshape(-1, 1),
        "float32": lambda: (z * 1e30).astype(np.float32),
        "float16": lambda: z.astype(np.float16),
        "greatest float16": lambda: np.where(z > 0, 65504, -65504).astype(np.float16),
        "object": lambda: z.astype(object),
        "series": lambda: pd.Series(z),
        "missing": lambda: np.where(z > 0.5, np.nan, z),
        "text": lambda: np.where(z > 0, "a", "b"),
    }
    kind = "usual" if rng.random() < 0.3 else str(rng.choice(list(targets)))
    return targets[kind](), kind


def _classes(rng: np.random.Generator, n: int) -> tuple[Any, str]:
    """Return labels (N,), or zeros and ones (N, L), and their kind."""
    n_classes = int(rng.integers(2, 11))
    code = rng.integers(0, 2 if rng.random() < 0.4 else n_classes, n)
    targets = {
        "numbers": lambda: code,
        "text": lambda: np.array([f"class {c}" for c in code]),
        "objects": lambda: np.array([f"{c}" for c in code], dtype=object),
        "boolean": lambda: code > 0,
        "whole floats": lambda: code.astype(float) - 3,
        "nearly empty": lambda: np.where(np.arange(n) == 0, 7, code),
        "two, one nearly empty": lambda: (np.arange(n) == 0).astype(int),
        "each its own": lambda: np.arange(n),
        "one class": lambda: np.zeros(n, dtype=int),
        "near 2**53": lambda: 2**53 + code,
        "float16": lambda: code.astype(np.float16),
        "multilabel": lambda: (rng.random((n, 3)) < 0.5).astype(int),
        "multilabel, constant": lambda: np.column_stack([code > 0, np.ones(n)]).astype(int),
        "series": lambda: pd.Series(pd.Categorical([f"c{c}" for c in code])),
        "a column": lambda: code.reshape(-1, 1),
        "tuple": lambda: tuple(code.tolist()),
        "mixed": lambda: np.array(["a", 1] * n, dtype=object)[:n],
        "fractions": lambda: code + 0.5,
    }
    kind = "numbers" if rng.random() < 0.3 else str(rng.choice(list(targets)))
    return targets[kind](), kind


def _weights(rng: np.random.Generator, n: int) -> tuple[np.ndarray | None, str]:
    weights = {
        "none": lambda: None,
        "ones": lambda: np.ones(n),
        "uneven": lambda: rng.exponential(size=n),
        "with zeros": lambda: rng.integers(0, 2, n),
        "nearly all zero": lambda: (np.arange(n) < 2).astype(float),
        "one counts": lambda: (np.arange(n) == 0).astype(float),
        "all zero": lambda: np.zeros(n),
        "huge": lambda: rng.random(n) * 1e300,
        "tiny": lambda: rng.random(n) * 1e-300,
        "of all sizes": lambda: 10.0 ** rng.integers(-30, 31, n),
        "float16": lambda: rng.random(n).astype(np.float16),
    }
    kind = "none" if rng.random() < 0.5 else str(rng.choice(list(weights)))
    return weights[kind](), f"weights: {kind}"


def draw_problem(rng: np.random.Generator, *, is_classes: bool) -> Problem:
    """Return a problem of N from 2 to 200 rows and D from 1 to 30 columns."""
    n = int(rng.choice([2, 3, 4, 5, 7, 10])) if rng.random() < 0.3 else int(rng.integers(11, 201))
    d = int(rng.integers(1, 6)) if rng.random() < 0.7 else int(rng.integers(6, 31))
    if rng.random() < 0.4:
        X, kinds = _frame(rng, n, d)
    else:
        X, kinds = _array(rng, n, d)
        X, form = _in_some_form(rng, X)
        kinds.append(form)
    y, kind = (_classes if is_classes else _target)(rng, n)
    weight, kind_of_weight = _weights(rng, n)
    X_new = _rows(X, rng.integers(0, n, int(rng.choice([1, 2, 40]))))
    if isinstance(X, np.ndarray) and X.dtype == np.float64 and rng.random() < 0.5:
        X_new, _ = _array(rng, len(X_new), d)  # of other columns' kinds, far from those fitted
        X_new, kinds = np.nan_to_num(X_new), [*kinds, "far rows"]
    return Problem(X, y, weight, X_new, [*kinds, f"y: {kind}", kind_of_weight])


# Estimators ---------------------------------------------------------------------------------------


def draw_estimator(rng: np.random.Generator, name: str) -> Any:
    """Return an estimator of that name with random small settings."""

    def pick(*values: Any) -> Any:
        return values[rng.integers(len(values))]

    is_classes = name.endswith("Classifier")
    common: dict[str, Any] = {
        "random_state": int(rng.integers(1000)),
        "max_iter": int(rng.integers(1, 4)),
        "engine": pick("auto", "auto", "torch"),
        "n_threads": 1,
    }
    if not is_classes:
        common["loss"] = pick(
            "squared_error", "squared_error", "absolute_error", "huber", "smooth_l1", "poisson"
        )
    if name.startswith("Ensemble"):
        common |= {
            "n_members": pick(1, 2, 3),
            "hidden_layer_sizes": pick("auto", (), (6,), (5, 4)),
            "n_frequencies": pick("auto", 0, 2),
            "solver": pick("auto", "auto", "adam", "sgd", "lbfgs"),
            "learning_rate_init": pick("auto", "auto", 0.1, 1e3),
            "dtype": pick("float32", "float32", "float64"),
        }
        return getattr(linnet, name)(**common)
    common |= {
        "solver": pick("adam", "adam", "adamw", "sgd", "lbfgs", "lm", "auto", "rmsprop"),
        "learning_rate_init": pick(1e-3, 1e-2, 0.5, 1e6),
        "learning_rate": pick("constant", "adaptive", "cosine", "one_cycle", "invscaling"),
        "batch_size": pick("auto", "auto", 1, 7),
        "alpha": pick(0.0, 1e-4, 10.0),
        "early_stopping": pick(True, False),
        "scale_X": pick(True, True, True, "minmax", False),
        "clip_grad_norm": pick(None, None, 1.0),
    }
    if is_classes:
        common["class_weight"] = pick(None, None, "balanced")
        if name == "MLPClassifier" or common["solver"] == "lm":
            common["solver"] = "lbfgs" if common["solver"] == "lm" else common["solver"]
    else:
        common["scale_y"] = pick(True, True, True, "minmax", False)
        if common["solver"] == "lm":
            common["loss"] = "squared_error"
    if name.startswith("Module"):
        return getattr(linnet, name)(_modules(pick), **common)
    common |= {
        "hidden_layer_sizes": pick((), (5,), (6, 4)),
        "activation": pick("relu", "tanh", "silu", "logistic", "gelu"),
        "dtype": pick("float32", "float32", "float64"),
        "dropout": pick(0.0, 0.0, 0.3),
        "initialization": pick("glorot_uniform", "he_uniform", "torch", "nguyen_widrow"),
    }
    if name == "MLPRegressor" and rng.random() < 0.15:
        return linnet.MLPRegressor.from_preset("fitnet", **{**_FITNET, "dtype": common["dtype"]})
    if common["solver"] == "lm":
        common["dropout"] = 0.0
    return getattr(linnet, name)(**common)


_FITNET = {"max_iter": 5, "hidden_layer_sizes": (4,), "random_state": 0, "n_threads": 1}


class _Residual(nn.Module):
    def __init__(self, n_inputs: int, n_outputs: int):
        super().__init__()
        self.first, self.middle = nn.Linear(n_inputs, 5), nn.Linear(5, 5)
        self.last = nn.Linear(5, n_outputs)

    def forward(self, x):
        x = self.first(x)
        return self.last(x + torch.tanh(self.middle(x)))


def _modules(pick: Any) -> Any:
    def sequential(*between: Any, double: bool = False) -> Any:
        def build(n_inputs: int, n_outputs: int) -> nn.Module:
            middle = [make() for make in between]
            module = nn.Sequential(nn.Linear(n_inputs, 5), *middle, nn.Linear(5, n_outputs))
            return module.double() if double else module

        return build

    return pick(
        sequential(nn.Tanh),
        sequential(nn.Tanh, double=True),
        sequential(lambda: nn.LayerNorm(5), nn.ReLU),
        sequential(lambda: nn.BatchNorm1d(5), nn.ReLU),
        sequential(lambda: nn.Dropout(0.5), nn.SiLU),
        sequential(lambda: nn.PReLU()),
        _Residual,
        lambda n_inputs, n_outputs: nn.Linear(n_inputs, n_outputs),
    )


# What comes of it ---------------------------------------------------------------------------------


class Fault(AssertionError):
    """What no problem may end with."""


def attempt(name: str, seed: int) -> Ending:
    """Draw a problem and an estimator, fit and predict, and tell how it ended."""
    rng = np.random.default_rng([NAMES.index(name), seed])
    problem = draw_problem(rng, is_classes=name.endswith("Classifier"))
    estimator = draw_estimator(rng, name)
    kinds = tuple(problem.kinds)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            _fit_and_predict(estimator, problem)
            ending = Ending("answer", kinds=kinds, engine=estimator.history_.engine)
        except Fault as fault:
            ending = Ending("fault", str(fault), kinds)
        except Exception as error:
            ending = Ending("refusal", str(error), kinds)
            if not _is_ours(error):
                told = traceback.format_exc(limit=-3)
                ending = Ending("fault", f"{type(error).__name__}: {error}\n{told}", kinds)
    foreign = [w for w in caught if not _is_our_warning(w)]
    if foreign and ending.how != "fault":
        w = foreign[0]
        told = f"{w.category.__name__} at {w.filename}:{w.lineno}: {w.message}"
        ending = Ending("fault", told, kinds)
    return ending


def _is_ours(error: Exception) -> bool:
    """Whether an error was raised by linnet, as one of the two kinds it promises."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return isinstance(error, ValueError | TypeError) and Path(frame.filename).is_relative_to(HOME)


def _is_our_warning(warning: Any) -> bool:
    text = str(warning.message)
    if issubclass(warning.category, ConvergenceWarning):
        own = [outcome.sentence for outcome in linnet.Outcome]
        in_members = re.match(r"In \d+ of \d+ members the loss or the weights became", text)
        return text in own or text.startswith("max_iter=") or in_members is not None
    return text.startswith("batch_size=") or "is taken as (" in text


def _fit_and_predict(estimator: Any, problem: Problem) -> None:
    estimator.fit(problem.X, problem.y, sample_weight=problem.weight)
    history = estimator.history_
    if history.outcome is not linnet.Outcome.NOT_FINITE:
        _check("loss_curve_", estimator.loss_curve_)
    for which, X in (("X", problem.X), ("new rows", problem.X_new)):
        _check(f"predict({which})", estimator.predict(X))
        if hasattr(estimator, "predict_proba"):
            p = estimator.predict_proba(X)
            _check(f"predict_proba({which})", p)
            is_multilabel = np.asarray(problem.y).ndim == 2
            if p.min() < 0 or p.max() > 1 or not (is_multilabel or np.allclose(p.sum(axis=1), 1)):
                raise Fault(f"predict_proba({which}) gives no probabilities")
        if hasattr(estimator, "error_bars_"):
            mean, std = estimator.predict(X, return_std=True)
            _check(f"predict({which}, return_std=True)", mean)
            _check(f"the std of {which}", std)
            interval = estimator.predict_interval(X, 0.8)
            _check(f"predict_interval({which})", interval)
            if (interval[..., 0] > interval[..., 1]).any():
                raise Fault(f"predict_interval({which}) has a lower end above the upper")
    _check("score", estimator.score(problem.X, problem.y))


def _check(what: str, values: Any) -> None:
    values = np.asarray(values)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        bad = values[~np.isfinite(values)]
        raise Fault(f"{what} gives {bad[0]} ({len(bad)} of {values.size})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0, help="of the first problem")
    parser.add_argument("--only", help="NAME:SEED")
    asked = parser.parse_args()
    if asked.only:
        name, _, seed = asked.only.partition(":")
        print(attempt(name, int(seed)))
        return
    torch.set_num_threads(1)
    started, counts, kinds = time.process_time(), collections.Counter(), set()
    for number in range(asked.problems):
        if number % 500 == 0:
            told = f"{number:,} done, {time.process_time() - started:.0f} s"
            print(told, file=sys.stderr, flush=True)
        name, seed = NAMES[number % len(NAMES)], asked.seed + number // len(NAMES)
        ending = attempt(name, seed)
        counts[ending.how] += 1
        counts[f"{ending.how} of {name}"] += 1
        if ending.engine:
            counts[f"by the {ending.engine} engine"] += 1
        kinds.update(ending.kinds)
        if ending.how == "fault":
            print(f"{name}:{seed} {ending.kinds[-3:]}\n    {ending.sentence}", flush=True)
        elif os.environ.get("REFUSALS") and ending.how == "refusal":
            print(f"{name}:{seed} refused: {ending.sentence}", flush=True)
    for what, count in sorted(counts.items()):
        print(f"{count:7,} {what}")
    print(f"{len(kinds)} kinds of trouble; {time.process_time() - started:.0f} s of processor time")


if __name__ == "__main__":
    main()
