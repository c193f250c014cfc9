"""What a fitted estimator tells of its training, by scikit-learn's names."""

from __future__ import annotations

from typing import Any

from linnet.history import History


class Fitted:
    """Attributes that are read from `history_`."""

    history_: History
    target_: Any
    _validation_scores: list[float] | None = None

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
    def effective_parameters_(self) -> float | None:
        """Parameters that the data determine; None without Bayesian regularisation."""
        return self._fitted_history("effective_parameters_").effective_parameters

    @property
    def n_outputs_(self) -> int:
        """Number of outputs, K: numbers that are predicted, or logits."""
        self._fitted_history("n_outputs_")
        return self.target_.n_outputs

    def _fitted_history(self, name: str) -> History:
        if "history_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no {name} yet: call fit first.")
        return self.history_
