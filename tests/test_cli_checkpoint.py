"""`linnet fit --checkpoint`: a fit that was stopped goes on, or says in a sentence why not."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from shell import concrete, linnet

from linnet import load
from linnet.checkpoint import CheckpointedTraining
from linnet.model_format import unpack

FIT = ("fit", "concrete.csv", "-t", "strength_mpa", "--no-progress")
ENSEMBLE = (*FIT, "--members", "2", "--epochs", "4")
NETWORK = (*FIT, "--hidden", "8", "--epochs", "6")
KEPT = ("--checkpoint", "night")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    concrete().to_csv("concrete.csv", index=False)
    return tmp_path


@pytest.fixture
def stopped(monkeypatch):
    """Return a function that runs a command until a signal comes after so many epochs."""

    def run(number, n_epochs, *arguments):
        calls, after_epoch = [], CheckpointedTraining.after_epoch

        def counted(self, state, module, outcome):
            after_epoch(self, state, module, outcome)
            calls.append(1)
            if len(calls) == n_epochs:
                os.kill(os.getpid(), number)
                time.sleep(0.5)  # the main thread hands it on

        with monkeypatch.context() as patch:
            patch.setattr("linnet.checkpoint._SECONDS_BETWEEN_COPIES", 0.0)
            patch.setattr(CheckpointedTraining, "after_epoch", counted)
            return linnet(*arguments)

    return run


def weights(path):
    return {name: value.numpy() for name, value in load(path).module_.state_dict().items()}


def same_weights(one, other):
    one, other = weights(one), weights(other)
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name])


@pytest.mark.parametrize("fit", [NETWORK, ENSEMBLE], ids=["network", "ensemble"])
def test_ctrl_c_says_how_to_go_on_and_going_on_gives_the_same_bits(stopped, fit):
    assert linnet(*fit, "-o", "whole.linnet").code == 0
    ran = stopped(signal.SIGINT, 3, *fit, *KEPT)
    assert ran.code == 130
    assert "\nnight keeps where the training stands.\n" in ran.err
    command = f"  linnet {' '.join([*fit, *KEPT])} --resume --force"
    assert ran.err.endswith(f"\nnight holds where the training stands. Go on with:\n{command}\n")
    ran = linnet(*command.split()[1:])
    assert ran.code == 0 and "\nGoes on from night.\n" in ran.err
    assert "Go on with" not in ran.err
    same_weights("concrete.linnet", "whole.linnet")


def test_sigterm_keeps_the_training_and_writes_no_model(stopped):
    came = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        ran = stopped(signal.SIGTERM, 3, *ENSEMBLE, *KEPT, "--resume")
    finally:
        signal.signal(signal.SIGTERM, before)
    # The system's own answer to it, to end the process, would come last.
    assert (came, ran.code, ran.out) == ([signal.SIGTERM], 130, "")
    command = f"  linnet {' '.join([*ENSEMBLE, *KEPT])} --resume"
    assert ran.err.endswith(f"\nnight holds where the training stands. Go on with:\n{command}\n")
    assert sorted(os.listdir()) == ["concrete.csv", "night"]
    assert unpack(Path("night"))[0]["trainings"]["0"]["history"]["n_epochs"] > 0


def test_where_the_time_is_up_it_is_said_how_to_go_on():
    ran = linnet(*FIT, "--hidden", "8", "--epochs", "100000", "--max-time", "0.2", *KEPT)
    assert ran.code == 0
    assert ran.err.splitlines()[-2] == "night holds where the training stands. Go on with:"


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (
            KEPT,
            1,
            "linnet: The checkpoint night already exists. Write --resume to go on from it, or "
            "choose another name.",
        ),
        (
            ("--resume",),
            2,
            "Error: Invalid value: --resume needs the file to go on from: give --checkpoint "
            "training.checkpoint too.",
        ),
        (
            (*KEPT, "--checkpoint-every", "-1", "--resume"),
            2,
            "Error: Invalid value: --checkpoint-every -1.0 has to be seconds, 0 or more.",
        ),
        (
            ("--checkpoint", "concrete.linnet"),
            2,
            "Error: Invalid value: --checkpoint and --output both name concrete.linnet. Give the "
            "checkpoint another name, such as concrete.checkpoint.",
        ),
        (
            ("--checkpoint", "nowhere/night"),
            1,
            "linnet: The folder nowhere does not exist. Make it first.",
        ),
        (
            ("--checkpoint", "concrete.csv"),
            1,
            "linnet: The checkpoint concrete.csv already exists. Write --resume to go on from it, "
            "or choose another name.",
        ),
        (
            (*KEPT, "--resume"),
            1,
            "linnet: night is no checkpoint of a training, or is cut off. Give the file that keeps "
            "yours, or copy it anew.",
        ),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(options, code, told):
    Path("night").write_text("mine")
    ran = linnet(*NETWORK, *options)
    assert (ran.code, ran.out) == (code, "")
    assert ran.sentence == told
    assert Path("night").read_text() == "mine" and not Path("concrete.linnet").exists()


def test_a_failed_writing_is_said_once_and_when_it_happens(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    said = []
    after_epoch = CheckpointedTraining.after_epoch

    def watched(self, state, module, outcome):
        after_epoch(self, state, module, outcome)
        said.append(sys.stderr.buffer.getvalue().decode())

    monkeypatch.setattr(CheckpointedTraining, "after_epoch", watched)
    monkeypatch.setattr("linnet.checkpoint._SECONDS_BETWEEN_COPIES", 0.0)
    monkeypatch.setattr("linnet.checkpoint._SHARE_OF_TIME", 1e9)
    monkeypatch.setattr(os, "replace", full)
    ran = linnet(*NETWORK, *KEPT, "--checkpoint-every", "0")
    note = (
        "Note: The checkpoint was not written: night cannot be written: No space left on device. "
        "Choose another place. The training goes on; the file, if there was one, is as it was.\n"
    )
    assert [text.count(note) for text in (said[0], ran.err)] == [1, 1]


def test_another_table_is_refused_with_what_differs():
    assert linnet(*NETWORK, *KEPT).code == 0
    before = Path("night").read_bytes()
    concrete(50).to_csv("concrete.csv", index=False)
    ran = linnet(*NETWORK, *KEPT, "--resume", "--force", "--seed", "3")
    assert ran.code == 1
    assert ran.sentence.startswith(
        "linnet: night is the checkpoint of another training: --seed was 0, is 3; the training "
        "rows was 41 rows "
    )
    assert Path("night").read_bytes() == before
