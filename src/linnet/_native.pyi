"""The native part of linnet."""

from collections.abc import Sequence
from typing import Annotated, overload

import numpy
from numpy.typing import NDArray


def instruction_sets() -> list[str]:
    """
    Names of the instruction sets that this processor and its operating system offer, the
    oldest first: those of 'x86-64-v2', 'x86-64-v3', 'x86-64-v4', or 'neon' on arm64.
    """

def compiled_with() -> str:
    """
    Name and version of the compiler that built this module, such as 'GCC 12.2.0'.
    """

def kernels_in_use() -> str:
    """Name of the instruction set whose kernels train."""

@overload
def dropout_mask(seed: int, layer: int, rate: float, out: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]) -> None:
    """
    Fill `out` (N, H) with the mask by which dropout layer `layer` multiplies the H units of
    each of the N rows of an epoch: 0, or 1 / (1 - rate).
    """

@overload
def dropout_mask(seed: int, layer: int, rate: float, out: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')]) -> None: ...

class Network32:
    """A network that trains in place on arrays that Python owns."""

    def __init__(self, heights: Sequence[int], nodes: Sequence[tuple[int, int, int, int, int, int, int, float, float, float]], output: int, parameters: Sequence[Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')]], trained: Sequence[bool], groups: Sequence[int], counters: Sequence[Annotated[NDArray[numpy.int64], dict(shape=(1), order='C', device='cpu')]], pause: object) -> None: ...

    def set_state(self, parameter: int, m: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')] | None, v: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')] | None, vmax: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')] | None, step: float, count: Annotated[NDArray[numpy.float32], dict(shape=(1), order='C', device='cpu')] | None) -> None: ...

    def clear_states(self) -> None: ...

    def train_epoch(self, X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], weight: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, order: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], loss: tuple[int, float, Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, bool], solver: int, groups: Sequence[Sequence[tuple[float, float, float, float, float, float, float, bool, bool, bool]]], batch_size: int, clip_norm: float, clip_value: float, seed: int, n_threads: int, seconds_left: float) -> tuple[float, float, int, int, bool]: ...

    def evaluate(self, X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], weight: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, loss: tuple[int, float, Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, bool], n_threads: int) -> float: ...

    def predict(self, X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], n_threads: int) -> None: ...

    def normal_equations(self, X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], weight: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, offsets: Sequence[int], JJ: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], Jr: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], n_threads: int) -> float: ...

    def gradient(self, X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], weight: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, loss: tuple[int, float, Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, bool], offsets: Sequence[int], out: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], n_threads: int) -> float: ...

    def raise_interruption(self) -> None: ...

class Network64:
    """A network that trains in place on arrays that Python owns."""

    def __init__(self, heights: Sequence[int], nodes: Sequence[tuple[int, int, int, int, int, int, int, float, float, float]], output: int, parameters: Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')]], trained: Sequence[bool], groups: Sequence[int], counters: Sequence[Annotated[NDArray[numpy.int64], dict(shape=(1), order='C', device='cpu')]], pause: object) -> None: ...

    def set_state(self, parameter: int, m: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')] | None, v: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')] | None, vmax: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')] | None, step: float, count: Annotated[NDArray[numpy.float32], dict(shape=(1), order='C', device='cpu')] | None) -> None: ...

    def clear_states(self) -> None: ...

    def train_epoch(self, X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], weight: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, order: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], loss: tuple[int, float, Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, bool], solver: int, groups: Sequence[Sequence[tuple[float, float, float, float, float, float, float, bool, bool, bool]]], batch_size: int, clip_norm: float, clip_value: float, seed: int, n_threads: int, seconds_left: float) -> tuple[float, float, int, int, bool]: ...

    def evaluate(self, X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], weight: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, loss: tuple[int, float, Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, bool], n_threads: int) -> float: ...

    def predict(self, X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], n_threads: int) -> None: ...

    def normal_equations(self, X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], weight: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, offsets: Sequence[int], JJ: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], Jr: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], n_threads: int) -> float: ...

    def gradient(self, X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], weight: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, loss: tuple[int, float, Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, bool], offsets: Sequence[int], out: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], n_threads: int) -> float: ...

    def raise_interruption(self) -> None: ...
