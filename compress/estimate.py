"""What the stages that train would cost, from one step of each network on this machine.

Not in the stages' own modules: a change here must not cost a training. Each function takes the stage's config, the
facts, and for each parameter of the stage that another one makes what that one costs, where it is known.
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
WEIGHT_COPIES = 6  # weights, gradients, momentum, the best epoch's, and two that a checkpoint is written from
FORWARD = 1 / 3  # of a training step's time
ACTIVATION_COPIES = 3  # values, their gradients, and a convolution's rearranged input


@dataclass(frozen=True)
class Facts:
    """What is known of the data before a run: for each class how many images there are to train on, and the rest."""

    counts: tuple[int, ...]
    image_shape: tuple[int, int, int]
    balance: Method

    @property
    def n_train(self) -> int:
        """All images to train on."""
        return sum(self.counts)

    @property
    def n_balanced(self) -> int:
        """Images of an epoch of training on labels."""
        return epoch_size(self.counts, self.balance)


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
            + 4 * ACTIVATION_COPIES * self.activations * min(settings.batch_size, images)
        )
        seconds = settings.epochs * images * self.seconds_per_image
        return Estimate(self.params, self.macs, self.activations, self.seconds_per_image, seconds, memory)


def facts(config: data.Config, image: data.Image, balance: Method) -> Facts:
    """Return what the data stage would make, without making it."""
    import numpy as np

    from compress.data.survey import channels_of

    samples = config.source.function(config.source.name, config.group)
    given = samples.splits or ["train"] * len(samples.images)
    left = 1.0 - sum(
        fraction for split, fraction in (("validation", config.validation), ("test", config.test)) if split not in given
    )
    shape = (image.size, image.size, channels_of(samples.images, image.color))
    train = samples.labels[np.array(given, object) == "train"]
    counts = np.maximum(1, np.rint(np.bincount(train, minlength=len(samples.classes)) * left)).astype(int)
    return Facts(tuple(counts.tolist()), shape, balance)


def of_teacher(config: teacher.Config, facts: Facts, inputs: Mapping[str, Estimate]) -> Estimate:
    """Return what training the teacher costs, its phases included: kept features take one forward pass a view."""
    cost = _of_network("teachers", config.built, config, facts, facts.n_balanced)
    passes = sum(phase.views * FORWARD if phase.views else phase.epochs for phase in config.phases)
    return replace(cost, seconds=cost.seconds + passes * facts.n_balanced * cost.seconds_per_image)


def of_prune(config: prune.Config, facts: Facts, inputs: Mapping[str, Estimate]) -> Estimate | None:
    """Return what tuning the network costs, computing the masks left out; None where the network's own is not known."""
    network = inputs.get("network")
    return network and network.of_training(config, facts.n_balanced)


def of_distill(config: distill.Config, facts: Facts, inputs: Mapping[str, Estimate]) -> Estimate:
    """Return what training the student costs, the source's logits left out."""
    return _of_network("students", config.student, config, facts, facts.n_train * config.views)


def of_unbalanced(config: teacher.Config, facts: Facts, inputs: Mapping[str, Estimate]) -> Estimate | None:
    """Return what training the teacher without balance costs, where there is any."""
    return None if facts.balance == "none" else of_teacher(config, replace(facts, balance="none"), inputs)


def _of_network(
    family: Literal["teachers", "students"],
    choice: Choice,
    settings: TrainingSettings,
    facts: Facts,
    images: int,
) -> Estimate:
    """Build a network and time one training step of it; `images` is the number of images an epoch."""
    import numpy as np

    from compress import networks
    from compress.metrics.cost import cost_of_keras
    from compress.tensorflow import start_afresh, tf

    start_afresh(0)
    model = networks.build(family, choice.name, choice.options, facts.image_shape, len(facts.counts))
    params, macs = cost_of_keras(model)
    activations = sum(math.prod(layer.output_shape[1:]) for layer in model.layers[1:])
    batch_size = min(settings.batch_size, images)
    batch = tf.constant(np.zeros((batch_size, *facts.image_shape), np.float32))

    @tf.function
    def step() -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(batch, training=True))
        return [tf.reduce_sum(gradient) for gradient in tape.gradient(loss, model.trainable_variables)]

    step()  # traces and fills caches
    start = time.perf_counter()
    step()
    seconds = (time.perf_counter() - start) / batch_size
    return Estimate(params, macs, activations, seconds, 0.0, 0).of_training(settings, images)
