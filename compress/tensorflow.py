"""TensorFlow as this project uses it: Keras 2, deterministic, quiet. The one place that imports it.

TensorFlow Model Optimization works on Keras 2 only, which `tf.keras` is where TF_USE_LEGACY_KERAS is set before
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
    """Keep what TensorFlow's C++ side prints on import from the terminal; shown after all if the import fails."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            yield
        except BaseException:
            messages.seek(0)
            os.write(kept, messages.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


with _without_native_messages():
    import tensorflow as tf
    import tf_keras as keras

    tf.config.list_physical_devices()  # starts the device libraries, which print too

tf.get_logger().setLevel(logging.ERROR)
logging.getLogger("absl").setLevel(logging.ERROR)

keras.backend.experimental.enable_tf_random_generator()  # dropout then draws from a state that can be set

__all__ = ["keras", "seed_random_layers", "start_afresh", "tf"]


def start_afresh(seed: int) -> None:
    """Forget earlier models and seed everything, so that a stage gives the same bytes wherever it starts."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def seed_random_layers(model: Any, seed: int, epoch: int) -> None:
    """Let what a model's random layers draw in an epoch depend on nothing but seed, epoch and their order."""
    generators = [layer._random_generator for layer in model.layers if hasattr(layer, "_random_generator")]
    for i, generator in enumerate(generators):
        if generator._generator is not None:
            words = np.random.SeedSequence([seed, epoch, i]).generate_state(1, np.uint64)
            generator._generator.reset_from_seed(int(words[0] >> 1))
