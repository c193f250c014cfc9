"""How far predictions are from the truth: learnt from the errors for rows held out.

Letters: N rows, D inputs, K outputs, M members.

For a row that some members of an ensemble were not trained on, the error e_m of each of them is
known. The mean of M members errs less than one of them: with the variance V of members around
their common mean,

    E e_1² = B + V,    E e_M² = B + V / M                                               (1)

(Krogh and Vedelsby 1995, eq. 6). Rows that two members hold out show V, half the mean square of
the difference of the two. So the error of the mean of the k members that hold a row out is turned
into that of the mean of all: ``E e_M² = c_M / c_k E e_k²`` with ``c_m = 1 - (1 - 1/m) V / E e_1²``.
Few pairs show the share V / E e_1² roughly, so that it is drawn towards 1/2, as far as five pairs
more would draw it.

How errors vary over the inputs is told by two things: a small network that learns the logarithm of
the variance v(x) of a member's errors (Nix and Weigend 1994), out of fold as well, and the spread
s(x) of the members, which knows where they were never trained:

    sigma²(x) = max(c_M v(x), b s²(x)),    b V = c_M E v / 4,  b <= 1                   (2)

so that the spread counts where it is more than twice as great as usual. Added up, both would count
what the mean of the members takes away, and rows of little noise would be held too carefully.

Intervals are conformal (Vovk et al. 2005; Lei et al. 2018, section 5.2 for the local scale; Barber
et al. 2021 and Kim et al. 2020 for the errors of those members that were not trained on a row):
quantiles of the scores ``e_k / sqrt(c_k v)``, one for each row, times sigma. Between two scores
they are interpolated (Beran and Hall 1993), or 90 % intervals of 58 rows would hold 93 %. Both the
members and the networks of the variance are stopped by rows held out, so that the error of each row
is taken at the epoch that the others choose (`linnet.left_out`).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from scipy.stats import norm
from scipy.stats import t as student_t
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from linnet import losses
from linnet.crew import Crew
from linnet.engine.prediction import predict
from linnet.history import Outcome
from linnet.left_out import LeftOut
from linnet.network import mlp
from linnet.table.statistics import FARTHEST
from linnet.training import TrainingState, train


@dataclass
class HeldOutErrors:
    """Errors of R pairs of a row and a member that was not trained on it, in standardised units.

    Attributes
    ----------
    X : ndarray of shape (N, D)
        Encoded inputs of all rows.
    outputs : ndarray of shape (R, K)
        What the member predicts.
    errors : ndarray of shape (R, K)
        Target minus prediction.
    rows : ndarray of shape (R,)
        Row numbers; a row that two members hold out comes twice.
    weight : ndarray of shape (R,) or None
    """

    X: np.ndarray
    outputs: np.ndarray
    errors: np.ndarray
    rows: np.ndarray
    weight: np.ndarray | None = None

    @property
    def is_usable(self) -> np.ndarray:
        """Whether the errors of each pair (R,) are finite, and so are their squares."""
        with np.errstate(invalid="ignore"):
            return np.all(np.abs(self.errors) < 1e150, axis=1)

    def take(self, chosen: np.ndarray) -> HeldOutErrors:
        """Return some of the pairs."""
        weight = None if self.weight is None else self.weight[chosen]
        return HeldOutErrors(
            self.X, self.outputs[chosen], self.errors[chosen], self.rows[chosen], weight
        )

    def member_share(self) -> np.ndarray:
        """Return the part V / E e_1² of the members' own, (K,), 0 to 1; 0 where it is not known."""
        order = np.argsort(self.rows, kind="stable")
        first = np.flatnonzero(np.diff(self.rows[order]) == 0)
        a, b = self.errors[order[first]], self.errors[order[first + 1]]
        n_pairs = len(a)
        if n_pairs == 0:
            return np.zeros(self.errors.shape[1])
        share = ((a - b) ** 2).mean(axis=0) / np.maximum((a**2 + b**2).mean(axis=0), 1e-300)
        return (n_pairs * share.clip(0, 1) + _PAIRS_OF_PRIOR / 2) / (n_pairs + _PAIRS_OF_PRIOR)

    def by_row(self, share: np.ndarray) -> HeldOutErrors:
        """Return one error for each row: that of the mean of its members, as great as one's alone.

        Parameters
        ----------
        share : ndarray of shape (K,)
            V / E e_1².
        """
        rows, first, place, counts = np.unique(
            self.rows, return_index=True, return_inverse=True, return_counts=True
        )
        means = []
        for values in (self.outputs, self.errors):
            sums = np.zeros((len(rows), values.shape[1]))
            np.add.at(sums, place, values)
            means.append(sums / counts[:, None])
        outputs, errors = means
        errors /= np.sqrt(_gain(share, counts[:, None]))
        weight = None if self.weight is None else self.weight[first]
        return HeldOutErrors(self.X, outputs, errors, rows, weight)


def _gain(share: np.ndarray, n_members: Any) -> np.ndarray:
    """Return c_m, the mean square error of the mean of m members as a part of that of one."""
    return 1 - (1 - 1 / n_members) * share


# Pairs of members whose errors differ by half of their square, added to those that are there.
_PAIRS_OF_PRIOR = 5
# Rows that the network of the variance learns from, at most, and at least.
_MOST_ROWS, _FEWEST_ROWS = 20_000, 60
_N_FOLDS = 5
_HIDDEN = (32, 32)
_ROWS_SEEN, _MOST_EPOCHS = 400_000, 100
# Errors in units of their root mean square; larger ones count as such.
_GREATEST_ERROR = 5.0
# Rows with one far input may have logarithms that exp cannot take.
_GREATEST_LOG = 50.0
# How much of the network's logarithm is believed; the rest is the constant's.
_BELIEFS = (0.0, 0.25, 0.5, 0.75, 1.0)
# What a usual spread comes to, as a share of the variance of a typical row: it counts where it is
# more than twice as great as usual.
_USUAL_SPREAD = 0.25
_MOST_SCORES = 4_000


class ErrorBars(nn.Module):
    """Standard deviation and quantiles of the error of a prediction.

    Parameters
    ----------
    n_inputs, n_outputs : int
        D, K.
    n_networks : int, default=0
        Networks of the variance, whose logarithm is the mean of theirs.
    n_scores : int, default=1
        Scores that are kept.

    Attributes
    ----------
    log_variance : Tensor of shape (K,)
        Of a member's errors, where nothing is known of the inputs.
    belief : Tensor of shape ()
        Share of the networks in the logarithm, 0 to 1.
    bounds : Tensor of shape (2, K)
        Least and greatest logarithm of the networks for rows held out.
    own, of_spread : Tensor of shape (K,)
        Factors c and b of eq. 2.
    scores : Tensor of shape (Q, K)
        Sorted errors over their standard deviation; none (0, K) where they are taken as normal.
    interrupted : bool
        Whether Ctrl-C ended the training of the networks, so that the variance is a constant.
    """

    log_variance: torch.Tensor
    belief: torch.Tensor
    bounds: torch.Tensor
    own: torch.Tensor
    of_spread: torch.Tensor
    scores: torch.Tensor

    def __init__(self, n_inputs: int, n_outputs: int, n_networks: int = 0, n_scores: int = 1):
        super().__init__()
        self.interrupted = False
        generator = torch.Generator()
        self.networks = nn.ModuleList(
            _variance_network(n_inputs, n_outputs, generator) for _ in range(n_networks)
        )
        self.register_buffer("log_variance", torch.zeros(n_outputs, dtype=torch.float64))
        self.register_buffer("belief", torch.zeros((), dtype=torch.float64))
        self.register_buffer("bounds", torch.zeros(2, n_outputs, dtype=torch.float64))
        self.register_buffer("own", torch.ones(n_outputs, dtype=torch.float64))
        self.register_buffer("of_spread", torch.zeros(n_outputs, dtype=torch.float64))
        self.register_buffer("scores", torch.zeros(n_scores, n_outputs, dtype=torch.float64))

    def sigma(self, x: torch.Tensor, mean: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """Return the local scale (N, K) of eq. 2.

        Parameters
        ----------
        x : Tensor of shape (N, D)
            Encoded inputs.
        mean, spread : Tensor of shape (N, K)
            What the ensemble gives for them.
        """
        variance = self.log_variance.exp().expand(mean.shape)
        if self.networks:
            inputs = torch.cat([x, mean], dim=1).clamp(-FARTHEST, FARTHEST).float()
            logs = torch.stack([_log_variances(network, inputs) for network in self.networks])
            bounded = torch.minimum(torch.maximum(logs, self.bounds[0]), self.bounds[1])
            # The scores were made with one network each: of its logarithm the mean is typical, that
            # of the variances would be greater.
            variance = variance * torch.exp(self.belief * bounded.mean(dim=0))
        return torch.sqrt(torch.maximum(self.own * variance, self.of_spread * spread.double() ** 2))

    def standard_deviation(self, sigma: torch.Tensor) -> torch.Tensor:
        """Return the standard deviation of the error (N, K) for the local scale."""
        if len(self.scores) == 0:
            return sigma
        return sigma * torch.sqrt((self.scores**2).mean(dim=0))

    def quantile(self, level: float) -> torch.Tensor:
        """Return the quantile (K,) of error over sigma: conformal, interpolated between two scores.

        Of Q + 1 equally likely places for a new error, ``level`` lie below on average (Beran and
        Hall 1993, section 2). Beyond the last score the quantile is that of Student's t of Q
        degrees of freedom, if that is farther.
        """
        n = len(self.scores)
        if n == 0:
            return torch.full((self.scores.shape[1],), float(norm.ppf(level)), dtype=torch.float64)
        rank = round((n + 1) * level, 9)
        if 1 <= rank <= n:
            below = math.floor(rank)
            return torch.lerp(self.scores[below - 1], self.scores[min(below, n - 1)], rank - below)
        tail = float(student_t.ppf(level, n)) * torch.sqrt((self.scores**2).mean(dim=0))
        is_low = level < 0.5
        return (
            torch.minimum(self.scores[0], tail) if is_low else torch.maximum(self.scores[-1], tail)
        )

    @classmethod
    def normal(cls, n_outputs: int) -> ErrorBars:
        """Return error bars of errors that are normal with variance 1: a Gaussian head's own.

        Parameters
        ----------
        n_outputs : int
            K.

        Examples
        --------
        >>> from linnet.error_bars import ErrorBars
        >>> round(float(ErrorBars.normal(1).quantile(0.975)), 2)
        1.96
        """
        return cls(0, n_outputs, n_scores=0).eval()

    @classmethod
    def from_state(cls, n_inputs: int, n_outputs: int, state: dict[str, torch.Tensor]) -> ErrorBars:
        """Make error bars of their ``state_dict()``.

        Raises
        ------
        ValueError, RuntimeError
            If it is none, or of other sizes.
        """
        n_networks = len({name.split(".")[1] for name in state if name.startswith("networks.")})
        scores = state.get("scores", torch.empty(0))
        n_scores = len(scores) if scores.ndim else 0
        sizes = n_inputs + n_outputs, *_HIDDEN, n_outputs
        n_weights = sum((a + 1) * b for a, b in pairwise(sizes)) + 2 * n_outputs**2
        found = sum(value.numel() for name, value in state.items() if name.startswith("networks."))
        # Sizes are compared before the networks take memory.
        if (
            n_networks > _N_FOLDS
            or "scores" not in state
            or found != n_networks * n_weights
            or scores.shape != (n_scores, n_outputs)
            or not all(bool(torch.isfinite(value).all()) for value in state.values())
        ):
            raise ValueError("its error bars are damaged")
        bars = cls(n_inputs, n_outputs, n_networks, n_scores)
        bars.load_state_dict(state)
        return bars.eval()

    @classmethod
    def fit(
        cls,
        held_out: HeldOutErrors,
        *,
        n_members: int,
        seed: int,
        n_threads: int,
        local: bool,
        max_time: float | None = None,
    ) -> ErrorBars:
        """Learn from errors for rows held out.

        Parameters
        ----------
        held_out : HeldOutErrors
        n_members : int
            M.
        seed : int
            Decides folds, weights and order.
        n_threads : int
            How many networks are trained at once.
        local : bool
            Whether the variance is learnt as a function of the inputs.
        max_time : float, optional
            Seconds for that.
        """
        share = held_out.member_share()
        held_out = held_out.by_row(share)
        n_rows, n_outputs = held_out.errors.shape
        square = _mean(held_out.errors**2, held_out.weight)
        variance_of_members = share * square
        rng = np.random.default_rng(seed)
        if n_rows > _MOST_ROWS:
            held_out = held_out.take(rng.permutation(n_rows)[:_MOST_ROWS])
        scale = np.sqrt(np.maximum(square, np.finfo(float).tiny))
        learnt = None
        local = local and n_rows >= _FEWEST_ROWS
        if local:
            learnt = _learn_variance(held_out, scale, rng, n_threads, max_time)
        networks, logs = ([], None) if learnt is None else learnt
        bars = cls(held_out.X.shape[1], n_outputs, 0)
        bars.interrupted = local and learnt is None
        bars.networks = nn.ModuleList(networks)
        bars.log_variance = torch.from_numpy(2 * np.log(scale))
        log_variance = np.broadcast_to(2 * np.log(scale), held_out.errors.shape)
        if logs is not None:
            belief = _choose_belief(held_out.errors / scale, logs)
            bars.belief = torch.tensor(belief, dtype=torch.float64)
            bars.bounds = torch.from_numpy(np.stack([logs.min(axis=0), logs.max(axis=0)]))
            log_variance = log_variance + belief * logs
            if belief == 0:
                bars.networks = nn.ModuleList()
        variance = np.exp(log_variance)
        scores = held_out.errors / np.sqrt(variance)
        bars.scores = torch.from_numpy(_thinned(scores, held_out.weight))
        gain = _gain(share, n_members)
        typical = gain * _mean(variance, held_out.weight)
        b, usual = np.ones(n_outputs), _USUAL_SPREAD * typical
        np.divide(usual, variance_of_members, out=b, where=variance_of_members > usual)
        # A single member has no spread, and with no row held out twice nothing is known of it.
        knows_spread = (n_members > 1) & (variance_of_members > 0)
        bars.own = torch.from_numpy(gain)
        bars.of_spread = torch.from_numpy(np.where(knows_spread, b, 0.0))
        return bars.eval()


# The network of the variance ----------------------------------------------------------------------


def _variance_network(n_inputs: int, n_outputs: int, generator: torch.Generator) -> nn.Sequential:
    """Return a network of inputs and predictions, (N, D + K) to (N, 2 K): means 0, and logarithms.

    The means are zeros by a last layer that is not trained, for errors are about 0 anyway.
    """
    body = mlp(
        n_inputs + n_outputs,
        _HIDDEN,
        n_outputs,
        activation="silu",
        initialization="torch",
        generator=generator,
    )
    end = nn.Linear(n_outputs, 2 * n_outputs, bias=False, device="meta")
    end.weight = nn.Parameter(
        torch.cat([torch.zeros(n_outputs, n_outputs), torch.eye(n_outputs)]), requires_grad=False
    )
    last: Any = body[-1]
    with torch.no_grad():
        last.weight.mul_(0.1)  # the variance begins as nearly constant
        last.bias.zero_()
    return nn.Sequential(*body, end)


def _log_variances(network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    return _logarithms(predict(network, inputs))


def _logarithms(outputs: torch.Tensor) -> torch.Tensor:
    return outputs.chunk(2, dim=1)[1].double().clamp(-_GREATEST_LOG, _GREATEST_LOG)


def _learn_variance(
    held_out: HeldOutErrors,
    scale: np.ndarray,
    rng: np.random.Generator,
    n_threads: int,
    max_time: float | None,
) -> tuple[list[nn.Module], np.ndarray] | None:
    """Return a network for each fold, and logarithms (R, K) for its rows; None after Ctrl-C."""
    inputs = np.hstack([held_out.X[held_out.rows], held_out.outputs])
    inputs = inputs.clip(-FARTHEST, FARTHEST).astype(np.float32)
    errors = (held_out.errors / scale).clip(-_GREATEST_ERROR, _GREATEST_ERROR).astype(np.float32)
    fold = rng.permutation(len(errors)) % _N_FOLDS
    seeds = [int(seed) for seed in rng.integers(2**32, size=_N_FOLDS)]
    n_inputs, n_outputs = held_out.X.shape[1], errors.shape[1]
    logs, gaussian = np.zeros(errors.shape), losses.resolve("gaussian")
    deadline = None if max_time is None else time.monotonic() + max_time

    def work(k: int) -> nn.Module:
        generator = torch.Generator().manual_seed(seeds[k])
        network = _variance_network(n_inputs, n_outputs, generator)
        rows, others = fold != k, fold == k
        trained = [p for p in network.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=0.01, betas=(0.9, 0.95), weight_decay=0.1)
        n_rows, batch_size = int(rows.sum()), int(min(256, max(32, rows.sum() // 20)))
        epochs = int(min(_MOST_EPOCHS, max(5, _ROWS_SEEN // n_rows)))
        n_steps = epochs * -(-n_rows // batch_size)
        weights = held_out.weight
        weight = None if weights is None else weights[others]
        left_out = LeftOut.of(gaussian, errors[others], weight, 2 * n_outputs)
        state = TrainingState(left_out=left_out)
        history = train(
            network,
            inputs[rows],
            errors[rows],
            sample_weight=None if weights is None else weights[rows],
            X_val=inputs[others],
            y_val=errors[others],
            sample_weight_val=weight,
            loss=gaussian,
            optimizer=optimizer,
            scheduler=LambdaLR(optimizer, lambda step: max(0.0, 1 - step / n_steps)),
            scheduler_step="batch",
            epochs=epochs,
            batch_size=min(batch_size, n_rows),
            patience=max(10, epochs // 4),
            max_time=None
            if deadline is None
            else max(0.0, deadline - time.monotonic()) / -(-(_N_FOLDS - k) // n_threads),
            random_state=generator,
            device="cpu",
            n_threads=1,
            state=state,
        )
        # In the main thread `train` itself answers Ctrl-C.
        crew.interrupted |= history.outcome is Outcome.INTERRUPTED
        outputs = predict(network, torch.from_numpy(inputs[others]))
        if state.left_out is not None:
            outputs = state.left_out.chosen(outputs)
        logs[others] = _logarithms(outputs).numpy()
        return network

    crew = Crew(_N_FOLDS, n_threads)
    networks = crew.run(work)
    return None if crew.interrupted else (networks, logs)


def _choose_belief(errors: np.ndarray, logs: np.ndarray) -> float:
    """Return how much of the logarithms to believe: where the log-likelihood is greatest.

    ``errors`` (R, K) are of root mean square 1; each belief is given its best constant.
    """
    likelihoods = []
    for belief in _BELIEFS:
        squares = errors**2 * np.exp(-belief * logs)
        likelihoods.append(-(belief * logs + np.log(squares.mean(axis=0))).mean())
    return _BELIEFS[int(np.argmax(likelihoods))]


def _mean(values: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    return np.average(values, axis=0, weights=weight)


def _thinned(scores: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return the scores of each output sorted, (Q, K); of many or weighted ones their quantiles."""
    if weight is None and len(scores) <= _MOST_SCORES:
        return np.sort(scores, axis=0)
    weight = np.ones(len(scores)) if weight is None else weight
    n = int(min(_MOST_SCORES, max(1, weight.sum() ** 2 / (weight**2).sum())))
    levels = (np.arange(n) + 0.5) / n
    columns = []
    for column in scores.T:
        order = np.argsort(column, kind="stable")
        reached = (np.cumsum(weight[order]) - weight[order] / 2) / weight.sum()
        columns.append(np.interp(levels, reached, column[order]))
    return np.column_stack(columns)
