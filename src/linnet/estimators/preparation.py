"""What a fit of one network knows before the network is trained.

Letters: N rows, D inputs, K outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from linnet.estimators.parts import Part
from linnet.losses import Loss
from linnet.table import Columns
from linnet.training import TrainingState


@dataclass
class Network:
    """A module, what its rows are encoded with, and where its training stands.

    Attributes
    ----------
    columns : linnet.table.Columns
    target : RegressionTarget or ClassTarget
    loss : linnet.losses.Loss
    module : torch.nn.Module
    state : linnet.training.TrainingState
    generator : torch.Generator or None
        Decides the training; None where it goes on, for the state has one.
    """

    columns: Columns
    target: Any
    loss: Loss
    module: nn.Module
    state: TrainingState
    generator: torch.Generator | None


@dataclass
class Encoded:
    """Rows as the network and its loss take them.

    Attributes
    ----------
    inputs : ndarray of shape (N, D)
    targets : ndarray of shape (N, K), or (N,) of class numbers
    weight : ndarray of shape (N,) or None
        Of the rows, times those of their classes.
    """

    inputs: np.ndarray
    targets: np.ndarray
    weight: np.ndarray | None


@dataclass
class Prepared:
    """Everything that `linnet.train` is given, and what is told of the training afterwards.

    Attributes
    ----------
    network : Network
    rows : Encoded
        To train on.
    held_out : Part or None
        Validation rows as given.
    validation : Encoded or None
        The same, encoded.
    test : Part or None
        Rows that the trained network is scored on.
    split : dict of str to ndarray
        Which of the rows given are in each part; empty where all are trained on.
    schedule : str
        Of the learning rate.
    batch_size : int
    seed : int
        Decides everything.
    notes : list of str
        What the history says of the choices made.
    lines : list of str
        What in the order of the rows is likely to mislead.
    is_one_class : bool
        Whether each row has one class.
    """

    network: Network
    rows: Encoded
    held_out: Part | None
    validation: Encoded | None
    test: Part | None
    split: dict[str, np.ndarray]
    schedule: str
    batch_size: int
    seed: int
    notes: list[str]
    lines: list[str]
    is_one_class: bool
