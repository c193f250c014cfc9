"""Whether one candidate is better than another beyond chance, by the same rows held out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

# How often chance alone may let some candidate win over the defaults, at most.
LEVEL = 0.05


@dataclass(frozen=True)
class Comparison:
    """The difference of two candidates' losses on the same rows.

    Attributes
    ----------
    gain : float
        Mean loss of the first minus that of the second.
    standard_error : float
        Of this difference.
    n_folds : int
    degrees_of_freedom : float
        How many independent differences the standard error is known from.
    """

    gain: float
    standard_error: float
    n_folds: int
    degrees_of_freedom: float = math.inf

    @classmethod
    def of(
        cls,
        first: Sequence[np.ndarray],
        second: Sequence[np.ndarray],
        weights: Sequence[np.ndarray],
        rows: Sequence[np.ndarray],
        n_members: int,
    ) -> Comparison:
        r"""Compare two candidates by the folds that both have done.

        Members are sampled, and rows within each (two-stage sampling, Cochran 1977, chapter 10).
        With n of M folds done the variance of the mean difference is

            (1 - n/M) V_between + (n/M) V_within

        where V_between comes from the means of the folds and V_within from the rows about the
        mean of their fold. The trainings of all M folds are the members of the final model: once
        they are done, how well each has turned out is no chance any more, only the rows are.

        Parameters
        ----------
        first, second : sequence of ndarray of shape (n_rows,)
            Losses of the rows that a fold holds out.
        weights, rows : sequence of ndarray of shape (n_rows,)
            Weights and numbers of these rows. The differences of a row that two folds hold out are
            added up, for they are not independent.
        n_members : int
            M, folds in all.

        Examples
        --------
        >>> import numpy as np
        >>> from linnet.tuning.evidence import Comparison
        >>> ones, rows = [np.ones(3), np.ones(2)], [np.arange(3), np.arange(3, 5)]
        >>> Comparison.of(ones, [ones[0] / 2, ones[1] / 2], ones, rows, n_members=2).gain
        0.5
        """
        n = len(first)
        by_fold = [a - b for a, b in zip(first, second, strict=True)]
        if not np.isfinite(np.concatenate(by_fold)).all():
            # Whose training has broken is the worse one, whatever chance does.
            is_better = bool(np.isfinite(np.concatenate(list(second))).all())
            return cls(math.inf if is_better else -math.inf, 0.0, n)
        pairs = list(zip(by_fold, weights, strict=True))
        means = np.array([np.average(d, weights=w) for d, w in pairs])
        shares = np.array([w.sum() for w in weights])
        total = shares.sum()
        shares = shares / total
        gain = float(shares @ means)
        deviations = [
            w * (d - mean) * math.sqrt(len(d) / max(1, len(d) - 1))
            for (d, w), mean in zip(pairs, means, strict=True)
        ]
        numbers = np.concatenate(list(rows))
        by_row = np.bincount(numbers, weights=np.concatenate(deviations))
        within = float((by_row**2).sum()) / total**2
        freedom = float(len(np.unique(numbers)) - n)
        rest = 1 - n / n_members
        if n < 2 or not rest:
            return cls(gain, math.sqrt(within), n, freedom)
        between = float((shares**2 * (means - gain) ** 2).sum()) * n / (n - 1)
        if between <= within:
            return cls(gain, math.sqrt(within), n, freedom)
        parts = np.array([rest * between, (1 - rest) * within])
        variance = parts.sum()
        # Welch-Satterthwaite.
        freedom = variance**2 / float((parts**2 / [n - 1, max(1.0, freedom)]).sum())
        return cls(gain, math.sqrt(variance), n, freedom)

    def is_better(self, n_rivals: int) -> bool:
        """Whether the second is better than the first, though it is the best of several.

        Parameters
        ----------
        n_rivals : int
            Candidates among which it was the best: the level is divided by their number
            (Bonferroni).
        """
        if math.isinf(self.gain):
            return self.gain > 0
        if self.n_folds < 2 or self.degrees_of_freedom < 1:
            return False  # the luck of one training cannot be told from a difference
        quantile = float(t.isf(LEVEL / max(1, n_rivals), self.degrees_of_freedom))
        return self.gain > quantile * self.standard_error
