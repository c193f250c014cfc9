"""Renew docs/pictures/*.png: what the tutorial, the demonstration and the shell's example draw.

    python docs/make_pictures.py

`make pictures` runs it. It is no part of `make docs`: a picture's bytes differ by machine, so each
run would change all of them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
# What is run stands on the page.
SEARCH = re.search(
    r"```python\n(.*?)```", (ROOT / "docs" / "tuning.md").read_text(encoding="utf-8"), re.DOTALL
)
SHELL = [sys.executable, "-c", "from linnet.cli import main; main()"]
TABLE = ROOT / "examples" / "concrete.csv"

# What is run, and which of the pictures that it writes are kept under which name.
RUNS: tuple[tuple[list[str], dict[str, str]], ...] = (
    (
        [sys.executable, str(ROOT / "examples" / "tutorial.py"), "tutorial"],
        {
            "tutorial/descent.png": "descent.png",
            "tutorial/loss.png": "loss.png",
            "tutorial/surface-by-hand.png": "surface-by-hand.png",
            "tutorial/surface.png": "tutorial-surface.png",
        },
    ),
    ([sys.executable, "-c", SEARCH[1] if SEARCH else ""], {"search.png": "tuning.png"}),
    ([*SHELL, "demo", "--out", "demo"], {"demo/surface.png": "surface.png"}),
    ([*SHELL, "fit", str(TABLE), "--target", "strength_mpa", "-o", "concrete.linnet"], {}),
    (
        [*SHELL, "plot", "concrete.linnet", str(TABLE), "--features", "age_days,cement"],
        {
            "pictures/parity.png": "concrete-parity.png",
            "pictures/surface.png": "concrete-surface.png",
        },
    ),
)


def main() -> None:
    """Run everything in a folder that is thrown away, and keep the pictures."""
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    with tempfile.TemporaryDirectory() as folder:
        for line, kept in RUNS:
            subprocess.run(line, cwd=folder, env=environment, check=True)
            for drawn, name in kept.items():
                shutil.copyfile(Path(folder, drawn), PICTURES / name)


if __name__ == "__main__":
    main()
