"""Estimates of what the stages that train would cost, from one timed step of each network on this machine.

These functions are not in the stages' own modules, so that a change here does not make anything train again. Each takes
the stage's config, the facts about the data, and the known estimates for the stage's inputs, by parameter.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from compress.data.balance import Method, epoch_size
from compress.plugins import Choice
from compress.stages import data, distill, prune, teacher
from compress.training.settings import TrainingSettings

RUNTIME_BYTES = 900_000_000  # Python, TensorFlow and ONNX Runtime before the first tensor
WEIGHT_COPIES = 6  # weights, gradients, momentum, the best epoch's weights, and two while a checkpoint is written
FORWARD = 1 / 3  # of a training step's time
ACTIVATION_COPIES = 3  # values, their gradients, and a convolution's rearranged input


@dataclass(frozen=True)
class Facts:
    """What is known about the data before a run; `counts` are the training images per class."""

    counts: tuple[int, ...]
    image_shape: tuple[int, int, int]
    balance: Method

    @property
    def n_train(self) -> int:
        """The number of training images."""
        return sum(self.counts)

    @property
    def n_balanced(self) -> int:
        """The number of images per epoch of training on labels."""
        return epoch_size(self.counts, self.balance)


@dataclass(frozen=True)
class Estimate:
    """The cost of training a network. `activations` is the number of values in one image's forward pass."""

    params: int
    macs: int
    activations: int
    seconds_per_image: float
    seconds: float
    memory_bytes: int

    def of_training(self, settings: TrainingSettings, images: int) -> Estimate:
        """Return the cost of training this network on `images` images per epoch, without early stopping."""
        memory = (
            RUNTIME_BYTES
            + 4 * WEIGHT_COPIES * self.params
            + 4 * ACTIVATION_COPIES * self.activations * min(settings.batch_size, images)
        )
        seconds = settings.epochs * images * self.seconds_per_image
        return Estimate(self.params, self.macs, self.activations, self.seconds_per_image, seconds, memory)


def facts(config: data.Config, image: data.Image, balance: Method) -> Facts:
    """Return the facts about the data that the data stage would make, without running it."""
    import numpy as np

    from compress.data.preparation import height_and_width
    from compress.data.splits import share_left
    from compress.data.survey import channels_of

    samples = config.source.function(config.source.name, config.group, **config.rooted)
    given = samples.splits or ["train"] * len(samples.images)
    left = share_left(set(given), validation=config.validation, test=config.test)
    shape = (*height_and_width(image.size), channels_of(samples.images, image.color))
    train = samples.labels[np.array(given, object) == "train"]
    counts = np.maximum(1, np.rint(np.bincount(train, minlength=len(samples.classes)) * left)).astype(int)
    return Facts(tuple(counts.tolist()), shape, balance)


def of_teacher(config: teacher.Config, facts: Facts, inputs: Mapping[str, Estimate]) -> Estimate:
    """Return the cost of training the teacher, including its phases: stored features take one forward pass per view."""
    cost = _of_network("teachers", config.built, config, facts, facts.n_balanced)
    passes = sum(phase.views * FORWARD if phase.views else phase.epochs for phase in config.phases)
    return replace(cost, seconds=cost.seconds + passes * facts.n_balanced * cost.seconds_per_image)


def of_prune(config: prune.Config, facts: Facts, inputs: Mapping[str, Estimate]) -> Estimate | None:
    """Return the cost of training during pruning, without computing masks; None if that of the network is unknown."""
    network = inputs.get("network")
    return network and network.of_training(config, facts.n_balanced)


def of_distill(config: distill.Config, facts: Facts, inputs: Mapping[str, Estimate]) -> Estimate:
    """Return the cost of training the student, without computing the source's logits."""
    return _of_network("students", config.student, config, facts, facts.n_train * config.views)


def of_unbalanced(config: teacher.Config, facts: Facts, inputs: Mapping[str, Estimate]) -> Estimate | None:
    """Return the cost of training the teacher without balancing; None if nothing is balanced."""
    return None if facts.balance == "none" else of_teacher(config, replace(facts, balance="none"), inputs)


def _of_network(
    family: Literal["teachers", "students"],
    choice: Choice,
    settings: TrainingSettings,
    facts: Facts,
    images: int,
) -> Estimate:
    """Build a network and time one training step of it; `images` is the number of images per epoch."""
    import numpy as np

    from compress import networks
    from compress.metrics.cost import cost_of_keras
    from compress.tensorflow import start_afresh, tf
    from compress.training import memory

    start_afresh(0)
    model = networks.build(family, choice.name, choice.options, facts.image_shape, len(facts.counts))
    params, macs = cost_of_keras(model)
    activations = sum(math.prod(layer.output_shape[1:]) for layer in model.layers[1:])

    @tf.function
    def step(batch: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(batch, training=True))
        return [tf.reduce_sum(gradient) for gradient in tape.gradient(loss, model.trainable_variables)]

    def seconds_per_image(at_once: int) -> float:
        batch = tf.constant(np.zeros((at_once, *facts.image_shape), np.float32))
        step(batch)  # traces the function and fills caches
        start = time.perf_counter()
        step(batch)
        return (time.perf_counter() - start) / at_once

    with memory.named("plan"):
        seconds = memory.with_fewer(min(settings.batch_size, images), seconds_per_image)
    return Estimate(params, macs, activations, seconds, 0.0, 0).of_training(settings, images)
