"""Which settings a search tries: the defaults, and settings drawn around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.stats import loguniform
from sklearn.base import clone

from linnet.ensemble.fitting import EnsembleEstimator, check_solver
from linnet.ensemble.settings import Settings
from linnet.estimators.parameters import check_parameters
from linnet.spelling import did_you_mean

# How likely a parameter stays as it is by default. The defaults are good: settings of which all
# differ would mostly be worse, and the one that matters would not be found among them.
_KEPT = 0.5
# Draws for each candidate until no further ones that differ are looked for.
_MOST_DRAWS = 20


def distributions(default: Settings) -> dict[str, Any]:
    """Return what each parameter is drawn from: lists, and log scales around the default.

    Parameters
    ----------
    default : Settings
        What is chosen where nothing is said.
    """
    batch = default.batch_size
    cosines = default.n_frequencies
    around: dict[str, Any] = {
        "hidden_layer_sizes": [(w,) * depth for depth in (1, 2, 3) for w in (32, 64, 128, 256)],
        "dropout": [0.0, 0.05, 0.1, 0.2, 0.3],
        "alpha": loguniform(max(default.alpha, 1e-3) / 100, max(default.alpha, 1e-3) * 10),
    }
    if cosines:  # none is affordable with very many inputs
        around["n_frequencies"] = [0, max(1, cosines // 2), cosines, 2 * cosines]
        scale = default.frequency_scale
        around["frequency_scale"] = loguniform(scale / 8, scale * 16)
    if default.solver != "lbfgs":
        rate = default.learning_rate_init
        around["learning_rate_init"] = loguniform(rate / 8, rate * 4)
        around["batch_size"] = [max(1, batch // 2), batch, 2 * batch]
    return around


def check_distributions(given: Any, kind: type[EnsembleEstimator]) -> None:
    """Raise unless each name is one that an ensemble decides, with values to draw from.

    Raises
    ------
    TypeError
        If `given` is no mapping, or a value is neither a sequence nor a distribution.
    ValueError
        If a name is unknown, or a sequence is empty.
    """
    if not isinstance(given, Mapping):
        raise TypeError(
            f"param_distributions={given!r} is no dict. Write names with values to draw from, such "
            "as {'alpha': [0.001, 0.01]}."
        )
    for name, values in given.items():
        if name not in kind.automatic:
            known = sorted(kind.automatic)
            raise ValueError(
                f"param_distributions has {name!r}, which is not searched"
                f"{did_you_mean(str(name), known) or '.'} Allowed are {', '.join(known)}."
            )
        is_sequence = isinstance(values, list | tuple | np.ndarray)
        if not is_sequence and not hasattr(values, "rvs"):
            raise TypeError(
                f"param_distributions gives {values!r} for {name}. Give a list of values, or a "
                "distribution with a method rvs, such as scipy.stats.loguniform(0.001, 0.1)."
            )
        if is_sequence and len(values) == 0:
            raise ValueError(f"param_distributions gives no value for {name}. Give at least one.")
        if name == "solver" and is_sequence:
            for solver in values:
                check_solver(solver)


def draw(
    base: EnsembleEstimator,
    size: tuple[int, int, int],
    n_candidates: int,
    given: Mapping[str, Any] | None,
    seed: int,
) -> list[Settings]:
    """Return the settings of the candidates, no two alike; the first are the defaults.

    Parameters
    ----------
    base : EnsembleEstimator
        Its parameters that are not "auto" are not searched.
    size : tuple of int
        Rows to train on, inputs and outputs.
    n_candidates : int
        How many, unless fewer differ.
    given : mapping, optional
        Values to draw from, in place of linnet's own.
    seed : int
    """
    default = base._choose(*size)
    rng = np.random.default_rng(seed)
    drawn_from, kept = given, 0.0
    if drawn_from is None:
        drawn_from, kept = distributions(default), _KEPT
        drawn_from = {
            name: values
            for name, values in drawn_from.items()
            if isinstance(getattr(base, name), str) and getattr(base, name) == "auto"
        }
    found = [default]
    for _ in range(_MOST_DRAWS * n_candidates):
        if len(found) == n_candidates:
            break
        params = {
            name: _one(values, rng)
            for name, values in drawn_from.items()
            if not (kept and rng.random() < kept)
        }
        candidate: Any = clone(base).set_params(**params)
        check_parameters(candidate)
        settings = candidate._choose(*size)
        if settings not in found:
            found.append(settings)
    return found


def _one(values: Any, rng: np.random.Generator) -> Any:
    """Draw one value; of numbers three digits, so that what is shown is what was tried."""
    if hasattr(values, "rvs"):
        value = values.rvs(random_state=rng)
    else:
        value = values[int(rng.integers(len(values)))]
    value = value.item() if hasattr(value, "item") else value
    return float(f"{value:.3g}") if isinstance(value, float) and hasattr(values, "rvs") else value
