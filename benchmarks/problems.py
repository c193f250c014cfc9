"""What is trained: the tutorial's fit, and networks of growing size on random rows.

Letters: N rows, D inputs, K outputs, B rows of a batch, E epochs. This file knows no framework.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Problem:
    """A training, from which each contestant makes its own: Adam, mean squared error, shuffling."""

    sizes: tuple[int, ...]  # D, widths of the hidden layers, K
    activation: str  # "tanh" or "relu", of the hidden layers
    output_activation: str  # "tanh" or "identity"
    rows: int  # N
    batch_size: int  # B
    epochs: int  # E
    learning_rate: float

    @property
    def name(self) -> str:
        return f"{'-'.join(map(str, self.sizes))}, B = {self.batch_size}"

    @property
    def steps(self) -> int:
        """Steps of the whole training; the last batch of an epoch may be short."""
        return self.epochs * -(-self.rows // self.batch_size)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of the matrix products for one row, forward and backward.

        A layer from m to n neurons takes m n for its output, m n for the gradient of its weights
        and m n for the gradient of its input, which the first layer does not need.
        """
        products = [m * n for m, n in pairwise(self.sizes)]
        return 3 * sum(products) - products[0]

    @property
    def is_tutorial(self) -> bool:
        return self.sizes == (2, 80, 1) and self.output_activation == "tanh"

    def to_json(self) -> dict:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict) -> Problem:
        return cls(**{**values, "sizes": tuple(values["sizes"])})


TUTORIAL = Problem((2, 80, 1), "tanh", "tanh", 2500, 200, 400, 1e-2)


def _relu(*sizes: int, batch_size: int, steps: int, epochs: int) -> Problem:
    return Problem(sizes, "relu", "identity", batch_size * steps, batch_size, epochs, 1e-3)


# So many steps that PyTorch takes seconds, and what lies outside of the steps does not count.
STEPS = (
    _relu(8, 50, 1, batch_size=32, steps=1000, epochs=10),
    _relu(8, 64, 64, 1, batch_size=128, steps=500, epochs=6),
    _relu(16, 128, 128, 1, batch_size=256, steps=250, epochs=4),
    _relu(32, 256, 256, 256, 1, batch_size=256, steps=100, epochs=2),
    _relu(64, 512, 512, 512, 10, batch_size=256, steps=30, epochs=2),
    _relu(784, 1024, 1024, 10, batch_size=512, steps=8, epochs=2),
)


def data(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs (N, D) and targets (N, K): the tutorial's in float64, others in float32."""
    if problem.is_tutorial:
        from tutorial_code import sinc_data  # here, for it needs torch

        X, y = sinc_data()
        return X[: problem.rows], y[: problem.rows]
    rng = np.random.default_rng(0)
    X = rng.standard_normal((problem.rows, problem.sizes[0]), dtype=np.float32)
    directions = rng.standard_normal((problem.sizes[0], problem.sizes[-1]), dtype=np.float32)
    y = np.sin(X @ directions / np.float32(np.sqrt(problem.sizes[0])))
    return X, y
