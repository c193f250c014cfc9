"""Digests of a few trainings by each instruction set: ``make golden`` records them anew.

Bits follow from the seed, the instruction set, the compiler of the native module and the version of
torch, whose generator draws the first weights. They do not follow from the processor: the tables
hold few and small whole numbers, whose sums are exact in any order, and no case asks a library of
linear algebra.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import warm_python
from sklearn.exceptions import ConvergenceWarning
from torch import nn

import linnet
from linnet.native import instruction_sets

GOLDEN = Path(__file__).parent / "golden.json"
THREADS = (1, 3)
N = 256


def table() -> tuple[np.ndarray, np.ndarray]:
    """Return X (N, 4) and y (N,) of small whole numbers."""
    random = np.random.default_rng(0)
    X = random.integers(-8, 8, size=(N, 4)).astype(np.float64)
    return X, (X[:, 0] * X[:, 1]) + X[:, 2]


def network(dtype: torch.dtype, *layers: nn.Module) -> nn.Sequential:
    """Return a network with weights that seed 0 draws."""
    generator = torch.Generator().manual_seed(0)
    module = nn.Sequential(*layers).to(dtype)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.rand(p.shape, generator=generator, dtype=dtype) - 0.5)
    return module


def trained(dtype: torch.dtype, *layers: nn.Module, n_threads: int, **options: Any) -> np.ndarray:
    """Return weights and losses of a native training; with threads, it is ended and goes on."""
    X, y = table()
    with tempfile.TemporaryDirectory() as folder:
        for epochs in (8,) if n_threads == 1 else (4, 8):
            module = network(dtype, *layers)
            history = linnet.train(
                module,
                X,
                y[:, None],
                epochs=epochs,
                X_val=X[:64],
                y_val=y[:64, None],
                batch_size=48,
                random_state=0,
                engine="native",
                n_threads=n_threads,
                checkpoint=Path(folder) / "training",
                resume=True,
                **options,
            )
    values = [value.double().numpy().ravel() for value in module.state_dict().values()]
    return np.concatenate([*values, history.train_loss, history.validation_loss])


def tanh(n_threads: int) -> np.ndarray:
    layers = nn.Linear(4, 80), nn.Tanh(), nn.Linear(80, 1)
    return trained(torch.float32, *layers, n_threads=n_threads, optimizer="adam")


def wide(n_threads: int) -> np.ndarray:
    # Wide enough for several threads.
    layers = [nn.Linear(4, 160), nn.ReLU(), nn.Linear(160, 160), nn.ReLU(), nn.Linear(160, 1)]
    return trained(torch.float32, *layers, n_threads=n_threads, optimizer="adamw")


def normalised(n_threads: int) -> np.ndarray:
    layers = [nn.Linear(4, 33), nn.LayerNorm(33), nn.GELU(approximate="tanh"), nn.BatchNorm1d(33)]
    layers += [nn.Linear(33, 7), nn.SiLU(), nn.Dropout(0.3), nn.Linear(7, 1)]
    options = {"optimizer": "sgd", "clip_grad_norm": 1.0}
    return trained(torch.float64, *layers, n_threads=n_threads, **options)


def regressor(n_threads: int) -> np.ndarray:
    model = linnet.MLPRegressor(
        (20, 20),
        max_iter=5,
        tol=0.0,
        learning_rate="one_cycle",
        random_state=0,
        n_threads=n_threads,
    )
    X, y = table()
    return _fitted(model, X, y).predict(X)


def classifier(n_threads: int) -> np.ndarray:
    model = linnet.MLPClassifier(
        (20,), activation="silu", max_iter=5, random_state=0, n_threads=n_threads
    )
    X, y = table()
    return _fitted(model, X, np.sign(y)).predict_proba(X)


def ensemble(n_threads: int) -> np.ndarray:
    X, y = table()
    model = linnet.EnsembleRegressor(2, max_iter=3, random_state=0, n_threads=n_threads)
    return _fitted(model, X, y).predict(X)


def _fitted(model: Any, X: np.ndarray, y: np.ndarray) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    assert model.history_.engine == "native", model.history_.engine_reason
    return model


CASES: dict[str, Callable[[int], np.ndarray]] = {
    function.__name__: function
    for function in (tanh, wide, normalised, regressor, classifier, ensemble)
}


def digests() -> dict[str, list[str]]:
    """Return the digest of each case, once for each number of threads."""
    return {
        name: [hashlib.sha256(case(n).tobytes()).hexdigest()[:16] for n in THREADS]
        for name, case in CASES.items()
    }


def comparable() -> list[float]:
    """Return losses in float64 that differ between instruction sets in the last digits only."""
    torch.manual_seed(0)
    layers = [nn.Linear(5, 67), nn.LayerNorm(67), nn.GELU(approximate="tanh"), nn.BatchNorm1d(67)]
    module = nn.Sequential(*layers, nn.Linear(67, 70), nn.SiLU(), nn.Linear(70, 1)).double()
    X = torch.randn(300, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    history = linnet.train(
        module,
        X,
        X[:, :1],
        X_val=X,
        y_val=X[:, :1],
        engine="native",
        epochs=3,
        optimizer="sgd",
        batch_size=37,
        random_state=0,
    )
    return history.validation_loss.tolist()


def levels() -> list[str]:
    """Return the instruction sets that can be asked for here."""
    return ["plain", *instruction_sets()]


def made_with() -> dict[str, str]:
    """Return what else decides the bits."""
    from linnet import _native

    return {"compiler": _native.compiled_with(), "torch": torch.__version__.split("+")[0]}


def tell() -> None:
    """Print the kernels in use and what they give, as JSON."""
    from linnet._native import kernels_in_use

    kernels = kernels_in_use()
    print(json.dumps({"kernels": kernels, "losses": comparable(), "digests": digests()}))


def run(level: str) -> dict[str, Any]:
    """Return what `tell` prints where an instruction set is forced.

    Raises
    ------
    subprocess.CalledProcessError
        If it cannot be.
    """
    found = warm_python.run(
        "import sys; sys.path.insert(0, sys.argv[1]); import golden; golden.tell()",
        GOLDEN.parent,
        LINNET_INSTRUCTION_SET=level,
    )
    found.check_returncode()
    return json.loads(found.stdout)


def record() -> None:
    """Write the digests of every level of this machine; keep those of others that still hold."""
    kept = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    found = kept.get("digests", {}) if kept.get("made_with") == made_with() else {}
    for level in levels():
        by_case = run(level)["digests"]
        assert all(len(set(same)) == 1 for same in by_case.values()), (level, by_case)
        found[level] = {name: same[0] for name, same in by_case.items()}
    text = json.dumps({"made_with": made_with(), "digests": found}, indent=2, sort_keys=True)
    GOLDEN.write_text(text + "\n")
    print(f"Wrote {GOLDEN.name}: {', '.join(sorted(found))}.")


if __name__ == "__main__":
    if "--record" in sys.argv:
        record()
    else:
        tell()
