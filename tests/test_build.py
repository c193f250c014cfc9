"""The build: the native module, its stub, the pinned versions, the targets of make."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from linnet import native

ROOT = Path(__file__).resolve().parent.parent

# Names in /proc/cpuinfo of what each level asks for (psABI for x86-64, table 3.1). Linux lists a
# feature only when it saves the registers that go with it.
CPUINFO_FLAGS = {
    "x86-64-v2": {"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"},
    "x86-64-v3": {"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"},
    "x86-64-v4": {"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"},
}

NO_COMPILER = (
    "The native module is missing because no C++ compiler is found here. Install one "
    "(`apt install g++` on Debian and Ubuntu, `dnf install gcc-c++` on Fedora, "
    "`xcode-select --install` on macOS), then install linnet once more: "
    "`pip install --force-reinstall --no-deps .` in its folder."
)
BUILD_FAILED = (
    "The native module is missing although a C++ compiler and the headers of Python are here. "
    "To see what went wrong, install linnet once more from its folder: "
    "`LINNET_REQUIRE_NATIVE=1 pip install -v --force-reinstall --no-deps .`"
)


def flags_of_this_processor() -> set[str]:
    text = Path("/proc/cpuinfo").read_text()
    return set(re.search(r"^flags\s*: (.*)$", text, re.MULTILINE)[1].split())


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )


def test_the_native_module_is_there_where_a_compiler_and_the_headers_of_python_are():
    headers = Path(sysconfig.get_path("include"), "Python.h").exists()
    compiler = any(shutil.which(name) for name in native.COMPILERS)
    assert native.native_available() == (headers and compiler), native.how_to_get_native()


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="the reference is Linux's own list")
@pytest.mark.skipif(not native.native_available(), reason="the native module was not built here")
def test_the_native_module_lists_the_levels_that_linux_lists():
    if sysconfig.get_platform() == "linux-aarch64":
        assert native.instruction_sets() == ["neon"]
        return
    flags = flags_of_this_processor()
    needed: set[str] = set()
    expected = []
    for level, more in CPUINFO_FLAGS.items():
        needed |= more
        if needed <= flags:
            expected.append(level)
    assert native.instruction_sets() == expected


@pytest.mark.skipif(not native.native_available(), reason="the native module was not built here")
def test_the_native_module_names_its_compiler():
    from linnet._native import compiled_with

    assert re.fullmatch(r"(GCC|Clang|MSVC) \d+.*", compiled_with())


@pytest.mark.skipif(not native.native_available(), reason="the native module was not built here")
def test_the_stub_is_what_nanobind_writes_for_the_module(tmp_path):
    fresh = tmp_path / "_native.pyi"
    stubgen = [sys.executable, "-m", "nanobind.stubgen", "--quiet"]
    run(*stubgen, "--module", "linnet._native", "--output-file", fresh)
    kept = ROOT / "src" / "linnet" / "_native.pyi"
    assert kept.read_text() == fresh.read_text(), "run `make native` to write the stub anew"


def test_every_requirement_is_pinned_at_a_version_that_it_allows():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = project["build-system"]["requires"] + project["project"]["dependencies"]
    for extra in project["project"]["optional-dependencies"].values():
        wanted += extra
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    versions = {canonicalize_name(name): version for name, version in pins.items()}
    for requirement in map(Requirement, wanted):
        assert versions[canonicalize_name(requirement.name)] in requirement.specifier
    assert versions["torch"] == "2.13.0"


def test_make_alone_lists_every_target_with_a_line():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    listed = run("make", "--no-print-directory", "-C", ROOT).stdout.splitlines()
    words = [line.split(maxsplit=2) for line in listed]
    assert {"demo", "test", "lint", "format", "clean"} <= targets
    assert {word[1] for word in words} == targets
    assert all(word[0] == "make" and len(word[2]) > 10 for word in words)


def test_without_the_module_and_a_compiler_the_way_to_get_them_is_told(tmp_path):
    # A folder that holds this one file stands for an installation without the module: -I and -S
    # keep every other linnet away.
    (tmp_path / "linnet").mkdir()
    (tmp_path / "linnet" / "__init__.py").touch()
    shutil.copy(native.__file__, tmp_path / "linnet")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from linnet import native; "
        "print(native.native_available(), native.instruction_sets(), native.how_to_get_native())"
    )
    isolated = [sys.executable, "-I", "-S", "-c", program]
    assert run(*isolated, PATH="", CXX="").stdout == f"False [] {NO_COMPILER}\n"
    assert run(*isolated, CXX="/nowhere/c++ -O2").stdout == f"False [] {NO_COMPILER}\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("compiler", "sentence"),
    [
        (None, NO_COMPILER),
        ("exit 1", BUILD_FAILED),
        # Good enough for CMake's own trial, but not for the module.
        ('case "$*" in *bindings.cpp*) exit 1;; esac; exec {real} "$@"', BUILD_FAILED),
    ],
    ids=["no compiler", "a broken compiler", "a compiler that cannot compile the module"],
)
def test_linnet_installs_without_its_native_module(tmp_path, compiler, sentence):
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    environment = {
        "PATH": str(tmp_path / "venv" / "bin"),
        "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
        "PIP_BUILD_CONSTRAINT": str(ROOT / "constraints.txt"),
        "CC": "/nowhere/cc",
        "CXX": "/nowhere/c++",
        "LINNET_REQUIRE_NATIVE": "",
    }
    if compiler is not None:
        script = tmp_path / "c++"
        script.write_text(f"#!/bin/sh\n{compiler.format(real=shutil.which('c++'))}\n")
        script.chmod(0o755)
        environment |= {"PATH": f"{environment['PATH']}:/usr/bin:/bin", "CXX": str(script)}
    run(python, "-m", "pip", "install", "--no-deps", ROOT, **environment)
    program = (
        "from linnet import native; "
        "print(native.native_available(), native.instruction_sets(), native.how_to_get_native())"
    )
    told = run(python, "-I", "-c", program, **environment).stdout
    assert told == f"False [] {sentence}\n"
