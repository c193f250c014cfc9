"""What is wrong with parameters and data is told in whole sentences, and nothing is lost."""

from __future__ import annotations

import inspect
import threading

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import DataConversionWarning, NotFittedError

from linnet import (
    EnsembleClassifier,
    EnsembleRegressor,
    MLPClassifier,
    MLPRegressor,
    ModuleClassifier,
    ModuleRegressor,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = X[:, 0] + 1.0
C = np.arange(40) % 2

ALL_EPOCHS = {"n_iter_no_change": np.inf, "random_state": 0}


def regressor(**parameters):
    return MLPRegressor(**{"hidden_layer_sizes": (4,), "max_iter": 2, **ALL_EPOCHS, **parameters})


def classifier(**parameters):
    return MLPClassifier(**{"hidden_layer_sizes": (4,), "max_iter": 2, **ALL_EPOCHS, **parameters})


def replaced(values, row, value):
    values = np.array(values, dtype=object if isinstance(value, str | None) else float)
    values[row] = value
    return values


HAS = (
    "activation, alpha, batch_size, beta_1, beta_2, class_weight, clip_grad_norm, column_types, "
    "device, dropout, dtype, early_stopping, engine, epsilon, hidden_layer_sizes, initialization, "
    "learning_rate, learning_rate_init, loss, max_iter, max_time, momentum, n_iter_no_change, "
    "n_threads, nesterovs_momentum, power_t, random_state, scale_X, shuffle, solver, tol, "
    "validation_fraction, verbose, warm_start."
)
NAMES = {
    "several": (
        lambda: MLPRegressor(max_fun=100, lr=0.1, epochs=3, optimizer="adam", activatoin="relu"),
        "MLPRegressor has no parameter 'max_fun': write max_iter, or max_time for a limit in "
        "seconds. MLPRegressor has no parameter 'lr': write learning_rate_init. MLPRegressor has "
        "no parameter 'epochs': write max_iter. MLPRegressor has no parameter 'optimizer': write "
        "solver. MLPRegressor has no parameter 'activatoin', did you mean 'activation'?",
    ),
    "patience": (
        lambda: MLPRegressor(patience=3),
        "MLPRegressor has no parameter 'patience': write n_iter_no_change together with "
        "early_stopping=True.",
    ),
    "no such thing": (
        lambda: MLPClassifier(zzz=1),
        f"MLPClassifier has no parameter 'zzz'; it has {HAS}",
    ),
    "of the module": (
        lambda: ModuleRegressor(None, hidden_layer_sizes=(3,)),
        "ModuleRegressor has no parameter 'hidden_layer_sizes': the module itself decides it.",
    ),
    "of classifiers": (
        lambda: ModuleRegressor(None, class_weight="balanced"),
        "ModuleRegressor has no parameter 'class_weight': give each row its weight, fit(X, y, "
        "sample_weight=...).",
    ),
    "of regressors": (
        lambda: ModuleClassifier(None, scale_y=False),
        "ModuleClassifier has no parameter 'scale_y': it is for numbers, and y holds classes here.",
    ),
}


@pytest.mark.parametrize(("call", "sentence"), NAMES.values(), ids=NAMES)
def test_a_parameter_with_no_place_here_is_answered_with_what_to_write(call, sentence):
    with pytest.raises(TypeError) as fault:
        call()
    assert str(fault.value) == sentence


def test_set_params_answers_in_the_same_words():
    with pytest.raises(ValueError) as fault:
        MLPRegressor().set_params(alpha=1.0, weight_decay=0.1)
    assert str(fault.value) == (
        "Invalid parameter: MLPRegressor has no parameter 'weight_decay': write alpha."
    )


def test_every_parameter_out_of_range_is_told_at_once():
    model = MLPRegressor(
        (8, 0),
        activation="relo",
        alpha=-1,
        batch_size=0,
        device="gpu",
        dropout=1.0,
        learning_rate_init=np.inf,
        loss="square",
        max_iter=0.5,
        solver="adma",
        tol=np.nan,
    )
    with pytest.raises(ValueError) as fault:
        model.fit(X, Y)
    assert str(fault.value) == (
        "activation='relo' is not known, did you mean 'relu'? Allowed are 'elu', 'gelu', "
        "'hardtanh', 'identity', 'leaky_relu', 'logistic', 'mish', 'relu', 'selu', 'sigmoid', "
        "'silu', 'sin', 'softplus', 'softsign', 'tanh'. "
        "The 'alpha' parameter of MLPRegressor must be a float in the range [0.0, inf). Got -1 "
        "instead. Write alpha=0.01, for example. "
        "The 'batch_size' parameter of MLPRegressor must be a str among {'auto'} or an int in the "
        "range [1, inf). Got 0 instead. Write batch_size=32, for example. "
        "device='gpu' is not known, did you mean 'cpu'? Allowed are 'auto', 'cpu', 'cuda', 'mps'. "
        "The 'dropout' parameter of MLPRegressor must be a float in the range [0.0, 1.0). Got 1.0 "
        "instead. Write dropout=0.1, for example. "
        "hidden_layer_sizes=(8, 0) is not allowed: sizes must be > 0. Give whole numbers of 1 or "
        "more, such as (64, 64), or () for a linear model. "
        "The 'learning_rate_init' parameter of MLPRegressor must be a float in the range (0.0, "
        "inf). Got inf instead. Write learning_rate_init=0.01, for example. "
        "loss='square' is not known, did you mean 'squared_error'? Allowed are 'squared_error', "
        "'absolute_error', 'smooth_l1', 'huber', 'poisson', 'quantile', 'gaussian'. "
        "The 'max_iter' parameter of MLPRegressor must be an int in the range [1, inf). Got 0.5 "
        "instead. Write max_iter=200, for example. "
        "solver='adma' is not known, did you mean 'adam'? Allowed are 'adagrad', 'adam', 'adamw', "
        "'auto', 'lbfgs', 'lm', 'nadam', 'radam', 'rmsprop', 'sgd'. "
        "The 'tol' parameter of MLPRegressor must be a float in the range [0.0, inf). Got nan "
        "instead. Write tol=0.0001, for example."
    )


NUMBERS = {
    EnsembleRegressor: {"n_members", "n_frequencies", "frequency_scale", "dropout", "alpha"},
    MLPRegressor: {"max_iter", "tol", "momentum", "power_t", "beta_1", "epsilon", "quantile"},
    MLPClassifier: {"n_iter_no_change", "batch_size", "clip_grad_norm", "max_time", "n_threads"},
}


@pytest.mark.parametrize("value", [True, np.True_])
@pytest.mark.parametrize("kind", NUMBERS)
def test_true_is_no_number(kind, value):
    """Python takes True for 1."""
    for name in NUMBERS[kind]:
        with pytest.raises(ValueError) as fault:
            kind(**{name: value}).fit(X, Y)
        told = str(fault.value)
        assert told.startswith(f"The '{name}' parameter of {kind.__name__} must be "), told
        assert f" Got {value!r} instead. Write {name}=" in told


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: EnsembleRegressor(1001),
            "The 'n_members' parameter of EnsembleRegressor must be an int in the range [1, 1000]. "
            "Got 1001 instead. Write n_members=8, for example.",
        ),
        (
            lambda: MLPRegressor(max_time=-1),
            "The 'max_time' parameter of MLPRegressor must be a float in the range [0.0, inf) or "
            "None. Got -1 instead. Write max_time=60, for example.",
        ),
        (
            lambda: MLPRegressor(batch_size=0),
            "The 'batch_size' parameter of MLPRegressor must be a str among {'auto'} or an int in "
            "the range [1, inf). Got 0 instead. Write batch_size=32, for example.",
        ),
        (
            lambda: EnsembleRegressor(cv="kfold"),
            "The 'cv' parameter of EnsembleRegressor must be an int in the range [2, inf), an "
            "object implementing 'split' and 'get_n_splits', an iterable or None. Got 'kfold' "
            "instead. Write cv=4, for example.",
        ),
        (
            lambda: EnsembleRegressor(cv=1),
            "The 'cv' parameter of EnsembleRegressor must be an int in the range [2, inf), an "
            "object implementing 'split' and 'get_n_splits', an iterable or None. Got 1 instead. "
            "Write cv=4, for example.",
        ),
        (
            lambda: MLPRegressor(shuffle="yes"),
            "The 'shuffle' parameter of MLPRegressor must be an instance of 'bool' or an instance "
            "of 'numpy.bool'. Got 'yes' instead. Write shuffle=True, for example.",
        ),
        (
            lambda: MLPRegressor(column_types="category"),
            "The 'column_types' parameter of MLPRegressor must be an instance of 'dict' or None. "
            "Got 'category' instead. Write column_types={'zip': 'category'}, for example.",
        ),
    ],
)
def test_a_number_out_of_its_range_is_told_with_one_that_is_in_it(call, sentence):
    with pytest.raises(ValueError) as fault:
        call().fit(X, Y)
    assert str(fault.value) == sentence


@pytest.mark.parametrize("sizes", [0, -3, 2.5, (4, 2.5), "64", (True,), None, [[3], [4]], {"a": 1}])
def test_sizes_that_are_none_are_told(sizes):
    with pytest.raises(ValueError) as fault:
        regressor(hidden_layer_sizes=sizes).fit(X, Y)
    assert str(fault.value) == (
        f"hidden_layer_sizes={sizes!r} is not allowed: sizes must be > 0. Give whole numbers of 1 "
        "or more, such as (64, 64), or () for a linear model."
    )


WEIGHT_OF_TWO = np.eye(40)[3] + np.eye(40)[7]


class Locked(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


FRAME_REMEDY = ", or pass X as a data frame, whose missing numbers are filled in"
# call, error, sentence
DATA = {
    "NaN in X": (
        lambda: regressor().fit(replaced(X, (3, 1), np.nan), Y),
        "X has 1 value that is NaN or infinite, in column 1, row 3 (counted from 0): remove these "
        f"rows or fill in finite numbers{FRAME_REMEDY}.",
    ),
    "infinity in X at prediction": (
        lambda: regressor().fit(X, Y).predict(replaced(X, 5, np.inf)),
        "X has 3 values that are NaN or infinite, the first in column 0, row 5 (counted from 0): "
        f"remove these rows or fill in finite numbers{FRAME_REMEDY}.",
    ),
    "NaN in X_val": (
        lambda: regressor().fit(X, Y, X_val=replaced(X, (0, 0), np.nan), y_val=Y),
        "X_val has 1 value that is NaN or infinite, in column 0, row 0 (counted from 0): remove "
        f"these rows or fill in finite numbers{FRAME_REMEDY}.",
    ),
    "infinity in y": (
        lambda: regressor().fit(X, replaced(Y, 4, np.inf)),
        "Input y contains NaN or infinity: y has 1 value that is NaN or infinite, in row 4 "
        "(counted from 0): remove these rows or fill in finite numbers.",
    ),
    "None in y": (
        lambda: regressor().fit(X, replaced(Y, 4, None)),
        "Input y contains NaN: 1 missing value, and a row without a target teaches nothing. Leave "
        "these rows out of X and y.",
    ),
    "a missing label": (
        lambda: classifier().fit(X, replaced(C, [1, 2], None)),
        "Input y contains NaN: 2 missing values, and a row without a target teaches nothing. Leave "
        "these rows out of X and y.",
    ),
    "text in X": (
        lambda: regressor().fit(replaced(X, (0, 0), "red"), Y),
        "X holds text ('red') where numbers are needed. Give a data frame, whose categories, "
        "booleans and dates are encoded, or numbers.",
    ),
    "text in y": (
        lambda: regressor().fit(X, ["red", "blue"] * 20),
        "y holds text such as 'red' where numbers are needed. Use MLPClassifier or "
        "ModuleClassifier for classes, or give numbers.",
    ),
    "dates in y": (
        lambda: regressor().fit(X, np.arange(40).astype("datetime64[D]")),
        "y holds dates or durations such as '1970-01-01' where numbers are needed. Use "
        "MLPClassifier or ModuleClassifier for classes, or give numbers.",
    ),
    "complex numbers in X": (
        lambda: regressor().fit(X + 1j, Y),
        "Complex data not supported: X holds complex numbers. Give their real and imaginary parts "
        "as columns: np.column_stack([X.real, X.imag]).",
    ),
    "complex numbers in y": (
        lambda: regressor().fit(X, Y + 1j),
        "Complex data not supported: y holds complex numbers. Give their real and imaginary parts "
        "as columns: np.column_stack([y.real, y.imag]).",
    ),
    "rows of different lengths": (
        lambda: regressor().fit([[1.0, 2.0]] * 39 + [[1.0]], Y),
        "X has rows of different lengths. Give rows of one length, (N, D).",
    ),
    "another number of columns in X_val": (
        lambda: regressor().fit(X, Y, X_val=X[:, :1], y_val=Y),
        "X_val has 1 features, but MLPRegressor is expecting 3 features as input.",
    ),
    "another number of columns in a frame X_val": (
        lambda: regressor().fit(pd.DataFrame(X), Y, X_val=pd.DataFrame(X[:, :1]), y_val=Y),
        "X_val has 1 features, but MLPRegressor is expecting 3 features as input.",
    ),
    "one number as y": (
        lambda: regressor().fit(X, 3.0),
        "y has shape (); it has to be (N,), or (N, K) for K outputs.",
    ),
    "three dimensions of classes": (
        lambda: classifier().fit(X, C.reshape(40, 1, 1)),
        "y has shape (40, 1, 1); it has to be (N,), or (N, K) for K labels.",
    ),
    "objects as classes": (
        lambda: classifier().fit(X, np.array([{}] * 40)),
        "Unknown label type: y holds a dict where text, numbers or booleans are needed. Give a "
        "name or a number for each class.",
    ),
    "weights of other classes": (
        lambda: classifier(class_weight={5: 1.0}).fit(X, C),
        "class_weight={5: 1.0} names none of the classes: 0, 1. Give {class: weight} for some.",
    ),
    "text among numbers as classes": (
        lambda: classifier().fit(X, np.array(["red", 1] * 20, dtype=object)),
        "y mixes text and numbers as classes, which cannot be sorted. Give all as text: "
        "[str(label) for label in y].",
    ),
    "numbers as classes": (
        lambda: classifier().fit(X, Y),
        f"Unknown label type: y holds fractions such as {Y[np.floor(Y) != Y][0]:g}, which are "
        "numbers rather than classes. Use MLPRegressor, ModuleRegressor or EnsembleRegressor; or "
        "give classes as text, numpy.asarray(y).astype(str).",
    ),
    "two columns of classes": (
        lambda: classifier().fit(X, np.arange(80).reshape(40, 2) % 3),
        "y of shape (40, 2) has several columns of classes: fit one classifier a column "
        "(sklearn.multioutput.MultiOutputClassifier), or give zeros and ones for multilabel "
        "targets.",
    ),
    "ragged y": (
        lambda: regressor().fit(X, [[1], [1, 2]] * 20),
        "y has rows of different lengths. Give one value a row, or K of them, (N, K).",
    ),
    "y of three dimensions": (
        lambda: regressor().fit(X, np.zeros((40, 1, 2))),
        "y has shape (40, 1, 2); it has to be (N,), or (N, K) for K outputs.",
    ),
    "no y": (
        lambda: regressor().fit(X, None),
        "This fit requires y to be passed, but the target y is None. Write fit(X, y).",
    ),
    "other lengths": (
        lambda: regressor().fit(X, Y[:5]),
        "Found input variables with inconsistent numbers of samples: X has 40 rows and y 5. Each "
        "row of X needs one of y.",
    ),
    "other lengths of validation rows": (
        lambda: regressor().fit(X, Y, X_val=X, y_val=Y[:5]),
        "Found input variables with inconsistent numbers of samples: X_val has 40 rows and y_val "
        "5. Each row of X_val needs one of y_val.",
    ),
    "X_val alone": (
        lambda: regressor().fit(X, Y, X_val=X),
        "X_val is given without y_val: give both, or neither.",
    ),
    "y_val alone": (
        lambda: regressor().fit(X, Y, y_val=Y),
        "y_val is given without X_val: give both, or neither.",
    ),
    "sample_weight_val alone": (
        lambda: regressor().fit(X, Y, sample_weight_val=Y),
        "sample_weight_val is given without X_val: give both, or neither.",
    ),
    "outputs of y_val": (
        lambda: regressor().fit(X, Y, X_val=X, y_val=np.c_[Y, Y]),
        "y_val has 2 outputs; this model was fitted on 1. Give as many.",
    ),
    "labels of y_val": (
        lambda: classifier().fit(X, C, X_val=X, y_val=C + 1),
        "y_val has classes that were not there before: 2. Known are 0, 1. Leave these rows out, or "
        "fit anew.",
    ),
    "text labels of y_val": (
        lambda: classifier().fit(X, C, X_val=X, y_val=np.where(C, "a", "b")),
        "y_val has classes that were not there before: 'a', 'b'. Known are 0, 1. Leave these rows "
        "out, or fit anew.",
    ),
    "a number of columns": (
        lambda: regressor().fit(X, Y).predict(X[:, :2]),
        "X has 2 features, but MLPRegressor is expecting 3 features as input.",
    ),
    "one row": (
        lambda: regressor().fit(X[:1], Y[:1]),
        "X holds 1 sample (n_samples=1): one row is too little to learn from. Give two or more.",
    ),
    "constant y": (
        lambda: regressor().fit(X, np.full(40, 7)),
        "y is constant (always 7): there is nothing to learn. Choose a target that varies.",
    ),
    "a constant output": (
        lambda: regressor().fit(X, np.c_[Y, np.full(40, 7)]),
        "y is constant in output 1 (always 7): there is nothing to learn. Choose a target that "
        "varies.",
    ),
    "y beyond what float64 tells apart": (
        lambda: regressor().fit(X, 2**63 - 1 - np.arange(40)),
        "y is constant as 64-bit floats (always 9.22337e+18), which cannot tell all whole numbers "
        "beyond 2**53 apart. Subtract an offset before the fit, y - y.min(), or choose a target "
        "that varies.",
    ),
    "y beyond float64": (
        lambda: regressor().fit(X, np.array([10**400] + [1] * 39, dtype=object)),
        "y holds a whole number beyond 1.8e308, the greatest 64-bit float. Give y in larger units, "
        "or its logarithm.",
    ),
    "X beyond float64": (
        lambda: regressor().fit(np.array([[10**400]] + [[1]] * 39, dtype=object), Y),
        "X holds a whole number beyond 1.8e308, the greatest 64-bit float. Give X in larger units, "
        "or its logarithm.",
    ),
    "objects in X": (
        lambda: regressor().fit(np.full((40, 1), 1j, dtype=object), Y),
        "X holds values that are no numbers (float() argument must be a string or a real number, "
        "not 'complex'). Give numbers, or a data frame, whose categories, booleans and dates are "
        "encoded.",
    ),
    "records for y": (
        lambda: regressor().fit(X, np.zeros(40, dtype=[("a", float)])),
        "y is an array of records ([('a', '<f8')]). Give one of its fields, or a column each.",
    ),
    "weights beyond float64": (
        lambda: regressor().fit(X, Y, [10**400] + [1] * 39),
        "sample_weight holds a whole number beyond 1.8e308, the greatest 64-bit float. Give "
        "sample_weight in larger units, or its logarithm.",
    ),
    "one class": (
        lambda: classifier().fit(X, np.full(40, "red")),
        "y holds one class only ('red'): there is nothing to tell apart. Give rows of two or more "
        "classes.",
    ),
    "one class that counts": (
        lambda: classifier().fit(X, C, C),
        "y holds one class only (1) in the rows whose weight is above 0: there is nothing to tell "
        "apart. Give rows of two or more classes.",
    ),
    "a class with one member": (
        lambda: classifier(early_stopping=True).fit(X, ["lone", *np.where(C[1:], "a", "b")]),
        "The class 'lone' has one row only, which cannot be both in the training and in the "
        "validation rows. Add rows of it, leave it out, or give X_val and y_val.",
    ),
    "too few rows to hold out": (
        lambda: regressor(early_stopping=True, validation_fraction=0.5).fit(X[:3], Y[:3]),
        "validation_fraction=0.5 of 3 rows leaves fewer than 2 to train on. Give more rows, a "
        "smaller fraction, or early_stopping=False.",
    ),
    "constant X": (
        lambda: regressor().fit(np.ones((40, 2)), Y),
        "Every column of X is constant, so there is nothing to learn from: give at least one "
        "column whose values differ.",
    ),
    "weights of another shape": (
        lambda: regressor().fit(X, Y, np.ones(5)),
        "sample_weight has shape (5,); it has to be (40,), one number a row.",
    ),
    "negative weights": (
        lambda: regressor().fit(X, Y, -np.ones(40)),
        "sample_weight has a least value of -1 and a greatest of -1: weights are 0 or more, and at "
        "least one is above zero.",
    ),
    "text as weights": (
        lambda: regressor().fit(X, Y, ["heavy"] * 40),
        "sample_weight holds <U5 values where numbers are needed.",
    ),
    "negative counts": (
        lambda: regressor(loss="poisson").fit(X, Y - 10),
        f"y has a least value of {(Y - 10).min():g}; this loss needs targets of 0 or more. Choose "
        "loss='squared_error', or another target.",
    ),
    "a bounded output": (
        lambda: regressor(output_activation="tanh").fit(X, Y),
        "output_activation='tanh' cannot reach every standardised target. Write scale_y=False and "
        "give y in the range of that activation, or output_activation='identity'.",
    ),
    "an engine that cannot": (
        lambda: regressor(engine="nativ").fit(X, Y),
        "engine='nativ' is not known, did you mean 'native'? Allowed are 'auto', 'native', "
        "'torch'.",
    ),
    "no classes in the first part": (
        lambda: classifier().partial_fit(X, C),
        "classes must be passed on the first call to partial_fit: write partial_fit(X, y, "
        "classes=[...]) with every class that may come.",
    ),
    "other classes in a later part": (
        lambda: classifier().partial_fit(X, C, classes=[0, 1]).partial_fit(X, C, classes=[0, 2]),
        "classes=[0, 2] is not the same as on last call to partial_fit, which was [0, 1]. Leave "
        "classes out, or begin with a new estimator.",
    ),
    "one row of a weight above 0": (
        lambda: regressor().fit(X, Y, sample_weight=np.eye(40)[3]),
        "1 of 40 rows has a weight above 0: one row is too little to learn from. Give two or more "
        "such weights.",
    ),
    "rows that are alike where they have a weight": (
        lambda: regressor().fit(np.ones_like(X), Y, sample_weight=WEIGHT_OF_TWO),
        "Every column of X is constant in the rows whose weight is above 0, so there is nothing to "
        "learn from: give at least one column whose values differ.",
    ),
    "rows of an ensemble that are alike where they have a weight": (
        lambda: EnsembleRegressor().fit(np.ones_like(X), Y, sample_weight=WEIGHT_OF_TWO),
        "Every column of X is constant in the rows whose weight is above 0, so there is nothing to "
        "learn from: give at least one column whose values differ.",
    ),
    "a frame whose rows are alike where they have a weight": (
        lambda: regressor().fit(pd.DataFrame({"a": WEIGHT_OF_TWO}), Y, WEIGHT_OF_TWO),
        "Every column of X is constant in the rows whose weight is above 0, so there is nothing to "
        "learn from: give at least one column whose values differ.",
    ),
    "a target that is constant where there is weight": (
        lambda: regressor().fit(X, WEIGHT_OF_TWO, sample_weight=WEIGHT_OF_TWO),
        "y is constant in the rows whose weight is above 0 (always 1): there is nothing to learn. "
        "Choose a target that varies.",
    ),
    "a module that cannot be copied": (
        lambda: ModuleRegressor(Locked()).fit(X, Y),
        "The module cannot be copied, and a copy is what an estimator trains (cannot pickle "
        "'_thread.lock' object). Give a function that makes one, such as module=lambda n_inputs, "
        "n_outputs: MyNet(), and write torch.nn.utils.parametrizations.weight_norm for "
        "torch.nn.utils.weight_norm.",
    ),
    "another network in a warm start": (
        lambda: (
            regressor(warm_start=True).fit(X, Y).set_params(dropout=0.5, loss="huber").fit(X, Y)
        ),
        "dropout, loss changed since the last fit, and this one goes on with its network. Set what "
        "it was, or write warm_start=False to begin anew.",
    ),
}


@pytest.mark.parametrize(("call", "sentence"), DATA.values(), ids=DATA)
def test_what_is_wrong_with_the_data_is_told(call, sentence):
    with pytest.raises((ValueError, TypeError)) as fault:
        call()
    assert str(fault.value) == sentence


def test_a_batch_of_more_rows_than_there_are_is_clipped_with_a_word():
    told = "batch_size=100 is more than the 40 training rows; it is taken as 40."
    with pytest.warns(UserWarning, match=f"^{told}$") as warned:
        model = regressor(batch_size=100).fit(X, Y)
    assert warned[0].filename == __file__
    assert model.history_.batch_size == 40


CLASSIFIERS = {
    "one network": classifier,
    "a module": lambda: ModuleClassifier(torch.nn.Linear(3, 2), max_iter=2, **ALL_EPOCHS),
    "an ensemble": lambda: EnsembleClassifier(2, max_iter=2, random_state=0),
}


@pytest.mark.parametrize("make", CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_classes_in_a_column_are_told_at_the_users_line(make):
    told = (
        "A column-vector y was passed when a 1d array was expected: y of shape (40, 1) is taken as "
        "(40,). Give y.ravel()."
    )
    model = make().fit(X, C)
    calls = [model.fit, *([model.partial_fit] if hasattr(model, "partial_fit") else [])]
    for call in calls:
        with pytest.warns(DataConversionWarning) as warned:
            call(X, C.reshape(-1, 1))
        here = inspect.currentframe().f_lineno - 1
        assert [str(w.message) for w in warned] == [told]
        assert (warned[0].filename, warned[0].lineno) == (__file__, here)


_NO_ORDER = "classes have no order. How sure a prediction is, predict_proba tells."
_PRESETS = "presets are of one network for numbers. Write MLPRegressor.from_preset('fitnet')."
_ALL_ROWS = (
    "its members are trained on all rows. Give fit all of them, or use MLPRegressor or "
    "MLPClassifier, which have it."
)


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        (MLPClassifier, "from_preset", _PRESETS),
        (EnsembleRegressor, "from_preset", _PRESETS),
        (EnsembleClassifier, "predict_interval", _NO_ORDER),
        (MLPClassifier, "predict_quantiles", _NO_ORDER),
        (EnsembleRegressor, "partial_fit", _ALL_ROWS),
    ],
)
def test_a_method_that_is_not_there_says_what_is(kind, name, reason):
    for thing in (kind, kind()):
        assert not hasattr(thing, name)
        with pytest.raises(AttributeError) as fault:
            getattr(thing, name)
        assert str(fault.value) == f"{kind.__name__} has no {name}: {reason}"


def test_partial_fit_is_not_there_for_lbfgs():
    with pytest.raises(AttributeError) as fault:
        regressor(solver="lbfgs").partial_fit(X, Y)
    assert str(fault.value) == (
        "partial_fit is not there for solver='lbfgs', which needs all rows at once. Choose "
        "solver='adam', 'adamw' or 'sgd'."
    )


def test_an_estimator_that_was_not_fitted_says_so():
    with pytest.raises(NotFittedError) as fault:
        MLPClassifier().predict_proba(X)
    assert str(fault.value) == (
        "This MLPClassifier instance is not fitted yet. Call 'fit' with appropriate arguments "
        "before using this estimator."
    )
    attributes = [
        "loss_curve_",
        "validation_loss_curve_",
        "best_loss_",
        "n_iter_",
        "t_",
        "coefs_",
        "intercepts_",
        "n_layers_",
        "n_outputs_",
        "out_activation_",
        "classes_",
    ]
    for name in attributes:
        with pytest.raises(AttributeError) as fault:
            getattr(MLPClassifier(), name)
        assert str(fault.value) == f"MLPClassifier has no {name} yet: call fit first."


class Trouble(RuntimeError):
    pass


def test_a_fit_that_fails_leaves_the_earlier_one_as_it_was():
    trouble, n_steps = False, 0

    def loss(prediction, target):
        nonlocal n_steps
        n_steps += prediction.requires_grad
        if trouble and n_steps % 4 == 3:
            raise Trouble("in the middle of an epoch")
        return ((prediction - target) ** 2).mean()

    def build(n_inputs, n_outputs):
        from torch import nn

        return nn.Linear(n_inputs, n_outputs)

    for warm_start in (False, True):
        trouble = False
        model = ModuleRegressor(
            build, loss=loss, max_iter=3, batch_size=10, warm_start=warm_start, **ALL_EPOCHS
        ).fit(X, Y)
        before, predicted, history = dict(vars(model)), model.predict(X), model.history_.to_json()
        with pytest.raises(ValueError):
            model.fit(X, Y[:3])
        with pytest.raises(ValueError):
            model.fit(X[:, :2], replaced(Y, 0, np.nan))
        trouble, n_steps = True, 0
        with pytest.raises(Trouble):
            model.fit(X, Y)
        assert vars(model) == before
        assert np.array_equal(model.predict(X), predicted)
        assert model.history_.to_json() == history
    new = regressor()
    with pytest.raises(ValueError):
        new.fit(X, Y[:3])
    assert vars(new) == new.get_params()
