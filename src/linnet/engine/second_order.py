"""The engines of solvers that take all rows at once: an epoch is one of their steps.

The normal equations of Levenberg-Marquardt come from PyTorch or from the native module, the step
itself from the solver.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from linnet.data import Rows, Stream
from linnet.engine.least_squares import FlatNetwork, NativeResiduals
from linnet.engine.native_engine import loss_tuple
from linnet.engine.processors import processors
from linnet.engine.reasons import why_not
from linnet.engine.torch_engine import TorchEngine, is_finite
from linnet.history import EpochResult
from linnet.losses import Loss
from linnet.solvers import LBFGS, LevenbergMarquardt
from linnet.solvers.independence import dependence, in_training, unable
from linnet.solvers.lbfgs import converted
from linnet.solvers.levenberg_marquardt import refusal
from linnet.solvers.residuals import ModuleResiduals, SquaredResiduals


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
        with processors(torch.get_num_threads()):
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


class NativeLbfgsEngine(TorchEngine):
    """Trains by L-BFGS in float64, loss and gradient over all rows from the native module."""

    optimizer: LBFGS
    rows: Rows
    name = "native"

    def __post_init__(self) -> None:
        super().__post_init__()
        parameters = self._parameters()
        self._network = FlatNetwork(self.module, parameters, self.rows)
        self._loss = loss_tuple(self.loss, Rows(self.rows.X.double(), self.rows.y))
        self._n_threads = torch.get_num_threads()
        self._flat = nn.Parameter(torch.cat([p.detach().double().reshape(-1) for p in parameters]))
        decay = self.optimizer.param_groups[0]["weight_decay"]
        self._decay = torch.cat(
            [
                torch.full((p.numel(),), decay * (p.ndim > 1), dtype=torch.float64)
                for p in parameters
            ]
        )

    def epoch(
        self, order: torch.Tensor | None, seed: int, deadline: float = math.inf
    ) -> EpochResult:
        """Do one iteration over all rows; neither order nor seed plays a part."""
        self.module.train()
        parameters, group = self._parameters(), self.optimizer.param_groups[0]
        state = self.optimizer.state[parameters[0]]
        state.update(converted(state, dtype=torch.float64))
        self._take_up(state.get("exact"), parameters)
        losses: list[float] = []

        def closure() -> torch.Tensor:
            loss, self._flat.grad = self._gradient()
            losses.append(loss)
            return torch.tensor(loss + float(self._decay @ self._flat.detach() ** 2) / 2)

        # The solver of the flat weights, with the state of the optimizer that was given.
        solver = LBFGS([self._flat])
        solver.param_groups[0].update({**group, "params": [self._flat], "weight_decay": 0.0})
        solver.state[self._flat] = state
        with processors(self._n_threads):
            solver.step(closure)
        for p, part in zip(parameters, self._parts(parameters), strict=True):
            with torch.no_grad():
                p.copy_(part)
        state["exact"] = self._flat.detach().clone()
        rows = len(self.rows)
        loss = losses[0] / rows if self.loss.is_sum else losses[0]
        norm = float(torch.linalg.vector_norm(self._flat.grad))
        return EpochResult(loss, norm, group["lr"], rows, is_finite(self.module), solver.criterion)

    def _take_up(self, exact: torch.Tensor | None, parameters: list[nn.Parameter]) -> None:
        """Begin from the exact weights where the parameters are their roundings."""
        if exact is not None:
            self._flat.data.copy_(exact)
            pairs = zip(parameters, self._parts(parameters), strict=True)
            if all(torch.equal(part.to(p.dtype), p) for p, part in pairs):
                return
        self._flat.data.copy_(torch.cat([p.detach().double().reshape(-1) for p in parameters]))

    def _parts(self, parameters: list[nn.Parameter]) -> list[torch.Tensor]:
        parts = self._flat.detach().split([p.numel() for p in parameters])
        return [part.view(p.shape) for p, part in zip(parameters, parts, strict=True)]

    def _gradient(self) -> tuple[float, torch.Tensor]:
        """Return the loss of all rows, and the gradient with that of the penalty, (P,)."""
        n, out = self._network, np.empty((self._network.n_weights, 1))
        n.set(self._flat.detach().numpy())
        total = n.network.gradient(n.X, n.y, n.weight, self._loss, n.offsets, out, self._n_threads)
        n.network.raise_interruption()
        gradient = torch.from_numpy(out[:, 0])
        if self.clip_grad_norm is not None:
            norm = float(torch.linalg.vector_norm(gradient))
            gradient *= min(1.0, self.clip_grad_norm / (norm + 1e-6))
        if self.clip_grad_value is not None:
            gradient.clamp_(-self.clip_grad_value, self.clip_grad_value)
        gradient += self._decay * self._flat.detach()
        return (total if self.loss.is_sum else total / len(self.rows)), gradient


def lbfgs_faults(
    module: nn.Module,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    rows: Rows | Stream,
    device: torch.device,
) -> list[str]:
    """Return what keeps `NativeLbfgsEngine` from training this; see `why_not`."""
    faults = why_not(module, loss, optimizer, rows, device, known=(LBFGS,))
    if not faults and isinstance(rows, Rows):
        with in_training(module):
            fault = dependence(module, rows.X)
        faults += [fault] if fault else []
    return faults


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
        If the loss is not the mean squared error, a row's outputs depend on other rows or on
        chance, the rows come from a DataLoader, or the native engine was asked for and cannot do
        it.
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
    with in_training(module):
        fault = dependence(module, rows.X)
        told = unable(module, rows.X) if fault else ""
    if fault:
        raise ValueError(told or f"{refusal(fault)} Leave that out, or choose 'adamw'.")
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
