"""The way of a fit that all four estimators share: check, encode, split, train, keep.

Letters: N rows, D inputs, K outputs.
"""

from __future__ import annotations

import math
import os
import warnings
from typing import Any

import narwhals.stable.v1 as nw
import numpy as np
import torch
from sklearn.base import BaseEstimator, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    _check_sample_weight,
    _num_samples,
    check_is_fitted,
    validate_data,
)
from torch import nn

from linnet import losses, solvers
from linnet.engine.torch_engine import predict as predict_rows
from linnet.estimators.parameters import CONSTRAINTS, check_names, check_parameters
from linnet.estimators.schedules import STEPPED_PER_BATCH, make_scheduler
from linnet.estimators.targets import ClassTarget, RegressionTarget, plain_array
from linnet.history import History, Outcome
from linnet.table import Columns, check_finite
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

    # What a subclass says -------------------------------------------------------------------

    def _read_target(self, y: Any, name: str) -> np.ndarray:
        """Check y and return it as an array."""
        raise NotImplementedError

    def _fit_target(self, y: np.ndarray, weight: np.ndarray | None, *, partial: bool) -> Target:
        """Learn scale or classes from y; less is asked of the first of many parts."""
        raise NotImplementedError

    def _loss(self, target: Target) -> losses.Loss:
        """Return the loss for such a target."""
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
            self._train_checked(X, y, sample_weight, validation, **how)
        except BaseException:
            # A fit that fails leaves the estimator as it was.
            vars(self).clear()
            vars(self).update(before)
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
        weight = self._weights(sample_weight, y)
        X_val, y_val, weight_val = self._read_validation(*validation)
        seed = self.history_.seed if goes_on else draw_seed(self.random_state)
        split: dict[str, list[int]] = {}
        if X_val is None and self.early_stopping and not partial:
            rows, held_out = self._split(y, seed)
            split = {"train": rows.tolist(), "validation": held_out.tolist()}
            X_val, y_val = _take(X, held_out), y[held_out]
            X, y = _take(X, rows), y[rows]
            if weight is not None:
                weight, weight_val = weight[rows], weight[held_out]

        state, optimizer, scheduler, generator = TrainingState(), None, None, None
        batch_size = self._batch_size(len(y))
        if goes_on:
            columns, target, module = self.columns_, self.target_, self.module_
            state = self._state
        else:
            columns = self._fit_columns(X, weight, partial=partial)
            target = self._fit_target(y, weight, partial=partial)
            generator = torch.Generator().manual_seed(seed)
            module = self._build(columns.n_features, target, generator)
            optimizer = self._make_optimizer(module, batch_size, weight)
            scheduler = self._make_scheduler(optimizer, len(y), batch_size)
        loss = self._loss(target)
        history = train(
            module,
            _encode(columns, X, module),
            _for_loss(target.encode(y), loss),
            sample_weight=self._class_weighted(y, weight),
            X_val=None if X_val is None else _encode(columns, X_val, module),
            y_val=None if y_val is None else _for_loss(target.encode(y_val, "y_val"), loss),
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
            n_threads=self.n_threads,
            progress=bool(self.verbose),
            state=state,
        )
        history.seed, history.split = seed, split
        self.columns_, self.target_, self.module_ = columns, target, module
        self.history_, self._state = history, state

    def _read(self, X: Any, y: Any, *, reset: bool, fewest: int) -> tuple[Any, np.ndarray]:
        y = self._read_target(plain_array(y), "y")
        X = self._read_inputs(X, reset=reset)
        if _num_samples(X) != len(y):
            raise ValueError(
                f"Found input variables with inconsistent numbers of samples: X has "
                f"{_num_samples(X)} rows and y {len(y)}. Each row of X needs one of y."
            )
        if len(y) < fewest:
            raise ValueError(
                "X holds 1 sample (n_samples=1): one row is too little to learn from. Give two or "
                "more."
            )
        return X, y

    def _read_inputs(self, X: Any, *, reset: bool) -> Any:
        """Return a frame as it is, or a finite float array (N, D)."""
        frame = nw.from_native(X, eager_only=True, pass_through=True)
        if isinstance(frame, nw.DataFrame):
            _check_feature_names(self, X, reset=reset)
            _check_n_features(self, X, reset=reset)
            if len(frame) == 0:
                raise ValueError("X has 0 rows (n_samples=0): a minimum of 1 is required.")
            return X
        if isinstance(X, torch.Tensor):
            X = X.detach().cpu().numpy()
        X = validate_data(
            self,
            X,
            reset=reset,
            accept_sparse=["csr", "csc"],
            dtype=[np.float64, np.float32],
            ensure_all_finite=False,
        )
        X = X if isinstance(X, np.ndarray) else X.toarray()
        check_finite(X, "X", getattr(self, "feature_names_in_", None))
        return X

    def _weights(self, sample_weight: Any, y: np.ndarray) -> np.ndarray | None:
        if sample_weight is None:
            return None
        weight = np.asarray(_check_sample_weight(sample_weight, np.empty((len(y), 1))))
        if (weight < 0).any() or not (weight > 0).any():
            raise ValueError(
                f"sample_weight has a least value of {weight.min():g} and a greatest of "
                f"{weight.max():g}: weights are 0 or more, and at least one is above 0."
            )
        return weight

    def _read_validation(self, X_val: Any, y_val: Any, weight_val: Any):
        if X_val is None and y_val is None:
            return None, None, None
        if X_val is None or y_val is None:
            given, absent = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
            raise ValueError(f"{given} is given without {absent}: give both, or neither.")
        X_val = self._read_inputs(X_val, reset=False)
        y_val = self._read_target(plain_array(y_val), "y_val")
        if _num_samples(X_val) != len(y_val):
            raise ValueError(
                f"X_val has {_num_samples(X_val)} rows and y_val {len(y_val)}. Each row of X_val "
                "needs one of y_val."
            )
        return X_val, y_val, self._weights(weight_val, y_val)

    def _class_weighted(self, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray | None:
        """Return the rows' weights, times those of their classes."""
        return weight

    def _split(self, y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows to train on and the rows held out: shuffled, classes in proportion."""
        n_rows = len(y)
        n_held_out = max(1, round(self.validation_fraction * n_rows))
        if n_rows - n_held_out < 2:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} of {n_rows} rows leaves fewer "
                "than two to train on. Give more rows, a smaller fraction, or early_stopping=False."
            )
        strata = None
        if is_classifier(self) and y.ndim == 1:
            labels, counts = np.unique(y, return_counts=True)
            if counts.min() < 2:
                label = labels[counts.argmin()]
                raise ValueError(
                    f"The class {label!r} has one row only, which cannot be both in the training "
                    "and in the validation rows. Add rows of it, leave it out, or give X_val and "
                    "y_val."
                )
            n_held_out = max(n_held_out, len(labels))
            strata = y
        rows, held_out = train_test_split(
            np.arange(n_rows), test_size=n_held_out, random_state=seed, stratify=strata
        )
        return rows, held_out

    def _fit_columns(self, X: Any, weight: np.ndarray | None, *, partial: bool) -> Columns:
        options = {"standardize": self.scale_X, "allow_constant": partial}
        if isinstance(X, np.ndarray):
            return Columns.for_array(X, sample_weight=weight, **options)
        return Columns.fit(X, types=self.column_types, **options)

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
                stacklevel=4,
            )
        return min(self.batch_size, n_rows)

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
        if not isinstance(self.solver, str):
            return solvers.make(self.solver, trained)
        # scikit-learn's penalty is alpha / 2 * sum(w**2) / (rows of a batch), and a row of
        # weight 2 counts as two rows. AdamW's is its own.
        rows_of_batch = batch_size * (1.0 if weight is None else float(weight.mean()))
        decay = self.alpha if self.solver == "adamw" else self.alpha / rows_of_batch
        if self.solver == "lbfgs":
            return solvers.make("lbfgs", trained, weight_decay=decay)
        weights = [p for p in trained if p.ndim > 1]
        others = [p for p in trained if p.ndim <= 1]  # biases are not penalised
        groups = [
            {"params": parameters, "weight_decay": strength}
            for parameters, strength in ((weights, decay), (others, 0.0))
            if parameters
        ]
        options: dict[str, Any] = {"lr": self.learning_rate_init}
        if self.solver == "sgd":
            options["momentum"] = self.momentum
            options["nesterov"] = self.nesterovs_momentum and self.momentum > 0
        elif self.solver in ("adam", "adamw", "nadam", "radam"):
            options["betas"] = (self.beta_1, self.beta_2)
            options["eps"] = self.epsilon
        return solvers.make(self.solver, groups, **options)

    def _make_scheduler(self, optimizer: torch.optim.Optimizer, n_rows: int, batch_size: int):
        return make_scheduler(
            self.learning_rate,
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
        falling = self._state.stale_epochs < min(self.n_iter_no_change, history.n_epochs)
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
        """Return the module's raw outputs (N, K) for raw inputs."""
        check_is_fitted(self, "module_")
        X = self._read_inputs(X, reset=False)
        return predict_rows(self.module_, torch.from_numpy(_encode(self.columns_, X, self.module_)))

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
        from linnet.model_file import save

        save(self, path, overwrite=overwrite)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _encode(columns: Columns, X: Any, module: nn.Module) -> np.ndarray:
    """Return inputs (N, D) of the type of the module's weights."""
    is_double = any(p.dtype == torch.float64 for p in module.parameters())
    dtype = np.float64 if is_double else np.float32
    return columns.encode_array(X, dtype) if isinstance(X, np.ndarray) else columns.encode(X, dtype)


def _for_loss(y: np.ndarray, loss: losses.Loss) -> np.ndarray:
    """Return class numbers (N,) as 0/1 of shape (N, 1) for a loss that compares values."""
    if loss.compares == "values" and y.dtype.kind == "i":
        return y.astype(np.float64).reshape(len(y), -1)
    return y


def _take(X: Any, rows: np.ndarray) -> Any:
    if isinstance(X, np.ndarray):
        return X[rows]
    return nw.from_native(X, eager_only=True)[rows].to_native()
