"""What an ensemble's members are and how they are trained, where the user leaves it to linnet.

Letters: N rows, D inputs, K outputs, B rows of a batch.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from linnet.solvers import takes_all_rows


@dataclass(frozen=True)
class Settings:
    """All constants of a member's network and training.

    Attributes
    ----------
    hidden_layer_sizes : tuple of int
        Neurons of each hidden layer.
    activation : str
        Of the hidden layers.
    n_frequencies : int
        Cosines of each input next to the input itself (`linnet.network.PeriodicEmbedding`); 0: the
        inputs alone.
    frequency_scale : float
        Standard deviation of their frequencies at the start.
    initialization : str
        How weights start.
    dropout : float
        Fraction of hidden activations set to zero in training.
    label_smoothing : float
        Share of each class label that is spread evenly over all classes in training; of numbers 0.
    solver : str
    learning_rate_init : float
        Greatest learning rate of a layer of `reference_width` inputs; with Adam's family others
        have ``sqrt(reference_width / inputs)`` times as much.
    reference_width : int
    bias_rate, frequency_rate, feature_scale_rate : float
        Rates of biases, of the embedding, and of the factors of the inputs, as multiples.
    beta_1, beta_2 : float
        Decay of Adam's means.
    alpha : float
        Weight decay.
    warm_up : float
        Share of all steps in which the rate rises; then it falls as a cosine.
    batch_size : int
        Rows of a step, B.
    max_iter : int
        Greatest number of epochs.
    n_iter_no_change : int
        Epochs without a better validation loss after which a member stops.
    """

    hidden_layer_sizes: tuple[int, ...] = (128, 128)
    activation: str = "silu"
    n_frequencies: int = 2
    frequency_scale: float = 0.2
    initialization: str = "torch"
    dropout: float = 0.0
    label_smoothing: float = 0.0
    solver: str = "adamw"
    learning_rate_init: float = 0.015
    reference_width: int = 128
    bias_rate: float = 0.1
    frequency_rate: float = 0.5
    feature_scale_rate: float = 4.0
    beta_1: float = 0.9
    beta_2: float = 0.95
    alpha: float = 0.01
    warm_up: float = 0.1
    batch_size: int = 64
    max_iter: int = 45
    n_iter_no_change: int = 20

    @property
    def sentence(self) -> str:
        """What was chosen, for the history."""
        hidden = ",".join(map(str, self.hidden_layer_sizes)) or "none"
        plural = "s" * (self.n_frequencies != 1)
        waves = f"{self.n_frequencies} cosine{plural} of each input, " if self.n_frequencies else ""
        takes_all = takes_all_rows(self.solver)
        steps = "all rows at once" if takes_all else f"batches of {self.batch_size:,}"
        labels = f", labels smoothed by {self.label_smoothing:g}" if self.label_smoothing else ""
        return (
            f"{waves}hidden layers {hidden}, {self.activation}; {self.solver}, {steps}, at most "
            f"{self.max_iter:,} epochs{labels}"
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Settings:
        """Make settings of plain data.

        Raises
        ------
        ValueError
            If an entry is missing, unknown or of another type.
        """
        kinds = {name: type(value) for name, value in asdict(cls()).items()}
        if record.keys() != kinds.keys():
            raise ValueError("its settings are not those of an ensemble")
        values: dict[str, Any] = {name: kind(record[name]) for name, kind in kinds.items()}
        values["hidden_layer_sizes"] = tuple(int(size) for size in record["hidden_layer_sizes"])
        return cls(**values)


# A network learns class labels by heart in fewer epochs than numbers.
_RATE_OF_CLASSES = 0.01
# Without, it is soon so sure of them that its validation loss grows while it still learns.
_SMOOTHING_OF_CLASSES = 0.1
# Steps that a small table needs, and the most epochs for them.
_FEWEST_STEPS = 600
_MOST_EPOCHS = 150
# From so many rows on epochs become fewer, as the square root of the rows.
_MANY_ROWS = 10_000
# Batches of 64 for so many rows; they grow as the square root of the rows.
_ROWS_OF_64 = 1500
# Of one or two inputs a function may have many waves, and rows enough to tell them from noise.
_FEW_INPUTS, _FREQUENCIES_OF_FEW, _SCALE_OF_FEW = 2, 8, 0.5
# Numbers that a row is embedded to, at most: the first layer's time grows with them, and with many
# inputs cosines find patterns in the noise.
_MOST_EMBEDDED = 80


def choose(
    n_rows: int, n_inputs: int, n_outputs: int, *, is_classes: bool = False, **given: Any
) -> Settings:
    """Return the settings for a table of such a size; the one place where they are decided.

    Parameters
    ----------
    n_rows, n_inputs, n_outputs : int
        N rows to train a member on, D, K.
    is_classes : bool, default=False
        Whether the targets are classes.
    **given
        Settings that the user decided; "auto" where not.

    Examples
    --------
    >>> from linnet.ensemble.settings import choose
    >>> choose(1_000, 8, 1).hidden_layer_sizes, choose(1_000_000, 8, 1).max_iter
    ((128, 128), 4)
    """
    chosen = {name: value for name, value in given.items() if not _is_auto(value)}
    settings = replace(Settings(), **chosen)
    if is_classes and "learning_rate_init" not in chosen:
        settings = replace(settings, learning_rate_init=_RATE_OF_CLASSES)
    if is_classes and "label_smoothing" not in chosen:
        settings = replace(settings, label_smoothing=_SMOOTHING_OF_CLASSES)
    if "batch_size" not in chosen:
        size = 2 ** round(math.log2(64 * math.sqrt(max(1, n_rows) / _ROWS_OF_64)))
        settings = replace(settings, batch_size=min(1024, max(32, size)))
    settings = replace(settings, batch_size=min(settings.batch_size, n_rows))
    if "max_iter" not in chosen:
        n_steps = -(-n_rows // settings.batch_size)
        few = min(_MOST_EPOCHS, _FEWEST_STEPS // n_steps)
        many = round(settings.max_iter * math.sqrt(_MANY_ROWS / max(n_rows, _MANY_ROWS)))
        settings = replace(settings, max_iter=max(1, few, many))
    if "n_frequencies" not in chosen:
        if n_inputs <= _FEW_INPUTS:
            number = _FREQUENCIES_OF_FEW
        elif is_classes:  # regions are found as well without, in less time
            number = 0
        else:
            number = max(0, min(settings.n_frequencies, _MOST_EMBEDDED // n_inputs - 1))
        settings = replace(settings, n_frequencies=number)
    if n_inputs <= _FEW_INPUTS and "frequency_scale" not in chosen:
        settings = replace(settings, frequency_scale=_SCALE_OF_FEW)
    return settings


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == "auto"
