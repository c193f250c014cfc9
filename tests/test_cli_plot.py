"""``linnet plot``: which pictures are drawn, where they go, and what cannot be drawn."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.image import imread
from shell import QUICK, birds, concrete, linnet

import linnet as package
from linnet.cli.pictures import _confusion


@pytest.fixture(autouse=True, scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plot")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        concrete().to_csv("concrete.csv", index=False)
        birds().to_csv("birds.csv", index=False)
        for name, target in (("concrete", "strength_mpa"), ("birds", "species")):
            assert linnet("fit", f"{name}.csv", "-t", target, *QUICK).code == 0
        yield folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_all_pictures_of_a_regression_are_drawn_at_800_pixels(tmp_path):
    ran = linnet("plot", "concrete.linnet", "concrete.csv", "-o", tmp_path / "all", "--unit", "MPa")
    assert ran.code == 0 and ran.out == ""
    assert names(tmp_path / "all") == ["errors.png", "loss.png", "parity.png", "residuals.png"]
    for path in (tmp_path / "all").iterdir():
        assert imread(path).shape[1] == 800
        assert f"Wrote {path}." in ran.err


def test_a_chosen_pair_gives_a_surface_and_json_tells_the_files(tmp_path):
    chosen = ["--features", "age_days,cement", "--kind", "surface", "--width", "400"]
    ran = linnet("plot", "concrete.linnet", "concrete.csv", "-o", tmp_path, *chosen, "--json")
    assert ran.document == {"command": "plot", "files": [str(tmp_path / "surface.png")]}
    assert imread(tmp_path / "surface.png").shape[1] == 400


def test_without_a_table_only_the_loss_is_drawn(tmp_path):
    assert linnet("plot", "concrete.linnet", "-o", tmp_path).code == 0
    assert names(tmp_path) == ["loss.png"]


def test_classes_get_a_confusion_matrix(tmp_path):
    assert linnet("plot", "birds.linnet", "birds.csv", "-o", tmp_path).code == 0
    assert names(tmp_path) == ["confusion.png", "loss.png"]
    assert imread(tmp_path / "confusion.png").shape[1] == 800


def test_the_confusion_matrix_shows_names_as_they_stand():
    actual = np.array(["$a", "a b" * 20, "$a"])
    figure = _confusion(actual, np.array(["$a", "$a", "$a"]), np.unique(actual))
    (ax,) = figure.axes
    assert ax.get_title() == "accuracy = 0.667, N = 3"
    assert [tick.get_text() for tick in ax.get_xticklabels()] == [
        "\\$a",
        "a ba ba ba ba ba ba ba …",
    ]


def test_a_model_of_two_inputs_is_drawn_as_a_surface(tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 2))
    model = package.MLPRegressor((4,), max_iter=2, n_iter_no_change=np.inf, random_state=0)
    package.save(model.fit(X, X[:, 0]), tmp_path / "m.linnet", card={"target": "y"})
    np.savetxt(tmp_path / "t.csv", np.c_[X, X[:, 0]], delimiter=",", header="a,b,y", comments="")
    ran = linnet("plot", tmp_path / "m.linnet", tmp_path / "t.csv", "-o", tmp_path / "p")
    assert ran.code == 0, ran.err
    assert "surface.png" in names(tmp_path / "p")


def test_existing_pictures_are_replaced_only_by_force(tmp_path):
    (tmp_path / "loss.png").write_text("mine")
    ran = linnet("plot", "concrete.linnet", "-o", tmp_path)
    assert ran.code == 1 and ran.sentence == (
        f"linnet: {tmp_path / 'loss.png'} already exists. Choose another name, or write --force to "
        "replace it."
    )
    assert (tmp_path / "loss.png").read_text() == "mine"
    assert linnet("plot", "concrete.linnet", "-o", tmp_path, "--force").code == 0
    assert imread(tmp_path / "loss.png").shape[1] == 800


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (
            ["concrete.linnet", "--kind", "parity"],
            1,
            "linnet: The picture 'parity' needs a table. Write linnet plot MODEL FILE --kind "
            "parity.",
        ),
        (
            ["birds.linnet", "birds.csv", "--kind", "parity"],
            1,
            "linnet: The picture 'parity' is for numbers; this model predicts classes. Draw "
            "confusion.",
        ),
        (
            ["concrete.linnet", "concrete.csv", "--kind", "confusion"],
            1,
            "linnet: The picture 'confusion' is for classes; this model predicts numbers. Draw "
            "parity.",
        ),
        (
            ["concrete.linnet", "--kind", "los"],
            2,
            "Error: Invalid value: --kind 'los' is not known, did you mean 'loss'? Allowed are "
            "'loss', 'parity', 'residuals', 'errors', 'confusion', 'surface'.",
        ),
        (
            ["concrete.linnet", "concrete.csv", "--features", "cment"],
            1,
            "linnet: The model has no feature 'cment', did you mean 'cement'? Its features are "
            "'cement', 'slag', 'fly_ash', 'water', 'superplasticizer', 'coarse_aggregate', "
            "'fine_aggregate', 'age_days'.",
        ),
        (
            ["concrete.linnet", "-o", "no/pictures"],
            1,
            "linnet: The folder no does not exist. Make it first.",
        ),
        (
            ["concrete.linnet", "-o", "concrete.csv"],
            1,
            "linnet: concrete.csv is a file. Give the name of a folder.",
        ),
    ],
)
def test_what_cannot_be_drawn_is_told_and_nothing_is_written(fitted, arguments, code, sentence):
    before = names(fitted)
    ran = linnet("plot", *arguments)
    assert (ran.code, ran.sentence) == (code, sentence)
    assert names(fitted) == before


def test_a_width_without_sense_is_wrong_usage():
    for width in ("3", "1000000"):
        assert linnet("plot", "concrete.linnet", "--width", width).code == 2
