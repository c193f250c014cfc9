"""Bad input: one clear sentence with the remedy, and nothing trained."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset
from tutorial_code import FeedForwardNN

from linnet import MLPRegressor
from linnet.solvers import SOLVERS
from linnet.training import TrainingState, train

N = 50
X = np.random.default_rng(0).normal(size=(N, 3))
Y = X[:, :1] * 2
CLASSES = np.arange(N) % 3


def module(n_outputs=1):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, n_outputs))


def sentence(kind, *args, net=None, **options):
    """The message of the error, after which the module is as it was."""
    net = module() if net is None else net
    state = net.state_dict() if isinstance(net, nn.Module) else {}
    state = {name: value.clone() for name, value in state.items()}
    with pytest.raises(kind) as error:
        train(net, *args, **({"epochs": 2} | options))
    assert all(torch.equal(net.state_dict()[k], v) for k, v in state.items())
    return str(error.value)


def with_value(array, value, *position):
    array = array.copy()
    array[position] = value
    return array


FILL = (
    "Remove these rows, fill in finite numbers, or use MLPRegressor or MLPClassifier with a data "
    "frame, whose missing numbers they fill in."
)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_counted_and_placed(value):
    wrong = with_value(with_value(X, value, 7, 2), value, 9, 0)
    assert sentence(ValueError, wrong, Y) == (
        "X has 2 numbers that are NaN or infinite; the first is in row 7, column 2 (counted from "
        f"0). {FILL}"
    )
    assert sentence(ValueError, X, with_value(Y[:, 0], value, 4)) == (
        f"y has 1 number that is NaN or infinite; the first is in row 4 (counted from 0). {FILL}"
    )
    assert sentence(ValueError, X, Y, X_val=wrong, y_val=Y).startswith("X_val has 2 numbers")
    assert sentence(ValueError, X, Y, X_val=X, y_val=with_value(Y, value, 0, 0)).startswith("y_val")
    weight = with_value(np.ones(N), value, 3)
    assert sentence(ValueError, X, Y, sample_weight=weight).startswith("sample_weight has 1 number")
    assert sentence(ValueError, pd.DataFrame(wrong), Y).startswith("X has 2 numbers")
    assert sentence(ValueError, np.ma.masked_invalid(wrong), Y).startswith("X has 2 numbers")
    images = with_value(np.zeros((4, 1, 2, 2)), value, 1, 0, 1, 0)
    assert sentence(ValueError, images, Y[:4]) == (
        "X has 1 number that is NaN or infinite; the first is in place (1, 0, 1, 0) "
        f"(counted from 0). {FILL}"
    )


def test_numbers_too_large_for_the_module():
    assert sentence(ValueError, with_value(X, 1e300, 1, 1), Y) == (
        "X has 1 number that is beyond the range of float32; the first is in row 1, column 1 "
        "(counted from 0). Divide them by a number of their size, or give a module in float64."
    )
    assert train(module().double(), with_value(X, 1e30, 1, 1), Y, epochs=1).n_epochs == 1


def test_lengths_that_differ():
    assert sentence(ValueError, X, Y[:-1]) == (
        "X has 50 rows and y 49: each row of X needs one of y. Give both with the same number of "
        "rows."
    )
    assert sentence(ValueError, X, Y, X_val=X[:9], y_val=Y[:8]) == (
        "X_val has 9 rows and y_val 8: each row of X_val needs one of y_val. Give both with the "
        "same number of rows."
    )


def test_no_rows():
    assert sentence(ValueError, X[:0], Y[:0]) == "X has no rows. Give at least one."
    empty = TensorDataset(torch.zeros(0, 3), torch.zeros(0, 1))
    assert sentence(ValueError, empty) == "X has no rows. Give at least one."

    class Empty(Dataset):
        def __len__(self):
            return 0

    assert sentence(ValueError, Empty()) == "The Dataset has no items. Give at least one."
    assert sentence(ValueError, DataLoader(empty)) == (
        "The DataLoader gives no batches. Give one whose dataset has items."
    )


SPREAD = "they must be equal, for torch would spread them over each other or fail."


@pytest.mark.parametrize("validation", [False, True])
@pytest.mark.parametrize(
    ("net", "y", "told"),
    [
        (
            module(),
            Y[:, 0],
            f"output has shape (32, 1) and the target (32,): {SPREAD} Give the targets as a column:"
            " y.reshape(-1, 1).",
        ),
        (
            nn.Sequential(module(), nn.Flatten(0)),
            Y,
            f"output has shape (32,) and the target (32, 1): {SPREAD} Let forward return a column: "
            "leave out the squeeze or flatten at its end.",
        ),
        (
            module(2),
            X,
            f"output has shape (32, 2) and the target (32, 3): {SPREAD} Let the module end with 3 "
            "output(s).",
        ),
    ],
)
def test_shapes_never_spread(net, y, told, validation):
    if validation:  # told before anything is trained, not after the first epoch
        right = net(torch.tensor(X).float()).detach()
        assert sentence(ValueError, X, right, X_val=X, y_val=y, net=net) == f"The module's {told}"
    else:
        assert sentence(ValueError, X, y, net=net) == f"The module's {told}"


def test_shapes_never_spread_in_the_batches_of_a_dataloader():
    rows = TensorDataset(torch.tensor(X).float(), torch.tensor(Y[:, 0]).float())
    assert sentence(ValueError, DataLoader(rows, batch_size=32)).startswith(
        "The module's output has shape (32, 1) and the target (32,)"
    )


def test_class_targets():
    net = module(3)
    assert sentence(ValueError, X, CLASSES.reshape(-1, 1), loss="log_loss", net=net) == (
        "The module's output has shape (32, 3) and the target (32, 1): log_loss needs outputs (B, "
        "number of classes) and class numbers (B,). Let the module end with one output for each "
        "class, and give the targets as whole numbers of shape (N,), for instance y.ravel()."
    )
    assert sentence(ValueError, X, CLASSES * 1.0, loss=nn.CrossEntropyLoss(), net=net) == (
        "y holds floating numbers where CrossEntropyLoss needs class numbers. Give whole numbers "
        "of shape (N,): y.astype(int)."
    )
    remedy = (
        "log_loss needs one output for each class, and classes numbered from 0. Let the module end "
        "with as many outputs as there are classes; number them by np.unique({}, "
        "return_inverse=True)[1]."
    )
    assert sentence(ValueError, X, CLASSES + 1, loss="log_loss", net=net) == (
        "y holds class numbers from 1 to 3, and the module has 3 output(s): " + remedy.format("y")
    )
    assert sentence(ValueError, X, CLASSES > 0, loss="log_loss", net=module(1)) == (
        "y holds class numbers from 0 to 1, and the module has 1 output(s): " + remedy.format("y")
    )
    held_out = {"X_val": X, "y_val": CLASSES - 1}
    assert sentence(ValueError, X, CLASSES, loss="log_loss", net=net, **held_out) == (
        "y_val holds class numbers from -1 to 1, and the module has 3 output(s): "
        + remedy.format("y_val")
    )


def test_classes_out_of_range_in_a_dataloader_are_told_too():
    rows = TensorDataset(torch.tensor(X).float(), torch.full((N,), 3))
    told = sentence(ValueError, DataLoader(rows), loss="log_loss", net=module(3))
    assert told.startswith("The target holds class numbers from 3 to 3, and the module has 3")


def test_targets_for_which_the_loss_has_no_meaning():
    assert sentence(ValueError, X, np.tile([[1.0], [2.0]], (25, 1)), loss="binary_log_loss") == (
        "y goes from 1 to 2; targets of binary_log_loss have to be from 0 to 1. Encode them so, or "
        "choose another loss."
    )
    assert sentence(ValueError, X, np.tile([[-1.0], [2.0]], (25, 1)), loss="poisson") == (
        "y goes from -1 to 2; targets of poisson have to be 0 or more. Encode them so, or choose "
        "another loss."
    )


def test_inputs_that_the_module_cannot_take():
    assert sentence(ValueError, X[:, :2], Y) == (
        "The module cannot take X of shape (50, 2) in batches of 32: mat1 and mat2 shapes cannot "
        "be multiplied (32x2 and 3x8). Give X the shape and type that the module's first layer "
        "needs, or change that layer."
    )
    assert sentence(ValueError, X, Y, X_val=X[:9, :2], y_val=Y[:9]).startswith(
        "The module cannot take X_val of shape (9, 2) in batches of 9: mat1 and mat2"
    )


def test_batch_norm_cannot_tell_a_variance_from_one_row():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    for batch_size in (7, 1):
        assert sentence(ValueError, X, Y, net=net, batch_size=batch_size) == (
            f"50 rows in batches of {batch_size} leave a last batch of one row, from which "
            "BatchNorm cannot tell a variance. Change batch_size by one, or leave out a row."
        )
    assert sentence(ValueError, X[:1], Y[:1], net=net).startswith("1 rows in batches of 1 leave")
    assert train(net, X, Y, epochs=1, batch_size=8).n_epochs == 1


def test_a_batch_larger_than_the_rows_is_clipped_with_a_note():
    history = train(module(), X, Y, epochs=1, batch_size=1000)
    assert history.batch_size == 50
    assert history.notes == ["batch_size=1000 is more than the 50 training rows: taken as 50."]


def test_validation_is_given_whole():
    assert sentence(ValueError, X, Y, y_val=Y) == (
        "y_val is given without X_val: give both, or neither."
    )
    assert sentence(ValueError, X, Y, sample_weight_val=np.ones(N)) == (
        "sample_weight_val is given without X_val: give both, or neither."
    )
    assert sentence(TypeError, X, Y, X_val=X) == (
        "y_val is missing: give both X_val and y_val, or a Dataset whose items are (input, target) "
        "as X_val."
    )


def test_targets_that_are_missing_or_given_twice():
    assert sentence(TypeError, X) == (
        "y is missing: give train(module, X, y), or a Dataset whose items are (input, target) as X."
    )
    dataset = TensorDataset(torch.tensor(X), torch.tensor(Y))
    for source in (dataset, DataLoader(dataset)):
        assert sentence(ValueError, source, Y) == (
            "X is a Dataset or DataLoader, which gives the targets itself. Leave y and "
            "sample_weight out; for weights let its items be (input, target, weight)."
        )


def test_datasets_whose_items_are_no_rows():
    class Items(Dataset):
        def __init__(self, *items):
            self.items = items

        def __len__(self):
            return len(self.items)

        def __getitem__(self, i):
            return self.items[i]

    class Stream(IterableDataset):
        def __iter__(self):
            return iter([])

    x, y = torch.zeros(3), torch.zeros(1)
    remedy = "items have to be (input, target) or (input, target, weight)."
    assert sentence(TypeError, Items(x)) == f"The Dataset gives Tensor; {remedy}"
    assert sentence(TypeError, Items((x,))) == f"The Dataset gives 1 values; {remedy}"
    assert sentence(TypeError, Items({"x": x})) == f"The Dataset gives dict; {remedy}"
    assert sentence(TypeError, DataLoader(TensorDataset(torch.zeros(4, 3)))) == (
        f"The DataLoader gives 1 values; {remedy}"
    )
    assert sentence(ValueError, Items((x, y), (x[:2], y))) == (
        "The Dataset's item 1 has the shapes (2,) and (1,) and item 0 (3,) and (1,): items of one "
        "shape make rows. Pad or crop them, or give a DataLoader whose collate_fn does."
    )
    assert sentence(TypeError, Stream()) == (
        "X is an IterableDataset, which has no length. Give DataLoader(Stream(...), "
        "batch_size=...): it is asked for its batches in each epoch."
    )


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.array([["a"]] * N), "text"),
        (np.array([[len]] * N), "objects"),
        (np.array([["2024-01-01"]] * N, dtype="datetime64[D]"), "dates"),
        (np.ones((N, 3), complex), "complex numbers"),
        (torch.ones(N, 3, dtype=torch.complex64), "complex numbers"),
        (pd.DataFrame({"a": ["x"] * N}), "objects"),
    ],
)
def test_text_dates_and_objects_are_no_numbers(values, kind):
    assert sentence(TypeError, values, Y) == (
        f"X holds {kind} where numbers are needed. Give numbers, or use MLPRegressor or "
        "MLPClassifier, which encode categories, booleans and dates."
    )


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (None, "X is missing. Give a NumPy array, a tensor or a data frame."),
        ({"a": [1.0]}, "X is a dict. Give a data frame, such as pandas.DataFrame(X), or an array."),
        (
            "table.csv",
            "X is a str. Give what the file holds, such as linnet.read_table(X) or numpy.load(X).",
        ),
        ((row for row in X), "X is a generator. Give numpy.array(list(X))."),
        ({1.0, 2.0}, "X is a set. Give numpy.array(list(X))."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_holds_no_rows_is_named(values, told):
    assert sentence(TypeError, values, Y) == told
    assert sentence(TypeError, values) == told
    with pytest.raises(TypeError) as fault:
        MLPRegressor().fit(values, Y)
    assert str(fault.value) == told


def test_rows_of_different_lengths_and_missing_numbers_among_objects():
    assert sentence(ValueError, [[1.0, 2.0], [3.0]], Y) == (
        "X has rows of different lengths. Give rows of one length, or a DataLoader whose "
        "collate_fn makes them so."
    )
    objects = X.astype(object)
    objects[3, 1] = None
    assert sentence(ValueError, objects, Y).startswith(
        "X has 1 number that is NaN or infinite; the first is in row 3, column 1 (counted from 0)."
    )


def test_one_number_a_row_has_to_be_a_column():
    assert sentence(ValueError, X[:, 0], Y) == (
        "The module cannot take X of shape (50,) in batches of 32: mat1 and mat2 shapes cannot be "
        "multiplied (1x32 and 3x8). Give X as a column if a row is one number, X.reshape(-1, 1), "
        "or change that layer."
    )


class Silent(nn.Linear):
    def forward(self, x):
        raise IndexError


def test_a_module_whose_error_says_nothing_is_told_all_the_same():
    assert sentence(ValueError, X, Y, net=Silent(3, 1)) == (
        "The module cannot take X of shape (50, 3) in batches of 32: IndexError. Give X the shape "
        "and type that the module's first layer needs, or change that layer."
    )


def test_a_loss_that_gives_no_tensor_or_one_without_a_gradient():
    assert sentence(TypeError, X, Y, loss=lambda outputs, target: 1.0) == (
        "The loss <lambda> gives a float; it has to give a tensor that torch's functions compute "
        "from the module's output."
    )
    assert sentence(ValueError, X, Y, loss=lambda outputs, target: outputs.detach().mean()) == (
        "The loss <lambda> does not depend on the module's parameters. Compute it from the "
        "module's output by torch's functions, without detach, numpy or no_grad on the way, in "
        "forward too."
    )
    # The user's own no_grad around the training is no fault of the loss.
    with torch.no_grad():
        assert train(nn.Linear(3, 1), X, Y, epochs=1, engine="torch").n_epochs == 1


def test_a_module_that_gives_whole_numbers():
    class Rounded(nn.Linear):
        def forward(self, x):
            return super().forward(x).long()

    assert sentence(ValueError, X, Y, net=Rounded(3, 1)) == (
        "The module's output is of type torch.int64, which the loss squared_error cannot take. "
        "Return floating numbers, without .long() or argmax at the end."
    )


def test_weights_out_of_range():
    assert sentence(ValueError, X, Y, sample_weight=np.ones((N, 1))) == (
        "sample_weight has shape (50, 1); it has to be (50,), one number a row."
    )
    for least in (-1.0, 0.0):
        assert sentence(ValueError, X, Y, sample_weight=np.full(N, least)) == (
            f"sample_weight has a least value of {least:g} and a greatest of {least:g}: weights "
            "are 0 or more, and at least one is above 0."
        )


def test_weights_need_a_loss_of_rows():
    told = sentence(
        ValueError, X, Y, sample_weight=np.ones(N), loss=lambda p, t: (p - t).abs().mean()
    )
    assert told == (
        "The loss <lambda> gives a value of shape () for 32 rows; with sample_weight it has to "
        "give one value a row, shape (B,). Return the row losses without averaging, or leave "
        "sample_weight out."
    )


def test_every_parameter_out_of_range_is_told_at_once():
    assert sentence(
        ValueError,
        X,
        Y,
        epochs=-1,
        batch_size=0,
        tol=np.nan,
        patience=1.5,
        clip_grad_norm=0,
        max_time=-1,
        n_threads=True,
    ) == (
        "epochs=-1 has to be a whole number of 0 or more; batch_size=0 has to be a whole number of "
        "1 or more; tol=nan has to be a number of 0 or more; patience=1.5 has to be a whole number "
        "of 1 or more, or None; clip_grad_norm=0 has to be above 0, or None; max_time=-1 has to be "
        "seconds, 0 or more, or None; n_threads=True has to be 1 or more, or None."
    )


def test_a_class_where_an_instance_is_needed():
    assert sentence(TypeError, X, Y, net=FeedForwardNN) == (
        "module=FeedForwardNN is a class; give an instance of it: FeedForwardNN(...)."
    )
    assert sentence(TypeError, X, Y, loss=nn.MSELoss) == (
        "loss=MSELoss is a class; give an instance of it: loss=MSELoss()."
    )
    assert sentence(TypeError, X, Y, net="mlp") == (
        "module='mlp' is no torch.nn.Module. Give one, such as nn.Sequential(...) or "
        "linnet.network.mlp(n_inputs, (64, 64), n_outputs)."
    )


def test_a_mistyped_name_is_answered_with_the_nearest():
    assert sentence(ValueError, X, Y, optimizer="adma") == (
        "optimizer='adma' is not known, did you mean 'adam'? Allowed are "
        + ", ".join(map(repr, SOLVERS))
        + "."
    )
    assert sentence(ValueError, X, Y, scheduler_step="batches") == (
        "scheduler_step='batches' is not known, did you mean 'batch'? Allowed are 'epoch', 'batch'."
    )
    assert sentence(ValueError, X, Y, loss="mse").startswith("loss='mse' is not known")
    assert sentence(ValueError, X, Y, engine="tpu").startswith("engine='tpu' is not known")
    assert sentence(ValueError, X, Y, device="gpu").startswith("device='gpu' is not known")


def test_an_optimizer_that_trains_something_else():
    told = (
        "The optimizer holds none of the module's parameters, so nothing would be trained. Make it "
        "from this module: torch.optim.Adam(module.parameters())."
    )
    assert sentence(ValueError, X, Y, optimizer=torch.optim.Adam(module().parameters())) == told
    assert sentence(TypeError, X, Y, optimizer=3).startswith("optimizer=3 is neither a name nor")


def test_a_module_with_nothing_to_train():
    net = module().requires_grad_(False)
    told = (
        "The module has no parameters to train. Give one with layers such as nn.Linear, and with "
        "requires_grad=True."
    )
    assert sentence(ValueError, X, Y, net=net) == told
    assert sentence(ValueError, X, X, net=nn.Identity()) == told


def test_schedulers_that_would_do_nothing():
    other = torch.optim.SGD(module().parameters(), lr=0.1)
    assert sentence(ValueError, X, Y, scheduler=StepLR(other, 2)) == (
        "The scheduler belongs to another optimizer than the one that trains, so it would change "
        "nothing. Make it from the optimizer that you give, or give a callable: "
        "scheduler=lambda optimizer: StepLR(optimizer, ...)."
    )
    assert sentence(ValueError, X, Y, scheduler=ReduceLROnPlateau, scheduler_step="batch") == (
        "ReduceLROnPlateau needs the loss of a whole epoch, so scheduler_step='batch' is not "
        "allowed with it. Write scheduler_step='epoch'."
    )
    assert sentence(TypeError, X, Y, scheduler=0.5) == (
        "scheduler=0.5 has no step method. Give one of torch.optim.lr_scheduler's over your "
        "optimizer, or a callable that makes one from the optimizer."
    )


def test_things_that_are_no_callback_and_no_state():
    assert sentence(TypeError, X, Y, on_epoch=5) == (
        "on_epoch=5 cannot be called. Give a function of the history, such as "
        "on_epoch=lambda history: history.train_loss[-1] < 0.01."
    )
    assert sentence(TypeError, X, Y, state=TrainingState) == (
        f"state={TrainingState!r} is no TrainingState. Write state = "
        "linnet.training.TrainingState() before the first call, and give it to each."
    )


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "seven", True])
def test_seeds_out_of_range(seed):
    assert sentence(ValueError, X, Y, random_state=seed) == (
        f"random_state={seed!r} is not allowed: give a whole number from 0 to 2**32 - 1, a numpy "
        "RandomState or Generator, a torch.Generator, or None."
    )


def test_an_error_leaves_a_state_that_can_be_used_again():
    net, state = module(), TrainingState()
    for _ in range(2):
        with pytest.raises(ValueError, match="y has 1 number"):
            train(net, X, with_value(Y, np.nan, 0, 0), state=state)
    history = train(net, X, Y, epochs=2, state=state)
    with pytest.raises(ValueError, match="y has 1 number"):
        train(net, X, with_value(Y, np.nan, 0, 0), state=state)
    assert train(net, X, Y, epochs=2, state=state) is history
    assert history.n_epochs == 4


def test_flags_that_are_neither_true_nor_false():
    assert sentence(ValueError, X, Y, shuffle="no", progress=1) == (
        "shuffle='no' has to be True or False; progress=1 has to be True or False."
    )


def test_a_gradient_clipped_to_nothing():
    assert sentence(ValueError, X, Y, clip_grad_value=0) == (
        "clip_grad_value=0 has to be above 0, or None."
    )
