"""The native module as the rest of linnet sees it: whether it is there, and what it can use."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import sysconfig
from pathlib import Path

# The names under which CMake looks for a C++ compiler outside Windows.
COMPILERS = ("c++", "g++", "clang++", "icpx", "nvc++", "xlC")

REINSTALL = (
    "then install linnet once more: `pip install --force-reinstall --no-deps .` in its folder."
)


def native_available() -> bool:
    """Whether the native module was built when linnet was installed.

    Returns
    -------
    bool
        True where ``linnet._native`` can be imported.

    Examples
    --------
    >>> from linnet.native import native_available
    >>> native_available() in (True, False)
    True
    """
    return importlib.util.find_spec("linnet._native") is not None


def instruction_sets() -> list[str]:
    """Names of the instruction sets that this processor and its operating system offer.

    Returns
    -------
    list of str
        The oldest first: those of 'x86-64-v2', 'x86-64-v3' and 'x86-64-v4' that are there, or
        'neon' on arm64. Empty on other processors, and where the native module is missing.

    Examples
    --------
    >>> from linnet.native import instruction_sets
    >>> set(instruction_sets()) <= {"x86-64-v2", "x86-64-v3", "x86-64-v4", "neon"}
    True
    """
    if not native_available():
        return []
    # Imported by its whole name: `from linnet import _native` would first ask the package's
    # __getattr__, which answers for public names only.
    from linnet._native import instruction_sets as detected

    return detected()


def kernels_in_use() -> str:
    """Name of the instruction set whose kernels train; an empty string without the native module.

    Raises
    ------
    ValueError
        If LINNET_INSTRUCTION_SET names one that this processor does not offer.

    Examples
    --------
    >>> from linnet.native import kernels_in_use
    >>> kernels_in_use() in ("", "plain", "neon", "x86-64-v2", "x86-64-v3", "x86-64-v4")
    True
    """
    if not native_available():
        return ""
    from linnet._native import kernels_in_use as chosen

    return chosen()


def how_to_get_native() -> str:
    """Say in a sentence or two why the native module is missing and how to get it.

    Returns
    -------
    str
        What this machine lacks now (a C++ compiler, the headers of Python, or neither) and what
        to do; an empty string where the native module is there.

    Examples
    --------
    >>> from linnet.native import how_to_get_native, native_available
    >>> bool(how_to_get_native()) == (not native_available())
    True
    """
    if native_available():
        return ""
    if not _compiler_found():
        return (
            "The native module is missing because no C++ compiler is found here. Install one "
            "(`apt install g++` on Debian and Ubuntu, `dnf install gcc-c++` on Fedora, "
            f"`xcode-select --install` on macOS), {REINSTALL}"
        )
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return (
            "The native module is missing because the headers of Python are not installed here. "
            "Install them (`apt install python3-dev` on Debian and Ubuntu, "
            f"`dnf install python3-devel` on Fedora), {REINSTALL}"
        )
    return (
        "The native module is missing although a C++ compiler and the headers of Python are here. "
        "To see what went wrong, install linnet once more from its folder: "
        "`LINNET_REQUIRE_NATIVE=1 pip install -v --force-reinstall --no-deps .`"
    )


def _compiler_found() -> bool:
    """Look where CMake looks: the variable CXX (which may hold options too), then PATH."""
    chosen = shlex.split(os.environ.get("CXX", ""))[:1]
    return any(shutil.which(name) for name in chosen or COMPILERS)
