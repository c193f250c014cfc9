"""Whether one candidate is better than another beyond chance, by the same rows held out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

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
        Of this difference, from rows or from folds, whichever tells of the greater: the rows of a
        fold share the luck of one training.
    n_folds : int
    """

    gain: float
    standard_error: float
    n_folds: int

    @classmethod
    def of(
        cls,
        first: Sequence[np.ndarray],
        second: Sequence[np.ndarray],
        weights: Sequence[np.ndarray],
    ) -> Comparison:
        """Compare losses of rows: for each fold an array for the first, the second, the weights.

        Examples
        --------
        >>> import numpy as np
        >>> from linnet.tuning.evidence import Comparison
        >>> ones = [np.ones(3), np.ones(2)]
        >>> Comparison.of(ones, [ones[0] / 2, ones[1] / 2], ones).gain
        0.5
        """
        by_fold = [a - b for a, b in zip(first, second, strict=True)]
        difference, weight = np.concatenate(by_fold), np.concatenate(list(weights))
        if not np.isfinite(difference).all():
            # Whose training has broken is the worse one, whatever chance does.
            is_better = bool(np.isfinite(np.concatenate(list(second))).all())
            return cls(math.inf if is_better else -math.inf, 0.0, len(by_fold))
        total = weight.sum()
        gain = float((weight * difference).sum() / total)
        # Of a weighted mean (Cochran 1977, section 6.4).
        variance = float((weight**2 * (difference - gain) ** 2).sum() / total**2)
        if len(by_fold) > 1:
            shares = np.array([w.sum() / total for w in weights])
            pairs = zip(by_fold, weights, strict=True)
            means = np.array([np.average(d, weights=w) for d, w in pairs])
            n = len(means)
            spread = float((shares**2 * (means - gain) ** 2).sum()) * n / (n - 1)
            variance = max(variance, spread)
        return cls(gain, math.sqrt(variance), len(by_fold))

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
        if self.n_folds < 2:
            return False  # the luck of one training cannot be told from a difference
        return self.gain > float(norm.isf(LEVEL / max(1, n_rivals))) * self.standard_error
