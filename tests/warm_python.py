"""Processes of Python that need not import torch: each is forked from one that has.

Importing what linnet is built on takes seven seconds of processor time, a fork a fifth of one. The
server of the forks has imported nothing of linnet and has computed nothing, so that a process
forked from it is a new one to linnet and to torch's threads. What libraries read from the
environment while they load, such as OMP_NUM_THREADS, comes too late: then a test starts a Python of
its own.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import traceback
import types
from concurrent.futures import ThreadPoolExecutor
from typing import Any

# What tests start ---------------------------------------------------------------------------------


class Process:
    """What `subprocess.Popen` gives, with pipes of text for the three streams.

    Parameters
    ----------
    code : str
        What Python's option -c takes; it may be indented.
    *arguments
        The rest of its ``sys.argv``.
    environment : str
        Variables besides those of this process.
    """

    def __init__(self, code: str, *arguments: object, **environment: str):
        request, told, stdin, stdout, stderr = [os.pipe() for _ in range(5)]
        theirs = [request[0], told[1], stdin[0], stdout[1], stderr[1]]
        socket.send_fds(_server(), [b"x"], theirs)
        for descriptor in theirs:
            os.close(descriptor)
        with open(request[1], "w") as file:
            what = {
                "code": textwrap.dedent(code),
                "argv": ["-c", *map(str, arguments)],
                "folder": os.getcwd(),
                "environment": {**os.environ, **environment},
            }
            json.dump(what, file)
        self._told = os.fdopen(told[0], "rb", buffering=0)
        self.stdin = os.fdopen(stdin[1], "w")
        self.stdout, self.stderr = os.fdopen(stdout[0]), os.fdopen(stderr[0])
        self.pid, self.returncode = int(self._told.readline()), None

    def send_signal(self, number: int) -> None:
        """Send a signal, if the process has not ended by itself."""
        if self.returncode is None and not select.select([self._told], [], [], 0)[0]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float = 600) -> int:
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                self.kill()
                raise subprocess.TimeoutExpired("a forked Python", timeout)
            self.returncode = int(self._told.readline())
        return self.returncode

    def communicate(self, timeout: float = 600) -> tuple[str, str]:
        """Close its input; return the rest of its output and of its errors when it has ended."""
        with self, ThreadPoolExecutor(2) as pool:
            with contextlib.suppress(BrokenPipeError):
                self.stdin.close()
            streams = [pool.submit(stream.read) for stream in (self.stdout, self.stderr)]
            self.wait(timeout)
            out, err = [stream.result() for stream in streams]
        return out, err

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.wait()
        for stream in (self.stdin, self.stdout, self.stderr, self._told):
            with contextlib.suppress(BrokenPipeError):
                stream.close()


def run(
    code: str, *arguments: object, timeout: float = 600, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, as ``subprocess.run(..., capture_output=True, text=True)`` does."""
    process = Process(code, *arguments, **environment)
    out, err = process.communicate(timeout)
    return subprocess.CompletedProcess(["-c"], process.wait(), out, err)


@functools.cache
def _server() -> socket.socket:
    """Start the server, which ends with this process."""
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, __file__, str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait(timeout=60)

    atexit.register(end)
    return ours


# The server ---------------------------------------------------------------------------------------


_LOADED = """
    joblib narwhals numpy pandas pyarrow.csv pyarrow.feather pyarrow.parquet rich.progress
    safetensors.torch sklearn.ensemble torch typer
"""


def _load() -> None:
    for name in _LOADED.split():
        importlib.import_module(name)
    import torch

    torch.optim.SGD([torch.zeros(1, requires_grad=True)])  # the first one imports torch's compiler
    gc.freeze()  # a collection would copy all pages that are shared


def _next_request(server: socket.socket) -> dict[str, Any]:
    """Wait for requests; return each in a process that is forked for it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watchers: set[int] = set()
    while True:
        word, given, *_ = socket.recv_fds(server, 1, 5)
        watchers -= {watcher for watcher in watchers if os.waitpid(watcher, os.WNOHANG)[0]}
        if not word:
            os._exit(0)
        watcher = os.fork()
        if not watcher:
            break
        watchers.add(watcher)
        for descriptor in given:
            os.close(descriptor)
    server.close()
    request, told, *streams = given
    process = os.fork()
    if process:
        for descriptor in (request, *streams):
            os.close(descriptor)
        os.write(told, b"%d\n" % process)
        os.write(told, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
        os._exit(0)
    os.close(told)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    # The old ones remember that they lead nowhere.
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with open(request) as file:
        return json.load(file)


def _status_of(code: str, argv: list[str], folder: str, environment: dict[str, str]) -> int:
    """Run a program as Python's option -c does; return its exit status."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv, sys.path[0] = argv, ""
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        exec(compile(code, "<string>", "exec"), vars(main))
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    _load()
    _status = _status_of(**_next_request(socket.socket(fileno=int(sys.argv[1]))))
    # Not by Python's own end, which takes two seconds to take apart all that is loaded.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(_status)
