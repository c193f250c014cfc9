"""Validation rows judged at the epoch that the others choose."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from linnet import EnsembleRegressor, losses
from linnet.left_out import MOST_ROWS, LeftOut

SQUARED = losses.resolve("squared_error")


def seen(epochs):
    """What a network said after each epoch, (E, N, K)."""
    kept = LeftOut.of(*epochs.shape[1:])
    kept.epochs = list(epochs)
    return kept


@pytest.mark.parametrize("weighted", [False, True])
def test_each_row_is_taken_at_the_epoch_of_the_others_least_loss(weighted):
    rng = np.random.default_rng(0)
    epochs, y = rng.normal(size=(30, 7, 2)), rng.normal(size=(7, 2))
    weight = rng.uniform(0.1, 3, 7) if weighted else None
    found = seen(epochs).chosen(SQUARED, y, weight, torch.zeros(7, 2))
    for i in range(7):
        others = np.arange(7) != i
        squares = ((epochs[:, others] - y[others]) ** 2).mean(axis=2)
        best = np.average(squares, axis=1, weights=None if weight is None else weight[others])
        assert found[i].numpy() == pytest.approx(epochs[best.argmin(), i])


def test_errors_at_the_epoch_that_the_row_itself_chose_too_are_too_small():
    rng = np.random.default_rng(0)
    own, others, y = [], [], np.zeros((15, 1))
    for _ in range(300):
        epochs = rng.normal(size=(50, 15, 1))  # errors of variance 1 at each epoch
        own.append(epochs[(epochs**2).mean(axis=(1, 2)).argmin()])
        others.append(seen(epochs).chosen(SQUARED, y, None, torch.zeros(15, 1)).numpy())
    assert np.mean(np.square(own)) < 0.5
    assert np.mean(np.square(others)) == pytest.approx(1.0, abs=0.06)


def test_epochs_that_are_not_finite_are_not_chosen():
    epochs = np.ones((3, 4, 1))
    epochs[0] = np.nan
    epochs[1, 2] = np.inf
    y, otherwise = np.ones((4, 1)), torch.full((4, 1), 7.0)
    epochs[2] = 2.0
    found = seen(epochs).chosen(SQUARED, y, None, otherwise)
    assert found.ravel().tolist() == [2.0, 2.0, 2.0, 2.0]
    assert seen(epochs[:1]).chosen(SQUARED, y, None, otherwise).equal(otherwise.double())
    assert seen(epochs[:0]).chosen(SQUARED, y, None, otherwise).equal(otherwise.double())


def test_many_rows_are_taken_at_the_epoch_that_all_choose():
    assert LeftOut.of(MOST_ROWS, 1) is not None and LeftOut.of(MOST_ROWS + 1, 1) is None


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_out_of_fold_errors_of_small_tables_are_as_great_as_those_of_new_rows(engine):
    rng = np.random.default_rng(0)
    held_out, new = [], []
    for seed in range(4):
        X, y = rng.normal(size=(60, 3)), rng.normal(size=60)  # nothing can be learnt
        model = EnsembleRegressor(
            8, hidden_layer_sizes=(16,), max_iter=60, learning_rate_init=0.05, random_state=seed,
            engine=engine,
        ).fit(X, y)  # fmt: skip
        held_out.append(np.mean((model.oof_prediction_ - y) ** 2))
        X, y = rng.normal(size=(1000, 3)), rng.normal(size=1000)
        new.append(np.mean((model.predict(X) - y) ** 2))
    assert np.mean(held_out) > 0.95 * np.mean(new)
