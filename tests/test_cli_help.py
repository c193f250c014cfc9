"""The front door: help, version, and how little it loads."""

from __future__ import annotations

import inspect
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from shell import EXAMPLES, linnet

from linnet.cli import app as cli

COMMANDS = ("demo", "fit", "predict", "evaluate", "plot", "show", "info")
SLOW = ("torch", "matplotlib", "sklearn", "pyarrow", "numpy", "pandas", "scipy")


def example_of(command: str) -> str:
    text = " ".join(inspect.getdoc(getattr(cli, command)).split())
    return text.partition("Example: ")[2]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["fit", "--help"], ["fit"]])
def test_help_version_and_usage_load_none_of_the_heavy_packages(arguments):
    script = (
        "import sys, atexit\n"
        f"atexit.register(lambda: print(*(m for m in {SLOW} if m in sys.modules), 'loaded'))\n"
        f"sys.argv = ['linnet', *{arguments}]\n"
        "from linnet.cli import main\n"
        "main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.stdout.splitlines()[-1] == " loaded".strip()


def test_the_help_lists_every_command_with_a_whole_line():
    ran = linnet("--help")
    assert ran.code == 0
    for command in COMMANDS:
        summary = inspect.getdoc(getattr(cli, command)).splitlines()[0]
        assert any(line.split(maxsplit=1) == [command, summary] for line in ran.out.splitlines())
    assert max(map(len, ran.out.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_shows_whole_names_of_options_and_an_example(command):
    ran = linnet(command, "--help")
    assert ran.code == 0 and ran.err == ""
    assert "…" not in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    assert example_of(command).startswith(f"linnet {command}")
    assert f"Example: {example_of(command)}" in " ".join(ran.out.split())


def test_linnet_alone_shows_the_help_and_ends_as_wrong_usage():
    ran = linnet()
    assert ran.code == 2
    assert "Commands:" in ran.out + ran.err


def test_version_is_one_line_of_data():
    import linnet as package

    assert linnet("--version").out == f"linnet {package.__version__}\n"


def test_a_mistyped_command_or_option_is_answered_with_the_nearest():
    assert "Error: No such command 'frit'. Did you mean 'fit'?" in linnet("frit").err
    ran = linnet("fit", "a.csv", "-t", "y", "--epoch", "3")
    assert ran.code == 2 and "No such option: --epoch" in ran.err and "--epochs" in ran.err


@pytest.fixture(scope="module")
def workplace(tmp_path_factory) -> Path:
    """A folder with the model of the fit's example, for the examples of the other commands."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "examples").mkdir()
    shutil.copy(EXAMPLES / "concrete.csv", folder / "examples")
    return folder


WRITTEN = {
    "fit": ["concrete.linnet"],
    "predict": ["predictions.csv"],
    "evaluate": [],
    "plot": [f"pictures/{n}.png" for n in ("loss", "parity", "residuals", "errors", "surface")],
    "show": [],
    "info": [],
    "demo": [
        f"linnet-demo/{name}"
        for name in ("loss.png", "surface.png", "parity.png", "sinc.linnet", "history.json")
    ],
}


def test_the_example_of_every_help_runs_and_writes_what_it_names(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    for command in ("fit", "predict", "evaluate", "plot", "show", "info", "demo"):
        # The demo's own length and the fit's are tested by hand; here a few epochs tell as much.
        shorter = ["--epochs", "4"] if command in ("fit", "demo") else []
        ran = linnet(*shlex.split(example_of(command))[1:], *shorter)
        assert ran.code == 0, ran.err
        for name in WRITTEN[command]:
            assert (workplace / name).stat().st_size > 0
