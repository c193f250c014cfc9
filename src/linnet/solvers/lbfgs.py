"""L-BFGS over all rows at once: torch's, one iteration a step, with weight decay."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch

from linnet import criteria
from linnet.solvers.knobs import (
    ABOVE_0,
    FROM_0,
    answers_typos,
    check_knobs,
    check_parameters,
    check_sized,
    check_state,
)

_NOT_FINITE = (
    "The loss or its gradient is infinite or NaN where the step begins: the weights stay. Likely "
    "causes: inputs or targets that are not finite or not scaled."
)

# What torch's own is given; its line search may take so many evaluations in one iteration.
_FIXED: dict[str, Any] = {"max_iter": 1, "max_eval": 25, "line_search_fn": "strong_wolfe"}


class LBFGS(torch.optim.LBFGS):
    r"""L-BFGS with a strong Wolfe line search (Nocedal and Wright 2006, algorithms 7.5 and 3.5).

    Minimises ``loss(w) + weight_decay / 2 * sum(w**2)``, the sum over parameters of two and more
    dimensions (weights, not biases). One call of `step` is one iteration of `torch.optim.LBFGS`,
    which has neither the penalty nor the criteria.

    Parameters
    ----------
    params : iterable of torch.nn.Parameter
        What to change.
    lr : float, default=1.0
        First trial step of the line search.
    weight_decay : float, default=0.0
        Strength of the penalty on squared weights.
    history_size : int, default=10
        Pairs of steps and gradient changes kept.
    tolerance_grad, tolerance_change : float, default=1e-7 and 1e-9
        A step ends where the largest gradient entry, or the change, falls below these.

    Attributes
    ----------
    converged : bool
        Whether the last step met one of these.
    reason : str
        The criterion's sentence, or that the loss is not finite; empty while the solver goes on.

    Raises
    ------
    ValueError
        If a number is out of its range, there are no parameters, or several groups of them.
    TypeError
        If an argument is not known, or a module is given instead of its parameters.

    Examples
    --------
    >>> import torch
    >>> from linnet import LBFGS
    >>> w = torch.nn.Parameter(torch.tensor([[3.0]]))
    >>> solver = LBFGS([w])
    >>> def closure():
    ...     solver.zero_grad()
    ...     loss = ((w - 1) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> while not solver.reason:
    ...     loss = solver.step(closure)
    >>> round(float(w.detach()), 4), solver.reason
    (1.0, "The solver's criterion is met: the gradient is as good as zero.")
    """

    converged, reason = False, ""
    criterion: criteria.Criterion | None = None

    @answers_typos(
        max_iter="a step is one iteration, so call `step` in a loop.",
        max_eval=f"it is always {_FIXED['max_eval']}.",
        line_search_fn=f"it is always {_FIXED['line_search_fn']!r}.",
    )
    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        *,
        weight_decay: float = 0.0,
        history_size: int = 10,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
    ):
        check_knobs(
            {
                "lr": (lr, ABOVE_0),
                "weight_decay": (weight_decay, FROM_0),
                "history_size": (
                    history_size,
                    ("a whole number of 1 or more", lambda n: n >= 1 and n == int(n)),
                ),
                "tolerance_grad": (tolerance_grad, FROM_0),
                "tolerance_change": (tolerance_change, FROM_0),
            }
        )
        super().__init__(
            check_parameters("LBFGS", params),
            lr=lr,
            history_size=history_size,
            tolerance_grad=tolerance_grad,
            tolerance_change=tolerance_change,
            **_FIXED,
        )
        self.param_groups[0]["weight_decay"] = weight_decay

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Take the only group of parameters.

        Parameters
        ----------
        param_group : dict
            ``{"params": ...}``.

        Raises
        ------
        ValueError
            For a second group, or parameters without a size.
        """
        if self.param_groups:
            raise ValueError(
                "LBFGS takes one group of parameters, for its line search moves all of them "
                "together. Give all parameters in one list when it is made."
            )
        super().add_param_group(param_group)
        check_sized(self.param_groups[-1]["params"])

    def __getstate__(self) -> dict[str, Any]:
        # torch's own leaves out what its LBFGS keeps beside the groups: a copy could not go on.
        return {
            **super().__getstate__(),
            "_params": self._params,
            "_numel_cache": self._numel_cache,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state.

        Parameters
        ----------
        state_dict : dict
            What `state_dict` gave.

        Raises
        ------
        ValueError
            If it is the state of another solver or of other parameters, or of another search than
            this one, which does one iteration a step.
        """
        check_state(self, state_dict)
        group = state_dict["param_groups"][0]
        for name, value in _FIXED.items():
            if group[name] != value:
                raise ValueError(f"{name}={group[name]!r} has to be {value!r}.")
        super().load_state_dict(state_dict)
        # torch gives what it loads the type of the parameters.
        given = copy.deepcopy(state_dict["state"].get(0))
        if given is not None:
            self.state[self._params[0]] = converted(given, device=self._params[0].device)

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, closure: Callable[[], torch.Tensor] | None = None
    ) -> torch.Tensor:
        """Do one iteration.

        Parameters
        ----------
        closure : callable
            Clears the gradients, computes the loss, calls ``backward`` and returns the loss.

        Returns
        -------
        Tensor
            The loss before the iteration, without the penalty.

        Raises
        ------
        TypeError
            If there is no closure, or it returns no tensor of one number.
        ValueError
            If it leaves no gradient.
        """
        if not callable(closure) or isinstance(closure, torch.nn.Module):
            raise TypeError(
                f"LBFGS.step got {type(closure).__name__} for the closure. Give a function that "
                "calls zero_grad and backward and returns the loss, as its docstring shows."
            )
        losses: list[torch.Tensor] = []
        state = self.state[self._params[0]]
        # The native engine leaves what it keeps in float64.
        state.update(converted(state, dtype=self._params[0].dtype))

        def penalised() -> torch.Tensor:
            loss = closure()
            self._check_answer(loss)
            losses.append(loss.detach())
            penalty = 0.0
            decay = self.param_groups[0]["weight_decay"]
            if decay:
                with torch.no_grad():
                    for parameter in self.param_groups[0]["params"]:
                        if parameter.ndim > 1 and parameter.grad is not None:
                            penalty = penalty + parameter.square().sum() * decay / 2
                            parameter.grad.add_(parameter, alpha=decay)
            if len(losses) == 1 and not (
                self._gather_flat_grad().isfinite().all() and loss.isfinite()
            ):
                raise _NotFinite
            return loss + penalty

        self.converged, self.criterion, self.reason = False, None, ""
        try:
            super().step(penalised)
        except _NotFinite:
            self.reason = _NOT_FINITE
            return losses[0]
        if len(losses) == 1:  # torch has ended the step without a search
            gradient, least = self._gather_flat_grad(), self.param_groups[0]["tolerance_grad"]
            is_small = float(gradient.abs().max()) <= least
            self.criterion = criteria.SMALL_GRADIENT if is_small else criteria.CONVERGED
        elif (
            float(abs(state["t"]) * state["d"].abs().max())
            <= self.param_groups[0]["tolerance_change"]
        ):
            self.criterion = criteria.CONVERGED
        self.converged = self.criterion is not None
        self.reason = self.criterion[1] if self.criterion else ""
        return losses[0]

    def _check_answer(self, loss: object) -> None:
        if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
            raise TypeError(
                f"The closure of LBFGS.step returned {type(loss).__name__}, not a loss of one "
                "number. Write `return loss` at its end, after loss.backward()."
            )
        if all(p.grad is None for p in self._params):
            raise ValueError(
                "The closure of LBFGS.step left no gradient in the solver's parameters. Let it "
                "compute the loss from them and call loss.backward() before it returns the loss."
            )


class _NotFinite(Exception):
    """Leaves torch's step before it has done anything."""


def converted(value: Any, **to: Any) -> Any:
    """Return the numbers that L-BFGS keeps, nested as they are, with a type or on a device."""
    if isinstance(value, dict):
        return {name: converted(item, **to) for name, item in value.items()}
    if isinstance(value, list):
        return [converted(item, **to) for item in value]
    is_number = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.to(**to) if is_number else value
