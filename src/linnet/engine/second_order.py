"""The engines of solvers that take all rows at once: an epoch is one of their steps.

The normal equations of Levenberg-Marquardt come from PyTorch or from the native module, the step
itself from the solver.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from linnet.data import Rows, Stream
from linnet.engine.least_squares import FlatNetwork, NativeResiduals
from linnet.engine.native_engine import why_not
from linnet.engine.torch_engine import TorchEngine, is_finite
from linnet.history import EpochResult
from linnet.losses import Loss
from linnet.solvers import LevenbergMarquardt
from linnet.solvers.residuals import ModuleResiduals, SquaredResiduals, check_layers


class LeastSquaresEngine(TorchEngine):
    """Trains by Levenberg-Marquardt, the Jacobian from PyTorch; see `TorchEngine`."""

    optimizer: LevenbergMarquardt
    rows: Rows

    def __post_init__(self) -> None:
        super().__post_init__()
        self._problem = self._residuals()

    def epoch(
        self, order: torch.Tensor | None, seed: int, deadline: float = math.inf
    ) -> EpochResult:
        """Do one step over all rows; neither order nor seed plays a part.

        The loss is that after the step, the learning rate the damping mu that the step began with.
        """
        self.module.eval()
        mu = self.optimizer.mu
        loss = self.optimizer.iterate(self._problem)
        return EpochResult(
            loss,
            self.optimizer.gradient_norm,
            mu,
            len(self.rows),
            is_finite(self.module),
            self.optimizer.criterion,
        )

    def _residuals(self) -> SquaredResiduals:
        return ModuleResiduals(self.module, self._parameters(), *_tensors(self.rows))


class NativeLeastSquaresEngine(LeastSquaresEngine):
    """Trains by Levenberg-Marquardt, the normal equations from the native module."""

    name = "native"

    def _residuals(self) -> SquaredResiduals:
        network = FlatNetwork(self.module, self._parameters(), self.rows)
        return NativeResiduals(network, torch.get_num_threads())


def _tensors(rows: Rows) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    return rows.X, rows.y, rows.weight


def choose_least_squares(
    engine: str,
    module: nn.Module,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    rows: Rows | Stream,
    device: torch.device,
) -> tuple[type[LeastSquaresEngine], str]:
    """Return the engine for Levenberg-Marquardt and the reason; see `linnet.engine.choice.choose`.

    Raises
    ------
    ValueError
        If the loss is not the mean squared error, a layer mixes rows or draws random numbers, the
        rows come from a DataLoader, or the native engine was asked for and cannot do it.
    """
    if not isinstance(loss.function, nn.MSELoss) or loss.is_sum:
        raise ValueError(
            f"Levenberg-Marquardt minimises the mean squared error, and the loss is {loss.name}"
            f"{' with a sum' * loss.is_sum}. Write loss='squared_error', or optimizer='lbfgs' or "
            "'adamw'."
        )
    if isinstance(rows, Stream):
        raise ValueError(
            "Levenberg-Marquardt needs all rows at once, and these come from a DataLoader. Give X "
            "and y as arrays or tensors, or write optimizer='adamw'."
        )
    if device.type == "mps":
        raise ValueError(
            "Levenberg-Marquardt computes in float64, which device='mps' has not. Write "
            "device='cpu'."
        )
    check_layers(module)
    if engine == "torch":
        return LeastSquaresEngine, "engine='torch' was asked for."
    faults = why_not(module, loss, optimizer, rows, device, known=(LevenbergMarquardt,))
    if not faults:
        asked = "engine='native' was asked for."
        known = "Every layer is known to the native engine, which makes the normal equations."
        return NativeLeastSquaresEngine, asked if engine == "native" else known
    if engine == "native":
        raise ValueError(
            f"engine='native' cannot train this: {'; '.join(faults)}. Write engine='auto' or "
            "engine='torch'."
        )
    return LeastSquaresEngine, f"PyTorch, for {'; '.join(faults)}."
