"""The way of a fit that both ensembles share: check, encode, train the members, join them.

Letters: N rows, D inputs, K outputs, M members.
"""

from __future__ import annotations

import os
import time
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from linnet import user_warnings
from linnet.checkpoint import Checkpoint, opened
from linnet.engine.placement import threads
from linnet.engine.prediction import predict
from linnet.ensemble.folds import Folds, of_splits, windows
from linnet.ensemble.members import Member, Plan, train_members
from linnet.ensemble.settings import Settings, choose
from linnet.estimators.absent import Absent
from linnet.estimators.encoding import checked_outputs, encode
from linnet.estimators.estimator import NetworkEstimator, Target
from linnet.estimators.inputs import read_inputs
from linnet.estimators.lints import RowsSeen, lint_fit, lint_order
from linnet.estimators.parameters import check_parameters, hidden_sizes
from linnet.history import History, Outcome
from linnet.network import Ensemble
from linnet.progress import CountBar
from linnet.training import draw_seed

# What the user may decide, and the name of its setting.
_DECIDED = (
    "hidden_layer_sizes",
    "activation",
    "solver",
    "learning_rate_init",
    "alpha",
    "batch_size",
    "max_iter",
    "dropout",
    "n_frequencies",
    "frequency_scale",
)


@dataclass
class Prepared:
    """What a fit knows before a member is trained.

    Attributes
    ----------
    columns : linnet.table.Columns
    target : RegressionTarget or ClassTarget
    weight : ndarray of shape (N,) or None
        Weights of the rows, those of their classes left out.
    plan : Plan
    seed, seed_of_errors : int
        The seed that decides everything, and the one for what is learnt from rows held out.
    lines : list of str
        What in the rows is likely to mislead.
    used : ndarray of shape (N,)
        Which of the rows have a weight above 0; the plan holds these.
    unused : array or frame
        X of the others.
    """

    columns: Any
    target: Any
    weight: np.ndarray | None
    plan: Plan
    seed: int
    seed_of_errors: int
    lines: list[str]
    used: np.ndarray
    unused: Any


class EnsembleEstimator(NetworkEstimator):
    """What EnsembleRegressor and EnsembleClassifier share."""

    # Parameters of one network that an ensemble has not.
    scale_X = scale_y = True
    _out_of_fold_name: str
    _out_of_fold: np.ndarray
    automatic = frozenset(_DECIDED)

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float | None = None,
        resume: bool = False,
        **others: Any,
    ):
        """Train the members on X and y.

        Each member holds out rows of its own, which choose its best epoch; together they hold out
        every row, and what they say of rows that they were not trained on gives the error bars.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (N, D)
            Inputs. Frames (pandas, polars, pyarrow) may hold categories, booleans, dates and
            missing values; arrays hold finite numbers.
        y : array-like of shape (N,) or (N, K)
            Targets: numbers for a regressor; labels, or zeros and ones (N, K), for a classifier.
        sample_weight : array-like of shape (N,), optional
            Weights of the rows, 0 or more.
        checkpoint : str or path, optional
            File that keeps where all members stand, so that they can go on after a crash with the
            same result as without one. Ctrl-C and SIGTERM write it first. No file, by default.
        checkpoint_every : float, optional
            Seconds between two writings, however long they take. By default 30, and more where they
            would take over 0.5 % of the time.
        resume : bool, default=False
            Go on from the file `checkpoint` where it exists; without it an existing file is an
            error. ``random_state=None`` takes the file's seed.
        **others
            Nothing: validation rows, which other estimators take, are refused with a sentence.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is out of its range, lengths differ, a value is NaN or infinite, y is
            constant or holds one class, nothing in X varies, or the checkpoint is of another
            training.
        TypeError
            If X or y is of a kind that cannot be read, or validation rows are given.
        OSError
            If the checkpoint exists and `resume` is False, or cannot be written.
        KeyboardInterrupt
            If Ctrl-C came before any member had finished an epoch. Later it ends all members; those
            that have finished an epoch make the ensemble, with their best weights.

        Warns
        -----
        ConvergenceWarning
            If a member's loss became infinite or NaN, or the training was interrupted.
        """
        self._check_others(others)
        kept = opened(checkpoint, checkpoint_every, resume=resume)
        check_parameters(self)
        with self._left_as_found():
            self._fit(X, y, sample_weight, kept)
        return self

    partial_fit = Absent(
        "its members are trained on all rows. Give fit all of them, or use MLPRegressor or "
        "MLPClassifier, which have it."
    )

    def _check_others(self, given: dict[str, Any]) -> None:
        """Raise TypeError, with what to write instead, if `fit` is given what it does not take."""
        if not given:
            return
        told = f"{type(self).__name__}.fit takes no {', '.join(given)}"
        if given.keys() <= {"X_val", "y_val", "sample_weight_val"}:
            raise TypeError(
                f"{told}: each member holds out rows of its own to choose its best epoch. Give "
                "these rows among X and y, or keep them to score the model: score(X_val, y_val)."
            )
        raise TypeError(f"{told}: write fit(X, y) or fit(X, y, sample_weight).")

    def _fit(self, X: Any, y: Any, sample_weight: Any, kept: Checkpoint | None) -> None:
        """Prepare the rows, train the members, join them."""
        deadline = None if self.max_time is None else time.monotonic() + self.max_time
        random_state = self.random_state
        seed = draw_seed(random_state) if kept is None else kept.seed_for(random_state)
        prepared = self._prepare(X, y, sample_weight, seed)
        plan = prepared.plan
        if kept is not None:
            kept.also = {"random_state": str(seed)}
        with CountBar(len(plan.seeds), "members", shown=bool(self.verbose)) as bar:
            trained = train_members(
                plan,
                engine=self.engine,
                device=self.device,
                n_threads=None if self.n_threads is None else int(self.n_threads),
                max_time=self.max_time,
                checkpoint=kept,
                done=bar.step,
            )
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        self._join(prepared, trained, left)
        self._say(prepared.lines)

    def _prepare(self, X: Any, y: Any, sample_weight: Any, seed: int) -> Prepared:
        """Check and encode the rows, and say what each member is to be trained on."""
        check_solver(self.solver)
        rows = self._read(X, y, sample_weight, reset=True, fewest=2)
        known, unused = (rows.y, rows.weight), None
        used = np.ones(len(rows.y), dtype=bool) if rows.weight is None else rows.weight > 0
        n_members = int(self.n_members) if used.sum() > 2 else 1
        folds = None
        if self.cv is not None:
            is_of_classes = is_classifier(self)
            folds = of_splits(self.cv, rows.X, rows.y, n_members, used, is_classifier=is_of_classes)
        if not used.all():
            # A row of weight 0 is as good as absent, but its class may be asked for.
            unused = rows.take(np.flatnonzero(~used)).X
            rows = rows.take(np.flatnonzero(used))
        X, y, weight = rows.X, rows.y, rows.weight
        columns = self._fit_columns(X, weight, partial=False)
        known = known if is_classifier(self) else (y, weight)
        target = self._fit_target(*known, partial=False)
        loss = self._loss(target)
        dtype = torch.float64 if self.dtype == "float64" else torch.float32
        seeds = np.random.SeedSequence(seed).generate_state(n_members + 2).tolist()
        stratified = y if is_classifier(self) and y.ndim == 1 else None
        if folds is None:
            folds = Folds(len(y), windows(len(y), n_members, seeds[-1], stratified))
        numpy_dtype = np.float64 if dtype == torch.float64 else np.float32
        compared = self._targets(target, y, "y", loss)
        plan = Plan(
            X=encode(columns, X, dtype),
            y=compared.astype(numpy_dtype) if compared.dtype.kind == "f" else compared,
            weight=self._class_weighted(y, weight),
            n_outputs=target.n_outputs,
            loss=loss,
            settings=self._choose(len(folds.trained(0)), columns.n_features, target.n_outputs),
            seeds=seeds[:n_members],
            folds=folds,
            dtype=dtype,
        )
        lines = self._lint(y, plan, columns)
        if self.cv is not None and folds.n_never:
            lines.append(
                f"No split of cv holds out {folds.n_never:,} of {len(y):,} rows: nothing is known "
                f"of the errors for them, and their {self._out_of_fold_name} are NaN."
            )
        return Prepared(columns, target, weight, plan, seed, seeds[-2], lines, used, unused)

    def _lint(self, y: np.ndarray, plan: Plan, columns: Any) -> list[str]:
        """Return what misleads in the rows, those that the first member holds out for all."""
        trained, held_out = plan.folds.trained(0), plan.folds.held_out[0]
        is_one_class = is_classifier(self) and y.ndim == 1
        held_out = plan.X[held_out], plan.y[held_out]
        seen = RowsSeen(plan.X, plan.y, *held_out, is_one_class, trained)
        lines = lint_order(self, y, is_split=True)
        return lines + lint_fit(self, seen, columns, None)

    def _join(
        self, prepared: Prepared, trained: list[Member], max_time: float | None = None
    ) -> None:
        """Make the trained members one model, and learn its errors from rows held out."""
        plan, target = prepared.plan, prepared.target
        module = Ensemble([member.module for member in trained], self._link(target)).eval()
        history = joined_history(trained, plan, prepared.seed)
        history.notes += prepared.lines
        known = (prepared.weight, prepared.seed_of_errors, max_time)
        if self._calibrate(module, trained, plan, target, *known):
            history.outcome = Outcome.INTERRUPTED
            user_warnings.warn(Outcome.INTERRUPTED.sentence, ConvergenceWarning)
        self.columns_, self.target_, self.module_ = prepared.columns, target, module
        self.settings_, self.history_ = plan.settings, history
        self.histories_ = [member.history for member in trained]
        if prepared.unused is not None:
            # No member was trained on a row of weight 0, so that all of them are asked.
            known = self._out_of_fold
            whole = np.empty((len(prepared.used), *known.shape[1:]))
            whole[prepared.used] = known
            whole[~prepared.used] = self._predict_anew(prepared.unused)
            self._out_of_fold = whole

    def _choose(self, n_rows: int, n_inputs: int, n_outputs: int) -> Settings:
        given = {name: getattr(self, name) for name in self.automatic}
        if not isinstance(given["hidden_layer_sizes"], str):
            given["hidden_layer_sizes"] = tuple(self._hidden_sizes())
        return choose(n_rows, n_inputs, n_outputs, is_classes=is_classifier(self), **given)

    def _hidden_sizes(self) -> list[int]:
        return hidden_sizes(self.hidden_layer_sizes)

    @abstractmethod
    def _link(self, target: Target) -> str:
        """Return the name of what makes predictions of outputs."""

    @abstractmethod
    def _calibrate(
        self,
        module: Ensemble,
        trained: list[Member],
        plan: Plan,
        target: Any,
        weight: np.ndarray | None,
        seed: int,
        max_time: float | None,
    ) -> bool:
        """Learn from rows held out how good predictions are; return whether Ctrl-C ended it."""

    @abstractmethod
    def _predict_anew(self, X: Any) -> np.ndarray:
        """Return for new rows what out-of-fold predictions are for those of the fit."""

    def _told_out_of_fold(self) -> np.ndarray:
        if not hasattr(self, "_out_of_fold"):
            name = self._out_of_fold_name
            told = f"{name} are there after fit."
            if hasattr(self, "module_"):
                told = (
                    f"{name} are predictions for the rows of the fit, which a model file does not "
                    f"keep. Fit the model again, or save them beside it: np.save('rows.npy', "
                    f"model.{name})."
                )
            raise AttributeError(told)
        return self._out_of_fold

    def _moments(self, X: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return encoded inputs (N, D), and mean and spread of the predictions (N, K)."""
        check_is_fitted(self, "module_")
        X = read_inputs(self, X, reset=False)
        dtype = next(self.module_.parameters()).dtype
        inputs = torch.from_numpy(encode(self.columns_, X, dtype)).to(dtype)
        with threads():
            outputs = [predict(member, inputs).double() for member in self.module_.members]
            mean, spread = self.module_.combine(outputs)
        return inputs, checked_outputs(mean), checked_outputs(spread)

    def _outputs(self, X: Any) -> torch.Tensor:
        return self._moments(X)[1]


def check_solver(solver: Any) -> None:
    """Raise ValueError for the solver that trains one network only."""
    if isinstance(solver, str) and solver == "lm":
        raise ValueError(
            "solver='lm' (Levenberg-Marquardt) is for one network: write "
            "MLPRegressor(solver='lm'). An ensemble's members are trained by solver='adamw', "
            "'lbfgs' and the like."
        )


def joined_history(trained: list[Member], plan: Plan, seed: int) -> History:
    """Return one history of all members: the means of their curves.

    A member that has stopped, or whose value is not finite, counts with its best epoch, whose
    weights it keeps; one that has no finite value there either does not count.
    """
    first, n_inputs, n_members = trained[0].history, plan.X.shape[1], len(plan.seeds)
    n_epochs = max(member.history.n_epochs for member in trained)
    n_parameters = sum(p.numel() for p in trained[0].module.parameters())
    joined = History(
        loss=first.loss,
        engine=first.engine,
        engine_reason=first.engine_reason,
        device=first.device,
        seed=seed,
        n_rows=len(plan.X),
        batch_size=first.batch_size,
        has_validation=True,
        versions=first.versions,
        notes=[
            f"Chosen for {len(plan.X):,} rows and {n_inputs:,} input{'s' * (n_inputs != 1)}: "
            f"{n_members} member{'s' * (n_members != 1)} of {n_parameters:,} parameters with "
            f"{plan.settings.sentence}."
            f"{_left_of(trained, n_members)}"
        ],
    )
    joined.curves = {name: mean_curve(trained, name, n_epochs) for name in joined.curves}
    outcomes = [member.history.outcome for member in trained]
    # Of outcomes that are as frequent, a loss that broke is the one to know of.
    joined.outcome = max(outcomes, key=lambda o: (outcomes.count(o), o is Outcome.NOT_FINITE))
    if Outcome.INTERRUPTED in outcomes:
        joined.outcome = Outcome.INTERRUPTED
    return joined


def mean_curve(trained: list[Member], name: str, n_epochs: int) -> list[float]:
    """Return the mean of the members' curves of a name, epoch by epoch; NaN where none counts."""
    values = np.empty((len(trained), n_epochs))
    for row, member in zip(values, trained, strict=True):
        curve, best = np.array(member.history.curves[name]), member.history.best_epoch
        kept = 0.0 if name == "seconds" else curve[best or 0]
        row[:] = kept
        row[: len(curve)] = np.where(np.isfinite(curve), curve, kept)
    counts = np.isfinite(values)
    n_counted = counts.sum(axis=0)
    means = np.where(counts, values, 0.0).sum(axis=0) / np.maximum(n_counted, 1)
    return np.where(n_counted > 0, means, np.nan).tolist()


def _left_of(trained: list[Member], n_members: int) -> str:
    """Return a sentence where not all members are there."""
    if len(trained) == n_members:
        return ""
    outcomes = {member.history.outcome for member in trained}
    cause = "Ctrl-C came" if Outcome.INTERRUPTED in outcomes else "their loss was infinite or NaN"
    one = len(trained) == 1
    return (
        f" {len(trained)} of them {'is' if one else 'are'} kept: {cause} before the others had "
        "finished an epoch."
    )
