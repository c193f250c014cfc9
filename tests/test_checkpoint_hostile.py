"""Checkpoints made to do harm: each is refused in a sentence, and changes nothing."""

import copy
import hashlib
import inspect
import os
import time

import numpy as np
import pytest
import torch
import warm_python
from torch import nn
from torch.optim import lr_scheduler

import linnet
from linnet import json_record, whole_file
from linnet.checkpoint import Checkpoint
from linnet.model_format import pack, unpack

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
y = (X[:, :1] ** 2).astype(np.float32)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def fit(epochs, module=None, **options):
    options = {"random_state": 0, "batch_size": 20, "X_val": X[:9], "y_val": y[:9], **options}
    return linnet.train(network() if module is None else module, X, y, epochs=epochs, **options)


def rewrite(path, change, infinite=False):
    """Change what a file says of its training, under the right checksum."""
    description, tensors = unpack(path)
    del description["format_version"], description["sha256"]
    change(description["trainings"]["0"])
    content = pack(description, tensors)
    if infinite:  # which JSON can say, but not pack
        told = content.index(b'"sha256": "'.replace(b'"', b'\\"')) + len(b'\\"sha256\\": \\"')
        content = content[:told] + b"0" * 64 + content[told + 64 :].replace(b"77777", b"1e999")
        digest = hashlib.sha256(content).hexdigest().encode()
        content = content[:told] + digest + content[told + 64 :]
    path.write_bytes(content)


def cosine(optimizer):
    return lr_scheduler.CosineAnnealingLR(optimizer, 20)


def put(*place):
    """Return a function that puts a value, the last argument, at a place in a description."""
    *keys, last, value = place

    def change(training):
        for key in keys:
            training = training[key]
        training[last] = value

    return change


def into(pairs, name, value):
    """Put a value under a name into a state's pairs."""
    for pair in pairs["pairs"]:
        if pair[0] == name:
            pair[1] = value
            return
    pairs["pairs"].append([name, value])


DAMAGES = {
    "stale_epochs is infinite": (
        put("stale_epochs", 77777),
        "it holds a number beyond the greatest float",
    ),
    "stale_epochs is huge": (
        put("stale_epochs", 10**400),
        "stale_epochs is no number of epochs",
    ),
    "best_loss is huge": (put("best_loss", 10**400), "int too large to convert to float"),
    "no tensor among the best weights": (
        lambda t: into(t["best_weights"], "0.weight", None),
        "best_weights.0.weight is of type NoneType where a tensor is needed",
    ),
    "weights of another type": (
        lambda t: into(t["module"], "0.weight", t["generator"]),
        "module.0.weight has the shape (5056,) where (4, 3) is needed",
    ),
    "a rate is missing": (
        lambda t: into(t["optimizer"]["pairs"][1][1][0], "lr", None),
        "optimizer.param_groups.0.lr is of type NoneType where a number is needed",
    ),
    "a group more": (
        lambda t: t["optimizer"]["pairs"][1][1].append({"pairs": []}),
        "optimizer.param_groups is no list of 1",
    ),
    "an attribute of a group": (
        lambda t: into(t["optimizer"]["pairs"][1][1][0], "hook", 1),
        "optimizer.param_groups.0 has 'hook', which is not known",
    ),
    "state of no parameter": (
        lambda t: into(t["optimizer"]["pairs"][0][1], "step", {"pairs": []}),
        "optimizer.state is not of its parameters",
    ),
    "the scheduler's optimizer": (
        lambda t: into(t["scheduler"], "optimizer", None),
        "scheduler has 'optimizer', which is not known",
    ),
    "the scheduler's step": (
        lambda t: into(t["scheduler"], "step", 5),
        "scheduler has 'step', which is not known",
    ),
    "no scheduler": (
        put("scheduler", None),
        "scheduler is of type NoneType where a dict is needed",
    ),
    "a text for a number": (
        lambda t: into(t["scheduler"], "last_epoch", "\x1b[31m"),
        "scheduler.last_epoch is of type str where a number is needed",
    ),
    "a number of many digits": (
        lambda t: into(t["scheduler"], "last_epoch", 10**400),
        "it holds a whole number of more than 64 bits",
    ),
}


def refused(path, kind=ValueError, **options):
    """Return the sentence of a refusal that leaves module, optimizer and scheduler as they were."""
    module, before = network(), path.read_bytes()
    optimizer = torch.optim.Adam(module.parameters(), fused=True)
    scheduler = options.pop("scheduler", cosine)(optimizer)
    kept = [module.state_dict(), optimizer.state_dict(), scheduler.state_dict()]
    kept = copy.deepcopy(kept)
    options = {"checkpoint": path, "resume": True, "scheduler": scheduler, **options}
    with pytest.raises(kind) as caught:
        fit(5, module, optimizer=optimizer, **options)
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, kept[0][name], rtol=0, atol=0)
    assert repr(optimizer.state_dict()) == repr(kept[1])
    assert scheduler.state_dict() == kept[2] and scheduler.optimizer is optimizer
    assert path.read_bytes() == before
    return str(caught.value)


@pytest.mark.parametrize("name", DAMAGES)
def test_a_hostile_checkpoint_is_refused_and_changes_nothing(tmp_path, name):
    path = tmp_path / "training"
    fit(3, checkpoint=path, scheduler=cosine)
    change, told = DAMAGES[name]
    rewrite(path, change, infinite="infinite" in name)
    assert refused(path) == (
        f"{path} is a damaged checkpoint of a training ({told}). Copy it anew, or give another "
        "name to begin anew."
    )


SCHEDULES = {
    "CosineAnnealingLR": (cosine, "T_max", 0, "ZeroDivisionError: integer modulo by zero"),
    "OneCycleLR": (
        lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=50),
        "_anneal_func_type",
        "\x1b[31m",
        "ValueError: Unknown _anneal_func_type: \\x1b[31m",
    ),
}


def told_of(kind, fault):
    return (
        f"The training cannot go on from its checkpoint ({fault}): what the file holds of the "
        f"scheduler {kind} is damaged. Begin anew, with another name for the file."
    )


@pytest.mark.parametrize("scheduler_step", ["epoch", "batch"])
@pytest.mark.parametrize("engine", ["native", "torch"])
@pytest.mark.parametrize("kind", SCHEDULES)
def test_a_schedule_that_cannot_go_on_is_told(tmp_path, kind, engine, scheduler_step):
    path = tmp_path / "training"
    scheduler, entry, value, fault = SCHEDULES[kind]
    options = {"scheduler": scheduler, "engine": engine, "scheduler_step": scheduler_step}
    fit(3, checkpoint=path, **options)
    rewrite(path, lambda t: into(t["scheduler"], entry, value))
    assert refused(path, **options) == told_of(kind, fault)


def test_a_schedule_without_phases_is_told(tmp_path):
    path, scheduler = tmp_path / "training", SCHEDULES["OneCycleLR"][0]
    fit(3, checkpoint=path, scheduler=scheduler)
    rewrite(path, lambda t: into(t["scheduler"], "_schedule_phases", []))
    told = refused(path, scheduler=scheduler)
    assert told.endswith(told_of("OneCycleLR", "").partition("()")[2])
    assert "(UnboundLocalError: " in told


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_rates_that_are_no_numbers_are_the_schedulers_fault(tmp_path, engine):
    path = tmp_path / "training"

    def root(optimizer):
        return lr_scheduler.LambdaLR(optimizer, lambda epoch: (20 - epoch) ** 0.5)

    fit(3, checkpoint=path, scheduler=root, engine=engine)
    rewrite(path, lambda t: into(t["scheduler"], "last_epoch", 30))  # the roots are complex
    told = refused(path, scheduler=root, engine=engine)
    assert told.endswith(told_of("LambdaLR", "").partition("()")[2]) and "TypeError: " in told


def test_a_schedule_that_fails_much_later_keeps_what_was_learnt_until_then(tmp_path):
    class Late(lr_scheduler.CosineAnnealingLR):
        def get_lr(self):
            if self.last_epoch == 6:
                raise KeyError("late")
            return super().get_lr()

    def late(optimizer):
        return Late(optimizer, 20)

    path, module = tmp_path / "training", network()
    fit(3, checkpoint=path, scheduler=late)
    with pytest.raises(ValueError) as caught:
        fit(9, module, checkpoint=path, scheduler=late, resume=True)
    assert str(caught.value) == told_of("Late", "KeyError: 'late'")
    best = network()
    fit(6, best, scheduler=cosine)
    assert torch.equal(module[0].weight, best[0].weight)


def test_a_huge_seed_is_not_taken(tmp_path):
    path = tmp_path / "training"
    model = linnet.MLPRegressor((4,), max_iter=2, random_state=0, n_iter_no_change=float("inf"))
    model.fit(X, y.ravel(), checkpoint=path)
    description, tensors = unpack(path)
    del description["format_version"], description["sha256"]
    description["checkpoint_of"]["random_state"] = "9" * 5000
    path.write_bytes(pack(description, tensors))
    with pytest.raises(ValueError, match=r"another training: random_state was 9{300}, is \d+"):
        model.set_params(random_state=None).fit(X, y.ravel(), checkpoint=path, resume=True)


EVERY_SCHEDULER = [
    lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.ExponentialLR(o, 0.9)]),
    lambda o: lr_scheduler.ConstantLR(o),
    lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 2),
    lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, 2, cycle_momentum=False),
    lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    lambda o: lr_scheduler.LinearLR(o, 0.5),
    lambda o: lr_scheduler.MultiplicativeLR(o, lambda epoch: 0.9),
    lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=50),
    lambda o: lr_scheduler.PolynomialLR(o, 20, 2.0),
    lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=1),
    lambda o: lr_scheduler.StepLR(o, 2),
]


@pytest.mark.parametrize("number", range(len(EVERY_SCHEDULER)))
def test_every_scheduler_of_torch_goes_on(tmp_path, number):
    scheduler, path = EVERY_SCHEDULER[number], tmp_path / "training"
    whole, part = network(), network()
    fit(7, whole, scheduler=scheduler)
    fit(3, scheduler=scheduler, checkpoint=path)
    fit(7, part, scheduler=scheduler, checkpoint=path, resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, part.state_dict()[name])


# Names, places and other processes ----------------------------------------------------------------


def test_a_link_into_a_missing_folder_is_told_at_the_start(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere" / "training")
    with pytest.raises(FileNotFoundError) as caught:
        fit(1, checkpoint=link)
    assert str(caught.value) == f"The folder {tmp_path / 'nowhere'} does not exist. Make it first."


def test_what_a_living_process_writes_is_left_and_what_a_dead_one_wrote_is_removed(tmp_path):
    path = tmp_path / "training"
    program = (
        "import sys, pathlib; from linnet.whole_file import whole_file\n"
        "with whole_file(pathlib.Path(sys.argv[1])) as part:\n"
        "    part.write_text('x'); print(part, flush=True); sys.stdin.read()"
    )
    with warm_python.Process(program, path) as other:
        other.stdout.readline()
        (part,) = tmp_path.glob(".*.part")
        whole_file.remove_parts(path)
        assert part.exists()
        other.kill()
        other.wait()
        whole_file.remove_parts(path)
        assert not part.exists()


def test_parts_of_this_number_before_and_of_other_computers_are_removed_in_time(tmp_path):
    path = tmp_path / "training"
    with whole_file.whole_file(path) as part:
        part.write_text("x")
        _, computer, process, own, _ = part.stem.split("-")
        earlier = part.with_name(part.name.replace(own, "0" * 8))
        elsewhere = part.with_name(part.name.replace(computer, "1" * 8))
        given_up = part.with_name(part.name.replace(computer, "2" * 8))
        for other in (earlier, elsewhere, given_up):
            other.write_text("x")
        os.utime(given_up, (0, time.time() - 7200))
        whole_file.remove_parts(path)
        assert int(process) == os.getpid()
        assert [p.exists() for p in (part, earlier, elsewhere, given_up)] == [1, 0, 1, 0]


def test_the_folder_is_flushed_after_the_new_name_is_there(tmp_path, monkeypatch):
    path, seen, fsync = tmp_path / "training", [], os.fsync

    def noted(descriptor):
        seen.append((os.path.isdir(f"/proc/self/fd/{descriptor}"), path.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    with whole_file.whole_file(path) as part:
        part.write_text("x")
    assert seen == [(False, False), (True, True)]


def test_a_record_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    json_record.write({"a": 1}, path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"cannot be written: No space left on device\. Choose"):
        json_record.write({"a": 2}, path)
    assert path.read_text() == '{\n "a": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


# How often ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("every", "n_writings"), [(0.0, 13), (None, 2), (3600.0, 1)])
def test_a_given_interval_is_kept_to_on_a_slow_disk(tmp_path, monkeypatch, every, n_writings):
    content, count = Checkpoint._content, []

    def slow(self, copies):
        count.append(1)
        time.sleep(0.02)
        return content(self, copies)

    monkeypatch.setattr(Checkpoint, "_content", slow)
    monkeypatch.setattr("linnet.checkpoint._SECONDS_BETWEEN_COPIES", 0.0)
    monkeypatch.setattr("linnet.checkpoint._SECONDS_BETWEEN_WRITINGS", 0.0)  # where none is given
    fit(12, checkpoint=tmp_path / "training", checkpoint_every=every)
    assert len(count) == n_writings  # that at the end among them


def test_nothing_but_the_checkpoint_knows_the_interval_that_is_not_given():
    for call in (linnet.train, linnet.MLPRegressor.fit, linnet.EnsembleRegressor.fit):
        assert inspect.signature(call).parameters["checkpoint_every"].default is None
