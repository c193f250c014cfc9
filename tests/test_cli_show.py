"""``linnet show`` and ``linnet info``."""

from __future__ import annotations

import numpy as np
import pytest
import warm_python
from shell import QUICK, birds, linnet

import linnet as package
from linnet.cli.talk import figure, printable
from linnet.model_format import pack, unpack

ESCAPE = "\x1b[31mred\x9b"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("show")
    birds().to_csv(folder / "birds.csv", index=False)
    path = folder / "birds.linnet"
    assert linnet("fit", folder / "birds.csv", "-t", "species", "-o", path, *QUICK).code == 0
    return path


def test_the_card_tells_network_columns_scores_and_how_it_ended(model):
    ran = linnet("show", model)
    assert ran.code == 0 and ran.err == ""
    assert f"{model}\n" in ran.out
    told = {line.split("  ")[0]: line for line in ran.out.splitlines()}
    assert "MLPClassifier" in told["estimator"]
    assert "species (classes: linnet, siskin, twite)" in told["target"]
    assert "61 rows of birds.csv" in told["fitted on"]
    assert "All epochs asked for are done." in told["ended"]
    for title in ("Columns", "Scores"):
        assert f"\n{title}\n" in ran.out
    assert "HistGradientBoosting" in ran.out and "identifier" in ran.out


def test_json_is_the_whole_description(model):
    document = linnet("show", model, "--json").document
    assert list(document) == [
        "command",
        "file",
        "format_version",
        "sha256",
        "estimator",
        "parameters",
        "network",
        "columns",
        "target",
        "history",
        "validation_scores",
        "n_features_in",
        "feature_names_in",
        "versions",
        "card",
    ]
    assert document["card"]["table"]["n_rows"] == 90


def test_a_model_saved_from_python_without_a_card_can_be_shown(tmp_path):
    X = np.arange(20.0).reshape(10, 2)
    fitted = package.MLPRegressor((3,), max_iter=2, n_iter_no_change=np.inf).fit(X, X[:, 0])
    fitted.save(tmp_path / "m.linnet")
    ran = linnet("show", tmp_path / "m.linnet")
    assert ran.code == 0 and "not named" in ran.out and "Scores" not in ran.out


def test_nothing_in_a_file_steers_the_terminal(model, tmp_path):
    table = birds().rename(columns={"island": f"isle{ESCAPE}"}).replace("twite", f"tw{ESCAPE}")
    path, name = tmp_path / "m.linnet", f"birds{ESCAPE}.csv"
    table.to_csv(tmp_path / name, index=False)
    ran = linnet("fit", tmp_path / name, "-t", "species", "-o", path, *QUICK)
    assert ran.code == 0, ran.err
    shown = linnet("show", path)
    evaluated = linnet("evaluate", path, tmp_path / name)
    table.drop(columns=f"isle{ESCAPE}").to_csv(tmp_path / "lacks.csv")
    lacks = linnet("predict", path, tmp_path / "lacks.csv")
    drawn = linnet("plot", path, tmp_path / name, "-o", tmp_path / "p", "--features", f"q{ESCAPE}")
    for each in (ran, shown, evaluated, lacks, drawn, linnet("show", path, "--json")):
        assert "\x1b" not in each.out + each.err and "\x9b" not in each.out + each.err
    assert r"isle\x1b[31mred" in shown.out and r"tw\x1b[31mred" in evaluated.out


def test_a_hostile_card_is_shown_without_steering_or_refused(model, tmp_path):
    description, tensors = unpack(model)
    card = {"target": ESCAPE, "table": {"name": ESCAPE}, "scores": {ESCAPE: {ESCAPE: ESCAPE}}}
    for layers in (ESCAPE, 5, None, [ESCAPE]):
        description["network"]["layers"] = layers
        plain = {k: v for k, v in description.items() if k not in ("format_version", "sha256")}
        path = tmp_path / "h.linnet"
        path.write_bytes(pack({**plain, "card": card, "versions": {ESCAPE: ESCAPE}}, tensors))
        ran = linnet("show", path)
        assert ran.code in (0, 1) and "\x1b" not in ran.out + ran.err


def test_text_is_printed_as_it_is_but_for_what_steers():
    assert printable("R² naïve 鳥\n–", lines=True) == "R² naïve 鳥\n–"
    assert printable("\x1b]0;\x9b\u202e\t\n") == r"\x1b]0;\x9b\x202e\x09\x0a"


def test_figures_have_four_digits():
    assert [figure(value) for value in (0.123456, 1234567, float("nan"), None, "x", True)] == [
        "0.1235",
        "1,234,567",
        "–",
        "–",
        "x",
        "True",
    ]


INFO_KEYS = [
    "command",
    "linnet",
    "python",
    "platform",
    "versions",
    "native_module",
    "instruction_sets",
    "kernels",
    "engines",
    "devices",
    "torch_threads",
]


def test_info_tells_versions_engines_and_devices():
    document = linnet("info", "--json").document
    assert list(document)[: len(INFO_KEYS)] == INFO_KEYS
    assert document["devices"][0] == "cpu" and document["engines"].keys() == {"torch", "native"}
    told = linnet("info").out
    for name in ("linnet", "Python", "torch", "engine native", "devices"):
        assert any(line.startswith(name) for line in told.splitlines())


def test_info_without_the_native_module_says_how_to_get_it():
    script = (
        "import sys; sys.modules['linnet._native'] = None; sys.argv = ['linnet', 'info']\n"
        "from linnet.cli import main; main()"
    )
    ended = warm_python.run(script)
    assert ended.returncode == 0, ended.stderr
    assert "engine native      missing" in ended.stdout
    assert "The native module is missing" in ended.stdout.splitlines()[-1]
