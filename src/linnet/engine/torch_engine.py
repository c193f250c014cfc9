"""The engine that leaves the arithmetic to PyTorch: any module, loss, optimizer and device."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from linnet.data import Rows, Stream
from linnet.history import EpochResult
from linnet.losses import Loss

# Numbers that a block of rows may hold in evaluation: bounds the memory of activations.
_EVALUATED_NUMBERS = 2**20


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
    batch_scheduler: Any = None
    name = "torch"

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
        # float64 so that adding up a million batches loses nothing; Apple's GPUs have only 32 bits.
        total_type = torch.float32 if self.device.type == "mps" else torch.float64
        total = torch.zeros((), dtype=total_type, device=self.device)
        n_rows = 0
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        with seeded(seed, self.device):
            for x, y, weight in self.rows.batches(self.batch_size, order):

                def closure(x=x, y=y, weight=weight) -> torch.Tensor:
                    self.optimizer.zero_grad()
                    loss = self.loss(self.module(x), y, weight)
                    loss.backward()
                    if self.clip_grad_norm is not None:
                        self._clip(parameters, self.clip_grad_norm)
                    return loss

                loss = self.optimizer.step(closure)
                total.add_(loss.detach(), alpha=1 if self.loss.is_sum else len(x))
                n_rows += len(x)
                if self.batch_scheduler is not None:
                    self.batch_scheduler.step()
                if time.monotonic() > deadline:
                    break
        norm = self._last_norm if self.clip_grad_norm is not None else _gradient_norm(parameters)
        return EpochResult(float(total) / max(1, n_rows), float(norm), n_rows)

    def _clip(self, parameters: list[nn.Parameter], greatest: float) -> None:
        self._last_norm = nn.utils.clip_grad_norm_(parameters, greatest)

    def evaluate(self, rows: Rows | Stream) -> float:
        """Return the mean loss over other rows, without training."""
        self.module.eval()
        total, n_rows = 0.0, 0
        with torch.no_grad():
            for x, y, weight in rows.batches(_block_size(rows, self.batch_size)):
                loss = self.loss(self.module(x), y, weight)
                total += float(loss) * (1 if self.loss.is_sum else len(x))
                n_rows += len(x)
        return float(total) / max(1, n_rows)


def predict(module: nn.Module, X: torch.Tensor, batch_size: int = 1) -> torch.Tensor:
    """Return the module's raw outputs (N, K) for inputs (N, ...), in evaluation mode, by blocks.

    The mode that the module was in is left as found.
    """
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            block = _block_size(Rows(X, X[:, :0]), batch_size)
            return torch.cat([module(x) for x in X.split(block)])
    finally:
        module.train(was_training)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators for a while, and leave them as they were found."""
    cpu_state = torch.default_generator.get_state()
    accelerator = _accelerator_generator(device)
    accelerator_state = None if accelerator is None else accelerator.get_state()
    torch.default_generator.manual_seed(seed)
    if accelerator is not None:
        accelerator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(cpu_state)
        if accelerator is not None:
            accelerator.set_state(accelerator_state)


def _accelerator_generator(device: torch.device) -> torch.Generator | None:
    if device.type == "cuda":
        torch.cuda.init()
        index = torch.cuda.current_device() if device.index is None else device.index
        return torch.cuda.default_generators[index]
    return torch.mps._get_default_mps_generator() if device.type == "mps" else None


def _block_size(rows: Rows | Stream, batch_size: int) -> int:
    if isinstance(rows, Stream):
        return batch_size
    return max(batch_size, _EVALUATED_NUMBERS // max(1, rows.X[:1].numel()), 1)


def _gradient_norm(parameters: list[nn.Parameter]) -> torch.Tensor | float:
    gradients = [p.grad for p in parameters if p.grad is not None]
    return nn.utils.get_total_norm(gradients) if gradients else 0.0
