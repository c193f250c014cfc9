"""What an epoch of `linnet.train` costs beside the same loop written by hand in PyTorch.

The tutorial's problem: a 2-80-1 tanh network, 2,500 rows, batches of 200, MSE, Adam at 1e-2, in
float32 on the CPU. Three loops take turns, A B C A B C, so that whatever else the machine does
falls on all of them alike; the table gives medians, and the median of the ratios of each turn.

    python -m benchmarks.train_loop --threads 1
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import nn
from tutorial_code import FeedForwardNN, NumpyDataset, sinc_data, train_by_hand

import linnet
from benchmarks.machine import processor

BATCH, RATE = 200, 1e-2


def by_hand(model: nn.Module, X: torch.Tensor, y: torch.Tensor, epochs: int, fused: bool) -> float:
    """The loop in memory: one permutation an epoch, rows taken by index."""
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=fused)
    loss_function = nn.MSELoss()
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(X))
        total = 0.0
        for start in range(0, len(X), BATCH):
            rows = order[start : start + BATCH]
            optimizer.zero_grad()
            loss = loss_function(model(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
    return total / len(X)


def by_linnet(
    model: nn.Module, X: torch.Tensor, y: torch.Tensor, epochs: int, fused: bool
) -> float:
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=fused)
    history = linnet.train(
        model,
        X,
        y,
        loss=nn.MSELoss(),
        optimizer=optimizer,
        epochs=epochs,
        batch_size=BATCH,
        engine="torch",
        device="cpu",
    )
    return float(history.train_loss[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="threads of torch, for every loop")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--epochs", type=int, default=40, help="epochs of each loop and round")
    parser.add_argument("--fused", action="store_true", help="Adam in its fused form, everywhere")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data_x, data_y = sinc_data()
    X, y = torch.tensor(data_x).float(), torch.tensor(data_y).float()
    dataset = NumpyDataset(data_x, data_y)
    loops = {
        "by hand, in memory": lambda m, e: by_hand(m, X, y, e, options.fused),
        "linnet.train, torch engine": lambda m, e: by_linnet(m, X, y, e, options.fused),
        "the tutorial's DataLoader": lambda m, e: train_by_hand(m, dataset, n_epochs=e),
    }
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(options.rounds + 1):
        for name, loop in loops.items():
            torch.manual_seed(turn)
            model = FeedForwardNN(2, 80, 1)
            started = time.perf_counter()
            loop(model, options.epochs)
            if turn:  # the first warms up
                seconds[name].append((time.perf_counter() - started) / options.epochs)
    first = next(iter(seconds.values()))
    adam = "fused Adam" if options.fused else "Adam"
    print(
        f"{processor()}, {options.threads} thread(s), torch {torch.__version__}, {adam}, ", end=""
    )
    print(f"{options.rounds} rounds of {options.epochs} epochs\n")
    print("| loop | ms per epoch | beside the loop by hand |")
    print("| --- | ---: | ---: |")
    for name, values in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(values, first, strict=True))
        print(f"| {name} | {1e3 * statistics.median(values):.2f} | {ratio:.3f} |")


if __name__ == "__main__":
    main()
