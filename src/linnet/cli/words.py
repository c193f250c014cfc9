"""Sentences of the library in the words of the shell."""

from __future__ import annotations

import re

# What parameters are called in the shell, where that is not their name in kebab-case.
_RENAMED = {
    "hidden_layer_sizes": "--hidden",
    "n_members": "--members",
    "n_candidates": "--candidates",
    "max_iter": "--epochs",
    "random_state": "--seed",
    "types": "--column-type",
    "column_types": "--column-type",
}
_SAME_NAME = (
    "activation",
    "alpha",
    "batch_size",
    "budget",
    "checkpoint",
    "checkpoint_every",
    "delimiter",
    "device",
    "dropout",
    "encoding",
    "engine",
    "features",
    "learning_rate",
    "learning_rate_init",
    "loss",
    "max_time",
    "n_iter_no_change",
    "n_threads",
    "preset",
    "solver",
    "validation_fraction",
)
_OPTIONS = _RENAMED | {name: f"--{name.replace('_', '-')}" for name in _SAME_NAME}
_WHOLE = {
    "resume=True": "--resume",
    "overwrite=True": "--force",
    "early_stopping=False": "--validation-fraction 0",
    " or a float among {inf}": "",
    ") or None. Got": "). Got",
    "] or None. Got": "]. Got",
    "a str among {'auto'} or ": "",
    "X has no feature": "The model has no feature",
    "features=(..., ...)": "--features a,b",
    # Who gives a table has no X and y.
    "column of X": "column",
    ", or None for no limit": "",
    "fit an EnsembleRegressor or EnsembleClassifier, which has": "run linnet fit, which has",
}


def in_shell_words(sentence: str) -> str:
    """Return a sentence of the library with its parameters written as the shell's options.

    Examples
    --------
    >>> from linnet.cli.words import in_shell_words
    >>> in_shell_words("device='gpu' is not known. Write device='cpu'.")
    '--device gpu is not known. Write --device cpu.'
    >>> in_shell_words("The 'max_iter' parameter of MLPRegressor must be an int.")
    '--epochs must be an int.'
    """
    for library, shell in _WHOLE.items():
        sentence = sentence.replace(library, shell)
    # types={'zip': 'category'}
    sentence = re.sub(r"\b\w*types=\{'([^']*)': '(\w+)'\}", r"--column-type '\1=\2'", sentence)
    for name, option in _OPTIONS.items():
        # Not within a longer word, a path, or quotes, where it is a name of the user's.
        start = rf"(?<![\w'./-]){name}"
        sentence = re.sub(rf"The '{name}' parameter of \w+", option, sentence)
        sentence = re.sub(rf"{start}='([^']*)'", rf"{option} \1", sentence)
        sentence = re.sub(rf"{start}=(?=\S)", f"{option} ", sentence)
        if "_" in name:  # others are everyday words, too
            sentence = re.sub(rf"{start}(?![\w'/-]|\.\w)", option, sentence)
    return re.sub(r"(?<![\w'./-])types(?= (?:gives|names) )", "--column-type", sentence)
