"""The way of a fit that all four estimators share: check, encode, split, train, keep.

Letters: N rows, D inputs, K outputs.
"""

from __future__ import annotations

import copy
import math
import os
import re
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
from linnet.engine.placement import threads
from linnet.engine.prediction import predict as predict_rows
from linnet.engine.prediction import predictor
from linnet.engine.torch_engine import seeded
from linnet.estimators.inputs import (
    check_lengths,
    read_inputs,
    read_weights,
    split_rows,
    take,
)
from linnet.estimators.parameters import (
    CONSTRAINTS,
    check_names,
    check_parameters,
    check_same_network,
    has_new_rates,
)
from linnet.estimators.schedules import STEPPED_PER_BATCH, make_scheduler
from linnet.estimators.scores import Scorer
from linnet.estimators.targets import ClassTarget, RegressionTarget, plain_array
from linnet.history import History, Outcome
from linnet.table import Columns
from linnet.training import TrainingState, draw_seed, train

Target = RegressionTarget | ClassTarget


class NetworkEstimator(BaseEstimator):
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

    _validation_scores: list[float] | None = None

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

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is out of its range, lengths differ, a value is NaN or infinite, y is
            constant or holds one class, or nothing in X varies.
        TypeError
            If X or y is of a kind that cannot be read.

        Warns
        -----
        ConvergenceWarning
            If the loss was still falling when `max_iter` was reached, became infinite or NaN, or
            the training was interrupted.
        """
        goes_on = self.warm_start and hasattr(self, "module_")
        validation = (X_val, y_val, sample_weight_val)
        self._train(X, y, sample_weight, validation, goes_on=goes_on, epochs=self.max_iter)
        self._warn_if_unfinished()
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any):
        if self.solver == "lbfgs":
            raise AttributeError(
                "partial_fit is not there for solver='lbfgs', which needs all rows at once. "
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
    ) -> None:
        X, y = self._read(X, y, reset=not goes_on, fewest=1 if partial else 2)
        weight = read_weights(sample_weight, len(y), "sample_weight")
        X_val, y_val, weight_val = self._read_validation(*validation)
        seed = draw_seed(self.history_.seed if goes_on else self.random_state)
        all_y, all_weight = y, weight
        split: dict[str, list[int]] = {}
        if X_val is None and self.early_stopping and not partial:
            stratified = is_classifier(self) and y.ndim == 1
            rows, held_out = split_rows(y, self.validation_fraction, seed, stratified=stratified)
            split = {"train": rows.tolist(), "validation": held_out.tolist()}
            X_val, y_val = take(X, held_out), y[held_out]
            X, y = take(X, rows), y[rows]
            if weight is not None:
                weight, weight_val = weight[rows], weight[held_out]

        batch_size = self._batch_size(len(y))
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
            generator = torch.Generator().manual_seed(seed)
            module, state = self._build(columns.n_features, target, generator), TrainingState()
        optimizer, scheduler = state.optimizer, state.scheduler
        if optimizer is None or has_new_rates(self):
            optimizer = self._make_optimizer(module, batch_size, weight)
            scheduler = self._make_scheduler(optimizer, len(y), batch_size)
            state.optimizer, state.scheduler = optimizer, scheduler
        loss = self._loss(target)
        inputs_val, scores, keep_score = None, None, None
        if X_val is not None and y_val is not None:
            inputs_val = encode(columns, X_val, _dtype(module))
            scores = list(self.validation_scores_ or []) if goes_on else []
            keep_score = self._score_keeper(scores, module, target, inputs_val, y_val, weight_val)
        history = train(
            module,
            encode(columns, X, _dtype(module)),
            self._targets(target, y, "y", loss),
            sample_weight=self._class_weighted(y, weight),
            X_val=inputs_val,
            y_val=None if y_val is None else self._targets(target, y_val, "y_val", loss),
            sample_weight_val=None if y_val is None else self._class_weighted(y_val, weight_val),
            loss=loss,
            optimizer=optimizer,
            scheduler=scheduler,
            scheduler_step="batch" if self.learning_rate in STEPPED_PER_BATCH else "epoch",
            epochs=epochs,
            batch_size=batch_size,
            shuffle=self.shuffle,
            tol=self.tol,
            patience=None if partial else self._patience(),
            clip_grad_norm=self.clip_grad_norm,
            max_time=self.max_time,
            random_state=generator,
            device=self.device,
            engine=self.engine,
            n_threads=None if self.n_threads is None else int(self.n_threads),
            on_epoch=keep_score,
            progress=bool(self.verbose),
            state=state,
        )
        history.seed, history.split = seed, split
        self._learn_errors(module, target, loss, (inputs_val, y_val, weight_val))
        self.columns_, self.target_, self.module_ = columns, target, module
        self.history_, self._state, self._validation_scores = history, state, scores
        self._fitted_as = self.get_params(deep=False)

    def _learn_errors(
        self, module: nn.Module, target: Any, loss: losses.Loss, validation: tuple[Any, Any, Any]
    ) -> None:
        """Learn from validation rows how far predictions are from the truth, where that is told."""

    def _score_keeper(
        self,
        scores: list[float],
        module: nn.Module,
        target: Any,
        inputs: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray | None,
    ) -> Callable[[History], None]:
        """Return what appends the score of the validation rows after an epoch."""
        rows, score = torch.from_numpy(inputs).to(_dtype(module)), self._scorer(y, weight)

        def keep(history: History) -> None:
            device = next(module.parameters()).device  # where it is trained
            with seeded(0, device):  # a module may draw random numbers in evaluation too
                outputs = predict_rows(module, rows.to(device)).double().cpu()
            scores.append(score(self._predictions(outputs, target)))

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

    def _batch_size(self, n_rows: int) -> int:
        if self.solver == "lbfgs":
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

    def _patience(self) -> int | None:
        if math.isinf(self.n_iter_no_change):
            return None
        # With "adaptive" the rate is lowered after n_iter_no_change stale epochs; only when it
        # cannot be lowered any further does the training end.
        return int(self.n_iter_no_change) + (self.learning_rate == "adaptive")

    def _make_optimizer(
        self, module: nn.Module, batch_size: int, weight: np.ndarray | None
    ) -> torch.optim.Optimizer:
        trained = [p for p in module.parameters() if p.requires_grad]
        if not trained:
            raise ValueError(
                "The module has no parameters to train. Give one with layers such as nn.Linear, "
                "and with requires_grad=True."
            )
        if not isinstance(self.solver, str):
            return solvers.make(self.solver, trained)
        # scikit-learn's penalty is alpha / 2 * sum(w**2) / (rows of a batch), and a row of
        # weight 2 counts as two rows. AdamW's is its own.
        rows_of_batch = batch_size * (1.0 if weight is None else float(weight.mean()))
        decay = float(self.alpha) / (1.0 if self.solver == "adamw" else rows_of_batch)
        if self.solver == "lbfgs":
            return solvers.make("lbfgs", trained, weight_decay=decay)
        weights = [p for p in trained if p.ndim > 1]
        others = [p for p in trained if p.ndim <= 1]  # biases are not penalised
        groups = [
            {"params": parameters, "weight_decay": strength}
            for parameters, strength in ((weights, decay), (others, 0.0))
            if parameters
        ]
        options: dict[str, Any] = {"lr": float(self.learning_rate_init)}
        if self.solver == "sgd":
            options["momentum"] = float(self.momentum)
            options["nesterov"] = bool(self.nesterovs_momentum and self.momentum > 0)
        elif self.solver in ("adam", "adamw", "nadam", "radam"):
            options["betas"] = (float(self.beta_1), float(self.beta_2))
            options["eps"] = float(self.epsilon)
        return solvers.make(self.solver, groups, **options)

    def _make_scheduler(self, optimizer: torch.optim.Optimizer, n_rows: int, batch_size: int):
        name = self.learning_rate
        if self.solver == "lbfgs" or (self.solver == "adam" and name == "invscaling"):
            name = "constant"  # scikit-learn's schedules are for sgd; Adam would come to a halt
        return make_scheduler(
            name,
            optimizer,
            n_rows=n_rows,
            n_steps=self.max_iter * math.ceil(n_rows / batch_size),
            power_t=self.power_t,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
        )

    def _warn_if_unfinished(self) -> None:
        """Say, as scikit-learn does, that the loss was still falling at the last epoch."""
        history = self.history_
        falling = self._state.stale_epochs < self.n_iter_no_change
        unlimited = math.isinf(self.n_iter_no_change)
        decays = self.learning_rate in ("cosine", "one_cycle")  # these end where they are meant to
        if history.outcome is Outcome.EPOCHS_DONE and falling and not (unlimited or decays):
            warnings.warn(
                f"max_iter={self.max_iter} epochs are done and the loss is still falling: the "
                "training has not converged. Give a larger max_iter or learning_rate_init.",
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
        return torch.from_numpy(predict(self.module_, encoded))

    @property
    def loss_curve_(self) -> list[float]:
        """Training loss of each epoch."""
        return self._fitted_history("loss_curve_").train_loss.tolist()

    @property
    def validation_loss_curve_(self) -> list[float] | None:
        """Validation loss after each epoch; None without validation rows."""
        history = self._fitted_history("validation_loss_curve_")
        return history.validation_loss.tolist() if history.has_validation else None

    @property
    def loss_(self) -> float:
        """Training loss of the last epoch."""
        return float(self._fitted_history("loss_").train_loss[-1])

    @property
    def validation_scores_(self) -> list[float] | None:
        """R² or accuracy of the validation rows after each epoch; None without such rows."""
        self._fitted_history("validation_scores_")
        return self._validation_scores

    @property
    def best_validation_score_(self) -> float | None:
        """Score of the validation rows with the weights kept, those of the best epoch."""
        history, scores = self._fitted_history("best_validation_score_"), self.validation_scores_
        if not scores or history.best_epoch is None:
            return None
        # Epochs of an earlier fit may have been without validation rows.
        return scores[history.best_epoch - history.n_epochs]

    @property
    def best_loss_(self) -> float:
        """Least validation loss; without validation rows, the least training loss."""
        return self._fitted_history("best_loss_").best_loss

    @property
    def n_iter_(self) -> int:
        """Number of epochs trained."""
        return self._fitted_history("n_iter_").n_epochs

    @property
    def t_(self) -> int:
        """Number of rows seen in training, each as often as it was seen."""
        history = self._fitted_history("t_")
        return history.n_epochs * history.n_rows

    @property
    def n_outputs_(self) -> int:
        """Number of outputs of the network."""
        self._fitted_history("n_outputs_")
        return self.target_.n_outputs

    def _fitted_history(self, name: str) -> History:
        if "history_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no {name} yet: call fit first.")
        return self.history_

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the fitted estimator to one file, ``*.linnet``; see `linnet.save`."""
        import linnet  # later, for files are read and written by a room further on

        linnet.save(self, path, overwrite=overwrite)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _dtype(module: nn.Module) -> torch.dtype:
    return next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)


def encode(columns: Columns, X: Any, module_dtype: torch.dtype) -> np.ndarray:
    """Return inputs (N, D) for what `read_inputs` gave.

    Of 16 digits for a module of such, else of 7.
    """
    dtype = np.float64 if module_dtype == torch.float64 else np.float32
    if not isinstance(X, np.ndarray):
        return columns.encode(X, dtype)
    return columns.standardize(X, dtype) if columns.is_array else columns.encode_array(X, dtype)
