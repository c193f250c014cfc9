"""The shell as real processes: signals, pipes, full disks, and streams kept apart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import warm_python
from shell import QUICK, concrete, linnet

from linnet import load

SHELL = "from linnet.cli import main; main()"
LINNET = [sys.executable, "-c", SHELL]
ENDLESS = ("--epochs", "1000000", "--hidden", "8")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and limits of POSIX systems")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    concrete().to_csv("concrete.csv", index=False)
    return tmp_path


def start(*arguments: str) -> warm_python.Process:
    return warm_python.Process(SHELL, *arguments)


def talk_until(process: warm_python.Process, words: str) -> str:
    """Return the talk up to the line with the words."""
    told = ""
    while words not in told:
        line = process.stderr.readline()
        assert line, f"the talk ended: {told}"
        told += line
    return told


def end(process: warm_python.Process, told: str = "") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, told + err


def test_data_goes_to_stdout_and_talk_with_the_progress_bar_to_stderr():
    options = ("--epochs", "3", "--hidden", "8")
    command = [*LINNET, "fit", "concrete.csv", "-t", "strength_mpa", *options]
    ended = subprocess.run(command, capture_output=True, text=True)
    out, err = ended.stdout, ended.stderr
    assert ended.returncode == 0
    assert out.startswith("12 test rows\n") and "HistGradientBoosting" in out
    assert err.startswith("Read concrete.csv") and "HistGradientBoosting" not in err
    assert "epoch 3/3" in err and "epoch 3/3" not in out


def test_ctrl_c_in_a_training_saves_the_best_so_far_and_ends_with_130(folder):
    # The bar of a stream that is no terminal is drawn at the end, so that only time tells of a
    # first epoch; a slow machine gets more of it.
    for delay in (1.5, 6, 24):
        process = start("fit", "concrete.csv", "-t", "strength_mpa", "--json", *ENDLESS)
        told = talk_until(process, "Hidden layers")
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
        process.send_signal(signal.SIGINT)  # a hurried hand
        code, out, err = end(process, told)
        assert code == 130, err
        if (folder / "concrete.linnet").exists():
            break
    assert '"outcome": "interrupted"' in out
    assert "The training was interrupted; the best weights so far are kept. Epoch " in err
    assert err.count("interrupted") == 1
    model = load("concrete.linnet")
    assert model.history_.outcome.value == "interrupted" and model.history_.n_epochs > 0
    assert linnet("evaluate", "concrete.linnet", "concrete.csv").code == 0


def test_ctrl_c_before_the_training_writes_nothing(folder):
    process = start("fit", "concrete.csv", "-t", "strength_mpa", *ENDLESS)
    told = talk_until(process, "Read concrete.csv")
    process.send_signal(signal.SIGINT)
    code, out, err = end(process, told)
    assert (code, out) == (130, "") and "Traceback" not in err
    assert [path.name for path in folder.iterdir()] == ["concrete.csv"]


@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "as_an_error_of_a_package"])
def test_ctrl_c_while_the_program_is_still_loading_is_no_traceback(wrapped):
    script = (
        "import signal, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'typer':\n"
        "            try:\n"
        "                signal.raise_signal(signal.SIGINT)\n"
        "            except KeyboardInterrupt as interrupt:\n"
        f"                raise (RuntimeError('wrapped') if {wrapped} else interrupt)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from linnet.cli import main\n"
        "main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_ctrl_c_in_the_demo_keeps_what_was_learnt(folder):
    linnet("demo", "--out", "warm", "--epochs", "1", "--no-progress")  # all is loaded now
    interrupt = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()
    ran = linnet("demo", "--out", "d", "--epochs", "100000000", "--no-progress")
    assert ran.code == 130, ran.err
    assert load("d/sinc.linnet").history_.outcome.value == "interrupted"
    assert "final loss" in ran.out
    assert "Note: The training was interrupted; the best weights so far are kept." in ran.err


def test_a_reader_that_leaves_early_is_no_fault():
    assert linnet("fit", "concrete.csv", "-t", "strength_mpa", *QUICK).code == 0
    with start("show", "concrete.linnet", "--json") as process:
        process.stdout.close()
        assert (process.wait(), process.stderr.read()) == (1, "")


def limited(*arguments: str, kilobytes: int) -> subprocess.CompletedProcess:
    """Run where no file may grow larger: what a full disk is like."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, 2 * [{}]); {}"
    return warm_python.run(limit.format(1024 * kilobytes, SHELL), *arguments)


def test_a_disk_that_is_full_leaves_no_half_file_and_keeps_the_old(folder):
    assert linnet("fit", "concrete.csv", "-t", "strength_mpa", *QUICK).code == 0
    before = Path("concrete.linnet").read_bytes()
    large = ("--epochs", "2", "--no-progress", "--force")
    ended = limited("fit", "concrete.csv", "-t", "strength_mpa", *large, kilobytes=20)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[-1] == (
        "linnet: concrete.linnet cannot be written: File too large. Choose another place."
    )
    assert Path("concrete.linnet").read_bytes() == before

    ended = limited("predict", "concrete.linnet", "concrete.csv", "-o", "p.csv", kilobytes=1)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        "linnet: p.csv cannot be written: File too large. Choose another place."
    )
    assert sorted(path.name for path in folder.iterdir()) == ["concrete.csv", "concrete.linnet"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_standard_output_that_is_full_is_told():
    assert linnet("fit", "concrete.csv", "-t", "strength_mpa", *QUICK).code == 0
    full = "import os; os.dup2(os.open('/dev/full', os.O_WRONLY), 1); "
    ended = warm_python.run(full + SHELL, "predict", "concrete.linnet", "concrete.csv")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[1:] == ["linnet: No space left on device."]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_the_progress_bar_cuts_nothing_off(width):
    options = ("--epochs", "3", "--hidden", "8")
    fit = ("fit", "concrete.csv", "-t", "strength_mpa", *options)
    ran = warm_python.run(SHELL, *fit, COLUMNS=str(width))
    bar = next(line for line in ran.stderr.splitlines() if "epoch 3/3" in line)
    assert "…" not in bar and "loss " in bar and "0:00:00" in bar
    assert ("validation" in bar, "rows/s" in bar) == (width >= 60, width >= 76)


def test_streams_that_are_closed_are_no_fault(folder):
    fit = f"fit concrete.csv -t strength_mpa {' '.join(QUICK)}"
    script = f"""
import sys
from linnet.cli import main
for arguments in ("{fit}", "predict concrete.linnet concrete.csv", "show concrete.linnet"):
    sys.argv[1:] = arguments.split()
    try:
        main()
    except SystemExit as end:
        assert not end.code
"""
    line = ["sh", "-c", 'exec "$0" -c "$1" <&- >&-', sys.executable, script]
    ran = subprocess.run(line, stderr=subprocess.PIPE, text=True, timeout=120)
    assert ran.returncode == 0 and "Traceback" not in ran.stderr, ran.stderr
    assert linnet("show", "concrete.linnet").code == 0


def test_a_traceback_is_there_for_those_who_ask(monkeypatch):
    monkeypatch.setenv("LINNET_TRACEBACK", "1")
    code, _, err = end(start("show", "none.linnet"))
    assert code == 1 and "Traceback" in err and "There is no file none.linnet" in err
