"""Outputs of a trained module: natively where every layer is known, else by PyTorch."""

from __future__ import annotations

import importlib.util
import threading
import weakref
from typing import Any

import numpy as np
import torch
from torch import nn

from linnet.engine import torch_engine
from linnet.engine.native_engine import build
from linnet.engine.placement import threads
from linnet.engine.signature import signature
from linnet.engine.tracing import is_chain, trace
from linnet.forks import is_forked


class Predictor:
    """Gives a module's raw outputs (N, K) for inputs (N, D).

    The native engine computes each row by itself, so that a row's output is the same to the last
    bit whatever rows stand beside it, and a single row takes microseconds.

    Parameters
    ----------
    module : torch.nn.Module
        On the CPU. Its weights are read where they lie: changing them in place is seen.
    n_inputs : int
        D.

    Attributes
    ----------
    dtype : torch.dtype
        Of the module's weights, and so of its inputs.
    """

    def __init__(self, module: nn.Module, n_inputs: int):
        self._signature = signature(module)
        floating = (p.dtype for p in module.parameters() if p.is_floating_point())
        self.dtype = next(floating, torch.float32)
        self._network: Any = None
        # A network has one set of buffers: calls from several threads take turns.
        self._lock = threading.Lock()
        if importlib.util.find_spec("linnet._native") is None:
            return
        if not is_chain(module):
            return
        program, _ = trace(module, n_inputs)
        if program is None or not program.parameters:
            return
        dtypes = {p.dtype for p in program.parameters}
        if not all(p.is_contiguous() and p.device.type == "cpu" for p in program.parameters):
            return
        if len(dtypes) > 1 or not dtypes <= {torch.float32, torch.float64}:
            return
        n = len(program.parameters)
        self._n_outputs = program.heights[program.output]
        self._network = build(program, [False] * n, [0] * n)

    @property
    def is_native(self) -> bool:
        """Whether the native engine computes the outputs."""
        return self._network is not None

    def is_of(self, module: nn.Module) -> bool:
        """Whether the module still has the layers and the memory that this was made for."""
        return signature(module) == self._signature

    def __call__(self, module: nn.Module, X: np.ndarray) -> np.ndarray:
        """Return the outputs (N, K) as float64, for inputs (N, D).

        Parameters
        ----------
        module : torch.nn.Module
        X : ndarray of shape (N, D), C-contiguous
            Of float64 for a module of such, else of float32.
        """
        if self._network is None:
            with threads():
                inputs = torch.from_numpy(X).to(self.dtype)
                return torch_engine.predict(module, inputs).double().numpy()
        outputs = np.empty((len(X), self._n_outputs), X.dtype)
        n_threads = 1 if is_forked() else torch.get_num_threads()
        with self._lock:
            self._network.predict(X, outputs, n_threads)
            self._network.raise_interruption()
        return outputs.astype(np.float64, copy=False)


# Tracing takes a millisecond, a prediction of one row some microseconds: so what was made for a
# module is kept as long as the module lives. It is no attribute, for a prediction leaves an
# estimator as it was, and a copy must not share it.
_PREDICTORS: weakref.WeakKeyDictionary[nn.Module, Predictor] = weakref.WeakKeyDictionary()


def predictor(module: nn.Module, n_inputs: int) -> Predictor:
    """Return what predicts for a module as it is now, for inputs (N, D).

    Parameters
    ----------
    module : torch.nn.Module
        On the CPU.
    n_inputs : int
        D.
    """
    known = _PREDICTORS.get(module)
    if known is None or not known.is_of(module):
        known = _PREDICTORS[module] = Predictor(module, n_inputs)
    return known


def predict(module: nn.Module, X: torch.Tensor) -> torch.Tensor:
    """Return a module's raw outputs (N, K) for inputs (N, D), in evaluation mode.

    Parameters
    ----------
    module : torch.nn.Module
        On the CPU.
    X : Tensor of shape (N, D)
        Of the module's type.
    """
    known = predictor(module, X.shape[1])
    if known.is_native:
        return torch.from_numpy(known(module, X.contiguous().numpy())).to(X.dtype)
    return torch_engine.predict(module, X)
