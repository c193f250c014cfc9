"""Processes forked from one that has imported linnet: one that is killed costs no import."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import textwrap
from typing import Any

import warm_python

_SERVER = """
import json, os, sys, traceback
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            main(*json.loads(line))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class ForkServer:
    """Runs ``main(*arguments)`` of a program in a new process each time; one at a time.

    Parameters
    ----------
    program : str
        Defines ``main``, and imports what it needs.
    """

    def __init__(self, program: str):
        self._process = warm_python.Process(textwrap.dedent(program) + _SERVER)
        self._child = 0

    def start(self, *arguments: Any) -> None:
        """Begin a process; return when it has begun."""
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        self._child = int(self._process.stdout.readline())

    def kill(self) -> bool:
        """Send SIGKILL; return whether it came before the process had ended by itself."""
        self.send(signal.SIGKILL)
        return self.wait() == -signal.SIGKILL

    def send(self, number: int) -> None:
        """Send a signal, if the process has not ended by itself."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child, number)

    def wait(self) -> int:
        """Return the process's exit status, when it has ended."""
        return int(self._process.stdout.readline())

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)
