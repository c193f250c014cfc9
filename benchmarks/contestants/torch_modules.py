"""The networks as torch modules: the tutorial's own class, and nn.Sequential for the others."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import nn
from tutorial_code import FeedForwardNN

from benchmarks.contestants import Fit
from benchmarks.problems import Problem


def build(problem: Problem, seed: int) -> nn.Module:
    """Return the network with torch's usual initial weights, drawn from the seed."""
    torch.manual_seed(seed)
    if problem.is_tutorial:
        return FeedForwardNN(*problem.sizes)
    layers: list[nn.Module] = []
    for m, n in pairwise(problem.sizes):
        layers += [nn.Linear(m, n), nn.ReLU() if problem.activation == "relu" else nn.Tanh()]
    layers.pop()
    if problem.output_activation == "tanh":
        layers.append(nn.Tanh())
    return nn.Sequential(*layers)


def fit_of(module: nn.Module, loss_history) -> Fit:
    """Return what `train` gives for a module that is trained."""

    def predict(X: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return module(torch.as_tensor(X, dtype=torch.float32)).numpy()

    return Fit(np.asarray(loss_history), predict)
