"""The nearest known word to a mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """Return a question that names the option nearest to a word.

    Parameters
    ----------
    word : str
        What was given.
    options : iterable of str
        What would have been understood.

    Returns
    -------
    str
        ``", did you mean 'x'?"``, or an empty string when no option is near.

    Examples
    --------
    >>> did_you_mean("relo", ["relu", "tanh"])
    ", did you mean 'relu'?"
    >>> did_you_mean("qqq", ["relu", "tanh"])
    ''
    """
    by_lower_case: dict[str, str] = {}
    for option in options:
        by_lower_case.setdefault(option.lower(), option)
    near = difflib.get_close_matches(word.lower(), by_lower_case, n=1)
    return f", did you mean {by_lower_case[near[0]]!r}?" if near else ""


def check_choice(
    name: str, value: object, options: Iterable[str], synonyms: Mapping[str, str] | None = None
) -> None:
    """Raise ValueError, with the legal values, unless `value` is one of them.

    Parameters
    ----------
    name : str
        What the parameter is called.
    value : object
        What was given.
    options : iterable of str
        What is allowed.
    synonyms : mapping of str to str, optional
        Words from elsewhere, and the option that each stands for.

    Raises
    ------
    ValueError
        If `value` is not among `options`.

    Examples
    --------
    >>> from linnet.spelling import check_choice
    >>> check_choice("engine", "torch", ["auto", "torch"])
    """
    allowed = list(options)
    if not isinstance(value, str) or value not in allowed:
        hint = ""
        if isinstance(value, str):
            meant = (synonyms or {}).get(value.lower())
            known = meant in allowed
            hint = f", did you mean {meant!r}?" if known else did_you_mean(value, allowed)
        raise ValueError(
            f"{name}={value!r} is not known{hint or '.'} "
            f"Allowed are {', '.join(map(repr, allowed))}."
        )
