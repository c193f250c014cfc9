"""Write docs/errors.md: what linnet says to each kind of bad input, by giving it that input.

    python docs/make_errors.py

`make docs` runs it; a test fails when the page no longer holds what is said.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import torch

import linnet
from linnet import cli

PAGE = Path(__file__).parent / "errors.md"

# (what is wrong, the line that does it). A line that begins with "linnet" is one of the shell.
CASES: dict[str, list[tuple[str, str]]] = {
    "Arrays": [
        ("NaN in X", "linnet.MLPRegressor().fit(X_with_nan, y)"),
        ("NaN in what goes to train", "linnet.train(net, X_with_nan, Y)"),
        ("infinity in y", "linnet.MLPRegressor().fit(X, y_with_infinity)"),
        ("different lengths", "linnet.MLPRegressor().fit(X, y[:-1])"),
        ("one row", "linnet.MLPRegressor().fit(X[:1], y[:1])"),
        ("text where numbers are needed", "linnet.train(net, X.astype(str), y)"),
        ("nothing in X varies", "linnet.MLPRegressor().fit(np.ones((20, 2)), y)"),
        ("another number of columns", "fitted.predict(X[:, :1])"),
    ],
    "Targets": [
        ("constant target", "linnet.MLPRegressor().fit(X, np.ones(20))"),
        ("one class", "linnet.MLPClassifier().fit(X, ['yes'] * 20)"),
        (
            "a class with one row",
            "linnet.MLPClassifier(early_stopping=True).fit(X, ['yes'] * 19 + ['no'])",
        ),
        ("numbers as classes", "linnet.MLPClassifier().fit(X, y)"),
    ],
    "Parameters": [
        ("unknown activation", "linnet.MLPRegressor(activation='tahn').fit(X, y)"),
        ("unknown solver", "linnet.MLPRegressor(solver='adamm').fit(X, y)"),
        ("unknown loss", "linnet.train(net, X, y, loss='mse')"),
        ("out of range", "linnet.MLPRegressor(alpha=-1, hidden_layer_sizes=(8, 0)).fit(X, y)"),
        ("several at once", "linnet.train(net, X, y, epochs=-1, batch_size=0)"),
        ("a name from elsewhere", "linnet.MLPRegressor(epochs=10, weight_decay=0.1)"),
        ("batches larger than the data", "linnet.MLPRegressor(batch_size=64, tol=9).fit(X, y)"),
    ],
    "Modules": [
        ("(N,) against (N, 1)", "linnet.train(net, X, y)"),
        ("another number of outputs", "linnet.train(nn.Linear(2, 3), X, Y)"),
        ("another number of inputs", "linnet.train(nn.Linear(5, 1), X, Y)"),
        ("a class, no instance", "linnet.train(nn.Linear, X, y)"),
        (
            "another module's optimizer",
            "linnet.train(net, X, Y, optimizer=torch.optim.Adam(other.parameters()))",
        ),
    ],
    "Tables": [
        ("no such file", "linnet.read_table('concret.csv')"),
        ("empty file", "linnet.read_table('empty.csv')"),
        ("header only", "linnet.read_table('header.csv')"),
        ("lines of different lengths", "linnet.read_table('ragged.csv')"),
        ("wrong encoding", "linnet.read_table('latin.csv')"),
        ("no Parquet, though called so", "linnet.read_table('csv.parquet')"),
        ("a column twice", "linnet.read_table('twice.csv')"),
        ("a column that is missing at prediction", "by_name.predict(table.drop_columns('b'))"),
    ],
    "Model files": [
        ("cut off", "linnet.load('cut.linnet')"),
        ("foreign", "linnet.load('table.csv')"),
        ("a module of your own", "linnet.load('own.linnet')"),
        ("a module that does not fit", "linnet.load('own.linnet', module=nn.Linear(3, 1))"),
        ("the file exists", "linnet.save(fitted, 'model.linnet')"),
        ("no such folder", "linnet.save(fitted, 'models/model.linnet')"),
    ],
    "Checkpoints": [
        ("the file exists", "fitted.fit(X, y, checkpoint='begun.checkpoint')"),
        ("no file to go on from", "fitted.fit(X, y, resume=True)"),
        (
            "another training",
            "linnet.train(net, X, Y, epochs=9, batch_size=9, random_state=1,\n"
            "    checkpoint='begun.checkpoint', resume=True)",
        ),
        ("no checkpoint", "fitted.fit(X, y, checkpoint='model.linnet', resume=True)"),
    ],
    "The shell": [
        ("a target that does not exist", "linnet fit table.csv --target prise"),
        ("a target with missing values", "linnet fit gaps.csv --target price"),
        ("an option out of range", "linnet fit table.csv --target price --activation tahn"),
        ("an existing output", "linnet fit table.csv --target price -o model.linnet"),
        ("no such folder", "linnet fit table.csv --target price -o models/model.linnet"),
        (
            "an existing checkpoint",
            "linnet fit table.csv --target price --checkpoint begun.checkpoint",
        ),
        ("a damaged model", "linnet predict cut.linnet table.csv"),
        ("test rows of another table", "linnet evaluate price.linnet other.csv --rows test"),
    ],
}

INTRODUCTION = """\
<!-- Written by docs/make_errors.py, which gives linnet each of these inputs. -->

# What linnet says to bad input

Each sentence says what was given, what is allowed, and what to write instead. Faults that one call
can find are told together. A fit that fails leaves the estimator, and the files, as they were.

In Python the exceptions are those that scikit-learn raises for the same fault, mostly `ValueError`
and `TypeError`. In the shell the sentence goes to standard error, and the exit code is 1 for the
data or the run, 2 for usage. `LINNET_TRACEBACK=1` shows the traceback too.

In the examples `X` has the shape (20, 2), `y` (20,) and `Y` (20, 1); `net` is `nn.Linear(2, 1)`,
`fitted` a fitted MLPRegressor, and `by_name` one that was fitted on a table of columns `a` and `b`.
"""


def page() -> str:
    """Return the text of the page."""
    parts = [INTRODUCTION]
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            names = prepared()
            for title, cases in CASES.items():
                parts.append(f"\n## {title}\n")
                for fault, line in cases:
                    shell = line.startswith("linnet ")
                    said = said_by_shell(line) if shell else said_by_python(line, names)
                    language = "sh" if shell else "python"
                    parts.append(
                        f"\n{_sentence(fault)}\n\n```{language}\n{line}\n```\n\n> {said}\n"
                    )
        finally:
            os.chdir(before)
    return "".join(parts) + "\n[All pages](index.md)\n"


def prepared() -> dict[str, Any]:
    """Return the names that the lines use, and write the files that they read."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 2))
    y = 3 * X[:, 0] - X[:, 1]
    X_with_nan, y_with_infinity = X.copy(), y.copy()
    X_with_nan[3, 1] = X_with_nan[7, 0] = np.nan
    y_with_infinity[5] = np.inf
    table = pa.table({"a": X[:, 0], "b": X[:, 1]})
    quick = {"hidden_layer_sizes": (4,), "solver": "lbfgs", "random_state": 0}
    fitted = linnet.MLPRegressor(**quick).fit(X, y)
    by_name = linnet.MLPRegressor(**quick).fit(table, y)
    own = linnet.ModuleRegressor(torch.nn.Linear(2, 1), solver="lbfgs").fit(X, y)
    net = torch.nn.Linear(2, 1)
    linnet.train(net, X, y.reshape(-1, 1), epochs=1, random_state=0, checkpoint="begun.checkpoint")
    linnet.save(fitted, "model.linnet")
    linnet.save(by_name, "price.linnet", card={"target": "price"})
    linnet.save(own, "own.linnet")
    whole = Path("model.linnet").read_bytes()
    Path("cut.linnet").write_bytes(whole[: len(whole) // 2])
    rows = "".join(f"{a:.3f},{b:.3f},{t:.3f}\n" for (a, b), t in zip(X, y, strict=True))
    texts = {
        "table.csv": "a,b,price\n" + rows,
        "other.csv": "a,b,price\n" + rows[:100].rpartition("\n")[0] + "\n",
        "gaps.csv": "a,b,price\n" + rows + "1,2,\n3,4,\n",
        "empty.csv": "",
        "header.csv": "a,b,price\n",
        "ragged.csv": "a,b,price\n1,2,3\n4,5\n6,7,8\n",
        "csv.parquet": "a,b,price\n1,2,3\n",
        "twice.csv": "a,b,a\n1,2,3\n",
        "concrete.csv": "a\n1\n",
    }
    for name, text in texts.items():
        Path(name).write_text(text, encoding="utf-8")
    Path("latin.csv").write_bytes("name,price\nMüller,3\n".encode("latin-1"))
    return {
        "linnet": linnet,
        "np": np,
        "torch": torch,
        "nn": torch.nn,
        "net": net,
        "other": torch.nn.Linear(2, 1),
        **{
            "X": X,
            "y": y,
            "Y": y.reshape(-1, 1),
            "X_with_nan": X_with_nan,
            "y_with_infinity": y_with_infinity,
        },
        **{"table": table, "fitted": fitted, "by_name": by_name},
    }


def said_by_python(line: str, names: dict[str, Any]) -> str:
    """Return the exception, or else the warning, that a line of Python ends in."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            exec(line, dict(names))
        except Exception as fault:
            return f"{type(fault).__name__}: {_plain(fault)}"
    if not caught:
        raise RuntimeError(f"{line} was taken without a word.")
    return f"{caught[0].category.__name__}: {_plain(caught[0].message)}"


def said_by_shell(line: str) -> str:
    """Return what a line of the shell says in the end, and its exit code."""
    kept = io.BytesIO()
    printed = io.TextIOWrapper(kept, encoding="utf-8", write_through=True)
    width = {"COLUMNS": "10000", "TERM": "dumb", "NO_COLOR": "1"}
    with (
        mock.patch.object(sys, "argv", shlex.split(line)),
        # Else the usage would name the module that runs this, such as pytest.
        mock.patch.object(sys.modules["__main__"], "__package__", None, create=True),
        mock.patch.dict(os.environ, width),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        else:
            raise RuntimeError(f"{line} was taken without a word.")
    text = kept.getvalue().decode()
    rows = [row.strip("│ ") for row in text.splitlines() if row.strip("│╰╭─╯ ")]
    return f"{_plain(rows[-1])} (exit code {code})"


def _plain(message: object) -> str:
    text = " ".join(str(message).split())
    for mark in "*_<|":
        text = text.replace(mark, "\\" + mark)
    return text


def _sentence(fault: str) -> str:
    return fault[:1].upper() + fault[1:] + ":"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    print(f"Wrote {PAGE}.")


if __name__ == "__main__":
    main()
