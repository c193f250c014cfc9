"""Ctrl-C pressed twice in a hurry."""

from __future__ import annotations

import os
import signal
import threading
import time

from linnet.termination import quick_presses_are_one


def press_and_count(times, pause):
    """Press Ctrl-C so many times; return how often it was answered."""
    answered = 0
    for _ in range(times):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(pause)
        except KeyboardInterrupt:
            answered += 1
            time.sleep(pause)
    return answered


def test_quick_presses_are_answered_once_and_later_ones_again():
    with quick_presses_are_one(within=10.0):
        assert press_and_count(3, pause=0.001) == 1
    with quick_presses_are_one(within=0.02):
        assert press_and_count(2, pause=0.05) == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_and_other_answers_to_ctrl_c_are_left_alone():
    found = []

    def look():
        with quick_presses_are_one():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with quick_presses_are_one():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
