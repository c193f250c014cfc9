"""The way of a fit that all four estimators share: check, encode, split, train, keep.

Letters: N rows, D inputs, K outputs.
"""

from __future__ import annotations

import copy
import math
import os
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted
from torch import nn

from linnet import losses, solvers
from linnet.checkpoint import Checkpoint, opened
from linnet.engine.placement import threads
from linnet.engine.prediction import predict as predict_rows
from linnet.engine.prediction import predictor
from linnet.engine.torch_engine import seeded
from linnet.estimators.automatic import choose_solver
from linnet.estimators.encoding import (
    checked_outputs,
    dtype_of,
    encode,
    narrowed,
    training_inputs,
)
from linnet.estimators.fitted import Fitted
from linnet.estimators.inputs import (
    check_lengths,
    read_inputs,
    read_weights,
    split_rows,
    take,
)
from linnet.estimators.lints import RowsSeen, lint_fit, lint_order
from linnet.estimators.optimization import (
    make_optimizer,
    make_schedule,
    patience_of,
    schedule_settings,
)
from linnet.estimators.parameters import (
    CONSTRAINTS,
    check_names,
    check_parameters,
    check_same_network,
    has_new_rates,
)
from linnet.estimators.schedules import STEPPED_PER_BATCH
from linnet.estimators.scores import Scorer
from linnet.estimators.targets import ClassTarget, RegressionTarget, plain_array
from linnet.history import History, Outcome
from linnet.table import Columns
from linnet.training import TrainingState, draw_seed, train

Target = RegressionTarget | ClassTarget


class NetworkEstimator(Fitted, BaseEstimator):
    """What MLPRegressor, MLPClassifier, ModuleRegressor and ModuleClassifier share.

    A subclass says how y is read (`_read_target`, `_fit_target`), which loss and which module it
    trains (`_loss`, `_build`), and how predictions are given back (`predict`).
    """

    _parameter_constraints: dict = CONSTRAINTS

    def __new__(cls, *args: Any, **parameters: Any):
        check_names(cls, parameters)
        return super().__new__(cls)

    def set_params(self, **parameters: Any):
        """Set parameters by name; those that do not exist are answered as in the constructor."""
        own = {name: value for name, value in parameters.items() if "__" not in name}
        try:
            check_names(type(self), own)
        except TypeError as fault:
            raise ValueError(f"Invalid parameter: {fault}") from None  # scikit-learn's type
        return super().set_params(**parameters)

    # What a subclass says -------------------------------------------------------------------

    def _read_target(self, y: Any, name: str) -> np.ndarray:
        """Check y and return it as an array."""
        raise NotImplementedError

    def _fit_target(self, y: np.ndarray, weight: np.ndarray | None, *, partial: bool) -> Target:
        """Learn scale or classes from y; less is asked of the first of many parts."""
        raise NotImplementedError

    def _loss(self, target: Any) -> losses.Loss:
        """Return the loss for such a target."""
        raise NotImplementedError

    def _n_network_outputs(self, target: Target) -> int:
        """Return how many outputs the loss needs: two for a mean and a variance."""
        return target.n_outputs * (2 if self._loss(target).compares == "moments" else 1)

    def _predictions(self, outputs: torch.Tensor, target: Any) -> np.ndarray:
        """Return predictions (N,) or (N, K) for raw outputs (N, K)."""
        raise NotImplementedError

    @staticmethod
    def _scorer(y: np.ndarray, weight: np.ndarray | None) -> Scorer:
        """Return a function of predictions for such rows that gives what `score` does."""
        raise NotImplementedError

    def _build(self, n_inputs: int, target: Target, generator: torch.Generator) -> nn.Module:
        """Return the module to train."""
        raise NotImplementedError

    # The fit --------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float = 30.0,
        resume: bool = False,
    ):
        """Train on X and y.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (N, D)
            Inputs. Frames (pandas, polars, pyarrow) may hold categories, booleans, dates and
            missing values; arrays hold finite numbers.
        y : array-like of shape (N,) or (N, K)
            Targets: numbers for a regressor; labels, or zeros and ones (N, K), for a classifier.
        sample_weight : array-like of shape (N,), optional
            Weights of the rows, 0 or more.
        X_val, y_val, sample_weight_val : optional
            Validation rows: training stops where their loss is least, and the best epoch's weights
            are kept, as with ``early_stopping=True``.
        checkpoint : str or path, optional
            File that keeps where the training stands, so that it can go on after a crash with the
            same result as without one. Ctrl-C and SIGTERM write it first. No file, by default.
        checkpoint_every : float, default=30.0
            Seconds between two writings, at least; more where they would take over 0.5 % of the
            time.
        resume : bool, default=False
            Go on from the file `checkpoint` where it exists, up to `max_iter` epochs in all;
            without it an existing file is an error. ``random_state=None`` takes the file's seed.

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
            If X or y is of a kind that cannot be read.
        OSError
            If the checkpoint exists and `resume` is False, or cannot be written.

        Warns
        -----
        ConvergenceWarning
            If the loss was still falling when `max_iter` was reached, became infinite or NaN, or
            the training was interrupted.
        """
        goes_on = self.warm_start and hasattr(self, "module_")
        validation = (X_val, y_val, sample_weight_val)
        kept = opened(checkpoint, checkpoint_every, resume=resume)
        how = {"goes_on": goes_on, "epochs": self.max_iter, "kept": kept}
        self._train(X, y, sample_weight, validation, **how)
        self._warn_if_unfinished()
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any):
        if solvers.takes_all_rows(self.solver):
            factory = getattr(self.solver, "func", self.solver)
            told = repr(factory) if isinstance(factory, str) else factory.__name__
            raise AttributeError(
                f"partial_fit is not there for solver={told}, which needs all rows at once. "
                "Choose solver='adam', 'adamw' or 'sgd'."
            )
        goes_on = hasattr(self, "module_")
        nothing = (None, None, None)
        self._train(X, y, sample_weight, nothing, goes_on=goes_on, epochs=1, partial=True)
        return self

    def _train(self, X: Any, y: Any, sample_weight: Any, validation: tuple, **how: Any) -> None:
        check_parameters(self)
        before = dict(vars(self))
        try:
            with threads():
                self._train_checked(X, y, sample_weight, validation, **how)
        except BaseException:
            # A fit that fails leaves the estimator as it was.
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _train_checked(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any],
        *,
        goes_on: bool,
        epochs: int,
        partial: bool = False,
        kept: Checkpoint | None = None,
    ) -> None:
        X, y = self._read(X, y, reset=not goes_on, fewest=1 if partial else 2)
        weight = read_weights(sample_weight, len(y), "sample_weight")
        X_val, y_val, weight_val = self._read_validation(*validation)
        random_state = self.history_.seed if goes_on else self.random_state
        seed = draw_seed(random_state) if kept is None else kept.seed_for(random_state)
        all_y, all_weight = y, weight
        split = {} if partial else self._split(y, weight, seed, validates=X_val is None)
        if "validation" in split:
            held_out = split["validation"]
            X_val, y_val = take(X, held_out), y[held_out]
            weight_val = None if weight is None else weight[held_out]
        tested = None
        if "test" in split:
            rows = split["test"]
            tested = take(X, rows), y[rows], None if weight is None else weight[rows]
        if split:
            rows = split["train"]
            X, y, weight = take(X, rows), y[rows], None if weight is None else weight[rows]

        if goes_on:
            check_same_network(self)
            columns, target = self.columns_, self.target_
            module, state = self.module_, self._state
            if not partial:
                # Copies, so that a training that fails leaves the earlier one as it was. A stream
                # of many small parts would pay for them as much as for its training.
                module, state = copy.deepcopy((module, state))
            generator = None
        else:
            columns = self._fit_columns(X, weight, partial=partial)
            # A rare class may be among the validation rows only; a scale is of training rows only.
            known = (all_y, all_weight) if is_classifier(self) else (y, weight)
            target = self._fit_target(*known, partial=partial)
            del known
            generator = torch.Generator().manual_seed(seed)
            module, state = self._build(columns.n_features, target, generator), TrainingState()
        loss = self._loss(target)
        some = np.linspace(0, len(y) - 1, min(64, len(y))).astype(int)
        tried = None if self.solver != "auto" else encode(columns, take(X, some), dtype_of(module))
        solver, schedule, note = self._choose_solver(module, len(y), loss, tried, partial=partial)
        batch_size = self._batch_size(solver, len(y))
        optimizer, scheduler = state.optimizer, state.scheduler
        if optimizer is None or has_new_rates(self):
            optimizer = make_optimizer(self, solver, module, batch_size, weight)
            scheduler = make_schedule(self, solver, schedule, optimizer, len(y), batch_size)
            state.optimizer, state.scheduler = optimizer, scheduler
        is_least_squares = isinstance(optimizer, solvers.LevenbergMarquardt)
        if kept is not None:
            kept.also = {"random_state": str(seed), **schedule_settings(self, solver, schedule)}
        inputs_val, keep_score, state.scores = None, None, []
        if X_val is not None and y_val is not None:
            inputs_val = encode(columns, X_val, dtype_of(module))
            state.scores = list(self.validation_scores_ or []) if goes_on else []
            keep_score = self._score_keeper(state, module, target, inputs_val, y_val, weight_val)
        targets = narrowed(self._targets(target, y, "y", loss), dtype_of(module))
        targets_val = None
        if y_val is not None:
            targets_val = narrowed(self._targets(target, y_val, "y_val", loss), dtype_of(module))
        weight = self._class_weighted(y, weight)
        lines = [] if partial or goes_on else lint_order(self, all_y, is_split=bool(split))
        is_one_class = is_classifier(self) and y.ndim == 1
        del y, all_y  # rows may be many, and from here on their encoded form is needed alone
        inputs = training_inputs(columns, X, dtype_of(module), is_copy=bool(split))
        del X
        history = train(
            module,
            inputs,
            targets,
            sample_weight=weight,
            X_val=inputs_val,
            y_val=targets_val,
            sample_weight_val=None if y_val is None else self._class_weighted(y_val, weight_val),
            loss=loss,
            optimizer=optimizer,
            scheduler=scheduler,
            scheduler_step="batch" if schedule in STEPPED_PER_BATCH else "epoch",
            epochs=epochs,
            batch_size=batch_size,
            shuffle=self.shuffle,
            # It stops by its own criteria, and by validation rows as soon as they get worse.
            tol=0.0 if is_least_squares else self.tol,
            patience=None if partial or (is_least_squares and X_val is None) else patience_of(self),
            clip_grad_norm=self.clip_grad_norm,
            max_time=self.max_time,
            random_state=generator,
            device=self.device,
            engine=self.engine,
            n_threads=None if self.n_threads is None else int(self.n_threads),
            on_epoch=keep_score,
            progress=bool(self.verbose),
            checkpoint=kept,
            state=state,
        )
        history.seed, history.split = seed, {part: rows.tolist() for part, rows in split.items()}
        history.notes += [note] if note and note not in history.notes else []
        if not (partial or goes_on):
            rows_seen = RowsSeen(inputs, targets, inputs_val, targets_val, is_one_class)
            lines += lint_fit(self, rows_seen, columns, module)
            history.notes += lines
            self._say(lines)
        if tested is not None:
            self.test_score_ = self._score_of(*tested, module, columns, target)
        self._learn_errors(module, target, loss, (inputs_val, y_val, weight_val))
        self.columns_, self.target_, self.module_ = columns, target, module
        self.history_, self._state = history, state
        self._validation_scores = None if inputs_val is None else state.scores
        self._fitted_as = self.get_params(deep=False)

    def _split(
        self, y: np.ndarray, weight: np.ndarray | None, seed: int, *, validates: bool
    ) -> dict[str, np.ndarray]:
        """Return the rows to train on, to validate and to test; empty where all are trained on."""
        stratified = is_classifier(self) and y.ndim == 1
        test_fraction = getattr(self, "test_fraction", 0.0)
        if not test_fraction and not (validates and self.early_stopping):
            return {}
        # Of weight 0, validation rows would say nothing; such a row is as good as absent.
        rows, split = np.arange(len(y)) if weight is None else np.flatnonzero(weight), {}
        if test_fraction:
            kept, held_out = split_rows(
                y[rows], test_fraction, seed, stratified=stratified, called="test_fraction"
            )
            rows, split["test"] = rows[kept], rows[held_out]
        if validates and self.early_stopping:
            share = self.validation_fraction / (1 - test_fraction)  # of those that are left
            kept, held_out = split_rows(y[rows], share, seed, stratified=stratified)
            rows, split["validation"] = rows[kept], rows[held_out]
        return {"train": rows, **split}

    _says_lines = True  # the shell says them in its own words

    def _say(self, lines: list[str]) -> None:
        """Print what was found in the rows, where anything is to be printed."""
        if self.verbose and self._says_lines:
            for line in lines:
                print(f"Note: {line}", file=sys.stderr)

    def _score_of(
        self,
        X: Any,
        y: np.ndarray,
        weight: np.ndarray | None,
        module: nn.Module,
        columns: Columns,
        target: Any,
    ) -> float:
        """Return the score of a trained module on rows that were held out."""
        encoded = torch.from_numpy(encode(columns, X, dtype_of(module)))
        outputs = predict_rows(module, encoded.to(dtype_of(module))).double()
        score = self._scorer(y, weight)
        return score(self._predictions(outputs, target))

    def _choose_solver(
        self,
        module: nn.Module,
        n_rows: int,
        loss: losses.Loss,
        tried: np.ndarray | None,
        *,
        partial: bool,
    ) -> tuple[Any, str, str]:
        """Return the solver, the schedule of its rate, and what the history notes of the choice."""
        if self.solver != "auto":
            return self.solver, self.learning_rate, ""
        if partial:
            return "adamw", self.learning_rate, ""
        assert tried is not None
        solver, note = choose_solver(module, n_rows, loss, torch.from_numpy(tried))
        falls = solver == "adamw" and self.learning_rate == "constant"
        return solver, "cosine" if falls else self.learning_rate, note

    def _learn_errors(
        self, module: nn.Module, target: Any, loss: losses.Loss, validation: tuple[Any, Any, Any]
    ) -> None:
        """Learn from validation rows how far predictions are from the truth, where that is told."""

    def _score_keeper(
        self,
        state: TrainingState,
        module: nn.Module,
        target: Any,
        inputs: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray | None,
    ) -> Callable[[History], None]:
        """Return what appends the score of the validation rows after an epoch."""
        rows, score = torch.from_numpy(inputs).to(dtype_of(module)), self._scorer(y, weight)

        def keep(history: History) -> None:
            device = next(module.parameters()).device  # where it is trained
            with seeded(0, device):  # a module may draw random numbers in evaluation too
                outputs = predict_rows(module, rows.to(device)).double().cpu()
            try:
                state.scores.append(score(self._predictions(outputs, target)))
            except ValueError:  # infinite: the training diverges, and ends by its loss
                state.scores.append(math.nan)

        return keep

    def _read(self, X: Any, y: Any, *, reset: bool, fewest: int) -> tuple[Any, np.ndarray]:
        y = self._read_target(plain_array(y), "y")
        X = read_inputs(self, X, reset=reset)
        check_lengths(X, y)
        if len(y) < fewest:
            raise ValueError(
                "X holds 1 sample (n_samples=1): one row is too little to learn from. Give two or "
                "more."
            )
        return X, y

    def _read_validation(self, X_val: Any, y_val: Any, weight_val: Any):
        given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": weight_val}
        given = [name for name, value in given.items() if value is not None]
        if not given:
            return None, None, None
        for name in ("X_val", "y_val"):
            if name not in given:
                raise ValueError(f"{given[0]} is given without {name}: give both, or neither.")
        y_val = self._read_target(plain_array(y_val, "y_val"), "y_val")
        X_val = read_inputs(self, X_val, "X_val", reset=False)
        check_lengths(X_val, y_val, ("X_val", "y_val"))
        return X_val, y_val, read_weights(weight_val, len(y_val), "sample_weight_val")

    def _class_weighted(self, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray | None:
        """Return the rows' weights, times those of their classes."""
        return weight

    def _targets(self, target: Any, y: np.ndarray, name: str, loss: losses.Loss) -> np.ndarray:
        """Return y as the loss compares it."""
        return target.encode(y, name)

    def _fit_columns(self, X: Any, weight: np.ndarray | None, *, partial: bool) -> Columns:
        options = {"standardize": self.scale_X, "allow_constant": partial}
        if isinstance(X, np.ndarray):
            if self.column_types:
                raise ValueError(
                    f"column_types names columns ({', '.join(map(repr, self.column_types))}), and "
                    "X is an array, whose columns have no names. Give X as a data frame, or leave "
                    "column_types out."
                )
            return Columns.for_array(X, sample_weight=weight, **options)
        if weight is not None:
            X = take(X, np.flatnonzero(weight > 0))  # a row of weight 0 is as good as absent
        try:
            return Columns.fit(X, types=self.column_types, **options)
        except ValueError as fault:
            # The table room calls the parameter `types`, as read_table does.
            told = re.sub(r"\btypes(?==| gives| names)", "column_types", str(fault))
            raise ValueError(told) from fault

    def _batch_size(self, solver: Any, n_rows: int) -> int:
        if solvers.takes_all_rows(solver):
            return n_rows
        if self.batch_size == "auto":
            return min(200, n_rows)
        if self.batch_size > n_rows:
            warnings.warn(
                f"batch_size={self.batch_size} is more than the {n_rows} training rows; it is "
                f"taken as {n_rows}.",
                UserWarning,
                stacklevel=5,
            )
        return min(int(self.batch_size), n_rows)

    def _warn_if_unfinished(self) -> None:
        """Say, as scikit-learn does, that the loss was still falling at the last epoch."""
        history = self.history_
        falling = self._state.stale_epochs < self.n_iter_no_change
        unlimited = math.isinf(self.n_iter_no_change)
        decays = self.learning_rate in ("cosine", "one_cycle")  # these end where they are meant to
        decays |= any(note.startswith("solver='auto': AdamW") for note in history.notes)
        has_rate = not solvers.takes_all_rows(self.solver)
        if history.outcome is Outcome.EPOCHS_DONE and falling and not (unlimited or decays):
            warnings.warn(
                f"max_iter={self.max_iter} epochs are done and the loss is still falling: the "
                "training has not converged. Give a larger max_iter"
                f"{' or learning_rate_init' * has_rate}.",
                ConvergenceWarning,
                stacklevel=3,
            )

    # After the fit --------------------------------------------------------------------------

    def _outputs(self, X: Any) -> torch.Tensor:
        """Return the module's raw outputs (N, K) for raw inputs, as float64."""
        if "module_" not in vars(self):
            check_is_fitted(self, "module_")  # which takes as long as a row
        X = read_inputs(self, X, reset=False)
        predict = predictor(self.module_, self.columns_.n_features)
        encoded = encode(self.columns_, X, predict.dtype)
        return checked_outputs(torch.from_numpy(predict(self.module_, encoded)))

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the fitted estimator to one file, ``*.linnet``; see `linnet.save`."""
        import linnet  # later, for files are read and written by a room further on

        linnet.save(self, path, overwrite=overwrite)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
