"""EnsembleRegressor: the mean of many networks, with error bars."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from linnet.engine.placement import threads
from linnet.ensemble.fitting import EnsembleEstimator
from linnet.ensemble.members import Member, Plan
from linnet.error_bars import ErrorBars, HeldOutErrors
from linnet.estimators.descriptions import documented
from linnet.estimators.intervals import Intervals
from linnet.estimators.parameters import keep
from linnet.estimators.regression import Regression
from linnet.estimators.targets import RegressionTarget
from linnet.history import Outcome
from linnet.network import Ensemble


@documented
class EnsembleRegressor(Intervals, EnsembleEstimator, Regression):
    """Many feed-forward networks for numbers, trained side by side: their mean, with error bars.

    With nothing set, network and training are chosen from the size of the table, and the choice is
    told in ``history_.notes``. X and y are standardised inside, and predictions come back in the
    units of y. What the error bars promise is told in the page on error bars.

    {parameters}

    Attributes
    ----------
    module_ : linnet.network.Ensemble
        The members, on the CPU: maps (N, D) standardised inputs to mean and spread, each (N, K).
    settings_ : linnet.ensemble.settings.Settings
        What was chosen.
    history_ : History
        Means of the members' losses, rates, norms and times, and why most of them ended.
    histories_ : list of M History
        Of each member.
    error_bars_ : linnet.error_bars.ErrorBars
        What was learnt from the errors for rows held out.
    oof_prediction_ : ndarray of shape (N,) or (N, K)
        Predictions for the rows of `fit`, each by the members that hold it out; of rows of weight
        0 by all members. NaN for rows that no member holds out: with fewer than four members, with
        splits in `cv` that miss them, or after Ctrl-C. A model file does not keep them.
    loss_curve_, validation_loss_curve_ : list of float
        Mean loss of each epoch, in standardised units of y: the mean over members, those that have
        stopped or diverged by their best epoch.
    n_iter_, n_outputs_
        Most epochs of a member; outputs of the networks.
    columns_ : linnet.table.Columns
        How columns became inputs.
    n_features_in_, feature_names_in_
        Columns seen in `fit`, and their names if all are text.

    Examples
    --------
    >>> import numpy as np
    >>> from linnet import EnsembleRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 3, (200, 1))
    >>> y = 100 * np.sin(X.ravel()) + 5 * rng.normal(size=200)
    >>> model = EnsembleRegressor(max_iter=50, random_state=0).fit(X, y)
    >>> mean, std = model.predict([[1.5]], return_std=True)
    >>> bool(abs(mean[0] - 99.7) < 5), bool(3 < std[0] < 8)
    (True, True)
    >>> model.predict_interval([[1.5]], coverage=0.9).shape
    (1, 2)
    """

    loss_names = ("squared_error", "absolute_error", "smooth_l1", "huber", "poisson")
    _out_of_fold_name = "oof_prediction_"

    def __init__(
        self,
        n_members=8,
        *,
        cv=None,
        hidden_layer_sizes="auto",
        activation="auto",
        loss="squared_error",
        dropout="auto",
        n_frequencies="auto",
        frequency_scale="auto",
        solver="auto",
        alpha="auto",
        batch_size="auto",
        learning_rate_init="auto",
        max_iter="auto",
        random_state=None,
        verbose=False,
        column_types=None,
        dtype="float32",
        max_time=None,
        device="auto",
        engine="auto",
        n_threads=None,
    ):
        keep(self, locals())

    def _link(self, target: Any) -> str:
        return "exp" if self._counts() else "identity"

    def _calibrate(
        self,
        module: Ensemble,
        trained: list[Member],
        plan: Plan,
        target: RegressionTarget,
        weight: np.ndarray | None,
        seed: int,
        max_time: float | None,
    ) -> bool:
        rows = np.concatenate([member.held_out for member in trained])
        outputs = np.concatenate([member.outputs for member in trained])
        predicted = Ensemble.LINKS[module.link](torch.from_numpy(outputs)).numpy()
        held_out = HeldOutErrors(
            plan.X,
            predicted,
            plan.y[rows] - predicted,
            rows,
            None if weight is None else weight[rows],
        )
        if not held_out.is_usable.any():
            raise ValueError(
                "The members' predictions for rows held out are infinite or beyond 1e150: the "
                "training failed. Give a smaller learning_rate_init, or loss='squared_error'."
            )
        held_out = held_out.take(held_out.is_usable)
        interrupted = any(m.history.outcome is Outcome.INTERRUPTED for m in trained)
        self.error_bars_ = ErrorBars.fit(
            held_out,
            n_members=len(trained),
            seed=seed,
            n_threads=int(self.n_threads or torch.get_num_threads()),
            local=not interrupted and max_time != 0,
            max_time=max_time,
        )
        counts = np.bincount(rows, minlength=len(plan.X))[:, None]
        sums = np.zeros((len(plan.X), predicted.shape[1]))
        np.add.at(sums, rows, predicted)
        with np.errstate(invalid="ignore"):
            self._out_of_fold = target.decode(sums / counts)  # NaN where no member holds it out
        return self.error_bars_.interrupted

    @property
    def oof_prediction_(self) -> np.ndarray:
        return self._told_out_of_fold()

    def _predict_anew(self, X: Any) -> np.ndarray:
        return np.asarray(self.predict(X))

    def _predictions(self, outputs: torch.Tensor, target: RegressionTarget) -> np.ndarray:
        return target.decode(outputs.numpy())  # the module has applied the link

    def _scaled_errors(self, X: Any) -> tuple[np.ndarray, torch.Tensor]:
        inputs, mean, spread = self._moments(X)
        with threads():
            sigma = self.error_bars_.sigma(inputs, mean, spread)
        return self._predictions(mean, self.target_), sigma
