"""What `linnet.train` takes: arrays, tensors, frames, Datasets, DataLoaders and any module."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import torch
from torch import nn
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)
from tutorial_code import NumpyDataset

from linnet.data import read_rows
from linnet.training import train

N = 60


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on two busy cores wait for each other at every step of so small a network."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def module(n_inputs=2, n_outputs=1):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(n_inputs, 8), nn.Tanh(), nn.Linear(8, n_outputs))


def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 2)).astype(np.float32).astype(np.float64)
    return X, (X[:, :1] > 0) * 2.0 + 1.0


def fit(X, y=None, **options):
    net = module()
    train(net, X, y, epochs=2, random_state=0, **options)
    return [p.detach() for p in net.parameters()]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def wide(a):
    return np.repeat(a, 2, axis=1)[:, ::2]


ARRAYS = {
    "float64": lambda a: a,
    "float32": lambda a: a.astype(np.float32),
    "read-only": read_only,
    "big-endian": lambda a: a.astype(">f8"),
    "every second column": wide,
    "upside down": lambda a: a[::-1].copy()[::-1],
    "Fortran order": np.asfortranarray,
    "long double": lambda a: a.astype(np.longdouble),
    "lists": lambda a: a.tolist(),
    "masked, nothing hidden": lambda a: np.ma.MaskedArray(a),
    "float64 tensor": torch.tensor,
    "tensor with a gradient": lambda a: torch.tensor(a, requires_grad=True),
    "tensor of another layout": lambda a: torch.tensor(a.T.copy()).T,
    "pandas": lambda a: pd.DataFrame(a),
    "polars": lambda a: pl.DataFrame(a, schema=[f"c{i}" for i in range(a.shape[1])]),
    "pyarrow": lambda a: pa.table({f"c{i}": a[:, i] for i in range(a.shape[1])}),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_each_kind_of_array_and_frame_gives_the_same_bits(kind):
    X, y = data()
    before = X.copy(), y.copy()
    make = ARRAYS[kind]
    assert same(fit(make(X), make(y)), fit(X, y))
    assert np.array_equal(X, before[0])
    assert np.array_equal(y, before[1])


def test_a_memory_mapped_array_is_read(tmp_path):
    X, y = data()
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert same(fit(mapped, y), fit(X, y))


NARROW = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16"]


@pytest.mark.parametrize("dtype", [*NARROW, "bool"])
def test_whole_numbers_and_booleans_are_numbers(dtype):
    X, y = data()
    X, y = (X > 0).astype(dtype), (y > 1).astype(dtype)
    expected = fit(X.astype(float), y.astype(float))
    assert same(fit(X, y), expected)
    if dtype not in ("uint16", "uint32", "uint64"):
        assert same(fit(torch.tensor(X), torch.tensor(y)), expected)
    assert same(fit(pd.DataFrame(X), pd.DataFrame(y)), expected)


def test_frames_may_mix_numbers_and_booleans():
    X, y = data()
    numbers = np.c_[np.arange(N) % 3, X[:, 0] > 0].astype(float)
    columns = {"a": np.arange(N) % 3, "b": X[:, 0] > 0}
    for frame in (pd.DataFrame(columns), pl.DataFrame(columns), pa.table(columns)):
        assert same(fit(frame, y), fit(numbers, y))
    nullable = pd.DataFrame(columns).convert_dtypes()
    assert same(fit(nullable, y), fit(numbers, y))


def test_series_are_targets_of_one_dimension():
    X, _ = data()
    classes = (X[:, 0] > 0).astype(int)
    for series in (pd.Series(classes), pl.Series(classes), pd.Series(classes, dtype="Int64")):
        rows = read_rows(X, series)
        assert rows.y.tolist() == classes.tolist()
        assert rows.y.dtype == torch.int64


def test_arrays_of_float32_are_used_where_they_lie_and_others_are_cast_once():
    X, y = data()
    X32 = X.astype(np.float32)
    assert read_rows(X32, y).X.data_ptr() == X32.ctypes.data
    assert read_rows(X, y).X.dtype == torch.float32


def test_the_numbers_are_cast_to_the_type_of_the_module():
    X, y = data()
    net = module().double()
    history = train(net, X.astype(np.float32), y, epochs=1, X_val=X, y_val=y, sample_weight=y[:, 0])
    assert np.isfinite(history.train_loss).all()
    half = module().to(torch.bfloat16)
    assert np.isfinite(train(half, X, y, epochs=1, optimizer="sgd").train_loss).all()


# Datasets and DataLoaders -------------------------------------------------------------------


class Counted(Dataset):
    def __init__(self, X, y, *more):
        self.rows, self.asked = (X, y, *more), []

    def __len__(self):
        return len(self.rows[0])

    def __getitem__(self, i):
        self.asked.append(i)
        return tuple(a[i] for a in self.rows)


def test_a_dataset_is_asked_for_each_item_once():
    X, y = data()
    dataset, held_out = Counted(X, y), Counted(X, y)
    parameters = fit(dataset, X_val=held_out)
    assert dataset.asked == held_out.asked == list(range(N))
    assert same(parameters, fit(X, y, X_val=X, y_val=y))


def tensors():
    X, y = data()
    return torch.tensor(X), torch.tensor(y)


DATASETS = {
    "NumpyDataset": lambda X, y: NumpyDataset(X, y),
    "TensorDataset": lambda X, y: TensorDataset(torch.tensor(X), torch.tensor(y)),
    "Subset": lambda X, y: Subset(TensorDataset(*tensors()), range(N)),
    "Subset of the user's": lambda X, y: Subset(NumpyDataset(X, y), list(range(N))),
    "ConcatDataset": lambda X, y: ConcatDataset(
        [NumpyDataset(X[:20], y[:20]), NumpyDataset(X[20:], y[20:])]
    ),
    "items of NumPy": lambda X, y: Counted(X, y),
    "items of lists": lambda X, y: Counted(X.tolist(), y.tolist()),
}


@pytest.mark.parametrize("kind", DATASETS)
def test_each_dataset_gives_the_bits_of_its_arrays(kind):
    X, y = data()
    assert same(fit(DATASETS[kind](X, y)), fit(X, y))


def test_a_random_split_trains_on_its_own_rows():
    X, y = data()
    generator = torch.Generator().manual_seed(0)
    ours, others = random_split(NumpyDataset(X, y), [40, 20], generator=generator)
    rows = ours.indices
    assert same(
        fit(ours, X_val=others),
        fit(X[rows], y[rows], X_val=X[others.indices], y_val=y[others.indices]),
    )


def test_items_may_carry_a_weight():
    X, y = data()
    weight = np.linspace(0.5, 1.5, N)
    expected = fit(X, y, sample_weight=weight)
    assert same(fit(Counted(X, y, weight)), expected)
    assert same(fit(TensorDataset(*tensors(), torch.tensor(weight))), expected)


def test_items_that_begin_as_whole_numbers_lose_no_fraction_later():
    X, _ = data()
    y = [1, *[0.25] * (N - 1)]
    rows = read_rows(Counted(X, [[v] for v in y]))
    assert rows.y[:, 0].tolist() == y


def test_a_dataset_too_large_for_the_memory_is_read_in_batches_in_each_epoch():
    class Huge(Dataset):
        def __len__(self):
            return 10**15

        def __getitem__(self, i):
            return torch.ones(2), torch.ones(1)

    from linnet.data import Stream

    stream = read_rows(Huge(), batch_size=8)
    assert isinstance(stream, Stream)
    assert stream.loader.batch_size == 8


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_dataloader_decides_order_and_size_of_its_batches(dtype):
    X, y = (t.to(dtype) for t in tensors())
    loader = DataLoader(TensorDataset(X, y), batch_size=16)
    assert same(fit(loader), fit(X, y, batch_size=16, shuffle=False, engine="torch"))
    history = train(module(), loader, epochs=1)
    assert (history.batch_size, history.n_rows) == (16, N)


def test_a_shuffling_dataloader_follows_random_state_and_its_own_seed_does_not_matter():
    loader = DataLoader(TensorDataset(*tensors()), batch_size=16, shuffle=True)
    torch.manual_seed(1)
    first = fit(loader)
    torch.manual_seed(2)
    assert same(fit(loader), first)


def test_a_dataloader_over_a_stream_of_unknown_length_trains():
    class Endless(IterableDataset):
        def __iter__(self):
            return iter(list(zip(*tensors(), strict=True)))

    history = train(module(), DataLoader(Endless(), batch_size=16), epochs=2)
    assert history.n_epochs == 2


def test_weights_of_a_dataloader_are_used():
    weight = torch.linspace(0.5, 1.5, N).double()
    weight /= weight.mean()
    loader = DataLoader(TensorDataset(*tensors(), weight), batch_size=16)
    X, y = data()
    expected = fit(X, y, sample_weight=weight, batch_size=16, shuffle=False)
    assert all(torch.allclose(a, b) for a, b in zip(fit(loader), expected, strict=True))


# Modules, losses and optimizers -------------------------------------------------------------


def test_several_outputs():
    X, _ = data()
    net = module(2, 3)
    y = np.c_[X, X.sum(1)]
    assert train(net, X, y, epochs=60, optimizer="lbfgs").train_loss[-1] < 0.01


def test_images():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 1)
    )
    images = np.random.default_rng(0).normal(size=(33, 1, 8, 8))
    history = train(net, images, images.mean((2, 3)), epochs=3, batch_size=32)
    assert history.train_loss[-1] < history.train_loss[0]


def test_sequences_through_a_recurrent_network_and_a_loss_of_the_users():
    torch.manual_seed(0)
    net = nn.LSTM(3, 4, batch_first=True)
    X = np.random.default_rng(0).normal(size=(20, 5, 3))
    y = np.repeat(X.sum(2, keepdims=True), 4, axis=2)
    history = train(
        net,
        X,
        y,
        loss=lambda out, target: (out[0] - target).square().mean(),
        epochs=3,
        X_val=X,
        y_val=y,
    )
    assert history.train_loss[-1] < history.train_loss[0]


def test_whole_number_inputs_of_an_embedding_stay_whole():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(12, 1))
    X = np.random.default_rng(0).integers(10, size=(50, 3))
    y = X.sum(1, keepdims=True) / 10
    for given in (X, X.astype(np.int32), torch.tensor(X), pd.DataFrame(X)):
        assert np.isfinite(train(copy.deepcopy(net), given, y, epochs=1).train_loss).all()


def test_sparse_gradients_have_a_norm_too():
    net = nn.Sequential(nn.Embedding(10, 1, sparse=True), nn.Flatten())
    X = np.arange(10).reshape(-1, 1)
    optimizer = torch.optim.SparseAdam(net.parameters())
    history = train(net, X, X / 10, optimizer=optimizer, epochs=2)
    assert history.gradient_norm.min() > 0


def test_frozen_parameters_stay():
    X, y = data()
    for optimizer in ("adam", "sgd", "lbfgs", None):
        net = module()
        net[0].requires_grad_(False)
        frozen = copy.deepcopy(net[0].state_dict())
        last = net[2].weight.detach().clone()
        given = optimizer or torch.optim.Adam(net.parameters(), weight_decay=0.1)
        train(net, X, y, optimizer=given, epochs=2)
        assert all(torch.equal(frozen[k], v) for k, v in net[0].state_dict().items())
        assert not torch.equal(net[2].weight, last)


CLASS_WEIGHT = torch.tensor([1.0, 2.0, 0.5])


@pytest.mark.parametrize(
    "loss",
    ["log_loss", nn.CrossEntropyLoss(weight=CLASS_WEIGHT), nn.functional.cross_entropy],
    ids=["name", "with class weights", "function"],
)
@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "uint16"])
def test_classes_are_learnt_from_whole_numbers(loss, dtype):
    X, _ = data()
    y = ((X[:, 0] > 0).astype(int) + (X[:, 1] > 0)).astype(dtype)
    net = module(2, 3)
    history = train(net, X, y, loss=loss, optimizer="lbfgs", epochs=40, X_val=X, y_val=y)
    assert (net(torch.tensor(X).float()).argmax(1).numpy() == y).mean() > 0.95
    assert history.train_loss[-1] < 0.2


@pytest.mark.parametrize("loss", ["binary_log_loss", nn.BCEWithLogitsLoss(), nn.HuberLoss()])
@pytest.mark.parametrize("dtype", ["bool", "int64", "float64"])
def test_two_classes_may_be_booleans_whole_or_floating_numbers(loss, dtype):
    X, _ = data()
    y = (X[:, :1] > 0).astype(dtype)
    history = train(module(), X, y, loss=loss, optimizer="lbfgs", epochs=20)
    assert history.train_loss[-1] < 0.1


def test_boolean_classes_are_numbered():
    X, _ = data()
    history = train(module(2, 2), X, X[:, 0] > 0, loss="log_loss", optimizer="lbfgs", epochs=20)
    assert history.train_loss[-1] < 0.1


@pytest.mark.parametrize("dtype", ["int64", "bool"])
@pytest.mark.parametrize(
    "loss", ["squared_error", "absolute_error", "huber", "poisson", nn.MSELoss(), nn.L1Loss()]
)
def test_whole_number_targets_of_a_regression_are_its_floating_numbers(loss, dtype):
    X, y = data()
    assert same(fit(X, (y > 1).astype(dtype), loss=loss), fit(X, (y > 1) * 1.0, loss=loss))


def test_an_optimizer_may_be_a_class_a_name_or_an_instance():
    X, y = data()
    net = module()
    train(net, X, y, optimizer=torch.optim.NAdam(net.parameters()), epochs=2, random_state=0)
    assert same(fit(X, y, optimizer=torch.optim.NAdam), [p.detach() for p in net.parameters()])
    assert same(fit(X, y, optimizer="nadam"), fit(X, y, optimizer=torch.optim.NAdam))


def test_weights_of_rows_count_by_their_ratios_only():
    X, y = data()
    weight = np.linspace(1, 3, N)
    expected = fit(X, y, sample_weight=weight)
    for scaled in (weight * 8, (weight * 4).tolist(), pd.Series(weight * 2)):
        assert same(fit(X, y, sample_weight=scaled), expected)
    assert same(fit(X, y, sample_weight=np.full(N, 7)), fit(X, y, sample_weight=np.ones(N)))


def test_rows_of_weight_zero_teach_nothing():
    X, y = data()
    wrong = y.copy()
    wrong[::2] = 1e6
    weight = np.arange(N) % 2
    assert same(fit(X, y, sample_weight=weight), fit(X, wrong, sample_weight=weight))


def test_sparse_matrices_and_objects_that_are_numbers_train_as_arrays_do():
    X, y = np.eye(8, 3), np.arange(8.0).reshape(-1, 1)
    results = []
    sparse = scipy.sparse.csr_matrix(X)
    for values in (X, sparse, sparse.todok(), torch.tensor(X).to_sparse(), X.astype(object)):
        net = nn.Linear(3, 1)
        net.weight.data.zero_(), net.bias.data.zero_()
        train(net, values, y, epochs=2, random_state=0)
        results.append(net.weight.detach())
    assert all(torch.equal(results[0], other) for other in results)
