"""Keras on TensorFlow: `fit` with arrays, an epoch of steps in one call of the program."""

from __future__ import annotations

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf

from benchmarks.contestants import Fit, Train
from benchmarks.problems import Problem

PACKAGES = ("keras", "tensorflow-cpu", "numpy")


def prepare(problem: Problem, X: np.ndarray, y: np.ndarray, threads: int) -> Train:
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    def train(seed: int) -> Fit:
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        layers = [keras.layers.Dense(n, problem.activation) for n in problem.sizes[1:-1]]
        output = "linear" if problem.output_activation == "identity" else "tanh"
        model = keras.Sequential(
            [
                keras.Input((problem.sizes[0],)),
                *layers,
                keras.layers.Dense(problem.sizes[-1], output),
            ]
        )
        model.compile(
            optimizer=keras.optimizers.Adam(problem.learning_rate),
            loss="mean_squared_error",
            steps_per_execution=-(-problem.rows // problem.batch_size),
            jit_compile=False,
        )
        history = model.fit(
            X.astype(np.float32),
            y.astype(np.float32),
            batch_size=problem.batch_size,
            epochs=problem.epochs,
            verbose=0,
        )
        return Fit(
            np.array(history.history["loss"]),
            lambda rows: np.asarray(model(rows.astype(np.float32))),
        )

    return train
