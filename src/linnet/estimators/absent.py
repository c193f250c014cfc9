"""Methods that are not there, and the sentence that says what there is instead."""

from __future__ import annotations

from typing import Any, NoReturn


class Absent:
    """A method that a class has not, though its users may look for it.

    To ask for it raises AttributeError with a sentence, so that `hasattr` gives False.

    Parameters
    ----------
    reason : str
        Why it is not there, and what to write instead.
    """

    def __init__(self, reason: str):
        self._reason = reason

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> NoReturn:
        raise AttributeError(f"{owner.__name__} has no {self._name}: {self._reason}")
