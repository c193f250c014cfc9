"""The examples run as a new user runs them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from linnet import read_table

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tutorial")
    command = [sys.executable, "-W", "error", EXAMPLES / "tutorial.py", "new/pictures"]
    done = subprocess.run(
        [*command, "--epochs", "20"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / "new" / "pictures", done.stdout


def test_the_tutorial_writes_its_pictures_into_the_folder_and_nothing_else(tutorial):
    folder, printed = tutorial
    names = ["descent.png", "loss.png", "surface-by-hand.png", "surface.png"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert [path.name for path in folder.parents[1].iterdir()] == ["new"]
    assert printed.endswith(f"Pictures: {', '.join(names)}\nin new/pictures/\n")
    for name in names:
        picture = matplotlib.image.imread(folder / name)
        assert abs(picture.shape[1] - 800) <= 1
        assert picture[..., :3].std() > 0.05  # something is drawn


def test_the_tutorial_descends_by_hand_as_linnet_does(tutorial):
    _, printed = tutorial
    least, low, good, high = (
        float(loss) for loss in re.findall(r"  loss +([\d.]+)$", printed, re.M)
    )
    assert good == pytest.approx(least, abs=1e-3)
    assert low > 10 * least
    assert high > low
    assert all(
        float(d) < 1e-12 for d in re.findall(r"differ\w* by (?:at most )?(\S+)$", printed, re.M)
    )
    assert len(re.findall("differ", printed)) == 2


def test_the_tutorial_trains_alike_by_hand_by_train_and_by_the_estimator(tutorial):
    _, printed = tutorial
    pattern = r"(loop by hand|linnet.train|MLPRegressor) +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+)$"
    rows = re.findall(pattern, printed, re.M)
    assert [row[0] for row in rows] == ["loop by hand", "linnet.train", "MLPRegressor"]
    losses = np.array([[float(value) for value in row[1:]] for row in rows])
    # sin(r)/r has the variance 0.036; by then all three have begun to learn it.
    assert (losses[:, 1] < 0.034).all()
    assert losses[1, 1] == pytest.approx(losses[0, 1], rel=0.1)  # the same but for the order


def test_the_concrete_table_is_the_one_that_its_citation_names():
    table = read_table(EXAMPLES / "concrete.csv")
    assert (table.num_rows, table.num_columns) == (1030, 9)
    told = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", told, re.M) == table.column_names
    assert "I-C. Yeh" in told and "CC BY 4.0" in told
    assert table["strength_mpa"][0].as_py() == 79.99
