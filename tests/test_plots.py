"""The displays: what they store, what they draw, what they say when they cannot."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from linnet.plots import (
    ErrorHistogramDisplay,
    LossCurveDisplay,
    ParityDisplay,
    ResidualDisplay,
    SurfaceDisplay,
    save_figure,
)

PAIRED = (ParityDisplay, ResidualDisplay, ErrorHistogramDisplay)


@pytest.fixture(autouse=True)
def no_figure_is_left_behind():
    plt.close("all")  # of docstrings' examples, if these ran before in this process
    yield
    leaked = plt.get_fignums()
    plt.close("all")
    assert not leaked


@pytest.fixture
def ax():
    return Figure(layout="constrained").subplots()


@pytest.fixture
def plane():
    """Rows, targets and a linear fit of y = x0 + 2 x1 + 3 x2."""
    X = np.random.default_rng(0).uniform(-1, 1, (60, 3))
    y = X @ [1.0, 2.0, 3.0]
    return X, y, LinearRegression().fit(X, y)


def boxes_of_texts(figure):
    """Text and box, in pixels, of every text that is seen in a drawn figure."""
    figure.draw_without_rendering()
    texts = []
    for ax in figure.axes:
        texts += [ax.title, ax.xaxis.label, ax.yaxis.label]
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            texts += [axis.get_offset_text(), *(tick.label1 for tick in ticks)]
            texts += [tick.label2 for tick in ticks]
        if ax.get_legend():
            texts += ax.get_legend().get_texts()
    seen = [text for text in texts if text.get_text() and text.get_visible()]
    return [(text.get_text(), text.get_window_extent()) for text in seen]


def assert_no_text_covers_another(figure):
    boxes = boxes_of_texts(figure)
    width, height = figure.bbox.size
    for i, (text, box) in enumerate(boxes):
        assert box.x0 >= -1 and box.x1 <= width + 1, text
        assert box.y0 >= -1 and box.y1 <= height + 1, text
        for other, other_box in boxes[i + 1 :]:
            assert not box.padded(-1).overlaps(other_box.padded(-1)), (text, other)


# The package


def test_importing_the_displays_imports_no_matplotlib_and_no_torch():
    code = "import sys, linnet.plots; print({'matplotlib', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_drawing_leaves_matplotlib_settings_as_they_were(plane, tmp_path):
    before = dict(plt.rcParams)
    save_figure(SurfaceDisplay.from_estimator(plane[2], *plane[:2], draw=False), tmp_path / "a.png")
    assert dict(plt.rcParams) == before


@pytest.mark.parametrize("display_class", PAIRED)
def test_a_display_makes_its_own_figure_when_no_axes_are_given(display_class):
    display = display_class.from_predictions([1, 2, 3], [1, 2, 4])
    assert display.figure_ is plt.figure(display.figure_.number)
    assert display.ax_.figure is display.figure_
    plt.close(display.figure_)


@pytest.mark.parametrize("display_class", PAIRED)
def test_plot_returns_the_display_and_draws_on_the_given_axes(display_class, ax):
    display = display_class([1, 2, 3], [1, 2, 4])
    assert display.plot(ax) is display
    assert display.ax_ is ax
    assert display.figure_ is ax.figure


# Picture files


def test_a_saved_picture_is_800_pixels_wide_unless_asked_otherwise(tmp_path):
    display = ParityDisplay([1, 2, 3], [1, 2, 4])
    path = save_figure(display, tmp_path / "a.png")
    assert imread(path).shape[:2] == (800, 800)
    wider = save_figure(display, tmp_path / "b.png", width=1200)
    assert imread(wider).shape[:2] == (1200, 1200)


def test_a_matplotlib_figure_can_be_saved_too(ax, tmp_path):
    path = save_figure(ax.figure, tmp_path / "a.svg")
    assert path.read_text().startswith("<?xml")


def test_an_existing_picture_is_kept_unless_asked_otherwise(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("mine")
    display = ParityDisplay([1, 2], [1, 2])
    with pytest.raises(FileExistsError) as error:
        save_figure(display, path)
    assert str(error.value) == f"{str(path)!r} exists; pass overwrite=True to replace it."
    assert path.read_text() == "mine"
    save_figure(display, path, overwrite=True)
    assert imread(path).shape[1] == 800


def test_a_picture_in_no_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        save_figure(ParityDisplay([1, 2], [1, 2]), tmp_path / "no" / "a.png")
    assert str(error.value) == (
        f"The folder {str(tmp_path / 'no')!r} does not exist; make it before saving 'a.png'."
    )


def test_a_picture_of_an_unknown_format_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"The picture 'a.docx' has no known format; ") as error:
        save_figure(ParityDisplay([1, 2], [1, 2]), tmp_path / "a.docx")
    assert ".pdf, " in str(error.value)


def test_a_picture_too_narrow_to_read_is_an_error(tmp_path):
    with pytest.raises(ValueError) as error:
        save_figure(ParityDisplay([1, 2], [1, 2]), tmp_path / "a.png", width=20)
    assert str(error.value) == "width is 20 pixels; the least is 100."


# Loss curve


def test_the_loss_curve_draws_both_losses_and_names_the_best_epoch(ax):
    display = LossCurveDisplay([1.0, 0.5, 0.4], [1.1, 0.6, 0.7], loss_name="squared_error").plot(ax)
    np.testing.assert_array_equal(display.line_.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(display.line_.get_ydata(), [1.0, 0.5, 0.4])
    np.testing.assert_array_equal(display.validation_line_.get_ydata(), [1.1, 0.6, 0.7])
    assert display.best_epoch == 1
    assert display.best_.get_xydata().tolist() == [[2, 0.6]]
    assert [text.get_text() for text in display.legend_.get_texts()] == [
        "training",
        "validation",
        "best: epoch 2 (0.6)",
    ]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss: squared error")
    assert display.not_finite_ is None


def test_without_validation_the_best_epoch_is_that_of_the_least_training_loss():
    assert LossCurveDisplay([1.0, 0.3, 0.5]).best_epoch == 1


@pytest.mark.parametrize(
    ("losses", "scale"),
    [([1.0, 0.2], "linear"), ([1.0, 0.05], "log"), ([1.0, 0.0], "linear"), ([5.0, -1], "linear")],
)
def test_the_loss_axis_is_logarithmic_beyond_a_factor_of_ten(losses, scale, ax):
    LossCurveDisplay(losses, unit="MPa²").plot(ax)
    assert ax.get_yscale() == scale
    assert ax.get_ylabel() == ("loss (MPa², log scale)" if scale == "log" else "loss (MPa²)")


def test_losses_that_are_not_finite_are_marked_and_break_the_line(ax):
    display = LossCurveDisplay([1.0, np.nan, 0.5, np.inf]).plot(ax)
    np.testing.assert_array_equal(display.line_.get_ydata(), [1.0, np.nan, 0.5, np.nan])
    np.testing.assert_array_equal(display.not_finite_.get_xdata(), [2, 4])
    assert display.not_finite_.get_label() == "not finite (2 epochs)"
    assert display.best_epoch == 2


def test_a_finite_loss_between_two_that_are_not_is_a_dot_in_a_long_curve(ax):
    losses = np.linspace(1, 0.5, 60)
    losses[[19, 21]] = np.nan
    assert LossCurveDisplay(losses).plot(ax).line_.get_markevery() == [20]


def test_a_curve_of_one_epoch_is_a_dot_at_a_whole_epoch(ax):
    display = LossCurveDisplay([0.3]).plot(ax)
    ax.figure.draw_without_rendering()
    assert display.line_.get_markevery() == [0]
    low, high = ax.get_xlim()
    assert [tick for tick in ax.get_xticks() if low <= tick <= high] == [1]


def test_a_curve_without_a_finite_loss_still_draws(ax):
    display = LossCurveDisplay([np.nan, np.inf]).plot(ax)
    assert display.best_epoch is None
    assert display.best_ is None
    assert len(display.not_finite_.get_xdata()) == 2


def test_epochs_without_validation_leave_no_gap_and_no_mark(ax):
    display = LossCurveDisplay([1.0, 0.8, 0.6], [1.0, np.nan, 0.7]).plot(ax)
    np.testing.assert_array_equal(display.validation_line_.get_xdata(), [1, 3])
    assert display.not_finite_ is None


@pytest.mark.parametrize("validation_loss", [None, np.empty(0), np.full(3, np.nan)])
def test_a_history_without_validation_gives_one_curve(validation_loss, ax):
    history = SimpleNamespace(
        train_loss=np.array([3.0, 2.0, 1.0]),
        validation_loss=validation_loss,
        best_epoch=1,
        loss="huber",
    )
    display = LossCurveDisplay.from_history(history, ax=ax)
    assert display.validation_loss is None
    assert display.validation_line_ is None
    assert (display.best_epoch, display.loss_name) == (1, "huber")


def test_the_loss_curve_is_found_inside_of_pipelines_and_searches():
    X, y = np.arange(12.0)[:, None], np.arange(12.0)
    network = MLPRegressor(hidden_layer_sizes=(3,), max_iter=2000, tol=0.5, random_state=0)
    pipeline = make_pipeline(StandardScaler(), network)
    search = GridSearchCV(pipeline, {"mlpregressor__alpha": [0.1]}, cv=2).fit(X, y)
    display = LossCurveDisplay.from_estimator(search, draw=False)
    inner = search.best_estimator_[-1]
    np.testing.assert_array_equal(display.train_loss, inner.loss_curve_)
    assert display.loss_name == "squared_error"


def test_an_estimator_with_a_history_gives_that_history():
    model = LinearRegression().fit([[0.0], [1.0]], [0, 1])
    model.history_ = SimpleNamespace(train_loss=[2.0, 1.0], loss="squared_error")
    display = LossCurveDisplay.from_estimator(model, draw=False)
    np.testing.assert_array_equal(display.train_loss, [2.0, 1.0])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"train_loss": []}, "train_loss is empty; a loss curve needs at least one epoch."),
        (
            {"train_loss": [[1.0]]},
            "train_loss has shape (1, 1); give one value for each epoch, (E,).",
        ),
        (
            {"train_loss": [1, 2], "validation_loss": [1]},
            "train_loss has 2 epochs and validation_loss 1; give one value of each for every "
            "epoch.",
        ),
        (
            {"train_loss": [1, 2], "best_epoch": 2},
            "best_epoch is 2; with 2 epochs it lies between 0 and 1.",
        ),
    ],
)
def test_a_loss_curve_that_cannot_be_drawn_says_why(arguments, sentence):
    with pytest.raises(ValueError) as error:
        LossCurveDisplay(**arguments)
    assert str(error.value) == sentence


def test_an_unknown_scale_is_an_error(ax):
    with pytest.raises(ValueError) as error:
        LossCurveDisplay([1.0]).plot(ax, scale="symlog")
    assert str(error.value) == "scale is 'symlog'; choose 'auto', 'log' or 'linear'."


def test_an_object_without_losses_is_an_error():
    with pytest.raises(TypeError) as error:
        LossCurveDisplay.from_history(3)
    assert str(error.value) == (
        "A int keeps no train_loss; pass a linnet.History, "
        "or use LossCurveDisplay.from_estimator for an estimator."
    )
    with pytest.raises(TypeError) as error:
        LossCurveDisplay.from_estimator(LinearRegression().fit([[0.0], [1.0]], [0, 1]))
    assert str(error.value) == (
        "LinearRegression keeps no loss by epoch (neither history_ nor loss_curve_); "
        "pass the losses themselves: LossCurveDisplay(train_loss)."
    )
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(MLPRegressor())


# Parity, residuals, error histogram


def test_parity_keeps_scores_and_draws_the_diagonal_on_equal_axes(ax):
    y_true, y_pred = np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 3.5])
    display = ParityDisplay.from_predictions(
        pd.Series(y_true, name="strength"), y_pred, unit="MPa", ax=ax
    )
    squared = (y_true - y_pred) ** 2
    np.testing.assert_allclose(display.rmse, [np.sqrt(squared.mean())])
    np.testing.assert_allclose(display.r2, [1 - squared.sum() / (y_true.var() * 3)])
    np.testing.assert_array_equal(display.scatter_.get_offsets(), np.c_[y_true, y_pred])
    np.testing.assert_array_equal(display.line_.get_xdata(), display.line_.get_ydata())
    assert ax.get_xlim() == ax.get_ylim()
    assert ax.get_aspect() == 1
    assert ax.get_xlabel() == "actual strength (MPa)"
    assert ax.get_ylabel() == "predicted strength (MPa)"
    assert ax.get_title() == "R² = 0.732, RMSE = 0.645 MPa, N = 3"


def test_r2_of_constant_actual_values_is_undefined_and_says_so(ax):
    display = ParityDisplay([2.0, 2.0], [1.0, 3.0]).plot(ax)
    assert np.isnan(display.r2[0])
    assert ax.get_title() == "R² undefined (actual values constant)\nRMSE = 1, N = 2"


@pytest.mark.parametrize("display_class", [ParityDisplay, ResidualDisplay])
def test_of_very_many_points_ten_thousand_are_drawn_and_the_title_says_so(display_class, ax):
    y = np.random.default_rng(0).normal(size=30_000)
    display = display_class(y, y + 1.0).plot(ax)
    assert len(display.scatter_.get_offsets()) == 10_000
    assert "N = 30,000, 10,000 drawn" in ax.get_title()
    display.plot(Figure().subplots(), max_points=None)
    assert len(display.scatter_.get_offsets()) == 30_000


def test_points_grow_fainter_and_smaller_as_they_grow_more(ax):
    y = np.random.default_rng(0).normal(size=10_000)
    few = ParityDisplay(y[:50], y[:50]).plot(ax).scatter_
    many = ParityDisplay(y, y).plot(Figure().subplots()).scatter_
    assert few.get_alpha() > many.get_alpha()
    assert few.get_sizes()[0] > many.get_sizes()[0]


def test_every_output_has_a_panel_up_to_four():
    Y = np.random.default_rng(0).normal(size=(30, 6))
    for display_class in PAIRED:
        display = display_class(Y, Y + 0.1, target_name=list("abcdef"))
        axes = Figure().subplots(2, 2)
        display.plot(axes)
        assert display.n_panels == 4
        assert display.ax_.tolist() == axes.ravel().tolist()
    titles = [ax.get_title() for ax in ParityDisplay(Y, Y).plot(Figure().subplots(2, 2)).ax_]
    assert titles[3] == "output 3, 4 of 6\nR² = 1.000\nRMSE = 0, N = 30"


def test_axes_that_are_not_as_many_as_the_panels_are_an_error(ax):
    with pytest.raises(ValueError) as error:
        ParityDisplay(np.eye(2), np.eye(2)).plot(ax)
    assert str(error.value) == (
        "ax holds one Axes and this display has 2 panels; pass ax=None or a sequence of 2 Axes."
    )


def test_residuals_are_actual_minus_predicted_with_a_running_median(ax):
    y_pred = np.arange(40.0)
    y_true = y_pred + np.where(y_pred < 20, 1.0, -3.0)
    display = ResidualDisplay(y_true, y_pred).plot(ax)
    np.testing.assert_array_equal(display.residuals[:, 0], y_true - y_pred)
    np.testing.assert_array_equal(display.scatter_.get_offsets(), np.c_[y_pred, y_true - y_pred])
    np.testing.assert_array_equal(display.medians[0], [[9.5, 29.5], [1.0, -3.0]])
    np.testing.assert_array_equal(display.median_line_.get_ydata(), [1.0, -3.0])
    assert set(display.line_.get_ydata()) == {0.0}
    low, high = ax.get_ylim()
    assert low == -high
    assert ax.get_title() == "N = 40; line: running median"


@pytest.mark.parametrize(("n_rows", "step"), [(39, 1.0), (100, 0.0)])
def test_few_rows_or_constant_predictions_have_no_running_median(n_rows, step, ax):
    y_pred = 5.0 + step * np.arange(n_rows)
    display = ResidualDisplay(np.arange(n_rows), y_pred).plot(ax)
    assert display.median_line_ is None
    assert ax.get_title() == f"N = {n_rows}"


def test_the_error_histogram_counts_actual_minus_predicted_in_20_bins(ax):
    errors = np.random.default_rng(0).normal(size=500)
    display = ErrorHistogramDisplay(errors, np.zeros(500), unit="V").plot(ax)
    counts, edges = np.histogram(errors, bins=20)
    np.testing.assert_array_equal(display.counts[0, 0], counts)
    np.testing.assert_allclose(display.bin_edges[0], edges)
    assert [bar.get_height() for bar in display.bars_[0]] == counts.tolist()
    assert set(display.line_.get_xdata()) == {0.0}
    assert ax.get_xlabel() == "error: actual - predicted (V)"


def test_groups_are_stacked_in_the_order_train_validation_test(ax):
    groups = ["test", "train", "validation", "train"]
    display = ErrorHistogramDisplay.from_predictions(
        [0.1, 0.1, 0.1, 0.9], [0, 0, 0, 0], groups=groups, bins=2, ax=ax
    )
    assert display.group_names == ["train", "validation", "test"]
    assert display.counts.tolist() == [[[1, 1], [1, 0], [1, 0]]]
    assert [bars[0].get_y() for bars in display.bars_] == [0, 1, 2]
    legend = [text.get_text() for text in display.legend_.get_texts()]
    assert legend == ["train", "validation", "test", "zero error"]


def test_a_split_by_row_indices_names_groups_and_the_rest_is_other():
    split = {"train": [0, 3], "validation": None, "test": [1]}
    display = ErrorHistogramDisplay([1, 2, 3, 4], [0, 0, 0, 0], groups=split, bins=1)
    assert display.group_names == ["train", "test", "other"]
    assert display.counts.tolist() == [[[2], [1], [1]]]


@pytest.mark.parametrize("size", [0.0, 1e-9, 1.0, 1e9])
def test_equal_errors_fall_into_one_bin_at_any_scale(size, ax):
    display = ErrorHistogramDisplay([size, size, size], [0, 0, 0]).plot(ax)
    assert display.counts.max() == display.counts.sum() == 3
    assert (np.diff(display.bin_edges) > 0).all()
    low, high = ax.get_xlim()
    assert low < 0 < high
    assert low < size < high or size == 0


def test_errors_that_differ_by_rounding_alone_can_be_counted():
    errors = 1e9 + np.array([0.0, 2e-7])
    assert ErrorHistogramDisplay(errors, np.zeros(2)).counts.sum() == 2


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        (["a"], "groups has shape (1,) and there are 2 rows; give one name for each row."),
        (
            {"a": [0, 5]},
            "groups names row 5 and there are 2 rows; row indices lie between 0 and 1.",
        ),
        ({"a": [0], "b": [0]}, "groups names a row twice; a row belongs to one group."),
    ],
)
def test_groups_that_do_not_fit_are_an_error(groups, sentence):
    with pytest.raises(ValueError) as error:
        ErrorHistogramDisplay([1, 2], [1, 2], groups=groups)
    assert str(error.value) == sentence


def test_a_histogram_without_bins_is_an_error():
    with pytest.raises(ValueError) as error:
        ErrorHistogramDisplay([1], [1], bins=0)
    assert str(error.value) == "bins is 0; a histogram needs at least 1 bin."


@pytest.mark.parametrize("display_class", PAIRED)
@pytest.mark.parametrize(
    ("y_true", "y_pred", "kind", "sentence"),
    [
        (
            [1, 2, 3],
            [1, 2],
            ValueError,
            "y_true has shape (3,) and y_pred (2,); give one prediction for each actual value.",
        ),
        ([], [], ValueError, "y_true is empty; {} needs at least one row."),
        (
            [1.0, np.nan, np.inf],
            [1, 2, 3],
            ValueError,
            "y_true is NaN or infinite in 2 of 3 rows, first in row 1; leave those rows out.",
        ),
        (
            ["a", "b"],
            ["a", "b"],
            TypeError,
            "y_true holds no numbers (its type is <U1) and {} compares numbers; for classes use "
            "sklearn.metrics.ConfusionMatrixDisplay.from_predictions.",
        ),
        (
            np.zeros((2, 1, 1)),
            [1, 2],
            ValueError,
            "y_true has shape (2, 1, 1); give (N,) or (N, K).",
        ),
    ],
)
def test_values_that_cannot_be_compared_are_an_error(display_class, y_true, y_pred, kind, sentence):
    with pytest.raises(kind) as error:
        display_class.from_predictions(y_true, y_pred)
    assert str(error.value) == sentence.format(display_class.__name__)


@pytest.mark.parametrize("display_class", PAIRED)
def test_one_column_and_no_column_are_the_same_and_never_broadcast(display_class):
    display = display_class(np.array([[1.0], [2.0], [3.0]]), np.array([1.0, 2.0, 4.0]))
    assert display.predictions.y_pred.shape == display.predictions.y_true.shape == (3, 1)


@pytest.mark.parametrize("display_class", PAIRED)
def test_estimators_that_cannot_be_compared_are_an_error(display_class):
    X, y = [[0.0], [1.0]], [0, 1]
    with pytest.raises(TypeError) as error:
        display_class.from_estimator(LogisticRegression().fit(X, y), X, y)
    assert str(error.value) == (
        f"{display_class.__name__} compares numbers and LogisticRegression predicts classes; "
        "use sklearn.metrics.ConfusionMatrixDisplay.from_estimator(estimator, X, y)."
    )
    with pytest.raises(NotFittedError):
        display_class.from_estimator(LinearRegression(), X, y)
    with pytest.raises(ValueError) as error:
        display_class.from_estimator(LinearRegression().fit(X, y), X, [0, 1, 2])
    assert str(error.value) == "X has 2 rows and y has 3; give one target for each row."


def test_names_of_targets_must_be_as_many_as_the_outputs():
    with pytest.raises(ValueError) as error:
        ParityDisplay(np.eye(2), np.eye(2), target_name=["a"])
    assert str(error.value) == (
        "target_name has 1 entries and there are 2 outputs; give one for each."
    )


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("display_class", PAIRED)
def test_no_text_covers_another_at_any_scale_and_with_long_names(display_class, scale, tmp_path):
    y = scale * np.random.default_rng(0).normal(size=100)
    display = display_class(y, 0.8 * y, target_name="a long name of something " * 5, unit="Pa")
    save_figure(display, tmp_path / "a.png")
    assert_no_text_covers_another(display.figure_)


def test_dollar_signs_in_names_are_shown_and_start_no_formula(tmp_path):
    display = ParityDisplay([1, 2], [1, 2], target_name="US$ and A$ \\frac", unit="$")
    save_figure(display, tmp_path / "a.png")
    assert display.ax_.get_xlabel() == r"actual US\$ and A\$ \frac (\$)"


# Surface


def test_the_surface_is_the_estimator_on_a_grid_with_the_others_at_their_medians(plane):
    X, _, model = plane
    display = SurfaceDisplay.from_estimator(model, X, grid_resolution=5, draw=False)
    assert display.panels == ("network",)
    np.testing.assert_array_equal(display.axes[1], np.linspace(X[:, 1].min(), X[:, 1].max(), 5))
    across, along = np.meshgrid(*display.axes)
    expected = across + 2 * along + 3 * np.median(X[:, 2])
    np.testing.assert_allclose(display.response, expected)
    assert display.held == {"x2": np.median(X[:, 2])}


def test_other_features_can_be_fixed_elsewhere(plane):
    X, _, model = plane
    display = SurfaceDisplay.from_estimator(
        model, X, features=(2, 0), fixed={"x1": 10.0}, grid_resolution=3, draw=False
    )
    assert display.feature_names == ["x2", "x0"]
    across, along = np.meshgrid(*display.axes)
    np.testing.assert_allclose(display.response, 3 * across + along + 20)


def test_data_function_and_network_share_one_scale_and_the_error_is_symmetric(plane):
    X, y, model = plane
    display = SurfaceDisplay.from_estimator(
        model,
        X,
        y,
        function=lambda X: X @ [1.0, 2.0, 3.0] + X[:, 0],
        data_name="training data",
        target_name="height",
        unit="m",
        ax=Figure(layout="constrained").subplots(2, 2),
    )
    assert display.panels == ("data", "function", "network", "error")
    scales = {display.artists_[name].get_clim() for name in ("data", "function", "network")}
    highest = max(display.response.max(), display.actual.max(), y.max())
    lowest = min(display.response.min(), display.actual.min(), y.min())
    assert scales == {(lowest, highest)}
    np.testing.assert_allclose(display.error, display.response - display.actual)
    low, high = display.artists_["error"].get_clim()
    assert low == -high == -np.abs(display.error).max()
    assert display.colorbar_.ax.get_xlabel() == "height (m)"
    assert display.error_colorbar_.ax.get_ylabel() == "network - actual function (m)"
    titles = [ax.get_title() for ax in display.ax_]
    assert titles[:2] == ["training data (N = 60)", "actual function"]
    assert titles[2].startswith("network (x2 = ")
    assert titles[3].startswith("error (RMSE = ")
    display.figure_.draw_without_rendering()
    sizes = np.array([ax.get_window_extent().size for ax in display.ax_])
    np.testing.assert_allclose(sizes, sizes[[0] * 4], atol=1)


def test_without_a_function_the_error_is_that_of_each_row(plane, tmp_path):
    X, y, _ = plane
    model = DummyRegressor().fit(X, y)
    display = SurfaceDisplay.from_estimator(model, X, y, draw=False)
    save_figure(display, tmp_path / "a.png")
    assert display.panels == ("data", "network", "error")
    np.testing.assert_allclose(display.error, y.mean() - y)
    np.testing.assert_array_equal(display.artists_["error"].get_offsets(), X[:, :2])
    assert_no_text_covers_another(display.figure_)


def test_points_on_the_border_are_drawn_whole_and_others_outside_not_at_all(ax):
    grid = np.linspace(0, 1, 3)
    data = np.array([[0.0, 1.0], [0.5, 0.5], [2.0, 0.5]])
    names, y = ["u", "v"], np.arange(3.0)
    display = SurfaceDisplay(
        [grid, grid], np.zeros((3, 3)), data=data, y=y, y_pred=y, feature_names=names
    )
    display.plot(Figure().subplots(1, 3))
    points = display.artists_["data"]
    assert not points.get_clip_on()
    np.testing.assert_array_equal(points.get_offsets(), data[:2])


def test_an_error_of_nothing_still_has_a_scale(plane):
    grid = np.linspace(0, 1, 3)
    response = np.zeros((3, 3))
    display = SurfaceDisplay([grid, grid], response, actual=response, feature_names=["u", "v"])
    display.plot(Figure().subplots(1, 3))
    assert display.artists_["error"].get_clim() == (-1.0, 1.0)


def test_one_feature_gives_curves_with_the_data_and_the_error_below(ax):
    X = np.linspace(0, 1, 20)[:, None]
    y = 2 * X[:, 0]
    model = LinearRegression().fit(X, y)
    axes = Figure().subplots(2, 1)
    display = SurfaceDisplay.from_estimator(
        model, X, y, function=lambda X: X + 0.0, feature_names=["time (s)"], ax=axes
    )
    np.testing.assert_allclose(display.response, 2 * display.axes[0], atol=1e-12)
    np.testing.assert_allclose(display.artists_["error"].get_ydata(), display.axes[0], atol=1e-12)
    np.testing.assert_array_equal(display.artists_["data"].get_offsets(), np.c_[X, y])
    assert axes[1].get_xlabel() == "time (s)"
    assert SurfaceDisplay.from_estimator(model, X, ax=ax).panels == ("network",)


@pytest.mark.parametrize("to_frame", [pd.DataFrame, pl.DataFrame, pa.table])
def test_a_frame_gives_a_grid_by_name_with_medians_and_commonest_values(to_frame):
    columns = {
        "kind": ["a", "b", "b", "b"],
        "size": [1, 2, 3, 4],
        "heat": [0.0, 1.0, None, 5.0],
        "depth": [1.0, 2.0, 2.0, 7.0],
        "on": [True, True, True, False],
    }
    seen = []

    def remember(frame):
        seen.append(frame)
        return np.zeros((len(frame), 1))

    model = make_pipeline(FunctionTransformer(remember), DummyRegressor())
    frame = to_frame(columns)
    model.fit(frame, [1.0, 2.0, 3.0, 4.0])
    display = SurfaceDisplay.from_estimator(
        model,
        frame,
        [1.0, 2.0, 3.0, 4.0],
        features=["heat", "depth"],
        grid_resolution=2,
        draw=False,
    )
    assert display.held == {"kind": "b", "size": 2, "on": True}
    inputs = pd.DataFrame({name: np.asarray(seen[1][name]) for name in columns})
    assert list(inputs.columns) == list(columns)
    assert inputs["heat"].tolist() == [0.0, 5.0, 0.0, 5.0]
    assert inputs["depth"].tolist() == [1.0, 1.0, 7.0, 7.0]
    assert inputs["kind"].tolist() == ["b"] * 4
    assert inputs["size"].tolist() == [2] * 4
    assert type(seen[1]) is type(frame)
    display.plot(Figure().subplots(1, 3))
    assert len(display.artists_["data"].get_offsets()) == 3


def test_a_frame_of_mixed_columns_goes_through_a_column_transformer():
    frame = pd.DataFrame(
        {"u": [0.0, 1.0, 2.0], "v": [1.0, 0.0, 3.0], "c": pd.Categorical(["x", "y", "y"])}
    )
    encode = make_column_transformer((OneHotEncoder(), ["c"]), remainder="passthrough")
    model = make_pipeline(encode, LinearRegression()).fit(frame, [1.0, 2.0, 3.0])
    display = SurfaceDisplay.from_estimator(model, frame, grid_resolution=4, draw=False)
    assert display.response.shape == (4, 4)


def test_two_classes_show_a_probability_and_more_show_regions(plane):
    X = plane[0]
    two = np.where(X[:, 0] > 0, "yes", "no")
    model = LogisticRegression().fit(X, two)
    axes = Figure(layout="constrained").subplots(1, 3)
    display = SurfaceDisplay.from_estimator(model, X, two, target_name="wet", ax=axes)
    assert display.panels == ("data", "network", "error")
    # "yes" lies where x0, along the last axis, is high.
    assert (display.response[:, 0] < display.response[:, -1]).all()
    assert 0 <= display.response.min() < 0.5 < display.response.max() <= 1
    assert display.artists_["network"].get_clim() == (0.0, 1.0)
    assert display.colorbar_.ax.get_xlabel() == "probability of wet = yes"

    three = np.digitize(X[:, 0], [-0.3, 0.3])
    model = LogisticRegression().fit(X, three)
    axes = Figure(layout="constrained").subplots(1, 3)
    display = SurfaceDisplay.from_estimator(model, X, three, ax=axes)
    assert set(np.unique(display.response)) == {0.0, 1.0, 2.0}
    ticks = [text.get_text() for text in display.colorbar_.ax.get_xticklabels()]
    assert ticks == ["0", "1", "2"]
    wrong = (model.predict(X) != three).sum()
    assert axes[2].get_title() == f"misclassified: {wrong} of 60"
    assert len(display.artists_["error"].get_offsets()) == wrong
    mistake = np.flatnonzero(model.predict(X) != three)[0]
    X_test, y_test = X.copy(), model.predict(X)
    X_test[mistake] = 1e6  # far outside of the panel
    y_test[mistake] = (model.predict(X_test)[mistake] + 1) % 3
    axes = Figure(layout="constrained").subplots(1, 3)
    grid = display.axes
    display = SurfaceDisplay(
        grid, display.response, data=X_test[:, :2], y=y_test, y_pred=model.predict(X_test),
        classes=display.classes, feature_names=display.feature_names,
    )  # fmt: skip
    display.plot(axes)
    assert axes[2].get_title() == "misclassified: 1 of 60, 0 drawn"


def test_one_of_several_outputs_can_be_chosen(plane):
    X, y, _ = plane
    model = LinearRegression().fit(X, np.c_[y, -y])
    frame = pd.DataFrame(np.c_[y, -y], columns=["up", "down"])
    display = SurfaceDisplay.from_estimator(model, X, frame, output=1, draw=False)
    assert display.target_name == "down"
    np.testing.assert_allclose(display.y, -y)
    assert np.abs(display.error).max() < 1e-12
    with pytest.raises(ValueError) as error:
        SurfaceDisplay.from_estimator(model, X, output=2)
    assert str(error.value) == "There is no output 2; 2 outputs are numbered from 0 to 1."


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"features": (0, 3)}, "X has no feature 3; its 3 features are numbered from 0 to 2."),
        (
            {"features": ("heit", "width"), "feature_names": ["height", "width", "depth"]},
            "X has no feature 'heit', did you mean 'height'? Its features are 'height', "
            "'width', 'depth'.",
        ),
        (
            {"features": ("mass",)},
            "X has no feature 'mass'. Its features are 'x0', 'x1', 'x2'.",
        ),
        ({"features": (1, 1)}, "features is (1, 1); give one feature or two different ones."),
        ({"features": (0, 1, 2)}, "features is (0, 1, 2); give one feature or two different ones."),
        ({"grid_resolution": 1}, "grid_resolution is 1; the least is 2 points."),
        (
            {"fixed": {0: 1.0}},
            "fixed names 'x0', which is an axis of the picture; fix other features only.",
        ),
        (
            {"feature_names": ["a"]},
            "feature_names has 1 names and X 3 features; give one name for each.",
        ),
        (
            {"function": lambda X: X, "grid_resolution": 2},
            "function returned shape (4, 3) for 4 rows; let it return (4,) or (4, 1).",
        ),
        ({"y": [1.0]}, "X has 60 rows and y has 1; give one target for each row."),
    ],
)
def test_a_surface_that_cannot_be_drawn_says_why(plane, arguments, sentence):
    X, _, model = plane
    with pytest.raises(ValueError) as error:
        SurfaceDisplay.from_estimator(model, X, **arguments)
    assert str(error.value) == sentence


def test_a_surface_over_what_is_no_number_or_one_value_is_an_error(plane):
    X, _, model = plane
    frame = pd.DataFrame({"kind": ["a", "b"], "size": [1.0, 2.0], "same": [3.0, 3.0]})
    with pytest.raises(ValueError) as error:
        SurfaceDisplay.from_estimator(model, frame)
    assert str(error.value) == (
        "The feature 'kind' holds string values and an axis of a surface needs numbers; "
        "choose number columns by features=(..., ...)."
    )
    with pytest.raises(ValueError) as error:
        SurfaceDisplay.from_estimator(model, frame, features=("size", "same"))
    assert str(error.value) == (
        "The feature 'same' has the one value 3 in X and spans no axis; "
        "choose another one by features=(..., ...)."
    )
    with pytest.raises(ValueError) as error:
        SurfaceDisplay.from_estimator(model, [["a", "b"]])
    assert str(error.value) == (
        "X holds values that are no numbers; pass a frame (pandas, polars, pyarrow) "
        "for columns of text."
    )
    with pytest.raises(NotFittedError):
        SurfaceDisplay.from_estimator(LinearRegression(), X)


def test_a_surface_of_a_classifier_takes_no_function_and_knows_its_classes(plane):
    X = plane[0]
    model = LogisticRegression().fit(X, np.where(X[:, 0] > 0, "yes", "no"))
    with pytest.raises(ValueError) as error:
        SurfaceDisplay.from_estimator(model, X, function=lambda X: X[:, 0])
    assert str(error.value) == (
        "function is for regressors and LogisticRegression predicts classes; leave it out."
    )
    with pytest.raises(ValueError) as error:
        SurfaceDisplay.from_estimator(model, X, ["maybe"] * len(X))
    assert str(error.value) == (
        "y holds the class 'maybe', which the estimator has not seen; its classes are 'no', 'yes'."
    )


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_no_text_of_a_surface_covers_another_at_any_scale(plane, scale, tmp_path):
    X, y, _ = plane
    X, y = scale * X[:, :2], scale * y
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(X, y)
    for name, function in (("three.png", None), ("four.png", lambda X: X[:, 0])):
        display = SurfaceDisplay.from_estimator(
            model,
            X,
            y,
            function=function,
            feature_names=["a long name of the first feature (m)", "second feature (s)"],
            target_name="temperature",
            unit="K",
            data_name="rows measured in May",
            draw=False,
        )
        save_figure(display, tmp_path / name)
        assert_no_text_covers_another(display.figure_)
