"""What keeping a checkpoint costs: ``python benchmarks/checkpointing.py [--seconds 100]``.

Trains networks of three sizes for so many seconds each, with the default interval, and prints the
share of the time that copies and files took, how often the file was written, and its size.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import linnet
from linnet.checkpoint import Checkpoint, CheckpointedTraining

# Inputs, hidden neurons of two layers, rows.
SIZES = [(2, 80, 2_601), (32, 256, 20_000), (784, 1024, 20_000)]


class Watch:
    """Adds up the time that calls of a function take."""

    def __init__(self, function: Any):
        self.function, self.seconds, self.n_calls = function, 0.0, 0

    def __get__(self, owner: Any, kind: Any) -> Any:
        return lambda *arguments, **options: self(owner, *arguments, **options)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return self.function(*arguments, **options)
        finally:
            self.seconds += time.perf_counter() - started
            self.n_calls += 1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=100.0)
    seconds = parser.parse_args().seconds
    print(f"{'network':>20} {'epochs':>8} {'share':>8} {'files':>6} {'MB':>7}")
    after_epoch, write = CheckpointedTraining.after_epoch, Checkpoint.write
    for D, H, N in SIZES:
        torch.manual_seed(0)
        X = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
        y = np.sin(X[:, :1])
        module = nn.Sequential(
            nn.Linear(D, H), nn.ReLU(), nn.Linear(H, H), nn.ReLU(), nn.Linear(H, 1)
        )
        # Writing happens within after_epoch, whose time therefore holds all.
        CheckpointedTraining.after_epoch = watch = Watch(after_epoch)  # pyright: ignore[reportAttributeAccessIssue]
        Checkpoint.write = files = Watch(write)  # pyright: ignore[reportAttributeAccessIssue]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "training"
            started = time.perf_counter()
            history = linnet.train(
                module,
                X,
                y,
                epochs=10**6,
                batch_size=256,
                random_state=0,
                max_time=seconds,
                checkpoint=path,
            )
            took = time.perf_counter() - started
            size = path.stat().st_size / 1e6
        share = watch.seconds / took
        print(
            f"{f'{D}-{H}-{H}-1':>20} {history.n_epochs:>8,} {share:>8.2%} {files.n_calls:>6} "
            f"{size:>7.2f}"
        )


if __name__ == "__main__":
    main()
