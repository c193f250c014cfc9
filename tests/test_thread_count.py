"""The number of threads of a native epoch: what was fastest lately."""

from __future__ import annotations

from linnet.engine.thread_count import ThreadCount


def run(count, n_epochs, seconds):
    """Let epochs take what `seconds` says of their number of threads, and return the numbers."""
    chosen = []
    for _ in range(n_epochs):
        chosen.append(count.choose())
        count.took(seconds[chosen[-1]])
    return chosen


def test_a_short_training_takes_all_threads():
    assert run(ThreadCount(8, 10**8), 4, {8: 1.0, 4: 0.1, 1: 0.1}) == [8, 8, 8, 8]


def test_the_fastest_number_stays_and_the_others_are_tried_now_and_then():
    chosen = run(ThreadCount(8, 10**8), 100, {8: 1.0, 4: 0.2, 1: 0.5})
    assert chosen[4:6] == [4, 1]
    assert chosen.count(4) > 85 and chosen.count(1) >= 2 and chosen.count(8) >= 6


def test_a_computer_that_becomes_busy_is_noticed():
    count = ThreadCount(2, 10**7)
    assert run(count, 40, {2: 0.5, 1: 1.0})[-1] == 2
    assert run(count, 40, {2: 3.0, 1: 1.0})[-1] == 1


def test_small_steps_take_one_thread():
    assert run(ThreadCount(8, 400_000), 5, {1: 1.0}) == [1] * 5
