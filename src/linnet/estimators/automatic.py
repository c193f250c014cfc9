"""solver="auto": which solver suits a network, its loss and its rows."""

from __future__ import annotations

import torch
from torch import nn

from linnet.losses import Loss
from linnet.solvers.independence import dependence, in_training

# Up to these Levenberg-Marquardt is worth its steps: a step solves a system of P parameters, and
# sums J'J over N rows, which takes some half a second for this many multiply-adds.
GREATEST_PARAMETERS = 2000
GREATEST_WORK = 4e9


def choose_solver(
    module: nn.Module, n_rows: int, loss: Loss, some_rows: torch.Tensor
) -> tuple[str, str]:
    """Return "lm" or "adamw", and one sentence that says why.

    Parameters
    ----------
    module : torch.nn.Module
    n_rows : int
        Training rows, N.
    loss : Loss
    some_rows : Tensor of shape (n, D)
        Encoded inputs, which a module that is small enough is tried with.
    """
    n_parameters = sum(p.numel() for p in module.parameters() if p.requires_grad)
    work = n_rows * n_parameters**2
    sizes = f"{n_rows:,} rows x {n_parameters:,}² parameters are {work:.1e}, of {GREATEST_WORK:.0e}"
    if not isinstance(loss.function, nn.MSELoss) or loss.is_sum:
        reason = f"the loss is {loss.name}, not squared_error"
    elif n_parameters > GREATEST_PARAMETERS:
        reason = f"{n_parameters:,} parameters are more than {GREATEST_PARAMETERS:,}"
    elif work > GREATEST_WORK:
        reason = f"{sizes} at most"
    elif fault := _fault(module, some_rows):
        reason = fault
    else:
        return "lm", (
            f"solver='auto': Levenberg-Marquardt, for the loss is squared_error, {n_parameters:,} "
            f"parameters are at most {GREATEST_PARAMETERS:,}, and {sizes} at most."
        )
    return "adamw", f"solver='auto': AdamW, its rate falling as cosine, for {reason}."


def _fault(module: nn.Module, X: torch.Tensor) -> str:
    with in_training(module):
        return dependence(module, X)
