"""The tutorial's system in a few lines, as material for tests and benchmarks.

The idea, the names and the numbers are those of the workshop page "Training Neural Networks": a
2-80-1 network learns sin(r) / r on a grid of 50 by 50 points.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset


class FeedForwardNN(nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__()
        self.hidden_layer = nn.Linear(input_size, hidden_size)
        self.hidden_activation = nn.Tanh()
        self.output_layer = nn.Linear(hidden_size, output_size)
        self.output_activation = nn.Tanh()

    def forward(self, x):
        hidden = self.hidden_activation(self.hidden_layer(x))
        return self.output_activation(self.output_layer(hidden))


class NumpyDataset(Dataset):
    def __init__(self, data_x, data_y):
        self.data_x = torch.tensor(data_x, dtype=torch.float32)
        self.data_y = torch.tensor(data_y, dtype=torch.float32)

    def __len__(self):
        return len(self.data_x)

    def __getitem__(self, idx):
        return self.data_x[idx], self.data_y[idx]


def sinc_data():
    """Standardised grid points (2500, 2) and sin(r) / r there (2500, 1), both float64."""
    axis = np.linspace(-10, 10, 50)
    points = np.stack([g.ravel() for g in np.meshgrid(axis, axis)], axis=1)
    r = np.hypot(points[:, 0], points[:, 1])
    return (points - points.mean(0)) / points.std(0), (np.sin(r) / r).reshape(-1, 1)


def train_by_hand(model, dataset, *, n_epochs=400, batch_size=200, learning_rate=1e-2):
    """The tutorial's loop; returns its loss history."""
    data_loader = DataLoader(dataset, batch_size=batch_size, shuffle=True)
    loss_function = nn.MSELoss()
    optimizer = optim.Adam(model.parameters(), lr=learning_rate)
    loss_history = []
    for _ in range(n_epochs):
        epoch_losses = []
        for z_batch, y_batch in data_loader:
            optimizer.zero_grad()
            loss = loss_function(model(z_batch), y_batch)
            epoch_losses.append(loss.item())
            loss.backward()
            optimizer.step()
        loss_history.append(np.mean(epoch_losses))
    return loss_history
