"""Many fits in a process: nothing is left over, no bit differs, no processor is asked for twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import many_fits
import pytest

from linnet.engine.processors import Processors

pytestmark = [
    pytest.mark.skipif(
        not Path("/proc/self/task").exists(),
        reason="memory is read from Linux's /proc",
    ),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def found_by(*words: str):
    command = [sys.executable, many_fits.__file__, *words]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def check_states(states: list[dict], most_mb: float) -> None:
    first = states[0]
    for state in states:
        assert state["of_python"] == first["of_python"]
        assert state["threads"] <= first["threads"]
        assert state["handles"] == first["handles"]
        assert state["MB"] <= first["MB"] + most_mb, states


def test_a_few_fits_of_each_kind_leave_no_thread_no_handle_and_no_memory():
    check_states(many_fits.one_by_one(28, 14, 14), 8.0)


@pytest.mark.slow
def test_a_thousand_fits_hold_no_more_memory_than_fifty():
    check_states(found_by("one-by-one", "1000"), 20.0)


def test_fits_from_eight_threads_have_the_bits_of_fits_one_by_one():
    numbers = [6] * 8 + list(range(6)) + list(range(7, 13))  # large steps first, all at once
    found = many_fits.at_once(numbers)
    alone = {number: many_fits.fit(number) for number in set(numbers)}
    assert found["digests"] == [alone[number] for number in numbers]
    assert found["most"] <= len(os.sched_getaffinity(0))


@pytest.mark.slow
def test_sixty_four_fits_from_threads_and_processes_have_the_bits_of_fits_one_by_one():
    found, n_processors = found_by("at-once", "64"), len(os.sched_getaffinity(0))
    assert found["threads"]["digests"] == found["alone"]
    assert found["threads"]["most"] <= n_processors
    assert found["processes"] == found["alone"]


def test_processors_are_given_out_in_the_order_of_asking_and_never_more_than_there_are():
    processors, order, together = Processors(4), [], []
    first_is_in, first_may_go = threading.Event(), threading.Event()

    def work(number, wanted, fewer):
        with processors.taken(wanted, fewer=fewer) as n_threads:
            order.append((number, n_threads))
            together.append(sum(processors._taken.values()))
            if number == 0:
                first_is_in.set()
                first_may_go.wait(10)

    threads = [
        threading.Thread(target=work, args=arguments)
        for arguments in [(0, 3, False), (1, 2, False), (2, 4, True), (3, 1, False)]
    ]
    threads[0].start()
    first_is_in.wait(10)
    for n_waiting, thread in enumerate(threads[1:], 1):  # one is free, but the next wants two
        thread.start()
        ends = time.monotonic() + 10
        while len(processors._waiting) < n_waiting and time.monotonic() < ends:
            time.sleep(0.001)
    assert order == [(0, 3)]
    first_may_go.set()
    for thread in threads:
        thread.join(10)
    assert [number for number, _ in order] == [0, 1, 2, 3]
    assert max(together) <= 4
    with processors.taken(9) as n_threads:  # alone, as many as are asked for
        assert n_threads == 9


def test_what_was_not_given_back_holds_nobody_up_for_ever(monkeypatch):
    processors = Processors(1)
    monkeypatch.setattr("linnet.engine.processors._LONGEST_WAIT", 0.05)
    processors._taken[-1] = 1  # of a thread that is no more
    with processors.taken(1) as n_threads:
        assert n_threads == 1
    assert processors._taken == {-1: 1} and not processors._waiting
