"""Small and large tables: ``python -m benchmarks.sizes``, or one of them, ``... 1000000 10``.

Fits EnsembleRegressor() or, with --classes, EnsembleClassifier() to rows of noise and a smooth
function, each size in a process of its own, with two threads. Tells processor seconds, the greatest
memory beyond that of the imported library with the table in memory (the table itself is told
beside), and what was chosen.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import numpy as np

SIZES = ((20, 3), (20, 1), (2_000, 1), (2_000, 1_000), (1_000_000, 1), (1_000_000, 10))
LARGE = (100_000, 1_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", nargs="*", type=int, help="rows and columns")
    parser.add_argument("--classes", action="store_true")
    parser.add_argument("--max-iter", default="auto", help="epochs")
    given = parser.parse_args()
    if given.size:
        _fit(*given.size, given.classes, given.max_iter)
        return
    for size in (*SIZES, LARGE):
        for classes in ([], ["--classes"]):
            command = [sys.executable, "-m", "benchmarks.sizes", *map(str, size), *classes]
            subprocess.run(command, check=True)


def _fit(n_rows: int, n_columns: int, classes: bool, max_iter: str) -> None:
    import linnet

    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, n_columns), dtype=np.float32)
    y = np.sin(2 * X[:, 0]) + 0.1 * rng.standard_normal(n_rows, dtype=np.float32)
    if classes:
        y = np.where(y > 0, "above", "below")
    kind = linnet.EnsembleClassifier if classes else linnet.EnsembleRegressor
    epochs = max_iter if max_iter == "auto" else int(max_iter)
    model = kind(random_state=0, n_threads=2, max_iter=epochs)
    model.__sklearn_tags__()
    before, started = _peak(), time.process_time()
    model.fit(X, y)
    seconds = time.process_time() - started
    # The table was made in parts, so that its own peak is no more than what is in memory now.
    print(
        f"{n_rows:9,} x {n_columns:5,} {'classes' if classes else 'numbers':8} "
        f"table {X.nbytes / 1e6:6.0f} MB, more {_peak() - before:6.0f} MB, {seconds:6.1f} s  "
        f"score {model.score(X[:20_000], y[:20_000]):.3f}  {model.history_.notes[0]}",
        flush=True,
    )


def _peak() -> float:
    """Return the greatest memory of the process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    main()
