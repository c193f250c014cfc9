"""The tables of kernels for each instruction set, forced by LINNET_INSTRUCTION_SET."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from linnet.native import instruction_sets

pytest.importorskip("linnet._native", reason="the native module is not installed")

LEVELS = ("plain", "x86-64-v2", "x86-64-v3", "x86-64-v4")
FIT = """
import json, torch, linnet
from torch import nn
from linnet import _native
torch.manual_seed(0)
layers = [nn.Linear(5, 67), nn.LayerNorm(67), nn.GELU(approximate="tanh"), nn.BatchNorm1d(67)]
module = nn.Sequential(*layers, nn.Linear(67, 70), nn.SiLU(), nn.Linear(70, 1)).double()
X = torch.randn(300, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
history = linnet.train(module, X, X[:, :1], X_val=X, y_val=X[:, :1], engine="native", epochs=3,
                       optimizer="sgd", batch_size=37, random_state=0)
print(json.dumps([_native.kernels_in_use(), history.validation_loss.tolist()]))
"""


def python(code: str, level: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "LINNET_INSTRUCTION_SET": level},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def by_plain():
    return json.loads(python(FIT, "plain").stdout)


@pytest.mark.parametrize("level", LEVELS[1:])
def test_every_level_trains_as_the_plain_one_does(level, by_plain):
    if level not in instruction_sets():
        pytest.skip(f"this processor does not offer {level}")
    run = python(FIT, level)
    assert run.returncode == 0, run.stderr
    used, losses = json.loads(run.stdout)
    assert by_plain[0] == "plain" and used == level
    np.testing.assert_allclose(losses, by_plain[1], rtol=1e-10)


SENTENCE = (
    "LINNET_INSTRUCTION_SET=sse9 is not offered by this processor. It offers "
    f"{', '.join(['plain', *instruction_sets()])}; leave it unset for the best."
)


def test_an_unknown_level_is_refused_with_a_sentence():
    run = python(FIT, "sse9")
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == f"ValueError: {SENTENCE}"


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
