"""``linnet demo``: the tutorial's problem into one folder."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.image import imread
from shell import linnet

from linnet import History, load
from linnet.cli.demonstration import FILES, sinc, sinc_grid

KEYS = [
    "command",
    "final_loss",
    "best_loss",
    "seconds",
    "n_epochs",
    "outcome",
    "engine",
    "engine_reason",
    "seed",
    "files",
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_demo_writes_its_five_files_and_ends_with_a_table_and_three_commands(folder):
    ran = linnet("demo", "--epochs", "60", "--no-progress")
    assert ran.code == 0, ran.err
    assert sorted(path.name for path in (folder / "linnet-demo").iterdir()) == sorted(FILES)
    told = [line.split("  ")[0] for line in ran.out.splitlines()]
    assert told[2:6] == ["final loss (mean squared error)", "best loss", "seconds", "engine"]
    assert ran.err.splitlines()[-3:] == [
        "  linnet show linnet-demo/sinc.linnet",
        "  linnet fit YOUR_TABLE.csv --target COLUMN -o model.linnet",
        "  linnet fit --help",
    ]
    for name in ("loss.png", "surface.png", "parity.png"):
        assert imread(folder / "linnet-demo" / name).shape[1] == 800
    history = History.from_json(folder / "linnet-demo" / "history.json")
    assert history.n_epochs == 60
    model = load(folder / "linnet-demo" / "sinc.linnet")
    X, y = sinc_grid()
    assert X.shape == (2500, 2) and model.score(X, y) > 0


def test_json_is_one_document(folder):
    ran = linnet("demo", "--out", "d", "--epochs", "2", "--seed", "3", "--no-progress", "--json")
    assert list(ran.document) == KEYS
    assert ran.document["seed"] == 3 and ran.document["files"] == [f"d/{name}" for name in FILES]


def test_the_function_is_sine_over_radius():
    assert sinc(np.array([[0.0, 0.0]])) == [1.0]
    np.testing.assert_allclose(sinc(np.array([[3.0, 4.0]])), np.sin(5) / 5)


def test_existing_files_are_replaced_only_by_force(folder):
    (folder / "d").mkdir()
    (folder / "d" / "loss.png").write_text("mine")
    ran = linnet("demo", "--out", "d", "--epochs", "1", "--no-progress")
    assert ran.code == 1 and ran.err == (
        "linnet: d/loss.png already exists. Choose another name, or write --force to replace it.\n"
    )
    assert [path.name for path in (folder / "d").iterdir()] == ["loss.png"]
    assert linnet("demo", "--out", "d", "--epochs", "1", "--no-progress", "--force").code == 0


@pytest.mark.parametrize(
    ("out", "sentence"),
    [
        ("a/b", "linnet: The folder a does not exist. Make it first."),
        ("file", "linnet: file is a file. Give the name of a folder."),
        ("file/d", "linnet: file is a file, not a folder. Choose another place."),
    ],
)
def test_a_folder_that_cannot_be_made_is_told_before_the_work(folder, out, sentence):
    (folder / "file").write_text("")
    ran = linnet("demo", "--out", out, "--epochs", "1", "--no-progress")
    assert (ran.code, ran.err) == (1, sentence + "\n")


def test_no_epochs_are_wrong_usage():
    assert linnet("demo", "--epochs", "0").code == 2
