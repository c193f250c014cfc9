"""Text from files that other people made, so that it steers no terminal and no picture."""

from __future__ import annotations


def printable(text: object, *, lines: bool = False) -> str:
    r"""Return text in which what is not to be seen is written out.

    Escapes, other control characters, line ends, and marks that turn the direction of writing.

    Parameters
    ----------
    text : object
        Taken as `str` gives it.
    lines : bool, default=False
        Whether line ends stay.

    Examples
    --------
    >>> from linnet.printable import printable
    >>> printable("a\x1b[31mb\nc")
    'a\\x1b[31mb\\x0ac'
    """
    kept = "\n" if lines else ""
    return "".join(c if c.isprintable() or c == kept else f"\\x{ord(c):02x}" for c in str(text))
