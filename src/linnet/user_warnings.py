"""Warnings that point to the user's line, however many of linnet's lie in between."""

from __future__ import annotations

import sys
import warnings


def warn(message: str, category: type[Warning]) -> None:
    """Warn as of the nearest line that is not linnet's own."""
    level, frame = 2, sys._getframe(1)  # 1 is this very function
    while frame is not None and _is_own(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _is_own(module: str) -> bool:
    return module.partition(".")[0] == "linnet"
