"""Pieces of work in threads."""

from __future__ import annotations

import os
import signal
import threading
import time
import weakref

import pytest
import torch

from linnet.crew import Crew
from linnet.interruption import check


def ends_with(n_threads):
    """Whether so many threads are left, soon."""
    for _ in range(500):
        if threading.active_count() <= n_threads:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("n_threads", [1, 2, 7])
def test_each_piece_is_done_once_and_comes_in_its_place(n_threads):
    done = []

    def work(number):
        done.append(number)
        return 10 * number

    assert Crew(5, n_threads).run(work) == [0, 10, 20, 30, 40]
    assert sorted(done) == [0, 1, 2, 3, 4]


def test_so_many_pieces_as_there_are_threads_are_at_work_at_once():
    together = threading.Barrier(3, timeout=10)
    assert Crew(3, 3).run(lambda number: together.wait() >= 0) == [True] * 3


@pytest.mark.parametrize("n_threads", [1, 3])
def test_the_first_error_comes_out_and_no_further_piece_is_begun(n_threads):
    begun = []

    def work(number):
        begun.append(number)
        if number == 0:
            raise OSError("the disk is full")
        time.sleep(0.01)

    with pytest.raises(OSError, match="the disk is full"):
        Crew(1000, n_threads).run(work)
    assert len(begun) < 100


def test_an_error_ends_pieces_that_are_at_work():
    def work(number):
        if number == 0:
            raise OSError("the disk is full")
        while True:  # would never end by itself
            time.sleep(0.001)
            check()

    with pytest.raises(OSError, match="the disk is full"):
        Crew(2, 2).run(work)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_ends_every_piece_that_is_at_work(n_threads):
    ended, threads = [], threading.active_count()
    together = threading.Barrier(n_threads, timeout=30)

    def work(number):
        try:
            together.wait()
            if number == 0:
                threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
            while True:
                time.sleep(0.001)
                check()
                check()
        except KeyboardInterrupt:
            time.sleep(0.02)  # the crew waits for what a piece does at its end
            ended.append(number)
            raise

    for _ in range(5):
        ended.clear()
        crew = Crew(6, n_threads)
        assert crew.run(work) == [None] * 6
        assert crew.interrupted
        assert sorted(ended) == list(range(n_threads))
        assert ends_with(threads)


def test_pieces_that_spend_their_time_in_callbacks_of_weak_references_are_ended_too():
    together = threading.Barrier(2, timeout=30)

    # An exception that comes up in such a callback is dropped by Python, and told on stderr.
    def work(number):
        together.wait()
        if number == 0:
            time.sleep(0.01)
            raise OSError("the disk is full")
        ends = time.monotonic() + 30
        while time.monotonic() < ends:
            check()
            for _ in range(100):
                item = type("Item", (), {})()
                reference = weakref.ref(item, lambda _: [None for _ in range(20)])
                del item, reference
        raise AssertionError("nothing ended this piece")

    for _ in range(10):
        with pytest.raises(OSError, match="the disk is full"):
            Crew(2, 2).run(work)


def test_torchs_number_of_threads_is_left_as_it_was():
    before = torch.get_num_threads()
    Crew(4, 2).run(lambda number: torch.set_num_threads(1))
    found = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert torch.get_num_threads() == before
    assert found == [before]


def test_ctrl_c_while_the_threads_are_begun_ends_them_too(monkeypatch):
    start, ended = threading.Thread.start, []

    def start_and_press(thread):
        start(thread)
        os.kill(os.getpid(), signal.SIGINT)

    def work(number):
        try:
            while True:
                time.sleep(0.001)
                check()
                check()
        except KeyboardInterrupt:
            ended.append(number)
            raise

    monkeypatch.setattr(threading.Thread, "start", start_and_press)
    crew = Crew(6, 3)
    assert crew.run(work) == [None] * 6
    assert crew.interrupted and ended in ([], [0])


def test_ctrl_c_at_any_moment_leaves_no_thread_at_work():
    before = threading.active_count()
    for trial in range(30):
        timer = threading.Timer(0.001 * trial, os.kill, (os.getpid(), signal.SIGINT))
        crew, pressed = Crew(100_000, 3), False
        try:
            timer.start()
            crew.run(lambda number: sum(range(200)))
            timer.join()
        except KeyboardInterrupt:  # before or after the crew's own work
            pressed = True
        timer.join()
        assert pressed or crew.interrupted
        assert ends_with(before)
