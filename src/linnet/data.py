"""Rows for training: whatever the user has becomes tensors that are read once.

Letters: N rows, B rows of a batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sized
from dataclasses import dataclass
from typing import Any, cast

import narwhals.stable.v1 as nw
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from linnet.table.array_checks import check_finite

# Rows are gathered in the epoch's order a few batches at a time: large enough that the gather's
# fixed cost is spread over many batches, small enough (1 MB of float32) to stay in the cache and
# never to double the data.
_GATHERED_NUMBERS = 2**18

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]


@dataclass
class Rows:
    """Rows in memory, on the device that trains.

    Attributes
    ----------
    X : Tensor of shape (N, ...)
    y : Tensor of shape (N, K), or (N,) of class numbers
    weight : Tensor of shape (N,) or None
        Of mean 1.
    """

    X: torch.Tensor
    y: torch.Tensor
    weight: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.X)

    def to(self, device: torch.device) -> Rows:
        """Return the rows on a device."""
        weight = None if self.weight is None else self.weight.to(device)
        return Rows(self.X.to(device), self.y.to(device), weight)

    def batches(self, batch_size: int, order: torch.Tensor | None = None) -> Iterator[Batch]:
        """Yield batches (X, y, weight), in the order of the row numbers `order` (N,) if given."""
        n_features = max(1, self.X[:1].numel() + self.y[:1].numel())
        per_gather = batch_size * max(1, _GATHERED_NUMBERS // (batch_size * n_features))
        for start in range(0, len(self), per_gather):
            X, y, weight = self._take(order, slice(start, start + per_gather))
            weights = [None] * len(X) if weight is None else weight.split(batch_size)
            yield from zip(X.split(batch_size), y.split(batch_size), weights, strict=False)

    def _take(self, order: torch.Tensor | None, part: slice) -> Batch:
        if order is None:
            weight = None if self.weight is None else self.weight[part]
            return self.X[part], self.y[part], weight
        rows = order[part].to(self.X.device)
        weight = None if self.weight is None else self.weight.index_select(0, rows)
        return self.X.index_select(0, rows), self.y.index_select(0, rows), weight


@dataclass
class Stream:
    """Batches of a DataLoader of the user's, asked for anew in each epoch."""

    loader: DataLoader
    device: torch.device
    dtype: torch.dtype

    def __len__(self) -> int:
        dataset = self.loader.dataset
        return len(cast(Sized, dataset)) if hasattr(dataset, "__len__") else 0

    def to(self, device: torch.device) -> Stream:
        return Stream(self.loader, device, self.dtype)

    def batches(self, batch_size: int, order: torch.Tensor | None = None) -> Iterator[Batch]:
        """Yield the loader's batches; it decides their size and order itself."""
        for item in self.loader:
            x, y, weight = _triple(item, "The DataLoader")
            yield (
                _cast(torch.as_tensor(x), self.dtype).to(self.device),
                _cast(torch.as_tensor(y), self.dtype).to(self.device),
                None if weight is None else torch.as_tensor(weight).to(self.device, self.dtype),
            )


def read_rows(
    X: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    dtype: torch.dtype = torch.float32,
    batch_size: int = 1,
    names: tuple[str, str, str] = ("X", "y", "sample_weight"),
) -> Rows | Stream:
    """Read arrays, tensors, frames, a Dataset or a DataLoader into rows.

    Parameters
    ----------
    X : array-like, Tensor, frame, torch Dataset or DataLoader
        Inputs (N, ...). A Dataset or DataLoader gives inputs and targets, so `y` stays None.
    y : array-like, Tensor or frame, optional
        Targets (N, K) or (N,). Whole-number tensors and arrays stay so (class numbers).
    sample_weight : array-like of shape (N,), optional
        Weights of the rows, 0 or more; scaled to mean 1.
    dtype : torch.dtype
        The module's; floating numbers are cast to it once.
    batch_size : int
        Used for a Dataset too large for memory, which is read in batches in each epoch.
    names : tuple of str
        What messages call the three.

    Raises
    ------
    ValueError
        If lengths differ, there are no rows, or a number is NaN or infinite.
    TypeError
        If X is nothing that can be read.
    """
    X_name, y_name, weight_name = names
    if isinstance(X, DataLoader):
        _refuse_second_source(X_name, y, sample_weight)
        return Stream(X, torch.device("cpu"), dtype)
    if isinstance(X, Dataset) and not isinstance(X, torch.Tensor):
        _refuse_second_source(X_name, y, sample_weight)
        if isinstance(X, IterableDataset):
            raise TypeError(
                f"{X_name} is an IterableDataset, which has no length. Give "
                f"DataLoader({type(X).__name__}(...), batch_size=...): it is asked for its batches "
                "in each epoch."
            )
        if not _fits_in_memory(X):
            loader = DataLoader(X, batch_size=batch_size, shuffle=True)
            return Stream(loader, torch.device("cpu"), dtype)
        X, y, sample_weight = _read_dataset(X)
    elif y is None:
        raise TypeError(
            f"{y_name} is missing: give train(module, X, y), or a Dataset whose items are "
            "(input, target) as X."
        )
    X = _cast(_tensor(X, X_name), dtype)
    y = _cast(_tensor(y, y_name), dtype)
    if X.ndim == 0 or y.ndim == 0 or len(X) != len(y):
        raise ValueError(
            f"{X_name} has {_n_rows(X)} rows and {y_name} {_n_rows(y)}: each row of {X_name} needs "
            f"one of {y_name}. Give both with the same number of rows."
        )
    if len(X) == 0:
        raise ValueError(f"{X_name} has no rows. Give at least one.")
    check_finite(X.numpy(), X_name)
    check_finite(y.numpy(), y_name)
    weight = None
    if sample_weight is not None:
        weight = _weights(sample_weight, len(X), dtype, weight_name)
    return Rows(X, y, weight)


def _refuse_second_source(X_name: str, y: Any, sample_weight: Any) -> None:
    if y is not None or sample_weight is not None:
        raise ValueError(
            f"{X_name} is a Dataset or DataLoader, which gives the targets itself. Leave y and "
            "sample_weight out; for weights let its items be (input, target, weight)."
        )


def _weights(sample_weight: Any, n_rows: int, dtype: torch.dtype, name: str) -> torch.Tensor:
    weight = _tensor(sample_weight, name).to(torch.float64)
    if weight.shape != (n_rows,):
        raise ValueError(
            f"{name} has shape {tuple(weight.shape)}; it has to be ({n_rows},), one number a row."
        )
    check_finite(weight.numpy(), name)
    if (weight < 0).any() or not (weight > 0).any():
        raise ValueError(
            f"{name} has a least value of {float(weight.min()):g} and a greatest of "
            f"{float(weight.max()):g}: weights are 0 or more, and at least one is above 0."
        )
    return (weight / weight.mean()).to(dtype)


def _tensor(values: Any, name: str) -> torch.Tensor:
    if isinstance(values, torch.Tensor):
        return values.detach().cpu()
    if not isinstance(values, np.ndarray | list | tuple):
        frame = nw.from_native(values, allow_series=True, pass_through=True)
        values = frame.to_numpy() if isinstance(frame, nw.DataFrame | nw.Series) else values
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} holds {_kind(array)} where numbers are needed. Give numbers, or use "
            "MLPRegressor or MLPClassifier, which encode categories, booleans and dates."
        )
    # torch shares memory with an array that can be written to; others are copied, for a tensor
    # cannot promise to leave them alone.
    if array.dtype.byteorder not in "=|" or not array.flags.writeable:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype in (np.uint16, np.uint32, np.uint64):
        array = array.astype(np.int64)
    if array.dtype == np.longdouble:
        array = array.astype(np.float64)
    return torch.from_numpy(np.ascontiguousarray(array))


def _kind(array: np.ndarray) -> str:
    return {"O": "objects", "U": "text", "S": "bytes", "M": "dates", "m": "durations"}.get(
        array.dtype.kind, str(array.dtype)
    )


def _cast(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Cast floating numbers to the module's type, and other whole numbers to int64."""
    if tensor.is_floating_point():
        return tensor.to(dtype)
    return tensor.to(dtype) if tensor.dtype == torch.bool else tensor.to(torch.int64)


def _n_rows(tensor: torch.Tensor) -> int | str:
    return len(tensor) if tensor.ndim else "no"


def _read_dataset(dataset: Dataset) -> tuple[Any, Any, Any]:
    if isinstance(dataset, TensorDataset):
        return _triple(dataset.tensors, "The TensorDataset")
    if isinstance(dataset, Subset) and isinstance(dataset.dataset, TensorDataset):
        rows = torch.as_tensor(dataset.indices)
        return _triple([t[rows] for t in dataset.dataset.tensors], "The Subset")
    n_rows = len(cast(Sized, dataset))
    if n_rows == 0:
        raise ValueError("The Dataset has no items. Give at least one.")
    items = [_triple(dataset[i], "The Dataset") for i in range(n_rows)]
    X, y, weight = zip(*items, strict=True)
    columns = [torch.stack([torch.as_tensor(value) for value in c]) for c in (X, y)]
    if weight[0] is None:
        return *columns, None
    return *columns, torch.as_tensor([float(w) for w in weight])


def _triple(item: Any, source: str) -> tuple[Any, Any, Any]:
    if not isinstance(item, tuple | list) or len(item) not in (2, 3):
        found = f"{len(item)} values" if isinstance(item, tuple | list) else type(item).__name__
        raise TypeError(
            f"{source} gives {found}; items have to be (input, target) or (input, target, weight)."
        )
    return item[0], item[1], item[2] if len(item) == 3 else None


def _fits_in_memory(dataset: Dataset) -> bool:
    """Whether the Dataset, at the size of its first item, takes at most half of the memory."""
    if isinstance(dataset, TensorDataset) or len(cast(Sized, dataset)) == 0:
        return True
    item = _triple(dataset[0], "The Dataset")
    n_bytes = sum(torch.as_tensor(value).nbytes for value in item if value is not None)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return n_bytes * len(cast(Sized, dataset)) <= memory / 2
