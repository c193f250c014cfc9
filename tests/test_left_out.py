"""Validation rows judged at the epoch that the others choose."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from linnet import EnsembleRegressor, losses
from linnet.left_out import MOST_ROWS, LeftOut

SQUARED = losses.resolve("squared_error")


def chosen(epochs, y, weight=None, otherwise=0.0):
    """The outputs (N, K) that are chosen of what a network said after each epoch, (E, N, K)."""
    kept = LeftOut.of(SQUARED, y, weight, epochs.shape[2])
    for outputs in epochs:
        kept.take(outputs)
    return kept.chosen(torch.full(epochs.shape[1:], otherwise))


@pytest.mark.parametrize("weighted", [False, True])
def test_each_row_is_taken_at_the_epoch_of_the_others_least_loss(weighted):
    rng = np.random.default_rng(0)
    epochs, y = rng.normal(size=(30, 7, 2)), rng.normal(size=(7, 2))
    weight = rng.uniform(0.1, 3, 7) if weighted else None
    found = chosen(epochs, y, weight)
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
        others.append(chosen(epochs, y).numpy())
    assert np.mean(np.square(own)) < 0.5
    assert np.mean(np.square(others)) == pytest.approx(1.0, abs=0.06)


def test_epochs_that_are_not_finite_are_not_chosen():
    epochs = np.ones((3, 4, 1))
    epochs[0] = np.nan
    epochs[1, 2] = np.inf
    y = np.ones((4, 1))
    epochs[2] = 2.0
    assert chosen(epochs, y, otherwise=7.0).ravel().tolist() == [2.0, 2.0, 2.0, 2.0]
    assert chosen(epochs[:1], y, otherwise=7.0).ravel().tolist() == [7.0, 7.0, 7.0, 7.0]
    assert chosen(epochs[:0], y, otherwise=7.0).ravel().tolist() == [7.0, 7.0, 7.0, 7.0]


def test_what_waits_is_compared_before_it_is_copied():
    rng = np.random.default_rng(0)
    epochs, y = rng.normal(size=(50, 6, 1)), np.zeros((6, 1))
    kept = LeftOut.of(SQUARED, y, None, 1)
    for i, outputs in enumerate(epochs):
        kept.take(outputs)
        if i == 40:
            kept = kept.copy()
    assert kept.chosen(torch.zeros(6, 1)).equal(chosen(epochs, y))


def test_many_rows_are_taken_at_the_epoch_that_all_choose():
    y = np.zeros((MOST_ROWS + 1, 1))
    assert LeftOut.of(SQUARED, y[1:], None, 1) is not None
    assert LeftOut.of(SQUARED, y, None, 1) is None
    assert LeftOut.of(SQUARED, y[1:], None, 105) is None  # of too many outputs


def test_epochs_of_many_numbers_do_not_wait():
    kept = LeftOut.of(SQUARED, np.zeros((5000, 100)), None, 100)
    for _ in range(5):
        kept.take(np.zeros((5000, 100)))
        assert len(kept.waiting) < 2


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
