"""The machine: its processor, what it can do at most, and what is installed."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.rounds import cores, pin, say

PEAK_SOURCE = Path(__file__).with_name("peak.cpp")


def processor() -> str:
    """Return the processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def describe() -> dict:
    """Return what a reader has to know of a measurement: where, when and how it was made."""
    return {
        "processor": processor(),
        "cores": len(cores()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
    }


class Peak:
    """The most that the processor's multiply-adds give, measured by peak.cpp.

    `measure` returns GFLOP/s, or None where there is no C++ compiler.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._program: Path | None = None
        compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++")
        if not compiler:
            say("skipped: the peak of the processor, for there is no C++ compiler")
            return
        program = Path(self._folder.name) / "peak"
        words = [*shlex.split(compiler), "-std=c++17", "-O3", "-march=native", "-pthread"]
        subprocess.run([*words, str(PEAK_SOURCE), "-o", str(program)], check=True)
        self._program = program

    def measure(self, threads: int) -> float | None:
        if self._program is None:
            return None
        done = subprocess.run(
            [str(self._program), str(threads)],
            preexec_fn=lambda: pin(threads),
            capture_output=True,
            text=True,
            check=True,
        )
        return float(done.stdout)

    def close(self) -> None:
        self._folder.cleanup()
