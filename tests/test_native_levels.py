"""The tables of kernels for each instruction set, forced by LINNET_INSTRUCTION_SET."""

from __future__ import annotations

import json
import os
import subprocess
import sys

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
