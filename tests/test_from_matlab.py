"""The page for those who come from MATLAB names all of fitnet, and what it writes instead runs."""

from __future__ import annotations

import doctest
import functools
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from torch import nn

import linnet
from linnet.estimators.parameters import check_parameters

PAGE = Path(__file__).parents[1] / "docs" / "from_matlab.md"
# MATLAB's documentation of fitnet, network properties, train, trainlm, trainbr and dividerand.
MATLAB = """
fitnet feedforwardnet patternnet configure init train sim perform view getwb setwb regression
genFunction adapt net.trainFcn net.performFcn net.initFcn net.divideFcn net.divideMode
net.plotFcns net.adaptFcn net.derivFcn net.divideParam.trainRatio net.divideParam.valRatio
net.divideParam.testRatio net.performParam.regularization net.performParam.normalization
net.initParam net.efficiency.memoryReduction net.layers{1}.size net.layers{1}.transferFcn
net.layers{1}.initFcn net.inputs{1}.processFcns net.outputs{2}.processFcns dividerand divideblock
divideint divideind mapminmax mapstd removeconstantrows fixunknowns initnw tansig logsig poslin
purelin softmax mse mae sse crossentropy plotperform plottrainstate ploterrhist plotregression
plotfit plotwb trainlm trainbr trainbfg trainoss traingd traingdm traingdx traingda trainscg
traincgf traincgp traincgb trainrp epochs time max_fail goal min_grad mu mu_max mu_dec mu_inc show
showWindow showCommandLine lr mc lr_inc lr_dec max_perf_inc searchFcn sigma lambda delt_inc
delt_dec delta0 deltamax tr.perf tr.vperf tr.tperf tr.best_epoch tr.best_perf tr.best_vperf
tr.best_tperf tr.epoch tr.num_epochs tr.time tr.gradient tr.mu tr.val_fail tr.gamk tr.stop
tr.trainInd tr.valInd tr.testInd tr.trainFcn tr.trainParam
"""
# Cells that name what is not linnet's: MATLAB's own, PyTorch's, scikit-learn's, the shell's.
NAMES_OF_OTHERS = {
    "x.T", "t.T", "torch.nn.Sequential", "ConfusionMatrixDisplay", "RocCurveDisplay", "trainscg",
    "trainrp", "linnet show", "linnet fit --report", "solver=",
}  # fmt: skip


def cells():
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [row for row in rows if row[1] != "linnet"]


def expressions():
    found = [e for _, cell in cells() for e in re.findall(r"`([^`]+)`(?!\]\()", cell)]
    return [e for e in dict.fromkeys(found) if e not in NAMES_OF_OTHERS]


def test_every_name_of_matlabs_is_mapped():
    told = " ".join(re.findall(r"`([^`]+)`", " ".join(left for left, _ in cells())))
    missing = [n for n in MATLAB.split() if not re.search(rf"(?<![\w.]){re.escape(n)}(?!\w)", told)]
    assert missing == []


@pytest.fixture(scope="module")
def names():
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    X = np.linspace(-3, 3, 200).reshape(-1, 1)
    t = np.sin(X.ravel())
    fitted = linnet.MLPRegressor.from_preset("fitnet", random_state=0, max_iter=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted.fit(X, t)
    rows = np.arange(200)
    public = {name: getattr(linnet, name) for name in linnet.__all__}
    parameter = nn.Parameter(torch.ones(1, 1))
    yield {
        **public, "np": np, "torch": torch, "plt": plt, "clone": clone, "functools": functools,
        "X": X, "t": t, "net": fitted, "rows": rows[:150], "others": rows[150:],
        "parameter": parameter,
    }  # fmt: skip
    plt.close("all")


@pytest.mark.parametrize("expression", expressions())
def test_what_is_written_instead_runs(expression, names, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {**names}
    if re.match(r"\w+=", expression):
        check_parameters(eval(f"MLPRegressor.from_preset('fitnet', **dict({expression}))", names))
        return
    if re.match(r"(LevenbergMarquardt|LBFGS)\(", expression):
        expression = expression.replace("(", "([parameter], ")
    if re.search(r"\.(partial_)?fit\(", expression):
        names["net"] = clone(names["net"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of three epochs
        value = eval(expression, names)
    # trainbr's gamma is not there without trainbr
    assert value is not None or expression.startswith(("print", "save", "net.effective"))


def test_the_session_of_the_page_runs():
    found = doctest.testfile(str(PAGE), module_relative=False)
    assert found.attempted == 12 and found.failed == 0
