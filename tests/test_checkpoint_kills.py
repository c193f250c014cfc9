"""Checkpoints of processes that are killed, asked to end, or run out of disk.

The trainings run in processes forked from one that has imported linnet, so that hundreds of them
can be killed. `linnet.checkpoint` is told to copy and write after each epoch, so that many of the
kills fall into a writing.
"""

import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from fork_server import ForkServer
from shell import concrete
from torch import nn

import linnet
from linnet.model_format import unpack

PROGRAM = """
    import contextlib, resource, sys, warnings
    import numpy as np, torch, linnet
    from linnet import checkpoint
    from linnet.checkpoint import CheckpointedTraining
    import linnet.cli.app, linnet.cli.fitting
    from torch import nn

    X = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    y = (X[:, :1] * X[:, 1:2]).astype(np.float32)
    ALWAYS = {"checkpoint_every": 0, "resume": True}

    torch.set_num_threads(1)  # a fork has no others
    # All is loaded that trainings load.
    for engine in ("native", "torch"):
        linnet.train(nn.Linear(3, 1), X, y, epochs=1, engine=engine)
    linnet.EnsembleRegressor(2, max_iter=1, random_state=0).fit(X, y.ravel()).predict_interval(X)

    def main(kind, path, beside, *arguments):
        words = ("eager", "late", "no room")
        given = [argument for argument in arguments if argument not in words]
        if "eager" in arguments:
            checkpoint._SECONDS_BETWEEN_COPIES, checkpoint._SHARE_OF_TIME = 0.0, 1e9
        if "late" in arguments:  # no file before the signal
            ALWAYS["checkpoint_every"] = 3600
            after_epoch = CheckpointedTraining.after_epoch
            def noted(*state):
                after_epoch(*state)
                open(beside + ".begun", "w").close()
            CheckpointedTraining.after_epoch = noted
        if "no room" in arguments:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            globals()[kind](path, beside, *given)
        with open(beside + ".told", "w") as file:
            file.writelines(f"{w.message}\\n" for w in caught)

    def network(path, beside, engine, epochs):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(3, 16), nn.SiLU(), nn.Dropout(0.1), nn.Linear(16, 1))
        linnet.train(
            module, X, y, epochs=epochs, random_state=0, engine=engine, X_val=X[:60], y_val=y[:60],
            checkpoint=path, **ALWAYS,
        )
        np.savez(beside + ".npz", *(value.numpy() for value in module.state_dict().values()))

    def ensemble(path, beside, n_threads, epochs):
        model = linnet.EnsembleRegressor(
            4, max_iter=epochs, hidden_layer_sizes=(16,), n_threads=n_threads, random_state=0
        )
        model.fit(X, y.ravel(), checkpoint=path, **ALWAYS)
        np.savez(beside + ".npz", model.predict(X), model.predict_interval(X), model.loss_curve_)

    def command(path, beside, *arguments):
        sys.argv = ["linnet", "fit", *arguments, "--checkpoint", path, "--resume"]
        with open(beside + ".err", "w") as err, contextlib.redirect_stderr(err):
            with open(beside + ".out", "w") as out, contextlib.redirect_stdout(out):
                try:
                    linnet.cli.main()
                except SystemExit as end:
                    assert not end.code
"""


@pytest.fixture(scope="module")
def server():
    with ForkServer(PROGRAM) as server:
        yield server


def start(server, kind, path, *arguments):
    """Begin a training that is kept at the path; what it gives is written beside the disk's."""
    beside = path.parent.parent / path.name if path.parent.name == "disk" else path
    server.start(kind, str(path), str(beside), *arguments)


def done(server, kind, path, *arguments):
    start(server, kind, path, *arguments)
    assert server.wait() == 0


def parts(folder):
    return list(folder.glob(".*.part"))


def epochs_in(path):
    """Return the number of epochs of each training in a file, which is whole or not there."""
    if not path.exists():
        return []
    trainings = unpack(path)[0]["trainings"].values()
    return [training["history"]["n_epochs"] for training in trainings]


def killed(server, n_kills, kind, path, *arguments):
    """Kill a training at random moments; say how far it was, and how many fell into a writing."""
    started = time.monotonic()
    start(server, kind, path, *arguments, "eager")
    while not path.exists() and time.monotonic() < started + 60:
        time.sleep(0.001)
    until_first = time.monotonic() - started  # which depends on the machine, and what else it does
    server.kill()
    chance, seen, n_in_writing = random.Random(1), [], 0
    while len(seen) < n_kills:
        start(server, kind, path, *arguments, "eager")
        time.sleep(chance.uniform(0.0, 3 * until_first))
        if server.kill():
            n_in_writing += bool(parts(path.parent))
            seen.append(epochs_in(path))
        else:
            path.unlink()  # it has ended by itself, and begins anew
    print(f"{n_kills} kills of {kind} {arguments}, {n_in_writing} while it wrote; at {seen}")
    return seen, n_in_writing


def same_numbers(path, other):
    with np.load(f"{path}.npz") as one, np.load(f"{other}.npz") as two:
        assert one.files == two.files
        for name in one.files:
            np.testing.assert_array_equal(one[name], two[name])


@pytest.mark.parametrize(
    ("kind", "how", "n_kills", "epochs"),
    [
        ("network", "native", 3, 200),
        pytest.param("network", "native", 100, 5_000, marks=pytest.mark.slow),
        pytest.param("network", "torch", 100, 1_500, marks=pytest.mark.slow),
        pytest.param("ensemble", 1, 100, 2_000, marks=pytest.mark.slow),
        pytest.param("ensemble", 2, 100, 2_000, marks=pytest.mark.slow),
    ],
)
def test_killed_at_random_moments_it_ends_with_the_same_bits(
    tmp_path, server, kind, how, n_kills, epochs
):
    whole, path = tmp_path / "whole", tmp_path / "killed"
    done(server, kind, whole, how, epochs)
    seen, n_in_writing = killed(server, n_kills, kind, path, how, epochs)
    assert len({tuple(epochs) for epochs in seen}) > n_kills / 3  # it got on between the kills
    assert n_in_writing or n_kills < 10
    done(server, kind, path, how, epochs)
    same_numbers(path, whole)
    assert parts(tmp_path) == []


@pytest.mark.slow
def test_the_command_killed_at_random_moments_writes_the_same_model(tmp_path, server):
    table, whole, path = tmp_path / "concrete.csv", tmp_path / "whole", tmp_path / "killed"
    concrete().to_csv(table, index=False)
    fit = (str(table), "-t", "strength_mpa", "--members", "3", "--epochs", "2000", "--no-progress")
    done(server, "command", whole, *fit, "-o", f"{whole}.linnet")
    # A training may end by itself between two kills, and then begins anew.
    fit = (*fit, "-o", f"{path}.linnet", "--checkpoint-every", "0", "--force")
    killed(server, 50, "command", path, *fit)
    done(server, "command", path, *fit)
    told = Path(f"{path}.err").read_text()
    assert f"\nGoes on from {path}.\n" in told
    models = [linnet.load(f"{p}.linnet").module_.state_dict() for p in (path, whole)]
    for name, value in models[0].items():
        np.testing.assert_array_equal(value, models[1][name])
    assert parts(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("kind", "how", "times"),
    [("network", "torch", 1), ("network", "native", 4), ("ensemble", 2, 1)],
)
def test_signals_write_the_checkpoint_first(tmp_path, server, number, kind, how, times):
    path = tmp_path / "training"
    start(server, kind, path, how, 10**6, "late")
    until = time.monotonic() + 60
    while not Path(f"{path}.begun").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not path.exists()
    for _ in range(times):
        server.send(number)
        time.sleep(0.003)  # a hurried hand, or a system that asks again
    status = server.wait()
    if number == signal.SIGTERM or times == 1:  # Ctrl-C after the training is for who called it
        assert status == (-signal.SIGTERM if number == signal.SIGTERM else 0)
    assert epochs_in(path)[0] > 0
    assert parts(tmp_path) == []


def test_where_the_disk_takes_no_more_the_training_goes_on(tmp_path, server):
    path = tmp_path / "training"
    done(server, "network", path, "native", 3, "eager", "no room")
    assert Path(f"{path}.told").read_text() == (
        f"The checkpoint was not written: {path} cannot be written: File too large. Choose another "
        "place. The training goes on; the file, if there was one, is as it was.\n"
    )
    assert not path.exists() and parts(tmp_path) == []


# On a file system of its own ----------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path):
    """A file system of 256 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True
    )
    if made.returncode:
        pytest.skip("mounting a file system is not allowed here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def told_of(disk):
    return (disk.parent / "training.told").read_text()


def test_on_a_disk_that_is_full_the_last_good_checkpoint_stays(disk, server):
    path = disk / "training"
    done(server, "network", path, "native", 5)
    before = path.read_bytes()
    other = disk / "other"
    free = shutil.disk_usage(disk).free
    other.write_bytes(bytes(free - 8192))
    done(server, "network", path, "native", 60, "eager")
    assert told_of(disk) == (
        f"The checkpoint was not written: {path} cannot be written: No space left on device. "
        "Choose another place. The training goes on; the file, if there was one, is as it was.\n"
    )
    assert path.read_bytes() == before and parts(disk) == []
    other.unlink()
    done(server, "network", path, "native", 70)
    assert told_of(disk) == ""
    assert epochs_in(path) == [70]


def test_a_disk_that_becomes_read_only_stops_nothing(disk, server):
    path = disk / "training"
    start(server, "network", path, "torch", 100, "eager")
    until = time.monotonic() + 60
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.01)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert server.wait() == 0
    assert told_of(disk) == (
        f"The checkpoint was not written: {path} cannot be written: Read-only file system. Choose "
        "another place. The training goes on; the file, if there was one, is as it was.\n"
    )
    assert 0 < epochs_in(path)[0] < 100


def test_a_folder_that_is_read_only_is_told_before_the_training(disk):
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(PermissionError) as caught:
        linnet.train(nn.Linear(1, 1), [[1.0]], [[1.0]], checkpoint=disk / "training")
    assert str(caught.value) == (
        f"The folder {disk} cannot be written to (Read-only file system). Choose another one."
    )
