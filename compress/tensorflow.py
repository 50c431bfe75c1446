"""TensorFlow as this project uses it: Keras 2, deterministic, quiet, exact. No other module imports it.

TensorFlow Model Optimization supports only Keras 2, which `tf.keras` refers to if TF_USE_LEGACY_KERAS is set before
TensorFlow is imported.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextmanager
def _without_native_messages() -> Iterator[None]:
    """Hide what TensorFlow's C++ code prints during import; if the import fails, show it after all."""
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            yield
        except BaseException:
            messages.seek(0)
            os.write(stderr, messages.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


with _without_native_messages():
    import tensorflow as tf
    import tf_keras as keras

    tf.config.list_physical_devices()  # loads the device libraries, which also print

tf.get_logger().setLevel(logging.ERROR)
logging.getLogger("absl").setLevel(logging.ERROR)

# TF32, a GPU's default, rounds the factors of products in float32 to 10 bits. Who wants fewer digits asks for float16
tf.config.experimental.enable_tensor_float_32_execution(False)
keras.backend.experimental.enable_tf_random_generator()  # so that the random state of dropout can be set

__all__ = ["keras", "seed_random_layers", "start_afresh", "tf"]


def start_afresh(seed: int) -> None:
    """Clear earlier models and seed all generators, so that a stage makes the same bytes whatever ran before it."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def seed_random_layers(model: Any, seed: int, epoch: int) -> None:
    """Seed a model's random layers for an epoch, so that their draws depend only on seed, epoch and layer order."""
    generators = [layer._random_generator for layer in model.layers if hasattr(layer, "_random_generator")]
    for i, generator in enumerate(generators):
        if generator._generator is not None:
            words = np.random.SeedSequence([seed, epoch, i]).generate_state(1, np.uint64)
            generator._generator.reset_from_seed(int(words[0] >> 1))
