"""Tables in mapped files: trained on where they lie, without a second copy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import linnet
from linnet.data import read_rows
from linnet.network import mlp
from linnet.table import Columns
from linnet.table.mapped import release, take

in_linux = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc"
)


def status(name: str) -> float:
    """Return a number of /proc/self/status in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1e6


@pytest.fixture
def mapped(tmp_path):
    X = np.random.default_rng(0).normal(1.0, 3.0, size=(400_000, 20)).astype(np.float32)  # 32 MB
    np.save(tmp_path / "X.npy", X)
    return np.load(tmp_path / "X.npy", mmap_mode="r")


def test_train_takes_a_mapped_file_as_it_is(mapped):
    rows = read_rows(mapped, mapped[:, :1])
    assert rows.X.data_ptr() == mapped.ctypes.data


def test_a_read_only_array_trains_to_the_bits_of_one_that_can_be_written_to():
    X = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    found = []
    for engine in ("native", "torch"):
        for writeable in (True, False):
            given = X.copy()
            given.flags.writeable = writeable
            generator = torch.Generator().manual_seed(0)
            module = mlp(3, (8,), 1, generator=generator)
            linnet.train(module, given, X[:, :1], epochs=2, random_state=0, engine=engine)
            np.testing.assert_array_equal(given, X)
            found.append(module[0].weight.detach().clone())
        assert torch.equal(found[-1], found[-2])


def test_a_forward_that_changes_its_input_leaves_a_read_only_array_alone():
    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 1)

        def forward(self, x):
            x -= 1.0
            return self.layer(x)

    X = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    expected = X.copy()
    X.flags.writeable = False
    for optimizer in ("adam", "lbfgs", "lm"):
        for shuffle in (True, False):
            how = {"optimizer": optimizer, "shuffle": shuffle, "X_val": X, "y_val": X[:, :1]}
            linnet.train(Shifted(), X, X[:, :1], epochs=2, random_state=0, **how)
    np.testing.assert_array_equal(X, expected)


@in_linux
def test_pages_of_a_mapped_file_are_given_back_as_they_are_standardised(mapped):
    columns = Columns.for_array(mapped)
    before = status("RssFile")
    inputs = columns.standardize(mapped)
    assert status("RssFile") - before < 3.0
    np.testing.assert_array_equal(inputs, columns.standardize(np.array(mapped)))


@in_linux
def test_rows_of_a_mapped_file_are_taken_without_the_file_in_memory(mapped):
    rows = np.random.default_rng(0).permutation(len(mapped))[:300_000]
    before = status("RssFile")
    taken = take(mapped, rows)
    assert status("RssFile") - before < 3.0
    np.testing.assert_array_equal(taken, np.array(mapped)[rows])


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_what_was_written_to_a_mapped_file_is_not_lost(tmp_path, mode):
    np.save(tmp_path / "X.npy", np.zeros((5, 2)))
    X = np.load(tmp_path / "X.npy", mmap_mode=mode)
    if mode != "r":
        X[:] = 1.0
    release(X)
    assert ((mode != "r") == X).all()


def test_an_array_that_needs_no_scaling_is_not_copied(mapped):
    columns = Columns.for_array(mapped, standardize=False)
    assert columns.leaves_as_is(mapped, np.float32)
    assert not columns.leaves_as_is(mapped, np.float64)
    assert not columns.leaves_as_is(mapped[:, ::-1], np.float32)
    assert not Columns.for_array(mapped).leaves_as_is(mapped, np.float32)


PEAK = """
import sys, warnings
import numpy as np
from torch import nn
import linnet
from test_large_tables import status
warnings.simplefilter("ignore")

def network():
    return nn.Sequential(nn.Linear(20, 32), nn.Tanh(), nn.Linear(32, 1))

def fit(X, y):
    how = sys.argv[1]
    if how == "train":
        linnet.train(network(), X, y[:, None], epochs=2, batch_size=1024, engine="native")
    else:
        settings = {"scale_X": how != "as they are", "early_stopping": how == "rows held out"}
        linnet.MLPRegressor((32,), batch_size=1024, max_iter=2, **settings).fit(X, y)

few = np.random.default_rng(0).normal(size=(500, 20)).astype(np.float32)
fit(few, few[:, 0])  # loads what is loaded at first use
before = status("VmHWM")
fit(*(np.load(f"{sys.argv[2]}/{name}.npy", mmap_mode="r") for name in "Xy"))
print(status("VmHWM") - before)
"""


@pytest.mark.slow
@in_linux
@pytest.mark.parametrize("how", ["train", "as they are", "standardised", "rows held out"])
def test_ten_million_rows_take_their_size_and_200_mb(tmp_path, how):
    N, D = 10**7, 20
    open_memmap = np.lib.format.open_memmap
    X = open_memmap(tmp_path / "X.npy", "w+", np.float32, (N, D))
    y = open_memmap(tmp_path / "y.npy", "w+", np.float32, (N,))
    random = np.random.default_rng(0)
    for start in range(0, N, N // 10):
        part = random.standard_normal((N // 10, D), dtype=np.float32) * 3 + 1
        X[start : start + N // 10], y[start : start + N // 10] = part, np.sin(part[:, 0])
    run = subprocess.run(
        [sys.executable, "-c", PEAK, how, str(tmp_path)],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    for path in tmp_path.glob("*.npy"):
        path.unlink()
    assert run.returncode == 0, run.stderr
    peak = float(run.stdout)
    print(f"{how}: {peak:.0f} MB above what was there before; X takes 800 MB, y 40")
    assert peak <= 800 + 200
