"""Rows for training: whatever the user has becomes tensors that are read once.

Letters: N rows, B rows of a batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sized
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import narwhals.stable.v1 as nw
import narwhals.stable.v1.selectors as selectors
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

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
    chosen : Tensor of shape (n,) or None
        Numbers of the rows that are meant, where X, y and weight hold others too: trainings on
        parts of one table share its memory.
    """

    X: torch.Tensor
    y: torch.Tensor
    weight: torch.Tensor | None = None
    chosen: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.X if self.chosen is None else self.chosen)

    def choose(self, rows: np.ndarray, weight: np.ndarray | None = None) -> Rows:
        """Return some of the rows, which stay where they are; weights are those of all (N,)."""
        chosen, weights = torch.from_numpy(rows), None
        if weight is not None:
            weights = torch.from_numpy(weight / weight[rows].mean()).to(self.X.dtype)
        return Rows(self.X, self.y, weights, chosen)

    def gathered(self) -> Rows:
        """Return the rows that are meant, and no others."""
        if self.chosen is None:
            return self
        return Rows(*self._take(self.chosen, slice(None)))

    def first(self, n: int) -> torch.Tensor:
        """Return the inputs of the first n rows."""
        return self.X[:n] if self.chosen is None else self.X[self.chosen[:n]]

    def to(self, device: torch.device) -> Rows:
        """Return the rows on a device."""
        if device.type != self.X.device.type and self.chosen is not None:
            return self.gathered().to(device)
        weight = None if self.weight is None else self.weight.to(device)
        return Rows(self.X.to(device), self.y.to(device), weight, self.chosen)

    def numbers(self, order: torch.Tensor | None) -> torch.Tensor | None:
        """Return which rows of X an order (n,) of the chosen ones means; None for all of them."""
        if self.chosen is None:
            return order
        return self.chosen if order is None else self.chosen[order]

    def batches(self, batch_size: int, order: torch.Tensor | None = None) -> Iterator[Batch]:
        """Yield batches (X, y, weight), in the order of the row numbers `order` (N,) if given."""
        order = self.numbers(order)
        order = None if order is None else order.to(self.X.device)
        n_features = max(1, self.X[:1].numel() + self.y[:1].numel())
        per_gather = batch_size * max(1, _GATHERED_NUMBERS // (batch_size * n_features))
        for start in range(0, len(self), per_gather):
            X, y, weight = self._take(order, slice(start, start + per_gather))
            weights = [None] * len(X) if weight is None else weight.split(batch_size)
            yield from zip(X.split(batch_size), y.split(batch_size), weights, strict=False)

    def _take(self, order: torch.Tensor | None, part: slice) -> Batch:
        if order is None:
            weight = None if self.weight is None else self.weight[part]
            # A copy, for a forward such as ``x -= mean`` changes its input in place.
            return self.X[part].clone(), self.y[part], weight
        rows = order[part]
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
    X : array-like, Tensor, frame, torch Dataset or DataLoader, or Rows
        Inputs (N, ...). A Dataset or DataLoader gives inputs and targets, so `y` stays None; Rows
        have been read and checked, and are taken as they are.
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
    if isinstance(X, Rows):
        return X
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
        columns = _read_dataset(X)
        if columns is None:
            loader = DataLoader(X, batch_size=batch_size, shuffle=True)
            return Stream(loader, torch.device("cpu"), dtype)
        X, y, sample_weight = columns
    elif y is None:
        check_kind(X, X_name)
        call = "train(module, X, y)" if y_name == "y" else f"both {X_name} and {y_name}"
        raise TypeError(
            f"{y_name} is missing: give {call}, or a Dataset whose items are (input, target) as "
            f"{X_name}."
        )
    X, y = _tensor(X, X_name), _tensor(y, y_name)
    if X.ndim == 0 or y.ndim == 0 or len(X) != len(y):
        raise ValueError(
            f"{X_name} has {_n_rows(X)} rows and {y_name} {_n_rows(y)}: each row of {X_name} needs "
            f"one of {y_name}. Give both with the same number of rows."
        )
    if len(X) == 0:
        raise ValueError(f"{X_name} has no rows. Give at least one.")
    X, y = _finite(X, X_name, dtype), _finite(y, y_name, dtype)
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
    weight = _finite(weight, name, torch.float64)
    if (weight < 0).any() or not (weight > 0).any():
        raise ValueError(
            f"{name} has a least value of {float(weight.min()):g} and a greatest of "
            f"{float(weight.max()):g}: weights are 0 or more, and at least one is above 0."
        )
    return (weight / weight.mean()).to(dtype)


def check_kind(values: Any, name: str) -> None:
    """Raise TypeError for what holds no rows at all."""
    given = f"{name} is a {type(values).__name__}"
    if values is None:
        given, remedy = f"{name} is missing", "a NumPy array, a tensor or a data frame"
    elif isinstance(values, str | bytes | os.PathLike):
        remedy = f"what the file holds, such as linnet.read_table({name}) or numpy.load({name})"
    elif isinstance(values, dict) and not hasattr(values, "toarray"):  # scipy has a sparse dict
        remedy = f"a data frame, such as pandas.DataFrame({name}), or an array"
    elif isinstance(values, Iterator | set | frozenset):
        remedy = f"numpy.array(list({name}))"
    else:
        return
    raise TypeError(f"{given}. Give {remedy}.")


def _tensor(values: Any, name: str) -> torch.Tensor:
    check_kind(values, name)
    if isinstance(values, torch.Tensor):
        if values.is_complex():
            raise TypeError(_no_numbers(name, "complex numbers"))
        return values.detach().to_dense().cpu()
    if hasattr(values, "toarray"):  # a sparse matrix
        values = values.toarray()
    if not isinstance(values, np.ndarray | list | tuple):
        frame = nw.from_native(values, allow_series=True, pass_through=True)
        if isinstance(frame, nw.DataFrame):  # booleans beside numbers would become objects
            frame = frame.with_columns(selectors.boolean().cast(nw.Int8))
        values = frame.to_numpy() if isinstance(frame, nw.DataFrame | nw.Series) else values
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.MaskedArray(values, dtype=float).filled(np.nan)
    try:
        array = np.asarray(values)
    except ValueError as fault:
        raise ValueError(
            f"{name} has rows of different lengths. Give rows of one length, or a DataLoader whose "
            "collate_fn makes them so."
        ) from fault
    if array.dtype.kind == "O":
        with suppress(TypeError, ValueError):
            array = array.astype(float)
    if array.dtype.kind not in "biuf":
        raise TypeError(_no_numbers(name, _kind(array)))
    if array.dtype.byteorder not in "=|":
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype in (np.uint16, np.uint32, np.uint64):
        array = array.astype(np.int64)
    if array.dtype == np.longdouble:
        array = array.astype(np.float64)
    return shared(np.ascontiguousarray(array))


class _Lent:
    """An array as NumPy may take it up again, as one that can be written to."""

    def __init__(self, array: np.ndarray):
        self.array = array  # kept as long as the memory is in use
        place = (array.__array_interface__["data"][0], False)
        self.__array_interface__ = {**array.__array_interface__, "data": place}


def shared(array: np.ndarray) -> torch.Tensor:
    """Return a tensor over an array's memory, though it be read-only, as a mapped file is.

    Nothing here writes to rows: what a module is handed is a copy of some of them.
    """
    return torch.from_numpy(array if array.flags.writeable else np.asarray(_Lent(array)))


def _no_numbers(name: str, kind: str) -> str:
    return (
        f"{name} holds {kind} where numbers are needed. Give numbers, or use MLPRegressor or "
        "MLPClassifier, which encode categories, booleans and dates."
    )


def _kind(array: np.ndarray) -> str:
    return {
        "O": "objects",
        "c": "complex numbers",
        "U": "text",
        "S": "bytes",
        "M": "dates",
        "m": "durations",
    }.get(array.dtype.kind, str(array.dtype))


def _cast(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Cast floating numbers to the module's type, and whole numbers to int64."""
    if tensor.is_floating_point():
        return tensor.to(dtype)
    return tensor if tensor.dtype == torch.bool else tensor.to(torch.int64)


def _finite(tensor: torch.Tensor, name: str, dtype: torch.dtype) -> torch.Tensor:
    """Cast as `_cast` does; raise ValueError where a number is, or so becomes, infinite or NaN."""
    result = _cast(tensor, dtype)
    # One sum is several times faster than asking each number; where it overflows, they are asked.
    if not result.is_floating_point() or torch.isfinite(result.sum()):
        return result
    wrong = ~torch.isfinite(result)
    count = int(wrong.sum())
    if not count:
        return result
    position = tuple(int(i) for i in wrong.nonzero()[0])
    place = ", ".join(f"{word} {i}" for word, i in zip(("row", "column"), position, strict=False))
    place = place if result.ndim <= 2 else f"place {position}"
    what = "NaN or infinite"
    remedy = (
        "Remove these rows, fill in finite numbers, or use MLPRegressor or MLPClassifier with a "
        "data frame, whose missing numbers they fill in."
    )
    if torch.isfinite(tensor[position]):
        what = f"beyond the range of {str(dtype).removeprefix('torch.')}"
        remedy = "Divide them by a number of their size, or give a module in float64."
    numbers = "1 number that is" if count == 1 else f"{count} numbers that are"
    raise ValueError(
        f"{name} has {numbers} {what}; the first is in {place} (counted from 0). {remedy}"
    )


def _n_rows(tensor: torch.Tensor) -> int | str:
    return len(tensor) if tensor.ndim else "no"


def _read_dataset(dataset: Dataset) -> tuple[Any, Any, Any] | None:
    """Ask for each item once and stack them; None if that would take over half of the memory."""
    if isinstance(dataset, TensorDataset):
        return _triple(dataset.tensors, "The TensorDataset")
    if isinstance(dataset, Subset) and isinstance(dataset.dataset, TensorDataset):
        rows = torch.as_tensor(dataset.indices)
        return _triple([t[rows] for t in dataset.dataset.tensors], "The Subset")
    n_rows = len(cast(Sized, dataset))
    if n_rows == 0:
        raise ValueError("The Dataset has no items. Give at least one.")
    first = _read_item(dataset, 0)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if 2 * sum(value.nbytes for value in first) * n_rows > memory / 2:  # the items, and their stack
        return None
    items = [first, *(_read_item(dataset, i) for i in range(1, n_rows))]
    for i, item in enumerate(items):
        if [v.shape for v in item] != [v.shape for v in first]:
            raise ValueError(
                f"The Dataset's item {i} has the shapes {_shapes(item)} and item 0 "
                f"{_shapes(first)}: items of one shape make rows. Pad or crop them, or give a "
                "DataLoader whose collate_fn does."
            )
    columns = [torch.stack(column) for column in zip(*items, strict=True)]
    return columns[0], columns[1], columns[2] if len(columns) == 3 else None


def _read_item(dataset: Dataset, i: int) -> list[torch.Tensor]:
    return [torch.as_tensor(v) for v in _triple(dataset[i], "The Dataset") if v is not None]


def _shapes(item: list[torch.Tensor]) -> str:
    return " and ".join(str(tuple(value.shape)) for value in item)


def _triple(item: Any, source: str) -> tuple[Any, Any, Any]:
    if not isinstance(item, tuple | list) or len(item) not in (2, 3):
        found = f"{len(item)} values" if isinstance(item, tuple | list) else type(item).__name__
        raise TypeError(
            f"{source} gives {found}; items have to be (input, target) or (input, target, weight)."
        )
    return item[0], item[1], item[2] if len(item) == 3 else None
