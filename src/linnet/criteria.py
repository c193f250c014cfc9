"""Why a solver stops of its own accord: a code that files keep, and a sentence."""

from __future__ import annotations

Criterion = tuple[str, str]

SMALL_GRADIENT: Criterion = (
    "small_gradient",
    "The solver's criterion is met: the gradient is as good as zero.",
)
CONVERGED: Criterion = (
    "converged",
    "The solver's criterion is met: no step lowers the loss further.",
)
GOAL_REACHED: Criterion = ("goal_reached", "The loss has reached the goal.")
