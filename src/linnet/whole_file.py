"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import platform
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A part that another computer writes on a shared disk is taken for given up after so many seconds.
_LONGEST_WRITING = 3600.0
# Of this process: its number may have been that of one that was killed before.
_OWN = secrets.token_hex(4)
_COUNT = itertools.count()


def check_writable(path: Path, *, overwrite: bool) -> None:
    """Raise the OSError that writing to a path would end in, before any work is done.

    Raises
    ------
    FileExistsError
        If the file exists and `overwrite` is False.
    OSError
        If the path is a folder or a device, its name is too long, or its folder is absent or cannot
        be written to.
    ValueError
        If the name holds a zero byte.
    """
    if "\0" in str(path):
        raise ValueError(f"{str(path)!r} holds a zero byte, which no name may. Give another name.")
    try:
        os.lstat(path)
    except OSError as fault:
        if fault.errno == errno.ENAMETOOLONG:
            raise OSError(f"The name {path} is too long. Give a shorter one.") from fault
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Give the name of a file in it.")
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is a device or a pipe, not a file. Give another name.")
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{path} already exists. Choose another name, or write overwrite=True to replace it."
        )
    folder = Path(os.path.realpath(path)).parent if path.is_symlink() else path.parent
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file, not a folder. Choose another place.")
    if not folder.exists():
        raise FileNotFoundError(f"The folder {folder} does not exist. Make it first.")
    try:
        # Only a trial tells: permissions say nothing of a file system that takes no files.
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as fault:
        raise PermissionError(
            f"The folder {folder} cannot be written to ({fault.strerror}). Choose another one."
        ) from fault


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; after the block it is flushed and takes its place.

    Where the block or the disk fails, nothing is left behind, and an earlier file stays as it was.

    Raises
    ------
    OSError
        Naming `path`, if it cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from linnet.whole_file import whole_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "greeting.txt")
    ...     with whole_file(path) as part:
    ...         _ = part.write_text("hello")
    ...     path.read_text()
    'hello'
    """
    place = Path(os.path.realpath(path))  # a link is followed, not replaced
    beginning = f"{_start_of_parts(place)}{_computer()}"
    part = place.with_name(f"{beginning}-{os.getpid()}-{_OWN}-{next(_COUNT)}.part")
    try:
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, place)
        _flush_folder(place.parent)
    except OSError as fault:
        reason = os.strerror(fault.errno) if fault.errno else str(fault)
        raise OSError(
            fault.errno, f"{path} cannot be written: {reason}. Choose another place."
        ) from fault
    finally:
        with contextlib.suppress(OSError):  # not there, or on a disk that takes no changes any more
            part.unlink()


def remove_parts(path: Path) -> None:
    """Remove what a process that was killed while it wrote to the path has left beside it.

    What a living process is writing stays.
    """
    place = Path(os.path.realpath(path))
    for part in place.parent.glob(f"{_start_of_parts(place)}*.part"):
        with contextlib.suppress(OSError):
            if not _is_written(part):
                part.unlink()


def _is_written(part: Path) -> bool:
    """Whether a process is at work on a part, as far as can be told."""
    _, computer, process, own, *_ = [*part.stem.split("-"), "", "", ""]
    if computer != _computer() or not process.isdecimal():
        return time.time() - part.stat().st_mtime < _LONGEST_WRITING
    if int(process) == os.getpid():
        return own == _OWN
    if os.name == "nt":  # there a file that is open cannot be removed
        return False
    try:
        os.kill(int(process), 0)  # sends nothing
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _flush_folder(folder: Path) -> None:
    """Have a new name on the disk, where the system can be asked for it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _computer() -> str:
    return hashlib.blake2b(platform.node().encode(), digest_size=4).hexdigest()


def _start_of_parts(place: Path) -> str:
    # Not the name itself, which may be as long as names may be.
    return f".{hashlib.blake2b(os.fsencode(place.name), digest_size=6).hexdigest()}-"
