"""A training whose numbers break ends in the epoch in which they do, in both engines."""

import math

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from linnet import MLPRegressor, Outcome, train

ENGINES = ("torch", "native")


def rows(n=120, d=3):
    X = torch.randn(n, d, generator=torch.Generator().manual_seed(0))
    return X, X[:, :1] * X[:, 1:2]


def network(*layers, d=3):
    layers = layers or (nn.Linear(d, 8), nn.Tanh(), nn.Linear(8, 1))
    module = nn.Sequential(*layers)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(0.3 * torch.randn(p.shape, generator=generator))
    return module


def broken(module, X, y, **how):
    """Train, and return the history of a training that has to break."""
    start = {name: value.clone() for name, value in module.state_dict().items()}
    settings = {"optimizer": "sgd", "epochs": 50, "batch_size": 16, "random_state": 0, **how}
    with pytest.warns(ConvergenceWarning, match="became infinite or NaN"):
        history = train(module, X, y, **settings)
    assert history.outcome is Outcome.NOT_FINITE
    assert history.engine == how["engine"]
    assert all(torch.isfinite(value).all() for value in module.state_dict().values())
    if history.n_epochs == 1:
        assert all(torch.equal(value, start[name]) for name, value in module.state_dict().items())
    return history


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rate", [1e4, 1e20, 1e38])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_huge_learning_rate_is_caught_in_the_first_epoch(engine, rate, dtype):
    X, y = rows()
    module = network(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1)).to(dtype)
    if dtype == torch.float64:
        rate **= 8
    optimizer = torch.optim.SGD(module.parameters(), lr=rate)
    assert broken(module, X, y, engine=engine, optimizer=optimizer).n_epochs == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_that_the_last_step_breaks_are_caught_though_the_loss_is_finite(engine):
    X, y = rows()
    module = network()
    optimizer = torch.optim.SGD(module.parameters(), lr=1e38)
    y = 1e3 * y
    history = broken(module, X, y, engine=engine, optimizer=optimizer, batch_size=len(X))
    assert history.n_epochs == 1 and math.isfinite(history.train_loss[0])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_rate_that_rises_in_the_third_epoch_is_caught_there(engine):
    X, y = rows()
    module = network(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
    scheduler = LambdaLR(optimizer, lambda epoch: 1.0 if epoch < 2 else 1e30)
    history = broken(module, X, y, engine=engine, optimizer=optimizer, scheduler=scheduler)
    assert history.n_epochs == 3 and history.best_epoch == 1
    with torch.no_grad():
        assert float(((module(X) - y) ** 2).mean()) < 2 * history.train_loss[0]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_overflow_of_the_loss_is_caught_in_the_first_epoch(engine):
    X, y = rows()
    y[77] = 1e25  # finite in float32, but its square is not
    assert broken(network(), X, y, engine=engine).n_epochs == 1


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("row", [0, 60, 119])
def test_a_layer_that_gives_nan_for_one_row_is_caught_in_the_first_epoch(engine, row):
    X, y = rows()
    X[row] = 2.0  # of variance 0, which the layer divides by
    module = network(nn.LayerNorm(3, eps=0.0), nn.Linear(3, 1))
    assert broken(module, X, y, engine=engine).n_epochs == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_nan_for_a_validation_row_is_caught_in_the_first_epoch(engine):
    X, y = rows()
    X_val, y_val = X[:20].clone(), y[:20]
    X_val[7] = 2.0
    module = network(nn.LayerNorm(3, eps=0.0), nn.Linear(3, 1))
    history = broken(module, X, y, engine=engine, X_val=X_val, y_val=y_val)
    assert history.n_epochs == 1 and math.isfinite(history.train_loss[0])


class Logarithm(nn.Module):
    """Gives NaN as soon as a weight has made its input negative."""

    def forward(self, x):
        return torch.log(x)


def test_a_module_that_gives_nan_after_a_step_is_caught_in_that_epoch():
    X, y = rows()
    module = nn.Sequential(nn.Linear(3, 1), Logarithm())
    with torch.no_grad():
        module[0].weight.zero_()
        module[0].bias.fill_(1.0)
    optimizer = torch.optim.SGD(module.parameters(), lr=5.0)
    assert broken(module, X, y, engine="torch", optimizer=optimizer).n_epochs == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_an_estimator_predicts_by_its_first_weights_where_the_first_epoch_broke(engine):
    X, y = (part.numpy() for part in rows())
    how = {"solver": "sgd", "learning_rate_init": 1e30, "batch_size": 16}
    model = MLPRegressor((8,), engine=engine, random_state=0, **how)
    with pytest.warns(ConvergenceWarning, match="became infinite or NaN"):
        model.fit(X, y[:, 0])
    assert model.n_iter_ == 1
    assert np.isfinite(model.predict(X)).all()
