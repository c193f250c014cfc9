"""The way of a fit of one network: prepare rows and network, train, keep.

Letters: N rows, D inputs, K outputs.
"""

from __future__ import annotations

import copy
import math
import os
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from linnet import solvers, user_warnings
from linnet.checkpoint import Checkpoint, opened
from linnet.engine.prediction import predict as predict_rows
from linnet.estimators.automatic import choose_solver
from linnet.estimators.encoding import dtype_of, encode, narrowed, training_inputs
from linnet.estimators.estimator import NetworkEstimator, Target
from linnet.estimators.inputs import check_lengths, read_inputs, read_weights
from linnet.estimators.lints import RowsSeen, lint_fit, lint_order
from linnet.estimators.optimization import (
    check_least_squares,
    make_optimizer,
    make_schedule,
    patience_of,
    schedule_settings,
    without_effect,
)
from linnet.estimators.parameters import check_parameters, check_same_network, has_new_rates
from linnet.estimators.parts import Part, Parts, divide, sets_aside, take
from linnet.estimators.preparation import Encoded, Network, Prepared
from linnet.estimators.schedules import STEPPED_PER_BATCH
from linnet.estimators.scores import score_keeper
from linnet.estimators.targets import plain_array
from linnet.history import History, Outcome
from linnet.training import TrainingState, draw_seed, train


class OneNetwork(NetworkEstimator):
    """What MLPRegressor, MLPClassifier, ModuleRegressor and ModuleClassifier share.

    A subclass says which module it trains (`_build`).
    """

    @abstractmethod
    def _build(self, n_inputs: int, target: Target, generator: torch.Generator) -> nn.Module:
        """Return the module to train."""

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
        checkpoint_every: float | None = None,
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
        checkpoint_every : float, optional
            Seconds between two writings, however long they take. By default 30, and more where they
            would take over 0.5 % of the time.
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
        self._fit((X, y, sample_weight), validation, **how)
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
        self._fit((X, y, sample_weight), nothing, goes_on=goes_on, epochs=1, partial=True)
        return self

    def _fit(
        self,
        given: tuple[Any, Any, Any],
        validation: tuple[Any, Any, Any],
        *,
        goes_on: bool,
        epochs: int,
        partial: bool = False,
        kept: Checkpoint | None = None,
    ) -> None:
        """Prepare the rows and the network, train it, and keep what came of it."""
        check_parameters(self)
        with self._left_as_found():
            how = {"goes_on": goes_on, "partial": partial, "kept": kept}
            prepared = self._prepare(given, validation, **how)
            network, rows = prepared.network, prepared.rows
            # It stops by its own criteria, and by validation rows as soon as they get worse.
            is_least_squares = isinstance(network.state.optimizer, solvers.LevenbergMarquardt)
            never_stale = partial or (is_least_squares and prepared.validation is None)
            history = train(
                network.module,
                rows.inputs,
                rows.targets,
                sample_weight=rows.weight,
                **self._watched(prepared),
                loss=network.loss,
                optimizer=network.state.optimizer,
                scheduler=network.state.scheduler,
                scheduler_step="batch" if prepared.schedule in STEPPED_PER_BATCH else "epoch",
                epochs=epochs,
                batch_size=prepared.batch_size,
                shuffle=self.shuffle,
                tol=0.0 if is_least_squares else self.tol,
                patience=None if never_stale else patience_of(self),
                clip_grad_norm=self.clip_grad_norm,
                max_time=self.max_time,
                random_state=network.generator,
                device=self.device,
                engine=self.engine,
                n_threads=None if self.n_threads is None else int(self.n_threads),
                progress=bool(self.verbose),
                checkpoint=kept,
                state=network.state,
            )
            del rows
            self._keep(prepared, history, is_first=not (partial or goes_on))
            history.split = prepared.split

    def _watched(self, prepared: Prepared) -> dict[str, Any]:
        """Return what `linnet.train` is given of validation rows, which are scored each epoch."""
        network, rows, held_out = prepared.network, prepared.validation, prepared.held_out
        if rows is None or held_out is None:
            return {}
        score = self._scorer_of_outputs(network.target, held_out)
        return {
            "X_val": rows.inputs,
            "y_val": rows.targets,
            "sample_weight_val": rows.weight,
            "on_epoch": score_keeper(network.module, rows.inputs, score, network.state),
        }

    def _scorer_of_outputs(self, target: Target, part: Part) -> Callable[[torch.Tensor], float]:
        """Return a function of raw outputs for such rows that gives what `score` does."""
        score = self._scorer(part.y, part.weight)
        return lambda outputs: score(self._predictions(outputs, target))

    # Before the training --------------------------------------------------------------------

    def _prepare(
        self,
        given: tuple[Any, Any, Any],
        validation: tuple[Any, Any, Any],
        *,
        goes_on: bool,
        partial: bool,
        kept: Checkpoint | None,
    ) -> Prepared:
        """Check, split and encode the rows, and make the network and its optimizer."""
        how = {"goes_on": goes_on, "partial": partial}
        parts, seed, lines = self._parts(given, validation, kept=kept, **how)
        part, held_out = parts.train, parts.validation
        network = self._network(parts, seed, **how)
        del parts.known_y  # as are encoded rows and others below: rows may be many
        module, state, dtype = network.module, network.state, dtype_of(network.module)
        n_rows, is_split = len(part.y), bool(parts.rows)
        solver, schedule, note = self._choose_solver(network, part, partial=partial)
        batch_size = self._batch_size(solver, n_rows)
        if state.optimizer is None or has_new_rates(self):
            state.optimizer = make_optimizer(self, solver, module, batch_size, part.weight)
            known = (state.optimizer, n_rows, batch_size)
            state.scheduler = make_schedule(self, solver, schedule, *known)
        if kept is not None:
            scales = {
                name: str(value)
                for name, value in self.get_params(deep=False).items()
                if name in ("scale_X", "scale_y")
            }
            settings = schedule_settings(self, solver, schedule)
            kept.also = {"random_state": str(seed), **settings, **scales}
        state.scores, encoded_val = [], None
        if held_out is not None:
            state.scores = list(self.validation_scores_ or []) if goes_on else []
            is_copy = "validation" in parts.rows
            inputs = training_inputs(network.columns, held_out.X, dtype, is_copy=is_copy)
            del held_out.X  # it may have been written over
            encoded_val = Encoded(inputs, *self._compared(network, held_out, "y_val"))
        targets, weight = self._compared(network, part, "y", overwrite=True)
        is_one_class = is_classifier(self) and part.y.ndim == 1
        del part.y  # rows may be many, and from here on their encoded form is needed alone
        inputs = training_inputs(network.columns, part.X, dtype, is_copy=is_split)
        return Prepared(
            network,
            Encoded(inputs, targets, weight),
            held_out,
            encoded_val,
            parts.test,
            parts.rows,
            schedule,
            batch_size,
            seed,
            [note] if note else [],
            lines,
            is_one_class,
        )

    def _parts(
        self,
        given: tuple[Any, Any, Any],
        validation: tuple[Any, Any, Any],
        *,
        goes_on: bool,
        partial: bool,
        kept: Checkpoint | None,
    ) -> tuple[Parts, int, list[str]]:
        """Return the rows in parts, the seed of everything, and what misleads in their order."""
        whole = self._read(*given, reset=not goes_on, fewest=1 if partial else 2)
        held_out = self._read_validation(*validation)
        random_state = self.history_.seed if goes_on else self.random_state
        seed = draw_seed(random_state) if kept is None else kept.seed_for(random_state)
        if partial:
            return Parts.undivided(whole, held_out), seed, []
        is_split = sets_aside(self, held_out)
        lines = [] if goes_on else lint_order(self, whole.y, is_split=is_split)
        return divide(self, whole, held_out, seed), seed, lines

    def _read_validation(self, X_val: Any, y_val: Any, weight_val: Any) -> Part | None:
        given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": weight_val}
        given = [name for name, value in given.items() if value is not None]
        if not given:
            return None
        for name in ("X_val", "y_val"):
            if name not in given:
                raise ValueError(f"{given[0]} is given without {name}: give both, or neither.")
        y_val = self._read_target(plain_array(y_val, "y_val"), "y_val")
        X_val = read_inputs(self, X_val, "X_val", reset=False)
        check_lengths(X_val, y_val, ("X_val", "y_val"))
        return Part(X_val, y_val, read_weights(weight_val, len(y_val), "sample_weight_val"))

    def _network(self, parts: Parts, seed: int, *, goes_on: bool, partial: bool) -> Network:
        """Return a new network, or the one of the last fit to go on with."""
        if goes_on:
            check_same_network(self)
            module, state = self.module_, self._state
            if not partial:
                # Copies, so that a training that fails leaves the earlier one as it was. A stream
                # of many small parts would pay for them as much as for its training.
                module, state = copy.deepcopy((module, state))
            loss = self._loss(self.target_)
            return Network(self.columns_, self.target_, loss, module, state, None)
        part = parts.train
        columns = self._fit_columns(part.X, part.weight, partial=partial)
        target = self._fit_target(parts.known_y, parts.known_weight, partial=partial)
        generator = torch.Generator().manual_seed(seed)
        module = self._build(columns.n_features, target, generator)
        return Network(columns, target, self._loss(target), module, TrainingState(), generator)

    def _compared(
        self, network: Network, part: Part, name: str, *, overwrite: bool = False
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return targets as the loss compares them, perhaps written over y, and rows' weights."""
        weight = self._class_weighted(part.y, part.weight)
        known = (network.target, part.y, name, network.loss)
        targets = self._targets(*known, overwrite=overwrite)
        return narrowed(targets, dtype_of(network.module)), weight

    def _choose_solver(
        self, network: Network, part: Part, *, partial: bool
    ) -> tuple[Any, str, str]:
        """Return the solver, the schedule of its rate, and what the history notes of the choice."""
        if self.solver != "auto":
            check_least_squares(self, network.loss)
            return self.solver, self.learning_rate, without_effect(self)
        if partial:
            note = "solver='auto': AdamW, for partial_fit is given a part of the rows at a time."
            return "adamw", self.learning_rate, note
        n_rows, module = len(part.y), network.module
        some = np.linspace(0, n_rows - 1, min(64, n_rows)).astype(int)
        inputs = encode(network.columns, take(part.X, some), dtype_of(module))
        solver, note = choose_solver(module, n_rows, network.loss, torch.from_numpy(inputs))
        falls = solver == "adamw" and self.learning_rate == "constant"
        return solver, "cosine" if falls else self.learning_rate, note

    def _batch_size(self, solver: Any, n_rows: int) -> int:
        if solvers.takes_all_rows(solver):
            return n_rows
        if self.batch_size == "auto":
            return min(200, n_rows)
        if self.batch_size > n_rows:
            user_warnings.warn(
                f"batch_size={self.batch_size} is more than the {n_rows} training rows; it is "
                f"taken as {n_rows}.",
                UserWarning,
            )
        return min(int(self.batch_size), n_rows)

    # After the training ---------------------------------------------------------------------

    def _keep(self, prepared: Prepared, history: History, *, is_first: bool) -> None:
        """Take up a trained network: what its rows, its errors and its scores say, then itself."""
        network, validation = prepared.network, prepared.validation
        columns, target, module = network.columns, network.target, network.module
        history.seed = prepared.seed
        history.notes += [note for note in prepared.notes if note not in history.notes]
        if is_first:
            lines = prepared.lines + self._lint(prepared)
            history.notes += lines
            self._say(lines)
        del prepared.rows  # what is learnt of validation rows takes memory of its own
        test = prepared.test
        if test is not None:
            inputs = torch.from_numpy(encode(columns, test.X, dtype_of(module)))
            outputs = predict_rows(module, inputs.to(dtype_of(module))).double()
            self.test_score_ = self._scorer_of_outputs(target, test)(outputs)
        inputs_val = None if validation is None else validation.inputs
        self._learn_errors(network, inputs_val, prepared.held_out)
        self.columns_, self.target_, self.module_ = columns, target, module
        self.history_, self._state = history, network.state
        self._validation_scores = None if validation is None else network.state.scores
        self._fitted_as = self.get_params(deep=False)

    def _lint(self, prepared: Prepared) -> list[str]:
        """Return what misleads in the rows, as they were trained on."""
        rows, validation, network = prepared.rows, prepared.validation, prepared.network
        held_out = (None, None) if validation is None else (validation.inputs, validation.targets)
        seen = RowsSeen(rows.inputs, rows.targets, *held_out, prepared.is_one_class)
        return lint_fit(self, seen, network.columns, network.module)

    def _learn_errors(
        self, network: Network, inputs: np.ndarray | None, held_out: Part | None
    ) -> None:
        """Learn from validation rows how far predictions are from the truth, where that is told."""

    def _warn_if_unfinished(self) -> None:
        """Say, as scikit-learn does, that the loss was still falling at the last epoch."""
        history = self.history_
        falling = self._state.stale_epochs < self.n_iter_no_change
        unlimited = math.isinf(self.n_iter_no_change)
        decays = self.learning_rate in ("cosine", "one_cycle")  # these end where they are meant to
        decays |= any(note.startswith("solver='auto': AdamW") for note in history.notes)
        has_rate = not isinstance(self._state.optimizer, solvers.TAKE_ALL_ROWS)
        if history.outcome is Outcome.EPOCHS_DONE and falling and not (unlimited or decays):
            user_warnings.warn(
                f"max_iter={self.max_iter} epochs are done and the loss is still falling: the "
                "training has not converged. Give a larger max_iter"
                f"{' or learning_rate_init' * has_rate}.",
                ConvergenceWarning,
            )
