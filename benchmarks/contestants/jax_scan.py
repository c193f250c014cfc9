"""JAX: the whole training is one compiled program, a scan over epochs of scans over steps.

The orders of the rows are drawn by NumPy beforehand, or, with the knob "shuffle within", by
`jax.random.permutation` in each epoch of the program, as one would write it first. Adam is optax's.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.contestants import Fit, Train
from benchmarks.problems import Problem

PACKAGES = ("jax", "jaxlib", "optax", "numpy")
NEEDS_WARM_UP = False  # compiling has loaded everything

Parameters = list[tuple[jax.Array, jax.Array]]  # weights (m, n) and biases (n,) of each layer


def prepare(
    problem: Problem, X: np.ndarray, y: np.ndarray, threads: int, knob: str | None = None
) -> Train:
    def compiled():
        inputs = jax.ShapeDtypeStruct(X.shape, jnp.float32)
        targets = jax.ShapeDtypeStruct(y.shape, jnp.float32)
        orders = jax.ShapeDtypeStruct((problem.epochs, problem.rows), jnp.int32)
        program = jax.jit(lambda *a: _training(problem, *a, shuffles=knob == "shuffle within"))
        return program.lower(jax.random.key(0), inputs, targets, orders).compile()

    ready = None if knob == "compile each time" else compiled()

    def train(seed: int) -> Fit:
        if ready is None:
            jax.clear_caches()
        program = ready or compiled()
        rng = np.random.default_rng(seed)
        orders = np.stack([rng.permutation(problem.rows) for _ in range(problem.epochs)])
        parameters, losses = program(
            jax.random.key(seed), jnp.float32(X), jnp.float32(y), orders.astype(np.int32)
        )
        return Fit(
            np.asarray(losses),
            lambda rows: np.asarray(_forward(problem, parameters, jnp.float32(rows))),
        )

    return train


def _forward(problem: Problem, parameters: Parameters, X: jax.Array) -> jax.Array:
    hidden = jax.nn.relu if problem.activation == "relu" else jnp.tanh
    *first, (weights, biases) = parameters
    for W, b in first:
        X = hidden(X @ W + b)
    X = X @ weights + biases
    return jnp.tanh(X) if problem.output_activation == "tanh" else X


def _initial(problem: Problem, key: jax.Array) -> Parameters:
    """Draw weights and biases as torch's nn.Linear does, between -1/sqrt(m) and 1/sqrt(m)."""
    parameters = []
    for m, n in zip(problem.sizes[:-1], problem.sizes[1:], strict=True):
        key, for_weights, for_biases = jax.random.split(key, 3)
        bound = 1 / np.sqrt(m)
        W = jax.random.uniform(for_weights, (m, n), minval=-bound, maxval=bound)
        b = jax.random.uniform(for_biases, (n,), minval=-bound, maxval=bound)
        parameters.append((W, b))
    return parameters


def _training(
    problem: Problem,
    key: jax.Array,
    X: jax.Array,
    y: jax.Array,
    orders: jax.Array,
    shuffles: bool,
):
    """Return the trained parameters and the mean loss of each epoch; orders are (E, N)."""
    adam = optax.adam(problem.learning_rate)
    B, N = problem.batch_size, problem.rows
    whole = N // B  # batches; N % B rows are left for a last short one

    def loss_of(parameters, inputs, targets):
        return jnp.mean((_forward(problem, parameters, inputs) - targets) ** 2)

    def step(state, batch):
        parameters, moments = state
        loss, gradient = jax.value_and_grad(loss_of)(parameters, *batch)
        update, moments = adam.update(gradient, moments)
        return (optax.apply_updates(parameters, update), moments), loss

    def epoch(state, order):
        if shuffles:
            order = jax.random.permutation(jax.random.fold_in(key, order[0]), N)
        inputs, targets = X[order], y[order]
        batches = [a[: whole * B].reshape(whole, B, -1) for a in (inputs, targets)]
        state, losses = jax.lax.scan(step, state, tuple(batches))
        if N % B:
            state, last = step(state, (inputs[whole * B :], targets[whole * B :]))
            losses = jnp.append(losses, last)
        return state, losses.mean()

    if shuffles:
        orders = jnp.arange(problem.epochs)[:, None]
    parameters = _initial(problem, key)
    (parameters, _), losses = jax.lax.scan(epoch, (parameters, adam.init(parameters)), orders)
    return parameters, losses
