"""Levenberg-Marquardt for networks whose squared error is to become small."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from linnet import criteria
from linnet.solvers.independence import dependence, failure, unable
from linnet.solvers.knobs import (
    ABOVE_0,
    FROM_0,
    answers_typos,
    check_knobs,
    check_parameters,
    check_sized,
    check_state,
    or_none,
)
from linnet.solvers.residuals import ModuleResiduals, SquaredResiduals, check_rows, names_of

# Parameters from which on J'J (P, P) takes more than 200 MB, and a step some seconds.
MOST_PARAMETERS = 5000
_LEAST_MU = 1e-20
_RANGES = {
    "mu": ABOVE_0,
    "mu_dec": or_none(("a number between 0 and 1", lambda x: 0 < x < 1)),
    "mu_inc": or_none(("a number above 1", lambda x: x > 1)),
    "mu_max": ABOVE_0,
    "min_grad": FROM_0,
    "goal": FROM_0,
    "weight_decay": FROM_0,
}
_MOST_TRIALS = 1000  # of one step: with a mu_inc of nearly 1 there would be no end of them
_BEND = 0.1  # of a step, over which the bend of the residuals is measured
_MOST_BENT = 2.0  # of twice the bend, as a part of the step: more, and the step stays straight


class LevenbergMarquardt(torch.optim.Optimizer):
    r"""Least squares by damped Gauss-Newton steps (Hagan and Menhaj 1994; Marquardt 1963).

    Minimises ``E(w) = sum(weight * residual**2) / (N K) + weight_decay / 2 * sum(w**2)``, the
    second sum over parameters of two and more dimensions (weights, not biases). A step solves

        (J'J / (N K) + weight_decay / 2 + mu I) d = -(J'r / (N K) + weight_decay / 2 w)

    with the residuals r = outputs - targets and their Jacobian J, and raises mu until w + d lowers
    E. J'J is added up over blocks of rows; J is never whole. All is computed in float64, and the
    exact weights are kept beside parameters of another type. There is no learning rate that a
    scheduler such as `torch.optim.lr_scheduler.StepLR` could change: mu is its own schedule.

    Parameters
    ----------
    params : iterable of torch.nn.Parameter, or of parameter groups
        What to change, at most 5,000 numbers.
    mu : float, default=0.001
        Damping at the first step, as MATLAB's `trainlm` has it.
    mu_dec, mu_inc : float, optional
        What mu is multiplied by after a step that lowers E, and after one that does not; in
        `trainlm` 0.1 and 10. By default a step's gain, as a part of what the linear model promised,
        decides (Nielsen 1999, eq. 2.5), and mu is not lowered after a step that was refused first:
        fewer are refused so.
    mu_max : float, default=1e10
        Stop where mu has to be greater: no step lowers E.
    min_grad : float, default=1e-7
        Stop where the Euclidean norm of E's gradient is smaller.
    goal : float, default=0.0
        Stop where the mean squared residual is not above.
    weight_decay : float, default=0.0
        Strength of the penalty on squared weights, as of `LBFGS`.
    geodesic : bool, default=True
        Bend steps along the valley that they follow (Transtrum and Sethna 2012).
    bayesian : bool, default=False
        Penalise biases too, and set `weight_decay` before each step to what the data say (MacKay
        1992; Foresee and Hagan 1997, section 3; MATLAB's `trainbr`): ``alpha / beta * 2 / (N K)``
        with ``alpha = gamma / (2 sum(w**2))``, ``beta = (N K - gamma) / (2 sum(residual**2))``.

    Attributes
    ----------
    mu : float
        The damping of the next step; it stands in the first parameter group.
    converged : bool
        Whether the last step met one of the solver's own criteria.
    reason : str
        The criterion's sentence; empty while none is met.
    gradient_norm : float
        Euclidean norm of E's gradient before the last step.
    effective_parameters : float or None
        gamma, how many parameters the data determine, of the P there are; only with `bayesian`.

    Raises
    ------
    ValueError
        If a number is out of its range, mu is above mu_max, a parameter is complex or has no size
        yet, or there are no parameters or too many.
    TypeError
        If an argument is not known, or a module is given instead of its parameters.

    Examples
    --------
    >>> import torch
    >>> from linnet import LevenbergMarquardt
    >>> X = torch.linspace(-1, 1, 100).reshape(-1, 1)
    >>> nn, _ = torch.nn, torch.manual_seed(0)
    >>> module = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
    >>> solver = LevenbergMarquardt(module.parameters(), goal=1e-8)
    >>> for _ in range(200):
    ...     loss = solver.step(module, X, torch.sin(3 * X))
    ...     if solver.converged:
    ...         break
    >>> solver.reason
    'The loss has reached the goal.'
    """

    converged, reason = False, ""
    criterion: criteria.Criterion | None = None
    gradient_norm = float("nan")
    _judged: tuple[nn.Module, bool] | None = None  # the module of the last step, and its mode

    @answers_typos(lr="it has no learning rate; mu damps its steps, and adapts itself.")
    def __init__(
        self,
        params: Iterable[Any],
        mu: float = 0.001,
        *,
        mu_dec: float | None = None,
        mu_inc: float | None = None,
        mu_max: float = 1e10,
        min_grad: float = 1e-7,
        goal: float = 0.0,
        weight_decay: float = 0.0,
        geodesic: bool = True,
        bayesian: bool = False,
    ):
        knobs = {
            "mu": mu,
            "mu_dec": mu_dec,
            "mu_inc": mu_inc,
            "mu_max": mu_max,
            "min_grad": min_grad,
            "goal": goal,
            "weight_decay": weight_decay,
        }
        flags = {"geodesic": geodesic, "bayesian": bayesian}
        check_knobs({name: (knobs[name], allowed) for name, allowed in _RANGES.items()}, **flags)
        if mu > mu_max:
            raise ValueError(
                f"mu={mu!r} is above mu_max={mu_max!r}, so that no step could be tried. Give a "
                "smaller mu, or a larger mu_max."
            )
        super().__init__(check_parameters("LevenbergMarquardt", params), {**knobs, **flags})
        # What the evidence is weighed by; in the groups, so that a state holds it.
        self.param_groups[0] |= {"last_gain": 1.0, "effective_parameters": None}

    @property
    def mu(self) -> float:
        return self.param_groups[0]["mu"]

    @property
    def effective_parameters(self) -> float | None:
        return self.param_groups[0]["effective_parameters"]

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters to those that are trained.

        Parameters
        ----------
        param_group : dict
            ``{"params": ...}``, and a ``weight_decay`` of its own where it is to have one; the
            other numbers are those of the first group.

        Raises
        ------
        ValueError
            If a parameter is complex or has no size yet, a number is out of its range, or there
            are too many parameters in all.
        """
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        try:
            _check_kinds(group["params"])
            check_knobs({name: (group[name], allowed) for name, allowed in _RANGES.items()})
            check_size(sum(p.numel() for p in self._parameters()))
        except ValueError:
            self.param_groups.pop()
            raise

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state.

        Parameters
        ----------
        state_dict : dict
            What `state_dict` gave.

        Raises
        ------
        ValueError
            If it is the state of another solver or of other parameters, or a number in it is out of
            its range.
        """
        check_state(self, state_dict)
        for group in state_dict["param_groups"]:
            flags = {name: group[name] for name in ("geodesic", "bayesian")}
            knobs = {name: (group[name], allowed) for name, allowed in _RANGES.items()}
            check_knobs(knobs, **flags)
        super().load_state_dict(state_dict)
        # torch gives what it loads the type of the parameters.
        numbers = [number for group in state_dict["param_groups"] for number in group["params"]]
        own = [p for group in self.param_groups for p in group["params"]]
        for p, number in zip(own, numbers, strict=True):
            exact = state_dict["state"].get(number, {}).get("exact")
            if exact is not None:
                self.state[p]["exact"] = exact.detach().double().cpu().clone()

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        module: nn.Module,
        X: Any = None,
        y: Any = None,
        sample_weight: torch.Tensor | None = None,
    ) -> float:
        """Do one step that lowers the loss, or say in `converged` and `reason` why there is none.

        No closure and no `backward`: the Jacobian is made by blocks of rows, from the module.

        Parameters
        ----------
        module : torch.nn.Module
            Whose parameters these are; maps inputs (B, ...) to outputs (B, K), row by row.
        X : Tensor of shape (N, ...)
            All rows.
        y : Tensor of shape (N, K)
            Targets, of the shape of the outputs.
        sample_weight : Tensor of shape (N,), optional
            Weights of the rows' squares, used as they are.

        Returns
        -------
        float
            The mean squared residual after the step.

        Raises
        ------
        TypeError
            If the module is none, or X, y or the weights are no tensors.
        ValueError
            If the shapes differ, a number is not finite, there are no rows, nothing is to be
            trained, the module fails on X, or the outputs for a row depend on other rows or on
            chance, in the mode that the module is in.
        """
        if not isinstance(module, nn.Module):
            given = "a function" if callable(module) else f"{type(module).__name__}"
            raise TypeError(
                f"LevenbergMarquardt.step got {given} for the module; it takes no closure, for it "
                "makes the Jacobian by blocks of rows. Write solver.step(module, X, y)."
            )
        check_rows(X, y, sample_weight)
        self._check_trained()
        if not any(True for _ in module.parameters()):
            raise ValueError(
                f"The module, a {type(module).__name__}, has no parameters. The first argument is "
                "the network that is trained, and the loss is always the mean squared error: write "
                "solver.step(network, X, y)."
            )
        names_of(module, self._parameters())
        if self._judged != (module, module.training):
            fault = dependence(module, X)
            if fault:
                raise ValueError(
                    unable(module, X)
                    or failure(module, X)
                    or f"{refusal(fault)} Leave that out, call module.eval() first where it is for "
                    "training only, or take another optimizer, such as torch.optim.AdamW."
                )
            self._judged = (module, module.training)
        loss = self.iterate(ModuleResiduals(module, self._parameters(), X, y, sample_weight))
        if not np.isfinite(loss):
            raise ValueError(
                f"The mean squared residual is {loss}, and X and y are finite: weights are not, or "
                "the outputs are too large. Start from other weights, and scale X and y."
            )
        return loss

    def _check_trained(self) -> None:
        """Raise ValueError where no parameter is to be trained."""
        if not self._parameters():
            raise ValueError(
                "All parameters of the optimizer are frozen (requires_grad=False), so that nothing "
                "would be trained. Write requires_grad_(True) for those that are to be."
            )

    def iterate(self, problem: SquaredResiduals) -> float:
        """Do one step on a problem over these parameters; see `step`."""
        group = self.param_groups[0]
        w, n = self._gathered(), problem.n_residuals
        squares, A, b = problem.normal_equations(w)
        A, b, loss = A / n, b / n, squares / n
        self.converged, self.reason, self.criterion = False, "", None
        if not np.isfinite(loss):
            return loss  # the weights stay
        if group["bayesian"]:
            self._weigh_evidence(w, A, squares, n)
        decay = self._decays()
        A[np.diag_indices_from(A)] += decay / 2
        b = b + decay / 2 * w
        with np.errstate(over="ignore"):  # infinite for targets of 1e300 that are not scaled
            self.gradient_norm = 2 * float(np.linalg.norm(b))
        if loss <= group["goal"]:
            return self._stop(criteria.GOAL_REACHED, loss)
        if self.gradient_norm < group["min_grad"]:
            return self._stop(criteria.SMALL_GRADIENT, loss)
        before = loss + decay @ w**2 / 2
        system, mu, n_refused = _Damped(A), group["mu"], 0
        while mu <= group["mu_max"] and n_refused < _MOST_TRIALS:
            if system.factorise(mu):
                d = system.solve(-b)
                promised = mu * float(d @ d) - float(b @ d)
                if group["geodesic"]:
                    d = self._bent(
                        problem, w, d, system, A @ d - decay / 2 * d, b - decay / 2 * w, n
                    )
                new_loss = problem.sum_of_squares(w + d) / n
                gain = before - new_loss - decay @ (w + d) ** 2 / 2
                if gain > 0:
                    # Nielsen 1999, eq. 2.5. A mu that was too small in this step is one in the
                    # next: lowered, it would be refused again.
                    least = 1.0 if n_refused else 1 / 3
                    factor = max(least, 1 - (2 * gain / promised - 1) ** 3)
                    group["mu"] = float(max(mu * (group["mu_dec"] or factor), _LEAST_MU))
                    group["last_gain"] = float(gain / before)
                    self._scatter(w + d)
                    return new_loss
            n_refused += 1
            mu *= group["mu_inc"] or 2.0**n_refused
        return self._stop(criteria.CONVERGED, loss)

    @staticmethod
    def _bent(
        problem: SquaredResiduals,
        w: np.ndarray,
        d: np.ndarray,
        system: _Damped,
        JJd: np.ndarray,
        Jr: np.ndarray,
        n: int,
    ) -> np.ndarray:
        """Add to d half its geodesic acceleration, -(J'J + mu)^-1 J'r'' along d, if that is small.

        Transtrum and Sethna 2012, eq. 20, with r'' by their finite difference of eq. 30. They bend
        up to 0.75; of networks more steps are longer and lower with 2.
        """
        there = problem.pull_back(w, w + _BEND * d) / n
        a = system.solve(-2 / _BEND * ((there - Jr) / _BEND - JJd))
        is_small = 2 * np.linalg.norm(a) <= _MOST_BENT * np.linalg.norm(d)
        return d + a / 2 if is_small else d

    def _stop(self, criterion: criteria.Criterion, loss: float) -> float:
        self.converged, self.criterion, self.reason = True, criterion, criterion[1]
        return loss

    def _weigh_evidence(self, w: np.ndarray, A: np.ndarray, squares: float, n: int) -> None:
        """Set weight_decay by the evidence; A is J'J / n. Begins as if all were determined.

        Far from a minimum the misfit counts as noise, and the penalty would leave no weights. So
        the first time is after a step that lowered the loss by less than a tenth.
        """
        first = self.param_groups[0]
        decay, P = first["weight_decay"], len(w)
        if not decay and first["last_gain"] > 0.1:
            return
        decay = max(decay, 1e-7 * float(np.trace(A)) / P)
        with _one_thread():
            factor = _factor(torch.from_numpy(A + np.eye(P) * decay / 2))
            if factor is None:
                return
            gamma = P - decay / 2 * float(torch.cholesky_inverse(factor).diagonal().sum())
        first["effective_parameters"] = gamma
        alpha = gamma / max(2 * float(w @ w), 1e-300)
        beta = max(n - gamma, 1.0) / max(2 * squares, 1e-300)
        for group in self.param_groups:
            group["weight_decay"] = float(alpha / beta * 2 / n)

    def _parameters(self) -> list[torch.Tensor]:
        return [p for group in self.param_groups for p in group["params"] if p.requires_grad]

    def _decays(self) -> np.ndarray:
        """Return the strength of the penalty on each number, (P,)."""
        return np.concatenate(
            [
                np.full(p.numel(), group["weight_decay"] * (p.ndim > 1 or group["bayesian"]))
                for group in self.param_groups
                for p in group["params"]
                if p.requires_grad
            ]
        )

    def _gathered(self) -> np.ndarray:
        """Return the weights (P,): the exact ones where the parameters are their roundings."""
        parts = []
        for p in self._parameters():
            value, exact = p.detach().cpu(), self.state[p].get("exact")
            if exact is not None and torch.equal(exact.to(p.dtype).cpu(), value):
                value = exact.cpu()
            parts.append(value.double().reshape(-1))
        return torch.cat(parts).numpy()

    def _scatter(self, w: np.ndarray) -> None:
        parts = torch.from_numpy(w).split([p.numel() for p in self._parameters()])
        for p, part in zip(self._parameters(), parts, strict=True):
            exact = part.view(p.shape)
            with torch.no_grad():
                p.copy_(exact)
            if p.dtype != torch.float64:
                self.state[p]["exact"] = exact.clone()


def refusal(dependence: str) -> str:
    """Return what is said of a module whose outputs depend on more than their row."""
    return (
        f"Levenberg-Marquardt cannot train this module: {dependence}. A row's outputs have to "
        "depend on that row alone, and not on chance."
    )


def check_size(n_parameters: int) -> None:
    """Raise ValueError where there are too many parameters for the solver."""
    if n_parameters > MOST_PARAMETERS:
        raise ValueError(
            f"Levenberg-Marquardt takes at most {MOST_PARAMETERS:,} parameters, and these are "
            f"{n_parameters:,}: each step solves a system of that size. Make the network smaller, "
            "or choose 'lbfgs' or 'adamw'."
        )


def _check_kinds(parameters: list[torch.Tensor]) -> None:
    check_sized(parameters)
    n_complex = sum(p.is_complex() for p in parameters)
    if n_complex:
        raise ValueError(
            f"Levenberg-Marquardt takes real parameters, and {n_complex} of {len(parameters)} are "
            "complex. Keep real and imaginary part as two parameters (torch.view_as_real), or take "
            "another optimizer, such as torch.optim.AdamW."
        )


class _Damped:
    """The system A + mu I, over memory that is used again; no factor where it is not positive."""

    def __init__(self, A: np.ndarray):
        self._A, self._memory = A, np.empty_like(A)
        self._factor: torch.Tensor | None = None

    def factorise(self, mu: float) -> bool:
        np.copyto(self._memory, self._A)
        self._memory[np.diag_indices_from(self._A)] += mu
        with _one_thread():
            self._factor = _factor(torch.from_numpy(self._memory))
        return self._factor is not None

    def solve(self, b: np.ndarray) -> np.ndarray:
        assert self._factor is not None
        with _one_thread():
            column = torch.from_numpy(b)[:, None]
            return torch.cholesky_solve(column, self._factor)[:, 0].numpy()


def _factor(A: torch.Tensor) -> torch.Tensor | None:
    """Return the lower Cholesky factor of A."""
    factor, fault = torch.linalg.cholesky_ex(A)
    return None if fault else factor


@contextmanager
def _one_thread() -> Iterator[None]:
    # LAPACK's sums depend on the number of threads, and the steps are not to.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
