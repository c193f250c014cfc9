"""Which lints a fit is given, by its kind of target and its settings.

Letters: N rows, D inputs, K outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from linnet import lint
from linnet.table import Columns


@dataclass
class RowsSeen:
    """The rows of a fit, as lints look at them.

    Attributes
    ----------
    inputs, targets : ndarray of shape (N, D), and (N, K) or (N,)
        Encoded.
    inputs_val, targets_val : the same of the validation rows, or None
    is_one_class : bool
        Whether each row has one class.
    trained : ndarray of int, optional
        Which of the N encoded rows are trained on, where it is not all of them.
    """

    inputs: np.ndarray
    targets: np.ndarray
    inputs_val: np.ndarray | None
    targets_val: np.ndarray | None
    is_one_class: bool
    trained: np.ndarray | None = None


def lint_order(estimator: Any, y: np.ndarray, *, is_split: bool) -> list[str]:
    """Return a line where the order of the rows is likely to mislead.

    Parameters
    ----------
    estimator : NetworkEstimator
    y : ndarray of shape (N,) or (N, K)
        As given.
    is_split : bool
        Whether rows were held out by linnet, which shuffles them.
    """
    return lint.sorted_target(y, is_shuffled=is_split or getattr(estimator, "shuffle", True))


def lint_fit(
    estimator: Any, rows: RowsSeen, columns: Columns, module: nn.Module | None
) -> list[str]:
    """Return a line for each thing in the rows that is likely to mislead.

    Parameters
    ----------
    estimator : NetworkEstimator
    rows : RowsSeen
    columns : Columns
        How columns became inputs.
    module : torch.nn.Module or None
        None for the members of an ensemble, whose sizes are told with what was chosen.
    """
    lines = []
    if rows.inputs_val is not None and rows.targets_val is not None:
        held_out = (rows.inputs_val, rows.targets_val)
        of_members = rows.trained is not None
        called = "rows that the first member holds out" if of_members else "validation rows"
        how = {"rows": rows.trained, "called": called}
        lines += lint.shared_rows(rows.inputs, rows.targets, *held_out, **how)
    names = columns.feature_names
    if rows.is_one_class:
        classes = rows.targets.reshape(len(rows.targets))
        lines += lint.copied_classes(rows.inputs, classes, columns.inputs_of, columns.gaps_of)
    else:
        lines += lint.copied_target(rows.inputs, rows.targets, names, columns.gaps_of)
    if estimator.scale_X is False:
        lines += lint.unscaled_inputs(rows.inputs, names)
    if module is None:
        return lines
    n_parameters = sum(p.numel() for p in module.parameters() if p.requires_grad)
    n_held = 0 if rows.inputs_val is None else len(rows.inputs_val)
    return lines + lint.few_rows(len(rows.inputs), n_parameters, n_held)
