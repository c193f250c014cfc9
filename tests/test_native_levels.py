"""The tables of kernels for each instruction set, forced by LINNET_INSTRUCTION_SET."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import warm_python
from golden import CASES, GOLDEN, levels, made_with, run

from linnet.native import instruction_sets

pytest.importorskip("linnet._native", reason="the native module is not installed")

LEVELS = ("plain", "x86-64-v2", "x86-64-v3", "x86-64-v4")
FIT = """
import torch, linnet
X = torch.rand(9, 1)
linnet.train(torch.nn.Sequential(torch.nn.Linear(1, 1)), X, X, epochs=1, engine="native")
"""


def python(code: str, level: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return warm_python.run(code, *arguments, LINNET_INSTRUCTION_SET=level)


@functools.cache
def of(level: str) -> dict:
    if level not in levels():
        pytest.skip(f"this processor does not offer {level}")
    return run(level)


@pytest.mark.parametrize("level", LEVELS[1:])
def test_every_level_trains_as_the_plain_one_does(level):
    assert of("plain")["kernels"] == "plain" and of(level)["kernels"] == level
    np.testing.assert_allclose(of(level)["losses"], of("plain")["losses"], rtol=1e-10)


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_gives_the_bits_that_were_recorded(level):
    """In another process, with any number of threads, ended in the middle and gone on with."""
    found = of(level)["digests"]
    assert {name: len(set(same)) for name, same in found.items()} == dict.fromkeys(CASES, 1)
    golden = json.loads(GOLDEN.read_text())
    if golden["made_with"] != made_with():
        pytest.skip(f"recorded with {golden['made_with']}, this is {made_with()}")
    if level not in golden["digests"]:
        pytest.skip(f"nothing is recorded for {level}: write `make golden` where it is offered")
    told = "bits have changed: if they were meant to, record them anew with `make golden`"
    assert {name: same[0] for name, same in found.items()} == golden["digests"][level], told


SENTENCE = (
    "LINNET_INSTRUCTION_SET=sse9 is not offered by this processor. It offers "
    f"{', '.join(['plain', *instruction_sets()])}; leave it unset for the best."
)


def test_an_unknown_level_is_refused_with_a_sentence():
    fit = python(FIT, "sse9")
    assert fit.returncode == 1
    assert fit.stderr.splitlines()[-1] == f"ValueError: {SENTENCE}"


def test_the_shell_says_of_an_unknown_level_what_the_library_says(tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(f"{i},{i * i}\n" for i in range(60)))
    shell = "import sys; from linnet.cli import main; main()"
    fit = python(shell, "sse9", "fit", str(tmp_path / "t.csv"), "-t", "y", "--epochs", "2")
    assert fit.returncode == 1
    assert fit.stderr.splitlines()[-1] == f"linnet: {SENTENCE}"
    info = python(shell, "sse9", "info")
    assert info.returncode == 1
    assert info.stderr.splitlines()[-1] == f"linnet: {SENTENCE}"


@pytest.mark.slow
def test_the_kernels_compile_for_arm64_and_pass_their_native_tests(tmp_path):
    compiler, emulator = shutil.which("aarch64-linux-gnu-g++"), shutil.which("qemu-aarch64")
    if compiler is None:
        pytest.skip("aarch64-linux-gnu-g++ is not installed (Debian: g++-aarch64-linux-gnu)")
    native = Path(__file__).parents[1] / "native"
    # The options of CMakeLists.txt; a warning is a fault here.
    options = ["-std=c++17", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]
    options += ["-Wall", "-Wextra", "-Werror", "-DLINNET_LEVEL=plain", "-DLINNET_BYTES=16"]
    sources = [str(native / "level.cpp"), str(native / "tests.cpp")]
    program = str(tmp_path / "tests")
    subprocess.run([compiler, *options, *sources, "-pthread", "-static", "-o", program], check=True)
    if emulator is None:
        pytest.skip("qemu-aarch64 is not installed (Debian: qemu-user)")
    run = subprocess.run([emulator, program, "20"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
