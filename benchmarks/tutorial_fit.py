"""The tutorial's whole training, 400 epochs, by linnet and by the loops that people write.

The tutorial's problem: a 2-80-1 tanh network, 2,500 rows, batches of 200, MSE, Adam at 1e-2, in
float32 on the CPU; shuffling and the loss history included. The contestants take turns,
A B C D A B C D, so that whatever else the machine does falls on all of them alike; the table gives
medians, the median of the ratios of each turn, and the final losses, for a fast training that fits
worse has not won.

    python benchmarks/tutorial_fit.py --rounds 5
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from pathlib import Path

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from torch import nn
from train_loop import by_hand, processor

import linnet

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from tutorial_code import FeedForwardNN, NumpyDataset, sinc_data, train_by_hand


def by_linnet(model: nn.Module, X: torch.Tensor, y: torch.Tensor, epochs: int) -> float:
    history = linnet.train(
        model,
        X,
        y,
        loss=nn.MSELoss(),
        optimizer=torch.optim.Adam(model.parameters(), lr=1e-2),
        epochs=epochs,
        batch_size=200,
        engine="native",
    )
    return float(history.train_loss[-1])


def by_scikit_learn(X: torch.Tensor, y: torch.Tensor, epochs: int, seed: int) -> float:
    """scikit-learn's MLP has no activation of the output; its loss is half the squared error."""
    model = MLPRegressor(
        hidden_layer_sizes=(80,),
        activation="tanh",
        alpha=0.0,
        batch_size=200,
        learning_rate_init=1e-2,
        max_iter=epochs,
        n_iter_no_change=epochs,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X.numpy(), y.numpy().ravel())
    return 2 * model.loss_curve_[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="threads of torch, for every loop")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=400)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data_x, data_y = sinc_data()
    X, y = torch.tensor(data_x).float(), torch.tensor(data_y).float()
    dataset = NumpyDataset(data_x, data_y)
    E = options.epochs
    contestants = {
        "linnet.train, native engine": lambda m, seed: by_linnet(m, X, y, E),
        "PyTorch in memory, fused Adam": lambda m, seed: by_hand(m, X, y, E, fused=True),
        "scikit-learn's MLPRegressor": lambda m, seed: by_scikit_learn(X, y, E, seed),
        "the tutorial's own loop": lambda m, seed: train_by_hand(m, dataset, n_epochs=E)[-1],
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    losses: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(options.rounds):
        for name, contestant in contestants.items():
            torch.manual_seed(turn)
            model = FeedForwardNN(2, 80, 1)
            started = time.perf_counter()
            losses[name].append(float(contestant(model, turn)))
            seconds[name].append(time.perf_counter() - started)
    first = next(iter(seconds.values()))
    print(
        f"{processor()}, {options.threads} thread(s), torch {torch.__version__}, "
        f"{options.rounds} rounds of {E} epochs\n"
    )
    print("| training | seconds | times as long as linnet | final loss |")
    print("| --- | ---: | ---: | ---: |")
    for name, values in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(values, first, strict=True))
        loss = statistics.median(losses[name])
        print(f"| {name} | {statistics.median(values):.3f} | {ratio:.1f} | {loss:.2e} |")


if __name__ == "__main__":
    main()
