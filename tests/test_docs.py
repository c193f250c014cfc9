"""The pages say what the code says, their lines run, and the rooms stand as the table says."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import os
import re
import shutil
import sys
import textwrap
from pathlib import Path

import pytest

import linnet

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PACKAGE = Path(linnet.__file__).parent
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "examples").glob("*.md")])
RENEW = "Run `make docs`, and look at what changed."


def script(name):
    """Import one of the scripts that write the pages."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses and doctests look a module up
    spec.loader.exec_module(module)
    return module


def text_of(path):
    return path.read_text(encoding="utf-8")


def fenced(path, language):
    """The blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(path), re.MULTILINE | re.DOTALL)


# Fresh pages ------------------------------------------------------------------------------------


def test_each_public_name_has_a_page_that_says_what_its_docstring_says():
    written = {path.name: text_of(path) for path in (DOCS / "api").glob("*.md")}
    assert written == script("make_reference").pages(), RENEW


def test_each_command_has_a_page_with_todays_help():
    commands = script("make_commands")
    from linnet.cli.app import app

    assert sorted(commands.COMMANDS) == sorted(c.callback.__name__ for c in app.registered_commands)
    helps = commands.helps()
    for name in commands.COMMANDS:
        page = text_of(DOCS / "commands" / f"{name}.md")
        assert commands.block(page, "help") == helps[name], RENEW


def test_each_picture_of_the_pages_is_drawn_by_the_script():
    kept = [name for _, names in script("make_pictures").RUNS for name in names.values()]
    assert sorted(kept) == sorted(path.name for path in (DOCS / "pictures").glob("*.png"))


def masked(text):
    """Text without what differs by machine and by day: numbers, their room, and the engine."""
    text = re.sub(r"^( ?engine) .*|(?<=; engine: )\w+", r"\1", text, flags=re.MULTILINE)
    text = re.sub(r"[─━]+", " ", re.sub(r"-?\d[\d.,:]*(e-?\d+)?", "#", text))
    return " ".join(text.split())


def test_the_example_in_each_commands_help_prints_what_its_page_shows():
    commands = script("make_commands")
    printed = commands.outputs(but=commands.BY_THE_CLOCK)
    for name in printed:
        shown = commands.block(text_of(DOCS / "commands" / f"{name}.md"), "example")
        if name == "info":  # its values are the machine's
            labels = re.compile(r"^ ?(\S+(?: \S+)?)  ", re.MULTILINE)
            assert labels.findall(shown) == labels.findall(printed[name]), RENEW
        else:
            assert masked(shown) == masked(printed[name]), RENEW
    # The lines of the README's shell are these examples, so they have just been run.
    (lines,) = [block for block in fenced(ROOT / "README.md", "sh") if "linnet fit" in block]
    assert set(lines.splitlines()) <= {commands.example_of(name) for name in commands.COMMANDS}
    assert len(lines.splitlines()) == 5


def test_the_page_of_errors_holds_what_is_said():
    assert text_of(DOCS / "errors.md") == script("make_errors").page(), RENEW


# Lines that run, links that lead somewhere --------------------------------------------------------


@pytest.mark.parametrize(
    "page", ["README.md", "docs/index.md", "docs/checkpoints.md", "docs/tuning.md"]
)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch, capsys):
    import matplotlib.pyplot as plt

    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    (block,) = fenced(ROOT / page, "python")
    try:
        exec(compile(block, page, "exec"), {"__name__": "page"})
    finally:
        plt.close("all")
    if page == "README.md":
        assert len([line for line in block.splitlines() if line]) == 10
        score, sentence = capsys.readouterr().out.split(" ", 1)
        assert float(score) > 0.8
        assert sentence.endswith(".\n")
        assert Path("parity.png").stat().st_size > 10_000
        assert linnet.load("strength.linnet").predict(
            linnet.read_table("examples/concrete.csv").drop_columns("strength_mpa")
        ).shape == (1030,)


@pytest.mark.parametrize(("page", "n_lines"), [("engines.md", 5), ("error_bars.md", 20)])
def test_the_session_of_a_page_runs(page, n_lines):
    import doctest

    found = doctest.testfile(str(DOCS / page), module_relative=False)
    assert found.attempted == n_lines and found.failed == 0


def test_every_link_leads_to_a_file_and_every_page_is_linked_from_the_index():
    linked = set()
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#]+)\)", text_of(page)):
            target = (page.parent / link).resolve()
            assert target.is_file(), f"{page.relative_to(ROOT)} links to {link}"
            if page == DOCS / "index.md":
                linked.add(target)
    assert {page for page in DOCS.rglob("*.md") if page.name != "index.md"} <= linked


def test_every_picture_is_shown_on_a_page():
    shown = {name for page in PAGES for name in re.findall(r"[\w-]+\.png", text_of(page))}
    assert {path.name for path in (DOCS / "pictures").iterdir()} <= shown


# Rooms ------------------------------------------------------------------------------------------


def order_of_rooms():
    """The lines of the table of rooms, each a set of names."""
    rows = re.findall(r"^\| (`.*?`) \|", text_of(DOCS / "architecture.md"), re.MULTILINE)
    return [re.findall(r"`(\w+)`", row) for row in rows]


def imports():
    """The room and file of each import of linnet's own, and the room that it imports."""
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE)
        if place.name == "__init__.py" and len(place.parts) == 1:
            continue  # the front door
        for node in ast.walk(ast.parse(text_of(path))):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module == "linnet":
                names = [f"linnet.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                if name.split(".")[0] == "linnet":
                    yield place, place.parts[0].removesuffix(".py"), f"{name}.".split(".")[1]


# The front door imports rooms on first use only. The first three need the version, and an
# estimator's `save` needs, when it is called, a room further on.
THROUGH_THE_FRONT_DOOR = {
    "training_state.py",
    "cli/app.py",
    "cli/info.py",
    "estimators/estimator.py",
}


def test_imports_run_one_way():
    level = {room: i for i, row in enumerate(order_of_rooms()) for room in row}
    files = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert set(level) == files | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    wrong = []
    for place, room, imported in imports():
        if imported == "":
            allowed = place.as_posix() in THROUGH_THE_FRONT_DOOR
        elif imported == "_native":
            allowed = room in ("native", "engine")
        else:
            allowed = room == imported or level[imported] < level[room]
        if not allowed:
            wrong.append(f"{place} imports {imported or 'linnet'}")
    assert wrong == []


# Docstrings -------------------------------------------------------------------------------------

NAMES = [name for name in linnet.__all__ if not name.startswith("_")]
SECTION = re.compile(r"^(\S[\w ]*)\n-{3,}$", re.MULTILINE)


def sections(thing):
    return set(SECTION.findall(inspect.getdoc(thing) or ""))


def raises(function):
    """Whether a function raises in its own body."""
    if function.__code__.co_filename.startswith("<"):
        return False  # made by dataclass
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return any(isinstance(node, ast.Raise) for node in ast.walk(tree))


def public_methods(cls):
    for name in dir(cls):
        member = inspect.getattr_static(cls, name)
        function = getattr(member, "__func__", member)
        is_own = inspect.isfunction(function) and function.__module__.startswith("linnet")
        if is_own and not name.startswith("_"):
            yield name, function


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_of_a_public_name_has_the_sections_of_numpydoc(name):
    thing = getattr(linnet, name)
    found = sections(thing)
    assert "Examples" in found
    if inspect.isclass(thing):
        assert found & {"Parameters", "Attributes"}
        own = inspect.getattr_static(thing, "__init__")
        if getattr(own, "__module__", "").startswith("linnet") and raises(own):
            assert "Raises" in found
        return
    assert "Parameters" in found
    assert "Returns" in found or inspect.signature(thing).return_annotation == "None"
    assert "Raises" in found or not raises(thing)


@pytest.mark.parametrize("name", [name for name in NAMES if inspect.isclass(getattr(linnet, name))])
def test_every_public_method_has_a_docstring_that_tells_its_parameters(name):
    missing = []
    for method, function in public_methods(getattr(linnet, name)):
        told, found = inspect.getdoc(function) or "", sections(function)
        if not told:
            missing.append(f"{method}: a docstring")
        # Some say in a word that they take what another takes.
        if re.search(r"\bas in\b|\bsee `", told):
            continue
        if len(inspect.signature(function).parameters) > 1 and "Parameters" not in found:
            missing.append(f"{method}: Parameters")
        if raises(function) and "Raises" not in found:
            missing.append(f"{method}: Raises")
    assert missing == []


def test_no_page_speaks_of_a_folder_or_machine_of_its_writer():
    for page in PAGES:
        for word in ("/work/", "/tmp/", "/root", "/home/", os.uname().nodename):
            assert word not in text_of(page), f"{page.relative_to(ROOT)}: {word}"


def test_the_page_of_the_engines_names_all_that_the_native_engine_knows():
    from linnet.engine.layers import LAYERS
    from linnet.engine.native_engine import LOSSES, SOLVERS

    page = (DOCS / "engines.md").read_text()
    for kind in (*LAYERS, *LOSSES, *SOLVERS):
        assert re.search(rf"\b{kind.__name__}\b", page), kind
