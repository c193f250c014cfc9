"""scikit-learn's searches take linnet's estimators as they are, in several processes too."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from linnet import EnsembleClassifier, EnsembleRegressor, MLPClassifier, MLPRegressor

SMALL = {"max_iter": 20, "random_state": 0}
NETWORK = {**SMALL, "hidden_layer_sizes": (8,), "solver": "lbfgs"}
MODELS = {
    "MLPRegressor": MLPRegressor(**NETWORK),
    "MLPClassifier": MLPClassifier(**NETWORK),
    "EnsembleRegressor": EnsembleRegressor(2, hidden_layer_sizes=(8,), **SMALL),
    "EnsembleClassifier": EnsembleClassifier(2, hidden_layer_sizes=(8,), **SMALL),
}
# The first is hopeless: so strong a penalty, or so small a rate, lets nothing be learnt.
GRIDS = {"MLP": {"alpha": [1e6, 1e-3]}, "Ensemble": {"learning_rate_init": [1e-9, 0.01]}}


def table(name):
    X, y = load_iris(return_X_y=True)
    return (X, y) if name.endswith("Classifier") else (X[:, :3], X[:, 3])


def grid(name):
    return GRIDS["MLP" if name.startswith("MLP") else "Ensemble"]


@pytest.mark.filterwarnings("ignore:.*max_iter=20 epochs are done")
@pytest.mark.parametrize("name", MODELS)
def test_a_grid_is_searched_in_two_processes(name):
    X, y = table(name)
    searched = [
        GridSearchCV(MODELS[name], grid(name), cv=2, n_jobs=n_jobs).fit(X, y) for n_jobs in (2, 1)
    ]
    ((parameter, (_, good)),) = grid(name).items()
    for search in searched:
        assert search.best_params_ == {parameter: good}
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        assert search.score(X, y) > 0.85
    scores = [search.cv_results_["mean_test_score"] for search in searched]
    # A process beside others takes one thread, which changes no bit.
    assert (scores[0] == scores[1]).all()


@pytest.mark.filterwarnings("ignore:.*epochs are done")
@pytest.mark.parametrize("name", MODELS)
def test_successive_halving_runs_over_epochs_in_two_processes(name):
    X, y = table(name)
    search = HalvingRandomSearchCV(
        MODELS[name],
        grid(name),
        n_candidates=2,
        resource="max_iter",
        max_resources=20,
        min_resources=10,
        factor=2,
        cv=2,
        random_state=0,
        n_jobs=2,
    ).fit(X, y)
    ((parameter, (_, good)),) = grid(name).items()
    assert search.n_resources_ == [10, 20]
    assert search.best_params_ == {parameter: good, "max_iter": 20}
    assert search.best_estimator_.max_iter == 20


@pytest.mark.filterwarnings("ignore:.*epochs are done")
def test_a_pipeline_around_a_network_is_searched():
    X, y = table("MLPClassifier")
    pipeline = make_pipeline(StandardScaler(), MODELS["MLPClassifier"])
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [1e6, 1e-3]}, cv=2, n_jobs=2)
    search.fit(X, y)
    assert search.best_params_ == {"mlpclassifier__alpha": 1e-3}
