"""EnsembleClassifier: the mean probabilities of many networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar

from linnet.ensemble.fitting import EnsembleEstimator
from linnet.ensemble.members import Member, Plan
from linnet.estimators.classification import Classification
from linnet.estimators.descriptions import documented
from linnet.estimators.parameters import keep
from linnet.estimators.targets import ClassTarget
from linnet.network import Ensemble


@documented
class EnsembleClassifier(EnsembleEstimator, Classification):
    """Many feed-forward networks for classes, trained side by side: their mean probabilities.

    With nothing set, network and training are chosen from the size of the table, and the choice is
    told in ``history_.notes``. X is standardised inside. Probabilities are scaled by a temperature,
    which is learnt from rows that the members were not trained on; so they are true for labels as
    they are, although the members learn smoothed ones.

    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (L,)
        Sorted labels.
    module_ : linnet.network.Ensemble
        The members, on the CPU: maps (N, D) standardised inputs to mean and spread of the
        probabilities, each (N, K).
    settings_ : linnet.ensemble.settings.Settings
        What was chosen.
    history_ : History
        Means of the members' losses, rates, norms and times, and why most of them ended.
    histories_ : list of M History
        Of each member.
    temperature_ : float
        By which logits are divided.
    oof_probabilities_ : ndarray of shape (N, L)
        Probabilities for the rows of `fit`, each by the members that hold it out; of rows of weight
        0 by all members. NaN for rows that no member holds out: with fewer than four members, with
        splits in `cv` that miss them, or after Ctrl-C. A model file does not keep them.
    loss_curve_, validation_loss_curve_ : list of float
        Mean log loss of each epoch, in nats, of smoothed labels, so that it is never 0: the mean
        over members, those that have stopped or diverged by their best epoch.
    n_iter_, n_outputs_
        Most epochs of a member; outputs of the networks.
    columns_ : linnet.table.Columns
        How columns became inputs.
    n_features_in_, feature_names_in_
        Columns seen in `fit`, and their names if all are text.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from linnet import EnsembleClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = EnsembleClassifier(max_iter=50, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.95)
    True
    """

    loss_names = ("log_loss",)
    automatic = EnsembleEstimator.automatic | {"label_smoothing"}
    _out_of_fold_name = "oof_probabilities_"

    def __init__(
        self,
        n_members=8,
        *,
        cv=None,
        hidden_layer_sizes="auto",
        activation="auto",
        loss="log_loss",
        class_weight=None,
        dropout="auto",
        label_smoothing="auto",
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

    def _link(self, target: ClassTarget) -> str:
        return "sigmoid" if target.multilabel or target.n_outputs == 1 else "softmax"

    def _calibrate(
        self,
        module: Ensemble,
        trained: list[Member],
        plan: Plan,
        target: ClassTarget,
        weight: np.ndarray | None,
        seed: int,
        max_time: float | None,
    ) -> bool:
        rows = np.concatenate([member.held_out for member in trained])
        logits = torch.from_numpy(np.concatenate([member.outputs for member in trained]))
        temperature = _temperature(module, logits, rows, plan.y, weight, len(trained))
        temperature = _towards_one(temperature, rows, weight)
        module.temperature.fill_(temperature)
        self.temperature_ = float(module.temperature)  # as a file keeps it
        probabilities = module.combine([logits])[0].numpy()
        sums = np.zeros((len(plan.X), logits.shape[1]))
        np.add.at(sums, rows, probabilities)
        counts = np.bincount(rows, minlength=len(plan.X))[:, None]
        with np.errstate(invalid="ignore"):
            self._out_of_fold = self._shaped(sums / counts, target)
        return False

    @property
    def oof_probabilities_(self) -> np.ndarray:
        return self._told_out_of_fold()

    def _predict_anew(self, X: Any) -> np.ndarray:
        return self.predict_proba(X)

    def _probabilities(self, outputs: torch.Tensor, target: ClassTarget) -> np.ndarray:
        return self._shaped(outputs.numpy(), target)  # the module has applied the link

    def _shaped(self, one: np.ndarray, target: ClassTarget) -> np.ndarray:
        return np.hstack([1 - one, one]) if target.n_outputs == 1 and not target.multilabel else one


def _temperature(
    module: Ensemble,
    logits: torch.Tensor,
    rows: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray | None,
    n_members: int,
) -> float:
    """Return the temperature of a mean of M members (Guo et al. 2017, section 4.2).

    Rows held out have logits of one or two members. A mean over more members is less sure of
    itself, so that the best temperature falls, as ``a + b / M``: the share of b comes from one and
    two members on the rows that two hold out. These are few, so that no more than
    `_MOST_FROM_A_SECOND` of the temperature is believed to go with a second member.
    """
    order = np.argsort(rows, kind="stable")
    first = np.flatnonzero(np.diff(rows[order]) == 0)
    alone = _best_temperature(module, [logits], rows, y, weight)
    if len(first) < 30 or n_members < 2:
        return alone
    a, b = order[first], order[first + 1]
    twice = np.concatenate([a, b])
    one = _best_temperature(module, [logits[twice]], rows[twice], y, weight)
    two = _best_temperature(module, [logits[a], logits[b]], rows[a], y, weight)
    share = min(max(0.0, 1 - two / one), _MOST_FROM_A_SECOND)
    return alone * (1 - 2 * (1 - 1 / n_members) * share)


def _towards_one(temperature: float, rows: np.ndarray, weight: np.ndarray | None) -> float:
    """Return the temperature as far as N rows are to be believed: to the power N / (N + N0).

    Few rows held out are biased judges as well as few: each is of the class that the members
    trained without it saw least of. So log T has a normal prior around 0 that is worth
    N0 = `_ROWS_OF_PRIOR` rows. A row counts once, however many members hold it out, and by its
    weight (Kish 1965).
    """
    own = np.unique(rows)
    w = np.ones(len(own)) if weight is None else weight[own] / weight[own].max()
    n_rows = w.sum() ** 2 / (w**2).sum()
    return float(temperature ** (n_rows / (n_rows + _ROWS_OF_PRIOR)))


_ROWS_OF_PRIOR = 30
_RANGE = (0.1, 20.0)
_MOST_FROM_A_SECOND = 0.2


def _best_temperature(
    module: Ensemble,
    logits: list[torch.Tensor],
    rows: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray | None,
) -> float:
    """Return the temperature at which the mean probabilities of rows have the least log loss."""
    target = y[rows]
    row_weight = np.ones(len(rows)) if weight is None else weight[rows]

    def log_loss(log_temperature: float) -> float:
        found = [logit / np.exp(log_temperature) for logit in logits]
        link = module.LINKS[module.link]
        p = torch.stack([link(logit) for logit in found]).mean(dim=0).numpy().clip(1e-12, 1 - 1e-12)
        if target.ndim == 1:
            loss = -np.log(p[np.arange(len(p)), target])
        else:
            loss = -(target * np.log(p) + (1 - target) * np.log1p(-p)).sum(axis=1)
        return float(np.average(loss, weights=row_weight))

    found: Any = minimize_scalar(log_loss, bounds=np.log(_RANGE).tolist(), method="bounded")
    return float(np.exp(found.x))
