"""Squared residuals of a torch module, their sums over rows, and the Jacobian by blocks of rows.

Letters: N rows, K outputs, P parameters, R = N K residuals.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, jacrev, vmap
from torch.overrides import TorchFunctionMode

from linnet import interruption
from linnet.solvers.independence import doubled

# Numbers of a block of the Jacobian: 32 MB.
_BLOCK_NUMBERS = 2**22


class SquaredResiduals(Protocol):
    """What Levenberg-Marquardt asks of a problem; weights w are (P,) of float64.

    Attributes
    ----------
    n_residuals : int
        R.
    """

    n_residuals: int

    def normal_equations(self, w: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return the sum of squares r'r, J'J (P, P) and J'r (P,)."""
        ...

    def sum_of_squares(self, w: np.ndarray) -> float:
        """Return r'r."""
        ...

    def pull_back(self, w: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return J(w)'r(v) (P,): the residuals at v with the Jacobian at w."""
        ...


class ModuleResiduals:
    """Outputs of a module minus targets, in float64 whatever the type of its parameters.

    Parameters
    ----------
    module : torch.nn.Module
        Maps inputs (B, ...) to outputs (B, K) or (B,), each row by itself, as
        `linnet.solvers.independence` tells.
    parameters : sequence of torch.nn.Parameter
        Those that w stands for, in its order; the module's others stay as they are.
    X : Tensor of shape (N, ...)
    y : Tensor of the outputs' shape
    weight : Tensor of shape (N,), optional
        Weight of each row's squares.

    Raises
    ------
    ValueError
        If a parameter is not of the module, or the shapes of outputs and targets differ.
    """

    def __init__(
        self,
        module: nn.Module,
        parameters: Sequence[torch.Tensor],
        X: torch.Tensor,
        y: torch.Tensor,
        weight: torch.Tensor | None = None,
    ):
        self._module = module
        self._names = names_of(module, parameters)
        self._shapes = [p.shape for p in parameters]
        tensors = itertools.chain(module.named_parameters(), module.named_buffers())
        trained = set(self._names)
        self._others = {n: doubled(t.detach()) for n, t in tensors if n not in trained}
        self._X, self._y = doubled(X), y.double()
        self._root = None if weight is None else weight.double().sqrt()
        self.n_residuals = y.numel()
        width = sum(shape.numel() for shape in self._shapes) * max(1, y.numel() // max(1, len(y)))
        self._block = max(1, _BLOCK_NUMBERS // max(1, width))
        self._has_vmap = True  # until torch.func refuses this module

    def normal_equations(self, w: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return r'r, J'J (P, P) and J'r (P,), added up over blocks of rows."""
        pieces = self._pieces(w)
        P, device = len(w), self._y.device
        JJ = torch.zeros(P, P, dtype=torch.float64, device=device)
        Jr = torch.zeros(P, dtype=torch.float64, device=device)
        squares = 0.0
        for rows in self._blocks():
            r = self._residuals(pieces, rows)
            J = self._jacobian(pieces, rows)
            JJ.addmm_(J.T, J)
            Jr.addmv_(J.T, r)
            squares += float(r @ r)
        return squares, JJ.cpu().numpy(), Jr.cpu().numpy()

    def sum_of_squares(self, w: np.ndarray) -> float:
        """Return r'r."""
        pieces, squares = self._pieces(w), 0.0
        for rows in self._blocks():
            r = self._residuals(pieces, rows)
            squares += float(r @ r)
        return squares

    def pull_back(self, w: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return J(w)'r(v) (P,)."""
        pieces, others = self._leaves(w), self._pieces(v)
        total = torch.zeros(len(w), dtype=torch.float64, device=self._y.device)
        for rows in self._blocks():
            r = self._residuals(others, rows)
            with torch.enable_grad():
                total += self._flat_gradient(self._differences(pieces, rows), pieces, r)
        return total.cpu().numpy()

    def jacobian(self, w: np.ndarray) -> np.ndarray:
        """Return J (R, P) whole, for tests and small problems."""
        pieces = self._pieces(w)
        return torch.cat([self._jacobian(pieces, rows) for rows in self._blocks()]).cpu().numpy()

    def _blocks(self) -> Iterator[slice]:
        for first in range(0, len(self._y), self._block):
            interruption.check()
            yield slice(first, first + self._block)

    def _pieces(self, w: np.ndarray) -> dict[str, torch.Tensor]:
        whole = torch.from_numpy(w).to(self._y.device)
        parts = whole.split([shape.numel() for shape in self._shapes])
        return {n: p.view(s) for n, p, s in zip(self._names, parts, self._shapes, strict=True)}

    def _leaves(self, w: np.ndarray) -> dict[str, torch.Tensor]:
        return {n: piece.clone().requires_grad_() for n, piece in self._pieces(w).items()}

    def _flat_gradient(
        self, of: torch.Tensor, pieces: dict[str, torch.Tensor], along: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the gradient (P,) of a number, or of numbers `along` a vector."""
        leaves = list(pieces.values())
        gradients = torch.autograd.grad(of, leaves, along, retain_graph=True, allow_unused=True)
        pairs = zip(gradients, leaves, strict=True)
        return torch.cat([(torch.zeros_like(p) if g is None else g).reshape(-1) for g, p in pairs])

    def _outputs(self, pieces: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        return functional_call(self._module, {**self._others, **pieces}, (x,))

    def _residuals(self, pieces: dict[str, torch.Tensor], rows: slice) -> torch.Tensor:
        """Return residuals (b K,), times the roots of the weights."""
        with torch.no_grad():
            return self._differences(pieces, rows)

    def _differences(self, pieces: dict[str, torch.Tensor], rows: slice) -> torch.Tensor:
        outputs = self._outputs(pieces, self._X[rows].clone())
        target = self._y[rows]
        if outputs.shape != target.shape:
            raise ValueError(
                f"The module's output has shape {tuple(outputs.shape)} and the target "
                f"{tuple(target.shape)}: they must be equal. Give targets of the outputs' shape."
            )
        r = outputs - target
        if self._root is not None:
            r = r * self._root[rows].reshape(-1, *[1] * (r.ndim - 1))
        return r.reshape(-1)

    def _jacobian(self, pieces: dict[str, torch.Tensor], rows: slice) -> torch.Tensor:
        """Return the derivatives of `_residuals`, (b K, P)."""
        if self._has_vmap:
            try:
                return self._jacobian_by_vmap(pieces, rows)
            except RuntimeError:  # of recurrent layers, say, or of branches upon a number
                self._has_vmap = False
        leaves = {n: piece.detach().requires_grad_() for n, piece in pieces.items()}
        with torch.enable_grad():
            return torch.stack(
                [self._flat_gradient(r, leaves) for r in self._differences(leaves, rows)]
            )

    def _jacobian_by_vmap(self, pieces: dict[str, torch.Tensor], rows: slice) -> torch.Tensor:
        def of_row(weights: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
            return self._outputs(weights, x.unsqueeze(0)).reshape(-1)

        X = self._X[rows].clone()
        with _PlainPReLU(), _no_word_of_slow_steps():
            by_name: Any = vmap(jacrev(of_row), in_dims=(None, 0))(pieces, X)  # (b, K, *shape) each
        J = torch.cat(
            [by_name[name].reshape(len(X), -1, s.numel()) for name, s in self._sized()], 2
        )
        if self._root is not None:
            J = J * self._root[rows].reshape(-1, 1, 1)
        return J.reshape(-1, J.shape[2])

    def _sized(self) -> Iterator[tuple[str, torch.Size]]:
        return zip(self._names, self._shapes, strict=True)


_quiet = threading.Lock()
_n_quiet = 0


@contextmanager
def _no_word_of_slow_steps() -> Iterator[None]:
    """Keep torch from warning that vmap takes a step row by row: the user has not written it.

    torch has one switch for all threads, which is put back when the last of them is done.
    """
    global _n_quiet
    switch = getattr(torch._C, "_functorch", None)
    switch = getattr(switch, "_set_vmap_fallback_warning_enabled", lambda _: None)
    with _quiet:
        _n_quiet += 1
        switch(False)
    try:
        yield
    finally:
        with _quiet:
            _n_quiet -= 1
            if not _n_quiet:
                switch(True)


class _PlainPReLU(TorchFunctionMode):
    """Writes torch.prelu as a choice: vmap gives its own gradient of one weight a wrong shape."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not torch.prelu:
            return func(*args, **(kwargs or {}))
        x, weight = args
        weight = weight.reshape(-1, *[1] * (x.ndim - 2)) if x.ndim > 1 else weight
        return torch.where(x > 0, x, weight * x)


def names_of(module: nn.Module, parameters: Sequence[torch.Tensor]) -> list[str]:
    """Return the names of parameters in a module; ValueError where one is not of it."""
    own = {id(p): name for name, p in module.named_parameters()}
    if any(id(p) not in own for p in parameters):
        raise ValueError(
            "The optimizer holds parameters that are not of this module. Make it from this "
            "module: LevenbergMarquardt(module.parameters())."
        )
    return [own[id(p)] for p in parameters]


def check_rows(X: object, y: object, weight: object) -> None:
    """Raise one error for all that is wrong with the rows of a loop of the user's own.

    Raises
    ------
    TypeError
        If one of them is no tensor.
    ValueError
        If there are no rows, their numbers differ, or a number is not finite.
    """
    given = {"X": X, "y": y} | ({} if weight is None else {"sample_weight": weight})
    wrong = [
        f"{name} is a {type(value).__name__}"
        for name, value in given.items()
        if not isinstance(value, torch.Tensor)
    ]
    if wrong:
        raise TypeError(
            f"{'; '.join(wrong)}: LevenbergMarquardt.step takes tensors. Write "
            "torch.as_tensor(...) around arrays and lists."
        )
    tensors = {name: value for name, value in given.items() if isinstance(value, torch.Tensor)}
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    told = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
    if any(not shape for shape in shapes.values()):
        raise ValueError(f"The shapes are {told}: each needs rows. Give X (N, D) and y (N, K).")
    if len({shape[0] for shape in shapes.values()}) > 1:
        raise ValueError(f"The shapes are {told}: the numbers of rows differ. Give one of each.")
    if len(shapes.get("sample_weight", (0,))) != 1:
        raise ValueError(f"The shapes are {told}: weights are one a row. Give sample_weight (N,).")
    if not shapes["X"][0]:
        raise ValueError(f"The shapes are {told}: there are no rows. Give at least one.")
    wrong = [f"{n} holds NaN or infinity" for n, t in tensors.items() if not t.isfinite().all()]
    if "sample_weight" in tensors and (tensors["sample_weight"] < 0).any():
        wrong.append("sample_weight holds numbers below 0")
    if wrong:
        raise ValueError(f"{'; '.join(wrong)}. Leave such rows out.")
