"""Intervals in pictures."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from linnet import EnsembleRegressor, MLPRegressor
from linnet.plots import ParityDisplay, SurfaceDisplay

RNG = np.random.default_rng(0)
X = np.sort(RNG.uniform(-2, 2, (120, 1)), axis=0)
Y = np.sin(2 * X[:, 0]) + 0.1 * RNG.normal(size=120)


@pytest.fixture(autouse=True)
def figures_are_closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def model():
    return EnsembleRegressor(3, hidden_layer_sizes=(16,), max_iter=30, random_state=0).fit(X, Y)


def test_a_curve_has_a_band_where_the_estimator_knows_its_errors(model):
    display = SurfaceDisplay.from_estimator(model, X, Y, coverage=0.8)
    assert display.band == pytest.approx(model.predict_interval(display.axes[0][:, None], 0.8))
    names = [text.get_text() for text in display.ax_[0].get_legend().get_texts()]
    assert names == ["80% interval", "data", "network"]
    vertices = display.artists_["band"].get_paths()[0].vertices
    assert vertices[:, 1].min() == pytest.approx(display.band.min())
    assert vertices[:, 1].max() == pytest.approx(display.band.max())


def test_no_band_is_drawn_where_none_is_wanted_or_known(model):
    assert SurfaceDisplay.from_estimator(model, X, Y, coverage=None).band is None
    linear = LinearRegression().fit(X, Y)
    display = SurfaceDisplay.from_estimator(linear, X, Y)
    assert display.band is None and "band" not in display.artists_


def test_a_band_of_another_shape_is_told():
    grid = np.linspace(0, 1, 5)
    with pytest.raises(ValueError) as fault:
        SurfaceDisplay([grid], grid, feature_names=["x"], band=np.zeros((4, 2)))
    assert str(fault.value) == (
        "band has shape (4, 2); give the two ends over one feature, (5, 2)."
    )


def test_parity_has_bars_and_tells_how_many_rows_they_hold(model):
    display = ParityDisplay.from_estimator(model, X, Y)
    ends = model.predict_interval(X)
    inside = ((ends[:, 0] <= Y) & (ends[:, 1] >= Y)).mean()
    assert display.inside == pytest.approx([inside])
    assert display.ax_.get_title().endswith(f"\n90% intervals hold {inside:.1%}")
    (bars,) = [c for c in display.ax_.collections if c is not display.scatter_]
    segments = np.array(bars.get_segments())  # (N, 2 ends, 2)
    assert segments[:, :, 1] == pytest.approx(ends)
    assert segments[:, 0, 0] == pytest.approx(Y)
    assert ParityDisplay.from_estimator(model, X, Y, coverage=None).inside is None


def test_intervals_of_another_shape_or_without_end_are_told():
    with pytest.raises(ValueError) as fault:
        ParityDisplay([1.0, 2.0], [1.0, 2.0], interval=np.zeros((3, 2)))
    assert str(fault.value) == ("interval has shape (3, 2); give lower and upper ends, (2, 1, 2).")
    with pytest.raises(ValueError) as fault:
        ParityDisplay([1.0, 2.0], [1.0, 2.0], interval=[[0, np.inf], [0, 1]])
    assert str(fault.value) == ("interval is NaN or infinite in some rows; leave those rows out.")


@pytest.fixture(scope="module")
def of_two():
    X = np.random.default_rng(1).uniform(-2, 2, (200, 2))
    y = X[:, 0] + X[:, 1] ** 2
    settings = {"hidden_layer_sizes": (16,), "max_iter": 20, "random_state": 0}
    return EnsembleRegressor(3, **settings).fit(X, y), X, y


def test_a_surface_shows_the_standard_deviation_on_a_scale_from_zero(of_two):
    model, X, y = of_two
    display = SurfaceDisplay.from_estimator(model, X, y, grid_resolution=7)
    assert display.panels == ("data", "network", "error", "std")
    u, v = np.meshgrid(*display.axes)
    expected = model.predict(np.column_stack([u.ravel(), v.ravel()]), return_std=True)[1]
    assert display.std == pytest.approx(expected.reshape(7, 7))
    assert display.ax_[3].get_title() == "standard deviation"
    image = display.artists_["std"]
    assert np.asarray(image.get_array()).ravel() == pytest.approx(expected)
    assert (image.norm.vmin, image.norm.vmax) == (0.0, pytest.approx(expected.max()))
    assert display.std_colorbar_.ax.get_ylabel() == "standard deviation"


def test_every_number_of_panels_has_its_place(of_two):
    model, X, y = of_two

    def actual(inputs):
        return inputs[:, 0] + inputs[:, 1] ** 2

    options = {"grid_resolution": 5}
    display = SurfaceDisplay.from_estimator(model, X, y, function=actual, **options)
    assert display.panels == ("data", "function", "network", "error", "std")
    assert display.panel_grid == (2, 3)
    assert SurfaceDisplay.from_estimator(model, X, **options).panels == ("network", "std")


def test_no_standard_deviation_is_drawn_where_none_is_wanted_or_it_is_one_number(of_two):
    model, X, y = of_two
    options = {"grid_resolution": 5, "draw": False}
    assert SurfaceDisplay.from_estimator(model, X, y, coverage=None, **options).std is None
    single = MLPRegressor((8,), solver="lbfgs", early_stopping=True, random_state=0).fit(X, y)
    assert hasattr(single, "error_bars_")
    assert SurfaceDisplay.from_estimator(single, X, y, **options).std is None


def test_standard_deviations_of_another_shape_are_told():
    grid = np.linspace(0, 1, 5)
    with pytest.raises(ValueError) as fault:
        SurfaceDisplay([grid] * 2, np.zeros((5, 5)), feature_names=["u", "v"], std=np.zeros(5))
    assert str(fault.value) == "std has shape (5,); the grid has (5, 5)."
