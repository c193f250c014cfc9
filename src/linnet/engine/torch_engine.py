"""The engine that leaves the arithmetic to PyTorch: any module, loss, optimizer and device."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from linnet import interruption
from linnet.data import Rows, Stream
from linnet.engine.placement import threads
from linnet.engine.processors import processors
from linnet.history import EpochResult
from linnet.losses import Loss
from linnet.randomness import seeded

# Numbers that a layer may give for a block of rows in evaluation: bounds the memory.
_EVALUATED_NUMBERS = 2**20
_EVALUATED_ROWS = 256  # never fewer, unless there are fewer


@dataclass
class TorchEngine:
    """Trains and evaluates a module with autograd.

    Attributes
    ----------
    module : torch.nn.Module
        Changed in place.
    loss : Loss
    optimizer : torch.optim.Optimizer
    rows : Rows or Stream
        The training rows, on the device of the module.
    batch_size : int
    clip_grad_norm : float or None
        Greatest Euclidean norm that a step's gradient may have.
    clip_grad_value : float or None
        Greatest size that a number of it may have.
    batch_scheduler : torch.optim.lr_scheduler.LRScheduler or None
        Stepped after every batch.
    """

    module: nn.Module
    loss: Loss
    optimizer: torch.optim.Optimizer
    rows: Rows | Stream
    batch_size: int
    device: torch.device
    clip_grad_norm: float | None = None
    clip_grad_value: float | None = None
    batch_scheduler: Any = None
    _norm: torch.Tensor | None = field(default=None, init=False)  # of the last clipped gradient
    name = "torch"

    def __post_init__(self) -> None:
        is_of_torch = type(self.optimizer).__module__.startswith("torch.optim.")
        self._is_plain = is_of_torch and not isinstance(self.optimizer, torch.optim.LBFGS)

    def epoch(
        self, order: torch.Tensor | None, seed: int, deadline: float = float("inf")
    ) -> EpochResult:
        """Train on every row once.

        Parameters
        ----------
        order : Tensor of shape (N,) or None
            Row numbers in the order of the epoch; None for the order of the rows.
        seed : int
            Decides what the module draws, such as the units that dropout leaves out.
        deadline : float
            The epoch ends early once `time.monotonic` passes it.
        """
        self.module.train()
        total, n_rows = self._zero(), 0
        groups = self.optimizer.param_groups
        rate = groups[0]["lr"]
        n_threads = torch.get_num_threads()
        with seeded(seed, self.device), processors(n_threads), torch.enable_grad():
            for x, y, weight in self.rows.batches(self.batch_size, order):
                loss = self._step(x, y, weight)
                total.add_(loss.detach(), alpha=1 if self.loss.is_sum else len(x))
                n_rows += len(x)
                rate = groups[0]["lr"]
                if self.batch_scheduler is not None:
                    self.batch_scheduler.step()
                if time.monotonic() > deadline:
                    break
        if n_rows == 0:
            raise ValueError("The DataLoader gives no batches. Give one whose dataset has items.")
        norm = _gradient_norm(self._parameters()) if self._norm is None else self._norm
        return EpochResult(
            float(total) / n_rows,
            float(norm),
            float(rate),
            n_rows,
            is_finite(self.module),
            getattr(self.optimizer, "criterion", None),
        )

    def _step(self, x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        # A closure costs 2 % of a small step, and of torch's optimizers only L-BFGS calls it more
        # than once; an optimizer of the user's may.
        step: Any = self.optimizer.step  # torch types its closure as giving a float
        if not self._is_plain:
            return step(lambda: self._backward(x, y, weight))
        loss = self._backward(x, y, weight)
        step()
        return loss

    def _backward(
        self, x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor | None
    ) -> torch.Tensor:
        """Leave the gradient of a batch in the parameters, and return its loss."""
        interruption.check()
        self.optimizer.zero_grad()
        loss = self.loss(self.module(x), y, weight)
        if not loss.requires_grad:
            raise ValueError(
                f"The loss {self.loss.name} does not depend on the module's parameters. Compute it "
                "from the module's output by torch's functions, without detach, numpy or no_grad "
                "on the way, in forward too."
            )
        loss.backward()
        if self.clip_grad_norm is not None:
            self._norm = nn.utils.clip_grad_norm_(self._parameters(), self.clip_grad_norm)
        if self.clip_grad_value is not None:
            if self.clip_grad_norm is None:
                self._norm = torch.as_tensor(_gradient_norm(self._parameters()))
            nn.utils.clip_grad_value_(self._parameters(), self.clip_grad_value)
        return loss

    def _parameters(self) -> list[nn.Parameter]:
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def evaluate(self, rows: Rows | Stream) -> float:
        """Return the mean loss over other rows, without training."""
        self.module.eval()
        total, counted, n_rows = self._zero(), self._zero(), 0
        # A DataLoader draws from the global generator even where it does not shuffle.
        n_threads = torch.get_num_threads()
        with torch.no_grad(), seeded(0, self.device), processors(n_threads):
            for x, y, weight in rows.batches(block_size(self.module, rows, self.batch_size)):
                interruption.check()
                loss = self.loss(self.module(x), y, weight)
                divisor = self.loss.divisor(y, weight)
                if divisor:  # else none of the rows counts, and their mean is 0 / 0
                    total.add_(loss.to(total.dtype) * (1 if self.loss.is_sum else divisor))
                counted.add_(divisor)
                n_rows += len(x)
        if n_rows == 0:
            raise ValueError("The DataLoader gives no batches. Give one whose dataset has items.")
        return float(total / counted)

    def _zero(self) -> torch.Tensor:
        # float64 so that adding up a million batches loses nothing; Apple's GPUs have only 32 bits.
        total_type = torch.float32 if self.device.type == "mps" else torch.float64
        return torch.zeros((), dtype=total_type, device=self.device)


def predict(module: nn.Module, X: torch.Tensor, batch_size: int = 1) -> torch.Tensor:
    """Return the module's raw outputs (N, K) for inputs (N, ...), in evaluation mode, by blocks.

    The mode that the module was in is left as found.
    """
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad(), threads():
            blocks = X.split(block_size(module, Rows(X, X), batch_size))
            return torch.cat([_of_block(module, x) for x in blocks])
    finally:
        module.train(was_training)


def _of_block(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    interruption.check()
    return module(x.clone())  # a copy, for a forward such as ``x -= mean`` changes its input


def is_finite(module: nn.Module) -> bool:
    """Whether all parameters are finite."""
    # A sum is quicker than asking each number; where it overflows, they are asked.
    return all(
        math.isfinite(p.detach().sum().item()) or bool(torch.isfinite(p).all())
        for p in module.parameters()
    )


def block_size(module: nn.Module, rows: Rows | Stream, batch_size: int) -> int:
    """Return how many rows to evaluate at once: few enough that activations stay small."""
    if isinstance(rows, Stream):
        return batch_size
    widest = max((max(p.shape, default=1) for p in module.parameters()), default=1)
    numbers = max(widest, rows.X[:1].numel(), 1)
    return max(batch_size, _EVALUATED_ROWS, _EVALUATED_NUMBERS // numbers)


def _gradient_norm(parameters: list[nn.Parameter]) -> torch.Tensor | float:
    gradients = [p.grad for p in parameters if p.grad is not None]
    parts = [g.coalesce().values() if g.is_sparse else g for g in gradients]
    if not parts:
        return 0.0
    return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in parts]))
