"""Squared residuals, and gradients over all rows, of a network that the native engine knows.

Letters: N rows, D inputs, K outputs, P trained parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from linnet.data import Rows
from linnet.engine.native_engine import build
from linnet.engine.tracing import trace


class FlatNetwork:
    """A network over a float64 copy of its weights, which take the values of a vector w (P,).

    Parameters
    ----------
    module : torch.nn.Module
        One that traces to a native program.
    parameters : sequence of Tensor
        Those that w stands for, in its order.
    rows : Rows
        Inputs (N, D), targets (N, K) and weights.
    """

    def __init__(self, module: nn.Module, parameters: Sequence[torch.Tensor], rows: Rows):
        program, faults = trace(module, rows.X.shape[1])
        assert program is not None, faults
        starts = np.cumsum([0, *[p.numel() for p in parameters]])
        offset = {id(p): int(at) for p, at in zip(parameters, starts, strict=False)}
        self.offsets = [offset.get(id(p), -1) for p in program.parameters]
        self.n_weights = int(starts[-1])
        program.parameters = [p.detach().double().clone() for p in program.parameters]
        self._copies, self.n_outputs = program.parameters, program.heights[program.output]
        trained = [at >= 0 for at in self.offsets]
        self.network: Any = build(program, trained, [0] * len(trained))
        self.X = rows.X.double().contiguous().numpy()
        self.y = rows.y.reshape(len(rows), -1).double().contiguous().numpy()
        self.weight = None if rows.weight is None else rows.weight.double().contiguous().numpy()

    def set(self, w: np.ndarray) -> None:
        """Give the network the weights w (P,)."""
        for copy, at in zip(self._copies, self.offsets, strict=True):
            if at >= 0:
                copy.view(-1).numpy()[:] = w[at : at + copy.numel()]

    def outputs(self, w: np.ndarray, n_threads: int) -> np.ndarray:
        """Return the outputs (N, K) for the weights w (P,), which stay."""
        self.set(w)
        outputs = np.empty((len(self.X), self.n_outputs))
        self.network.predict(self.X, outputs, n_threads)
        self.network.raise_interruption()
        return outputs


# The code of the squared error, no knob, no weights of classes, a mean.
_SQUARED_ERROR = (0, 0.0, None, False)


class NativeResiduals:
    """Squared residuals as `linnet.solvers.residuals.SquaredResiduals` asks for them, natively.

    Parameters
    ----------
    network : FlatNetwork
    n_threads : int
        The bits are the same with any number.
    """

    def __init__(self, network: FlatNetwork, n_threads: int):
        self._network, self._n_threads = network, n_threads
        self.n_residuals = network.y.size
        P = network.n_weights
        self._JJ, self._Jr = np.empty((P, P)), np.empty((P, 1))
        # w and the outputs at it, the latest first: where a step begins, and what it tries.
        self._known: list[tuple[np.ndarray, np.ndarray]] = []

    def normal_equations(self, w: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return r'r, J'J (P, P) and J'r (P,); both arrays are overwritten by the next call."""
        n = self._network
        n.set(w)
        squares = n.network.normal_equations(
            n.X, n.y, n.weight, n.offsets, self._JJ, self._Jr, self._n_threads
        )
        n.network.raise_interruption()
        return squares, self._JJ, self._Jr[:, 0]

    def sum_of_squares(self, w: np.ndarray) -> float:
        """Return r'r."""
        squares = (self._outputs(w) - self._network.y) ** 2
        if self._network.weight is not None:
            squares *= self._network.weight[:, None]
        return float(squares.sum())

    def pull_back(self, w: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return J(w)'r(v) (P,)."""
        n, out = self._network, np.empty((len(w), 1))
        here, there = self._outputs(w), n.outputs(v, self._n_threads)
        n.set(w)
        # The gradient of half the squared error from targets whose residuals at w are r(v).
        n.network.gradient(
            n.X, here - there + n.y, n.weight, _SQUARED_ERROR, n.offsets, out, self._n_threads
        )
        n.network.raise_interruption()
        return out[:, 0] * (self.n_residuals / 2)

    def _outputs(self, w: np.ndarray) -> np.ndarray:
        """Return the outputs (N, K) at w; those at the last two w are kept."""
        at = next((i for i, (known, _) in enumerate(self._known) if np.array_equal(known, w)), None)
        if at is None:
            found = w.copy(), self._network.outputs(w, self._n_threads)
        else:
            found = self._known.pop(at)
        self._known = [found, *self._known[:1]]
        return found[1]
