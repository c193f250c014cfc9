"""Files that were damaged or made to do harm: an error of linnet's, or a result; nothing else.

`hostile_run.py` reads them one by one and judges; the other `hostile_*` files make them.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path

import hostile_run
import numpy as np
import pytest
from hostile_large import CASES
from hostile_models import INPUTS, TABLE, models, taken_apart
from hostile_run import Kind, examine, kinds, run
from shell import QUICK
from shell import linnet as shell

import linnet
from linnet.model_format import pack
from linnet.table import read_table

SOURCE = Path(linnet.__file__).parent
# Cases of each kind: in every run of the tests, and once by hand.
CASES_OF = {
    "model": (350, 60_000),
    "checkpoint": (250, 30_000),
    "record": (600, 40_000),
    "table": (650, 60_000),
    "arrow": (150, 10_000),
}


@pytest.mark.parametrize("kind", CASES_OF)
def test_hostile_files_end_in_an_error_of_ours_or_a_result(kind, tmp_path):
    ends, faults = run(kind, range(CASES_OF[kind][0]), tmp_path)
    assert faults == []
    assert ends["read"] > 10 and ends["refused"] > 10, ends


@pytest.mark.slow
@pytest.mark.parametrize("kind", CASES_OF)
def test_two_hundred_thousand_hostile_files(kind, tmp_path):
    assert run(kind, range(CASES_OF[kind][1]), tmp_path)[1] == []


def test_there_are_as_many_cases_as_are_told():
    fast, by_hand = zip(*CASES_OF.values(), strict=True)
    assert sum(fast) == 2_000 and sum(by_hand) == 200_000


@pytest.mark.parametrize("name", CASES)
def test_files_of_megabytes_take_no_more_than_four_times_their_size(name, tmp_path):
    suffix, content = CASES[name]
    path = tmp_path / f"large{suffix}"
    path.write_bytes(content())
    kind = next(kind for kind in kinds().values() if suffix in kind.suffixes)
    # Of a table the reading alone: what is learnt of its columns is another matter.
    read = read_table if suffix in (".csv", ".npy") else kind.read
    assert examine(Kind((), kind.seeds, kind.change, read), path) in ("read", "refused")


def _raise(fault: Exception) -> None:
    raise fault


JUDGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a foreign error": (lambda path: {}["key"], r"KeyError: \"'key'\" \(.*test_hostile_files"),
    "a sentence of others": (lambda path: _raise(ValueError("No.")), "ValueError: 'No.'"),
    "an error of NumPy's": (lambda path: np.zeros(2).reshape(3), "ValueError: 'cannot reshape"),
    "endless recursion": (lambda path: JUDGED["endless recursion"][0](path), "RecursionError"),
    "much memory": (lambda path: np.ones(20_000_000), "asked for too much memory: Unable"),
    "memory asked for": (lambda path: np.empty(2**33), "asked for too much memory: Unable"),
    "an error of ours": (lambda path: linnet.load(path), "refused"),
    "nothing": (lambda path: None, "read"),
}


@pytest.mark.parametrize("name", JUDGED)
def test_the_judge_tells(name, tmp_path):
    path = tmp_path / "any.linnet"
    path.write_bytes(b"no model")
    read, told = JUDGED[name]
    assert re.match(told, examine(Kind((), lambda _: [], lambda *_: b"", read), path))
    assert hostile_run.MOST_SECONDS == 2.0 and hostile_run.MOST_BYTES == 64 * 2**20


def test_the_judge_gives_a_reader_up_that_goes_on_and_on(tmp_path, monkeypatch):
    def read(path: Path) -> None:
        while True:
            pass

    monkeypatch.setattr(hostile_run, "GIVEN_UP_AFTER", 2.1)
    path = tmp_path / "any.linnet"
    path.write_bytes(b"no model")
    told = examine(Kind((), lambda _: [], lambda *_: b"", read), path)
    assert re.fullmatch(r"took \d+\.\d s", told)


# Nothing is run ---------------------------------------------------------------------------------

FORBIDDEN = (
    r"\b(c?pickle|cloudpickle|marshal|joblib|shelve|dill|yaml|jsonpickle)\b\.\w+\(",
    r"^\s*(import|from)\s+(c?pickle|cloudpickle|marshal|shelve|dill|yaml|jsonpickle)\b",
    r"(?<!safetensors\.)\btorch\.(load|jit\.load|hub\.load|package)\b",
    r"(?<![\w.])(eval|exec|compile|__import__)\((?!\))",
    r"\bnp\.(load|loads|fromregex|memmap)\((?!file\))",
    r"allow_pickle=(?!False)",
    r"\b(pd|pandas)\.read_\w+\(",
    r"\bos\.(system|popen|exec\w*|spawn\w*)\(|\bsubprocess\b|\bshell=True",
    r"\bgetattr\(\w+, (record|description|data|value)\[",
    r"\burlopen\(|\brequests\.|\bsocket\.",
)


def test_no_source_runs_what_it_reads():
    for file in sorted(SOURCE.rglob("*.py")):
        lines = file.read_text(encoding="utf-8").splitlines()
        for line in lines:
            for pattern in FORBIDDEN:
                assert not re.search(pattern, line), f"{file}: {line}"
            if "import_module" in line:  # the public names, from a table in the source
                assert file == SOURCE / "__init__.py" and "(_ROOMS[name])" in line, (
                    f"{file}: {line}"
                )


@pytest.mark.parametrize(
    "line",
    [
        "pickle.loads(content)", "import pickle", "from yaml import load", "torch.load(path)",
        "eval(text)", "    exec(text)", "module = __import__(name)", "np.load(path)",
        "np.lib.format.read_array(file, allow_pickle=True)", "joblib.load(path)",
        "os.system(name)", "subprocess.run(name)", "torch.jit.load(path)",
        'getattr(module, record["name"])',
    ],
)  # fmt: skip
def test_what_would_run_a_file_is_found(line):
    assert any(re.search(pattern, line) for pattern in FORBIDDEN)


# Strings from files -----------------------------------------------------------------------------

# An escape, a title, a bidi override, a line end, a C1 control, a formula and a script.
STEERING = "\x1b[2J\x1b]0;t\x1b\\\u202egnp.exe\nended  well\x9b31m\x7f"
STEERING += "$\\frac{1}{0}$<script>alert(1)</script>"
SEEN = r"\x1b[2J\x1b]0;t\x1b\\x202egnp.exe\x0aended  well\x9b31m\x7f"


def steers(text: str) -> list[str]:
    """What in a text is neither printable nor the end of a line."""
    return [c for c in text if not (c.isprintable() or c == "\n")]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A model and a table in which every text that a user may choose is hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    table = TABLE.rename(columns={"island": f"i{STEERING}", "species": f"s{STEERING}"})
    table = table.replace("twite", f"tw{STEERING}").replace("Foula", f"F{STEERING}")
    path, model = folder / f"birds{STEERING.replace('/', '')}.csv", folder / "m.linnet"
    table.to_csv(path, index=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ran = shell("fit", path, "-t", f"s{STEERING}", "-o", model, *QUICK)
    assert ran.code == 0, ran.err
    return ran, model, path


def test_texts_of_files_do_not_steer_the_terminal(hostile, tmp_path):
    fitted, model, path = hostile
    runs = [
        fitted,
        shell("show", model),
        shell("show", model, "--json"),
        shell("evaluate", model, path),
        shell("evaluate", model, path, "--rows", "all"),
        shell("predict", model, path, "-o", tmp_path / f"p{STEERING.replace('/', '')}.csv"),
        shell("plot", model, path, "-o", tmp_path / "pictures"),
        shell("plot", model, path, "-o", tmp_path / "more", "--features", f"q{STEERING}"),
        shell("show", path),
        shell("predict", model, model),
    ]
    assert [ran.code for ran in runs] == [0, 0, 0, 0, 0, 0, 0, 1, 1, 1]
    for ran in runs:
        assert steers(ran.out + ran.err) == []
        assert "\nended  well" not in ran.out + ran.err  # no line of the file's own
    assert SEEN in runs[1].out and SEEN in runs[3].out and SEEN in runs[8].err


def test_every_text_of_a_hostile_card_is_shown_in_its_place(tmp_path):
    description, tensors = taken_apart(models()[2])
    for key in ("format_version", "sha256"):
        del description[key]
    description["card"] = {
        "target": STEERING,
        "table": {"name": STEERING},
        "scores": {STEERING: {STEERING: STEERING}},
    }
    description["versions"] = {STEERING: STEERING}
    description["history"] |= {"loss": STEERING, "engine": STEERING, "notes": [STEERING]}
    path = tmp_path / "hostile.linnet"
    path.write_bytes(pack(description, tensors))
    ran = shell("show", path)
    assert ran.code == 0 and steers(ran.out) == []
    assert ran.out.count(SEEN) >= 7
    assert not re.search(r"^\s*ended  well", ran.out, re.MULTILINE)


def test_notebooks_show_a_hostile_model_as_text():
    from linnet import MLPClassifier

    script = "<script>alert(1)</script><img src=x onerror='alert(1)'>\"'"
    labels = np.where(np.arange(40) % 2, script, "b")
    frame = INPUTS[["wing_mm", "sex"]].rename(columns={"sex": script})
    model = MLPClassifier((2,), max_iter=1, class_weight={script: 2.0, "b": 1.0})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(frame, labels)
    page = model._repr_html_()
    assert "<script>alert" not in page and "<img src=x" not in page


def test_pictures_take_hostile_names_as_they_stand(hostile, tmp_path):
    from linnet.plots.canvas import label, plain_text

    told = plain_text(STEERING)
    assert steers(told) == [] and "\n" not in told and re.search(r"(?<!\\)\$", told) is None
    assert steers(label(STEERING, "m")) == []
    _, model, path = hostile
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of letters that the font lacks, too
        ran = shell("plot", model, path, "-o", tmp_path / "p", "--rows", "all")
    assert ran.code == 0, ran.err
