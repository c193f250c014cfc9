"""Ensembles in the shell: fitted unless one network is asked for, and their intervals."""

from __future__ import annotations

import pandas as pd
import pytest
from shell import QUICK, birds, concrete, linnet

from linnet import load

FEW = ("--members", "3", "--epochs", "4", "--no-progress")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted")
    concrete().to_csv(folder / "concrete.csv", index=False)
    birds().to_csv(folder / "birds.csv", index=False)
    ran = {}
    for name, target in (("concrete", "strength_mpa"), ("birds", "species")):
        arguments = ("-t", target, "-o", folder / f"{name}.linnet", *FEW)
        ran[name] = linnet("fit", folder / f"{name}.csv", *arguments)
        assert ran[name].code == 0, ran[name].err
    return folder, ran


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_fit_trains_an_ensemble_and_tells_what_was_chosen(fitted):
    folder, ran = fitted
    told = ran["concrete"].err.splitlines()
    assert (
        "48 rows to fit on, each of them held out by some member; 12 held out for the"
        in " ".join(told)
    )
    assert "3 members; seed 0." in told
    assert any(line.startswith("Chosen for 48 rows and 8 inputs: 3 members of ") for line in told)
    assert any(line.startswith("Intervals for 90% hold ") for line in told)
    assert any(line.startswith("3 networks 8-128-128-1, ") for line in told)
    assert type(load(folder / "concrete.linnet")).__name__ == "EnsembleRegressor"
    assert type(load(folder / "birds.linnet")).__name__ == "EnsembleClassifier"


def test_one_network_is_trained_where_its_options_are_given(fitted):
    table = fitted[0] / "concrete.csv"
    for options in (QUICK, ("--epochs", "2", "--alpha", "0.1", "--no-progress")):
        ran = linnet("fit", table, "-t", "strength_mpa", "-o", "m.linnet", "--force", *options)
        assert ran.code == 0, ran.err
        assert type(load("m.linnet")).__name__ == "MLPRegressor"


def test_the_document_tells_members_and_intervals(fitted):
    ran = linnet(
        "fit", fitted[0] / "concrete.csv", "-t", "strength_mpa", "-o", "m.linnet", "--json", *FEW
    )
    document = ran.document
    assert document["n_members"] == 3 and document["estimator"] == "EnsembleRegressor"
    assert document["network"] == "8-128-128-1"
    assert document["chosen"] == load("m.linnet").history_.notes
    assert document["interval"]["coverage"] == 0.9
    assert 0 <= document["interval"]["inside"] <= 1
    assert document["interval"]["mean_width"] > 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ("--members", "3", "--hidden", "8"),
            "--members 3 asks for an ensemble, and --hidden for one network. Leave one of them "
            "out.",
        ),
        (
            ("--members", "3", "--learning-rate-init", "0.1"),
            "--members 3 asks for an ensemble, and --learning-rate-init for one network. Leave one "
            "of them out.",
        ),
        (
            ("--members", "0"),
            "--members must be an int in the range [1, 1000]. Got 0 instead. Write --members 8, "
            "for example.",
        ),
    ],
)
def test_wrong_options_are_told(fitted, options, told):
    ran = linnet("fit", fitted[0] / "concrete.csv", "-t", "strength_mpa", *options)
    assert (ran.code, ran.sentence) == (2, f"Error: Invalid value: {told}")


def test_predict_adds_the_ends_of_intervals(fitted):
    folder, _ = fitted
    ran = linnet(
        "predict", folder / "concrete.linnet", folder / "concrete.csv", "-o", "p.csv",
        "--interval", "0.8", "--only-predictions",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    found = pd.read_csv("p.csv")
    assert found.columns.tolist() == [
        "predicted_strength_mpa",
        "lower_strength_mpa",
        "upper_strength_mpa",
    ]
    model = load(folder / "concrete.linnet")
    X = concrete().drop(columns="strength_mpa")
    assert found.to_numpy()[:, 0] == pytest.approx(model.predict(X))
    assert found.to_numpy()[:, 1:] == pytest.approx(model.predict_interval(X, 0.8))


def test_an_interval_that_cannot_be_given_is_told(fitted):
    folder, _ = fitted
    rows = folder / "concrete.csv"
    ran = linnet("predict", folder / "concrete.linnet", rows, "--interval", "90")
    assert (ran.code, ran.sentence) == (
        2,
        "Error: Invalid value for '--interval': --interval 90: write a share between 0 and 1, such "
        "as 0.9.",
    )
    ran = linnet("predict", folder / "birds.linnet", folder / "birds.csv", "--interval", "0.9")
    assert (ran.code, ran.sentence) == (
        1,
        "linnet: --interval is for numbers; this model predicts classes.",
    )
    options = ("--validation-fraction", "0", *QUICK)
    assert linnet("fit", rows, "-t", "strength_mpa", "-o", "m.linnet", *options).code == 0
    ran = linnet("predict", "m.linnet", rows, "--interval", "0.9")
    assert (ran.code, ran.sentence) == (
        1,
        "linnet: --interval needs a model that knows its errors, and this one was fitted without "
        "validation rows. Fit it anew with linnet fit, or with --loss gaussian.",
    )


def test_fit_tells_intervals_of_the_coverage_that_is_asked_for(fitted):
    table, options = fitted[0] / "concrete.csv", ("-t", "strength_mpa", "-o", "i.linnet", "--force")
    ran = linnet("fit", table, *options, "--interval", "0.995", *FEW)
    assert "Intervals for 99.5% hold " in ran.err
    for given, told in (
        (
            ("--interval", "90", *FEW),
            " for '--interval': --interval 90: write a share between 0 and 1, such as 0.9.",
        ),
        (
            ("--interval", "0.5", "--validation-fraction", "0", *QUICK),
            ": --interval 0.5 needs validation rows, and this network has none. Write "
            "--validation-fraction 0.15, or --loss gaussian.",
        ),
    ):
        ran = linnet("fit", table, *options, *given)
        assert (ran.code, ran.sentence) == (2, f"Error: Invalid value{told}")
    options = ("-t", "species", "-o", "i.linnet", "--force", "--interval", "0.5", *FEW)
    assert linnet("fit", fitted[0] / "birds.csv", *options).sentence == (
        "linnet: --interval is for numbers, and the target 'species' is taken as classes. Leave it "
        "out."
    )


def test_pictures_have_bars_of_the_coverage_that_is_asked_for(fitted, monkeypatch):
    from linnet.plots import ParityDisplay

    drawn, made = [], ParityDisplay.__init__
    monkeypatch.setattr(
        ParityDisplay,
        "__init__",
        lambda self, *a, **k: (made(self, *a, **k), drawn.append(self))[0],
    )
    files = fitted[0] / "concrete.linnet", fitted[0] / "concrete.csv"
    ran = linnet("plot", *files, "-o", "p", "--kind", "parity", "--interval", "0.5")
    assert ran.code == 0 and drawn[0].coverage == 0.5


def test_a_gaussian_network_has_intervals_without_validation_rows(fitted):
    folder, _ = fitted
    options = ("--loss", "gaussian", "--validation-fraction", "0", "--epochs", "5", "--no-progress")
    ran = linnet("fit", folder / "concrete.csv", "-t", "strength_mpa", "-o", "g.linnet", *options)
    assert ran.code == 0, ran.err
    assert type(load("g.linnet")).__name__ == "MLPRegressor"
    assert "Intervals for 90% hold" in ran.err
    told = linnet("predict", "g.linnet", folder / "concrete.csv", "--interval", "0.9")
    assert told.code == 0, told.err
    shown = " ".join(linnet("show", "g.linnet").out.split())
    assert "8 inputs, 2 outputs" in shown, shown
    ran = linnet("tune", folder / "concrete.csv", "-t", "strength_mpa", "--loss", "gaussian")
    assert ran.code == 2
    assert " ".join(ran.err.split()).endswith(
        "--loss gaussian is for one network, MLPRegressor: an ensemble learns the variance from "
        "rows held out, with any loss. Write --loss squared_error."
    ), ran.err


def test_show_says_whose_seconds_they_are(fitted):
    shown = " ".join(linnet("show", fitted[0] / "concrete.linnet").out.split())
    seconds = sum(load(fitted[0] / "concrete.linnet").history_.seconds)
    assert f"seconds {seconds:.4g}, the mean of 3 members" in shown, shown


def test_show_evaluate_and_plot_take_ensembles(fitted):
    folder, _ = fitted
    for name in ("concrete", "birds"):
        model, table = folder / f"{name}.linnet", folder / f"{name}.csv"
        assert linnet("show", model).code == 0
        assert linnet("evaluate", model, table).code == 0
        ran = linnet("plot", model, table, "-o", f"pictures-{name}")
        assert ran.code == 0, ran.err
