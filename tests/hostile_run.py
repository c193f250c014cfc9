"""Reads hostile files one by one and says what went wrong: time, memory, foreign errors.

    python tests/hostile_run.py model 100000         # cases 0 to 99,999 of models
    python tests/hostile_run.py model 100000 5000    # those from case 5,000 on

It prints each fault as it comes. Case number n of a kind is always the same file.
"""

from __future__ import annotations

import contextlib
import faulthandler
import linecache
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import linnet

SOURCE = str(Path(linnet.__file__).parent)
# What a reader may take: seconds of processor time, for a file of megabytes some more; and bytes
# beyond four times the file's size.
MOST_SECONDS, BYTES_PER_SECOND = 2.0, 5e6
MOST_BYTES = 64 * 2**20
GIVEN_UP_AFTER = 20.0  # seconds of processor time


@dataclass
class Kind:
    """A kind of file.

    Attributes
    ----------
    suffixes : tuple of str
        What its files are called.
    seeds : function of suffix
        Returns good files.
    change : function of (rng, seeds, suffix)
        Returns a hostile one.
    read : function of a path
        Reads a file and uses what it holds.
    asks_for_any : bool
        Whether another library reads it, which may ask for any memory, though it gets none.
    """

    suffixes: tuple[str, ...]
    seeds: Callable[[str], list[bytes]]
    change: Callable[[random.Random, list[bytes], str], bytes]
    read: Callable[[Path], None]
    asks_for_any: bool = False


def kinds() -> dict[str, Kind]:
    """Return all kinds; each makes its good files when they are first asked for."""
    import hostile_models as models
    import hostile_records as records
    import hostile_tables as tables

    return {
        "model": Kind(
            (".linnet",),
            lambda _: models.models(),
            lambda rng, seeds, _: models.changed_file(rng, seeds),
            models.predict,
        ),
        "checkpoint": Kind(
            (".training",),
            lambda _: models.checkpoints(),
            lambda rng, seeds, _: models.changed_file(rng, seeds),
            models.resume,
        ),
        "record": Kind(
            (".history.json", ".tuning.json"), records.seeds, records.changed, records.read
        ),
        "table": Kind(tables.SUFFIXES, tables.seeds, tables.changed, tables.read),
        "arrow": Kind(
            tables.ARROW_SUFFIXES, tables.seeds, tables.changed, tables.read, asks_for_any=True
        ),
    }


def content_of(kind: Kind, name: str, number: int) -> tuple[bytes, str]:
    """Return case `number` of a kind, and its suffix."""
    rng = random.Random(f"{name} {number}")
    suffix = rng.choice(kind.suffixes)
    return kind.change(rng, kind.seeds(suffix), suffix), suffix


def examine(kind: Kind, path: Path) -> str:
    """Read a file; return "read", "refused", or what is wrong with how it went."""
    size = path.stat().st_size
    room, most_seconds = 4 * size + MOST_BYTES, MOST_SECONDS + size / BYTES_PER_SECOND
    before = _resident(peak=True)
    started = time.process_time()
    told = "read"
    with _memory_limited_to(room), _time_limited(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            kind.read(path)
        except (Exception, GivenUp) as fault:
            told = _judged(fault, kind.asks_for_any)
    took, grown = time.process_time() - started, _resident() - before
    if took > most_seconds:
        return f"took {took:.1f} s"
    if grown > room:
        return f"took {grown / 2**20:.0f} MB"
    return told


class GivenUp(BaseException):
    """A reader has taken much too long."""


@contextlib.contextmanager
def _time_limited() -> Iterator[None]:
    """End what goes on and on; where that is no Python, end the process, which tells where."""

    def give_up(*_: object) -> None:
        raise GivenUp

    before = signal.signal(signal.SIGPROF, give_up)
    faulthandler.register(signal.SIGALRM, chain=True)
    signal.setitimer(signal.ITIMER_PROF, GIVEN_UP_AFTER)
    signal.alarm(600)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        faulthandler.unregister(signal.SIGALRM)
        signal.signal(signal.SIGPROF, before)


def _judged(fault: BaseException, asks_for_any: bool) -> str:
    """Return "refused" for an error that a line of linnet raises, else where it comes from."""
    frames = traceback.extract_tb(fault.__traceback__)
    last = frames[-1]
    place = f"{os.path.relpath(last.filename, SOURCE)}:{last.lineno}"
    line = linecache.getline(last.filename, last.lineno or 0).strip()
    is_ours = last.filename.startswith(SOURCE) and line.startswith("raise ")
    is_sentence = "\n" not in str(fault) and str(fault).endswith((".", "?"))
    cause: BaseException | None = fault
    while cause is not None and not asks_for_any:
        if isinstance(cause, MemoryError) or "alloc" in str(cause):
            return f"asked for too much memory: {cause} ({place})"
        cause = cause.__cause__
    if is_ours and is_sentence and type(fault) in (ValueError, TypeError, OSError):
        return "refused"
    return f"{type(fault).__name__}: {str(fault)[:300]!r} ({place})"


@contextlib.contextmanager
def _memory_limited_to(room: int) -> Iterator[None]:
    """Let the process map no more than `room` bytes beyond what it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _resident(*, peak: bool = False) -> int:
    """Return the greatest resident memory since the last call with `peak`, in bytes."""
    if peak:
        Path("/proc/self/clear_refs").write_text("5")
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def run(
    name: str, numbers: range, folder: Path, say: Callable[[str], object] = lambda line: None
) -> tuple[Counter[str], list[str]]:
    """Run cases of a kind; return how many were read and refused, and a line for each fault."""
    kind = kinds()[name]
    ends: Counter[str] = Counter()
    faults = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the good files are of trainings of two epochs
        for suffix in kind.suffixes:  # what is imported and begun on first use counts to nobody
            for seed in kind.seeds(suffix):
                path = folder / f"seed{suffix}"
                path.write_bytes(seed)
                kind.read(path)
                path.unlink()
    for number in numbers:
        content, suffix = content_of(kind, name, number)
        path = folder / f"case{suffix}"
        path.write_bytes(content)
        end = examine(kind, path)
        ends[end if end in ("read", "refused") else "fault"] += 1
        if end not in ("read", "refused"):
            faults.append(f"{name} {number}: {end}")
            say(faults[-1])
        if number % 5000 == 4999:
            say(f"{name}: {dict(ends)} after {time.process_time():.0f} s")
    return ends, faults


if __name__ == "__main__":
    kind_name, n_cases = sys.argv[1], int(sys.argv[2])
    first = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    faulthandler.enable()
    with tempfile.TemporaryDirectory() as name_of_folder:
        counted, _ = run(
            kind_name,
            range(first, first + n_cases),
            Path(name_of_folder),
            lambda line: print(line, flush=True),
        )
    print(f"{kind_name}: {dict(counted)} in {time.process_time():.0f} s of processor time")
