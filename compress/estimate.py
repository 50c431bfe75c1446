"""What a training would cost, from one step on this machine."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

from compress.training.settings import TrainingSettings

RUNTIME_BYTES = 900_000_000  # Python, TensorFlow and ONNX Runtime before the first tensor
WEIGHT_COPIES = 6  # weights, gradients, momentum, the best epoch's, and two that a checkpoint is written from
ACTIVATION_COPIES = 3  # values, their gradients, and a convolution's rearranged input


@dataclass(frozen=True)
class Facts:
    """What is known of the data before a run."""

    n_train: int
    image_shape: tuple[int, int, int]
    classes: int


@dataclass(frozen=True)
class Estimate:
    """Cost of training a network. `activations` counts the values of one image's forward pass."""

    params: int
    macs: int
    activations: int
    seconds_per_image: float
    seconds: float
    memory_bytes: int

    def of_training(self, settings: TrainingSettings, images: int) -> Estimate:
        """Return the cost of training the same network on `images` images an epoch, if no epoch is saved."""
        memory = (
            RUNTIME_BYTES
            + 4 * WEIGHT_COPIES * self.params
            + 4 * ACTIVATION_COPIES * self.activations * settings.batch_size
        )
        seconds = settings.epochs * images * self.seconds_per_image
        return Estimate(self.params, self.macs, self.activations, self.seconds_per_image, seconds, memory)


def estimate_training(
    build: Any, options: dict[str, Any], settings: TrainingSettings, facts: Facts, images: int
) -> Estimate:
    """Build a network and time one training step of it; `images` is the number of images an epoch."""
    import numpy as np

    from compress.metrics.cost import cost_of_keras
    from compress.training.tensorflow import start_afresh, tf

    start_afresh(0)
    model = build(facts.image_shape, facts.classes, **options)
    params, macs = cost_of_keras(model)
    activations = sum(math.prod(layer.output_shape[1:]) for layer in model.layers[1:])
    batch = tf.constant(np.zeros((settings.batch_size, *facts.image_shape), np.float32))

    @tf.function
    def step() -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(batch, training=True))
        return [tf.reduce_sum(gradient) for gradient in tape.gradient(loss, model.trainable_variables)]

    step()  # traces and fills caches
    start = time.perf_counter()
    step()
    seconds = (time.perf_counter() - start) / settings.batch_size
    return Estimate(params, macs, activations, seconds, 0.0, 0).of_training(settings, images)
