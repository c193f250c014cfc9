"""Parts of one table: rows by their numbers, which train as copies of them do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import linnet
from linnet import EnsembleRegressor
from linnet.data import Rows
from linnet.ensemble import members
from linnet.native import native_available

N, D = 50, 3
ENGINES = ["torch", *(["native"] if native_available() else [])]


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D)).astype(np.float32)
    return X, X[:, :1] ** 2, rng.uniform(0.1, 2, N), np.sort(rng.permutation(N)[:37])


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(D, 8), nn.Tanh(), nn.Linear(8, 1))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_rows_by_number_train_to_the_bits_of_their_copies(table, engine, shuffle, weighted):
    X, y, weight, rows = table
    weight = weight if weighted else None
    options = {"epochs": 4, "batch_size": 8, "shuffle": shuffle, "engine": engine}
    options |= {"random_state": 0, "X_val": X[:5], "y_val": y[:5]}
    shared, copied = network(), network()
    both = Rows(torch.from_numpy(X), torch.from_numpy(y)).choose(rows, weight)
    found = linnet.train(shared, both, **options)
    of_copies = None if weight is None else weight[rows]
    expected = linnet.train(copied, X[rows], y[rows], sample_weight=of_copies, **options)
    assert found.engine == expected.engine == engine
    assert found.n_rows == 37
    assert found.train_loss.tolist() == expected.train_loss.tolist()
    for a, b in zip(shared.parameters(), copied.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("optimizer", ["lbfgs", "lm"])
@pytest.mark.parametrize("engine", ENGINES)
def test_solvers_of_all_rows_take_those_that_are_meant(table, optimizer, engine):
    X, y, _, rows = table
    options = {"epochs": 3, "batch_size": 37, "optimizer": optimizer, "engine": engine}
    both = Rows(torch.from_numpy(X), torch.from_numpy(y)).choose(rows)
    found = linnet.train(network(), both, random_state=0, **options)
    expected = linnet.train(network(), X[rows], y[rows], random_state=0, **options)
    assert found.train_loss.tolist() == expected.train_loss.tolist()


def test_members_share_the_memory_of_the_table(monkeypatch):
    seen, train = [], members.train

    def watched(module, X, *rest, **options):
        seen.append(X.X.data_ptr())
        return train(module, X, *rest, **options)

    monkeypatch.setattr(members, "train", watched)
    X = np.random.default_rng(0).normal(size=(80, 2))
    EnsembleRegressor(4, hidden_layer_sizes=(4,), max_iter=2, random_state=0).fit(X, X[:, 0])
    assert len(seen) == 4 and len(set(seen)) == 1
