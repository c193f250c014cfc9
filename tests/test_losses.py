"""Losses: values tied to torch, SciPy and scikit-learn; weights tied to repeated rows."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import scipy.special
import torch
from sklearn import metrics
from torch import nn
from torch.nn import functional as F

from linnet import losses
from linnet.losses import LOSSES, PoissonLoss, QuantileLoss, resolve

B, K = 12, 3


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def classes(seed=2):
    return torch.randint(K, (B,), generator=torch.Generator().manual_seed(seed))


def outputs_of(loss):
    return random(B, 2 * K if loss.compares == "moments" else K)


def target_of(loss):
    name = loss.name
    if loss.compares == "classes":
        return classes()
    if "binary" in name or "BCE" in name:
        return (random(B, K, seed=1) > 0).double()
    if "KLDiv" in name:
        return torch.softmax(random(B, K, seed=1), 1)
    return random(B, K, seed=1).abs() if "oisson" in name else random(B, K, seed=1)


CLASS_WEIGHT = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
TORCH_LOSSES = [
    nn.MSELoss(),
    nn.MSELoss(reduction="sum"),
    nn.MSELoss(reduction="none"),
    nn.L1Loss(),
    nn.HuberLoss(delta=0.3),
    nn.SmoothL1Loss(beta=0.3),
    nn.CrossEntropyLoss(),
    nn.CrossEntropyLoss(label_smoothing=0.2),
    nn.CrossEntropyLoss(weight=CLASS_WEIGHT),
    nn.CrossEntropyLoss(weight=CLASS_WEIGHT, label_smoothing=0.2),
    nn.CrossEntropyLoss(weight=CLASS_WEIGHT, ignore_index=0),
    nn.CrossEntropyLoss(weight=CLASS_WEIGHT, reduction="sum"),
    nn.NLLLoss(weight=CLASS_WEIGHT),
    nn.MultiMarginLoss(weight=CLASS_WEIGHT),
    nn.BCEWithLogitsLoss(),
    nn.BCEWithLogitsLoss(pos_weight=CLASS_WEIGHT),
    nn.PoissonNLLLoss(),
    nn.KLDivLoss(reduction="batchmean"),
    nn.SoftMarginLoss(),
    QuantileLoss(0.9),
    PoissonLoss(reduction="sum"),
]
FUNCTIONS = [F.mse_loss, F.l1_loss, F.huber_loss, F.cross_entropy, F.nll_loss]
EVERY = [*LOSSES, *TORCH_LOSSES, *FUNCTIONS]


def label(loss):
    return loss if isinstance(loss, str) else getattr(loss, "__name__", repr(loss))


@pytest.mark.parametrize("given", EVERY, ids=label)
def test_whole_number_weights_are_repeated_rows_in_loss_and_gradient(given):
    loss = resolve(given)
    target = target_of(loss)
    times = torch.tensor([1, 2, 0, 3, 1, 1, 2, 1, 0, 5, 1, 1])
    outputs = outputs_of(loss).requires_grad_()
    repeated = outputs.detach().clone().requires_grad_()
    weighted_loss = loss(outputs, target, times / times.double().mean())
    plain_loss = loss(repeated.repeat_interleave(times, 0), target.repeat_interleave(times, 0))
    scale = B / int(times.sum()) if loss.is_sum else 1.0  # weights of mean 1 keep a sum's size
    weighted_loss.backward()
    plain_loss.backward()
    torch.testing.assert_close(weighted_loss, plain_loss * scale)
    torch.testing.assert_close(outputs.grad, repeated.grad * scale)


@pytest.mark.parametrize("given", EVERY, ids=label)
def test_equal_weights_change_nothing(given):
    loss = resolve(given)
    outputs, target = outputs_of(loss), target_of(loss)
    torch.testing.assert_close(
        loss(outputs, target, torch.ones(B, dtype=torch.float64)), loss(outputs, target)
    )


@pytest.mark.parametrize("given", [*TORCH_LOSSES, *FUNCTIONS], ids=label)
def test_a_loss_of_torch_is_used_as_it_is(given):
    loss = resolve(given)
    outputs, target = random(B, K), target_of(loss)
    assert torch.equal(loss(outputs, target), given(outputs, target).mean())


@pytest.mark.parametrize("given", EVERY, ids=label)
def test_every_gradient_is_that_of_finite_differences(given):
    loss = resolve(given)
    outputs = outputs_of(loss).requires_grad_()
    weight = torch.rand(B, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda o: loss(o, target_of(loss), weight), outputs)


def test_a_batch_whose_rows_all_weigh_nothing_has_loss_zero():
    loss = resolve(nn.CrossEntropyLoss(weight=CLASS_WEIGHT))
    outputs = random(B, K).requires_grad_()
    value = loss(outputs, classes(), torch.zeros(B, dtype=torch.float64))
    value.backward()
    assert value.item() == 0
    assert not outputs.grad.any()


def test_pixels_with_class_weights_and_row_weights_are_repeated_rows():
    loss = resolve(nn.CrossEntropyLoss(weight=CLASS_WEIGHT))
    outputs = random(4, K, 5, 5)
    target = torch.randint(K, (4, 5, 5), generator=torch.Generator().manual_seed(0))
    times = torch.tensor([1, 0, 2, 1])
    expected = loss(outputs.repeat_interleave(times, 0), target.repeat_interleave(times, 0))
    torch.testing.assert_close(loss(outputs, target, times.double()), expected)


def test_quantile_loss_is_scikit_learns_pinball_loss():
    outputs, target = random(B, 1), random(B, 1, seed=1)
    for q in (0.05, 0.5, 0.9):
        expected = metrics.mean_pinball_loss(target, outputs, alpha=q)
        assert float(resolve("quantile", quantile=q)(outputs, target)) == pytest.approx(expected)


def test_poisson_loss_is_half_of_scikit_learns_deviance():
    outputs = random(B, 1)
    target = torch.poisson(outputs.exp() * 2, generator=torch.Generator().manual_seed(0))
    expected = metrics.mean_poisson_deviance(target, outputs.exp()) / 2
    assert float(resolve("poisson")(outputs, target)) == pytest.approx(expected)


def test_gaussian_loss_is_torchs_with_its_constant():
    outputs, target = random(B, 2 * K), random(B, K, seed=1)
    mean, log_variance = outputs.chunk(2, dim=1)
    expected = nn.GaussianNLLLoss(full=True, eps=0.0)(mean, target, log_variance.exp())
    torch.testing.assert_close(resolve("gaussian")(outputs, target), expected)
    torch.testing.assert_close(resolve("gaussian").link(outputs), mean)


def test_gaussian_loss_needs_two_outputs_for_each_target():
    with pytest.raises(ValueError) as error:
        resolve("gaussian")(random(B, 1), random(B, 1))
    assert str(error.value) == (
        "The module's output has shape (12, 1) and the target (12, 1): gaussian needs targets "
        "(B, K) and outputs (B, 2 K), K means and then K logarithms of variances. Let the module "
        "end with 2 outputs."
    )


def test_log_losses_are_scikit_learns():
    outputs = random(B, K)
    probabilities = scipy.special.softmax(outputs.numpy(), axis=1)
    assert float(resolve("log_loss")(outputs, classes())) == pytest.approx(
        metrics.log_loss(classes(), probabilities, labels=range(K))
    )
    labels = (outputs[:, :1] + random(B, 1, seed=5) > 0).double()
    p = scipy.special.expit(outputs[:, :1].numpy())
    assert float(resolve("binary_log_loss")(outputs[:, :1], labels)) == pytest.approx(
        metrics.log_loss(labels.ravel(), p.ravel())
    )


def test_links_map_outputs_to_predictions():
    outputs = random(B, K)
    assert torch.equal(resolve("squared_error").link(outputs), outputs)
    torch.testing.assert_close(resolve("poisson").link(outputs), outputs.exp())
    torch.testing.assert_close(resolve("log_loss").link(outputs).sum(1), torch.ones(B).double())
    torch.testing.assert_close(
        resolve(nn.BCEWithLogitsLoss()).link(outputs), 1 / (1 + (-outputs).exp())
    )


@pytest.mark.parametrize("name", LOSSES)
def test_losses_can_be_copied_and_pickled(name):
    loss = resolve(name)
    outputs, target = outputs_of(loss), target_of(loss)
    for other in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert torch.equal(other(outputs, target), loss(outputs, target))


def test_a_loss_resolves_to_itself():
    loss = resolve("huber", delta=0.5)
    assert resolve(loss) is loss
    assert loss.function.delta == 0.5


def test_any_callable_is_a_loss():
    loss = resolve(lambda prediction, target: (prediction - target).abs().mean())
    assert loss.name == "<lambda>"
    assert float(loss(torch.ones(3, 1), torch.zeros(3, 1))) == 1
    by_row = resolve(lambda prediction, target: (prediction - target).abs())
    assert float(by_row(torch.ones(2, 1), torch.zeros(2, 1), torch.tensor([0.5, 2.5]))) == 1.5


def test_a_subclass_of_a_torch_loss_keeps_what_it_compares():
    class Focal(nn.CrossEntropyLoss):
        def forward(self, outputs, target):
            return super().forward(outputs, target) * 2

    loss = resolve(Focal())
    assert (loss.name, loss.compares) == ("Focal", "classes")
    assert torch.equal(loss(random(B, K), classes()), 2 * F.cross_entropy(random(B, K), classes()))


def test_a_loss_derived_from_torchs_abstract_class_decides_itself_what_it_compares():
    class Own(nn.modules.loss._WeightedLoss):
        def forward(self, outputs, target):
            return F.cross_entropy(outputs, target)

    assert resolve(Own()).compares == "anything"
    assert float(resolve(Own())(random(B, K), classes())) > 0


def test_targets_are_compared_in_the_type_of_the_outputs():
    outputs = random(B, 1).float()
    for target in (torch.ones(B, 1, dtype=torch.int64), torch.ones(B, 1, dtype=torch.bool)):
        assert torch.equal(
            resolve("squared_error")(outputs, target), F.mse_loss(outputs, torch.ones(B, 1))
        )
        read = resolve("binary_log_loss").read_targets(outputs, target)
        assert read.dtype == torch.float32
    assert resolve("log_loss").read_targets(random(B, K), classes().bool()).dtype == torch.int64


def test_probabilities_of_classes_may_be_whole_numbers():
    one_hot = F.one_hot(classes(), K)
    read = resolve("log_loss").read_targets(random(B, K), one_hot)
    torch.testing.assert_close(
        resolve("log_loss")(random(B, K), read), F.cross_entropy(random(B, K), classes())
    )


def test_weights_for_a_callable_that_averages_are_answered_with_the_remedy():
    loss = resolve(lambda prediction, target: (prediction - target).abs().mean())
    with pytest.raises(ValueError) as error:
        loss(torch.ones(3, 1), torch.zeros(3, 1), torch.ones(3))
    assert str(error.value) == (
        "The loss <lambda> gives a value of shape () for 3 rows; with sample_weight it has to give "
        "one value a row, shape (B,). Return the row losses without averaging, or leave "
        "sample_weight out."
    )


SPREAD = "they must be equal, for torch would spread them over each other or fail."


@pytest.mark.parametrize(
    ("outputs", "target", "remedy"),
    [
        ((4, 1), (4,), "Give the targets as a column: y.reshape(-1, 1)."),
        (
            (4,),
            (4, 1),
            "Let forward return a column: leave out the squeeze or flatten at its end.",
        ),
        ((4, 3), (4, 2), "Let the module end with 2 output(s)."),
        (
            (4, 3),
            (4,),
            "Let the module end with 1 output, and give the targets as y.reshape(-1, 1).",
        ),
        ((4, 1), (4, 4), "Let the module end with 4 output(s)."),
    ],
)
@pytest.mark.parametrize("name", [n for n in LOSSES if LOSSES[n][2] == "values"])
def test_shapes_never_spread(name, outputs, target, remedy):
    with pytest.raises(ValueError) as error:
        resolve(name)(torch.zeros(outputs), torch.zeros(target))
    assert str(error.value) == (
        f"The module's output has shape {outputs} and the target {target}: {SPREAD} {remedy}"
    )


def test_the_trap_of_two_shapes_is_told_for_a_callable_too():
    with pytest.raises(ValueError) as error:
        resolve(lambda p, t: ((p - t) ** 2).mean())(torch.zeros(4, 1), torch.zeros(4))
    assert str(error.value) == (
        f"The module's output has shape (4, 1) and the target (4,): {SPREAD} "
        "Give the targets as a column: y.reshape(-1, 1)."
    )


def test_a_module_that_returns_a_tuple_needs_a_loss_of_its_own():
    with pytest.raises(ValueError) as error:
        resolve("squared_error")((torch.zeros(2, 1), None), torch.zeros(2, 1))
    assert str(error.value) == (
        "The module returns a tuple; the loss squared_error needs one tensor. Return a tensor from "
        "forward, or give a loss of your own: loss=lambda outputs, target: ..."
    )
    own = resolve(lambda outputs, target: F.mse_loss(outputs[0], target))
    assert float(own((torch.zeros(2, 1), None), torch.ones(2, 1))) == 1


def test_class_targets_of_a_wrong_shape():
    with pytest.raises(ValueError) as error:
        resolve("log_loss")(torch.zeros(4, 3), torch.zeros(4, 1, dtype=torch.int64))
    assert str(error.value) == (
        "The module's output has shape (4, 3) and the target (4, 1): log_loss needs outputs "
        "(B, number of classes) and class numbers (B,). Let the module end with one output for "
        "each class, and give the targets as whole numbers of shape (N,), for instance y.ravel()."
    )


@pytest.mark.parametrize("numbers", [[0, 1, 5, 2], [-1, 0, 1, 2]])
def test_class_numbers_out_of_range(numbers):
    target = torch.tensor(numbers)
    with pytest.raises(ValueError) as error:
        resolve(nn.CrossEntropyLoss()).read_targets(torch.zeros(2, 3), target)
    sentence = (
        f" holds class numbers from {min(numbers)} to {max(numbers)}, and the module has 3 "
        "output(s): CrossEntropyLoss needs one output for each class, and classes numbered from "
        "0. Let the module end with as many outputs as there are classes; number them by np.unique("
    )
    assert str(error.value) == f"y{sentence}y, return_inverse=True)[1]."
    with pytest.raises(ValueError) as error:
        resolve(nn.CrossEntropyLoss())(torch.zeros(4, 3), target)
    assert str(error.value) == f"The target{sentence}The target, return_inverse=True)[1]."


def test_rows_to_be_ignored_are_no_class_out_of_range():
    target = torch.tensor([0, -100, 2])
    assert resolve("log_loss").read_targets(torch.zeros(3, 3), target) is target


def test_floating_class_targets():
    with pytest.raises(ValueError) as error:
        resolve("log_loss").read_targets(torch.zeros(4, 3), torch.zeros(4), "y_val")
    assert str(error.value) == (
        "y_val holds floating numbers where log_loss needs class numbers. Give whole numbers of "
        "shape (N,): y_val.astype(int)."
    )


@pytest.mark.parametrize(
    ("name", "target", "allowed"),
    [
        ("poisson", [[-1.0], [2.0]], "0 or more"),
        ("binary_log_loss", [[1.0], [2.0]], "from 0 to 1"),
        ("binary_log_loss", [[-1.0], [1.0]], "from 0 to 1"),
    ],
)
def test_targets_for_which_a_loss_has_no_meaning(name, target, allowed):
    y = torch.tensor(target)
    with pytest.raises(ValueError) as error:
        resolve(name).read_targets(torch.zeros(2, 1), y)
    assert str(error.value) == (
        f"y goes from {y.min():g} to {y.max():g}; targets of {name} have to be {allowed}. Encode "
        "them so, or choose another loss."
    )


def test_a_mistyped_loss_is_answered_with_the_nearest():
    with pytest.raises(ValueError) as error:
        resolve("squared_eror")
    assert str(error.value) == (
        "loss='squared_eror' is not known, did you mean 'squared_error'? Allowed are "
        "'squared_error', 'absolute_error', 'smooth_l1', 'huber', 'poisson', 'quantile', "
        "'gaussian', 'log_loss', 'binary_log_loss'."
    )


def test_a_class_instead_of_an_instance():
    with pytest.raises(TypeError) as error:
        resolve(nn.MSELoss)
    assert str(error.value) == "loss=MSELoss is a class; give an instance of it: loss=MSELoss()."


def test_something_that_is_no_loss():
    with pytest.raises(TypeError) as error:
        resolve(3)
    assert str(error.value) == (
        "loss=3 is neither a name, nor a torch loss, nor a function. Give a name (squared_error, "
        "absolute_error, smooth_l1, huber, poisson, quantile, gaussian, log_loss, "
        "binary_log_loss), nn.MSELoss() or loss(prediction, target)."
    )


@pytest.mark.parametrize("quantile", [0, 1, -0.5, float("nan")])
def test_quantiles_lie_between_0_and_1(quantile):
    with pytest.raises(ValueError) as error:
        losses.QuantileLoss(quantile)
    assert str(error.value) == (
        f"quantile={quantile!r} is not allowed: give a number between 0 and 1, such as "
        "quantile=0.9."
    )


def test_reductions_are_torchs():
    outputs, target = random(B, K), random(B, K, seed=1).abs()
    for factory in (QuantileLoss, PoissonLoss):
        rows = factory(reduction="none")(outputs, target)
        assert rows.shape == (B, K)
        torch.testing.assert_close(factory(reduction="sum")(outputs, target), rows.sum())
        torch.testing.assert_close(factory()(outputs, target), rows.mean())


def test_the_least_loss_is_where_theory_says():
    # The median, a quantile, the mean: found here on a grid of constant predictions.
    target = torch.from_numpy(np.random.default_rng(0).exponential(size=(501, 1)))
    grid = torch.linspace(0.01, 4, 2000, dtype=torch.float64)
    for name, options, best in (
        ("absolute_error", {}, np.median(target)),
        ("quantile", {"quantile": 0.9}, np.quantile(target, 0.9)),
        ("squared_error", {}, target.mean()),
        ("poisson", {}, target.mean()),
    ):
        loss = resolve(name, **options)
        inverse = torch.log if name == "poisson" else (lambda v: v)
        values = [float(loss(inverse(g).expand(501, 1), target)) for g in grid]
        assert float(grid[np.argmin(values)]) == pytest.approx(float(best), abs=0.01)


@pytest.mark.parametrize(
    ("elsewhere", "here"), [("mse", "squared_error"), ("MAE", "absolute_error")]
)
def test_a_name_from_elsewhere_is_answered_with_the_name_here(elsewhere, here):
    with pytest.raises(ValueError) as error:
        resolve(elsewhere)
    assert str(error.value).startswith(f"loss={elsewhere!r} is not known, did you mean {here!r}? ")
