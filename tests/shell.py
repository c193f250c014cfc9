"""Run the shell's commands in this process, and make small tables for them."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from linnet import cli

EXAMPLES = Path(__file__).parents[1] / "examples"
# A fit of a moment.
QUICK = ("--epochs", "3", "--hidden", "8", "--no-progress")


@dataclass
class Ran:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document that is all of standard output."""
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """The last line of the talk."""
        return self.err.splitlines()[-1]


def linnet(*arguments: object) -> Ran:
    """Run a command as the shell would, in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["linnet", *map(str, arguments)])
        patch.setenv("COLUMNS", "80")
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                cli.main()
                code = 0
            except SystemExit as end:
                code = int(end.code or 0)
    printed = [stream.buffer.getvalue().decode() for stream in (out, err)]
    return Ran(code, *printed)


def concrete(n_rows: int = 60) -> pd.DataFrame:
    """Rows of the concrete table, spread over all of it."""
    table = pd.read_csv(EXAMPLES / "concrete.csv")
    return table.iloc[:: len(table) // n_rows].head(n_rows).reset_index(drop=True)


def birds(n_rows: int = 90) -> pd.DataFrame:
    """Three species with lengths, an island, a sex that is missing at times, a date and a ring."""
    rng = np.random.default_rng(0)
    kind = np.arange(n_rows) % 3
    table = pd.DataFrame(
        {
            "species": np.array(["linnet", "siskin", "twite"])[kind],
            "wing_mm": 70 + 5.0 * kind + rng.normal(size=n_rows),
            "mass_g": np.where(np.arange(n_rows) % 10 == 4, np.nan, 15 + 2.0 * kind),
            "island": np.array(["Foula", "Unst", "Yell", "Fetlar"])[rng.integers(4, size=n_rows)],
            "sex": np.where(np.arange(n_rows) % 9 == 5, None, "f"),
            "ringed": rng.random(n_rows) < 0.5,
            "seen": pd.date_range("2024-01-01", periods=n_rows).strftime("%Y-%m-%d"),
            "ring": [f"R{i:05}" for i in range(n_rows)],
        }
    )
    table.loc[::3, "sex"] = "m"
    return table


def write_lines(name: str | Path, *lines: str, encoding: str = "utf-8") -> Path:
    """Write a text file."""
    path = Path(name)
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def write_rows(path: str | Path, header: str, rows: list[tuple]) -> Path:
    """Write a CSV file."""
    return write_lines(path, header, *(",".join(map(str, row)) for row in rows))
