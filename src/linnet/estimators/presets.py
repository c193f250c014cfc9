"""Presets: parameters that belong together, by name."""

from __future__ import annotations

from typing import Any

from linnet.spelling import check_choice

# MATLAB's fitnet with its defaults; docs/from_matlab.md maps the names.
PRESETS: dict[str, dict[str, Any]] = {
    "fitnet": {
        "hidden_layer_sizes": (10,),
        "activation": "tanh",
        "initialization": "nguyen_widrow",
        "scale_X": "minmax",
        "scale_y": "minmax",
        "solver": "lm",
        "alpha": 0.0,
        "max_iter": 1000,
        "early_stopping": True,
        "validation_fraction": 0.15,
        "test_fraction": 0.15,
        "n_iter_no_change": 6,
    },
}


def preset(name: str, **parameters: Any) -> dict[str, Any]:
    """Return the parameters of a preset, with those given in place of its own.

    Raises
    ------
    ValueError
        If there is no preset of that name.
    """
    check_choice("preset", name, PRESETS)
    return {**PRESETS[name], **parameters}
