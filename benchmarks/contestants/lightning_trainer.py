"""Lightning's Trainer with everything off that is not training."""

from __future__ import annotations

import logging
import warnings

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.contestants import Fit, Train
from benchmarks.contestants.torch_modules import build, fit_of
from benchmarks.problems import Problem

PACKAGES = ("lightning", "torch", "numpy")


class Regression(lightning.LightningModule):
    def __init__(self, problem: Problem, seed: int):
        super().__init__()
        self.problem = problem
        self.network = build(problem, seed)
        self.losses: list[torch.Tensor] = []
        self.loss_history: list[float] = []

    def training_step(self, batch):
        X, y = batch
        loss = torch.nn.functional.mse_loss(self.network(X), y)
        self.losses.append(loss.detach())
        return loss

    def on_train_epoch_end(self):
        self.loss_history.append(torch.stack(self.losses).mean().item())
        self.losses.clear()

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.problem.learning_rate, fused=True)


def prepare(problem: Problem, X: np.ndarray, y: np.ndarray, threads: int) -> Train:
    torch.set_num_threads(threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")  # it advises worker processes, which are slower here

    def train(seed: int) -> Fit:
        module = Regression(problem, seed)
        rows = TensorDataset(
            torch.as_tensor(X, dtype=torch.float32), torch.as_tensor(y, dtype=torch.float32)
        )
        trainer = lightning.Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=problem.epochs,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, DataLoader(rows, batch_size=problem.batch_size, shuffle=True))
        return fit_of(module.network, module.loss_history)

    return train
