"""A short training of a small network, and what it answers: to images as they are, and to mirrored ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

VIEWS = 9_600  # images that it sees, however many different ones there are
BATCH_SIZE, LEARNING_RATE, WEIGHT_DECAY = 64, 0.1, 1e-3  # as for a student that is distilled
WIDTH, BLOCKS = 8, 5  # of the plain student; fewer blocks for sides below 32


@dataclass(frozen=True)
class Answers:
    """The labels that a network gives to held-out images, `(n,) int64`: as they are, and mirrored in two directions."""

    plain: np.ndarray
    horizontal: np.ndarray
    vertical: np.ndarray


def answers(images: np.ndarray, labels: np.ndarray, held_out: np.ndarray, classes: int, seed: int) -> Answers:
    """Train on images `(n, height, width, channels) uint8` with labels `(n,) int64`, and return answers for others.

    Nothing is augmented, and all classes weigh the same. The work is bounded, not the time, so that the same data give
    the same answers on a slow machine. Call it in a process of its own, see `one_child`.
    """
    from compress import networks
    from compress.data.balance import image_weights
    from compress.data.batches import Batches, Epoch
    from compress.tensorflow import keras, start_afresh
    from compress.training import memory
    from compress.training.evaluation import forward_of, logits_of
    from compress.training.schedules import Rate
    from compress.training.settings import Schedule, TrainingSettings
    from compress.training.step_time import compiled
    from compress.training.supervised import smoothed_one_hot

    start_afresh(seed)
    settings = TrainingSettings(
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
        schedule=Schedule(shape="one_cycle"),
    )
    blocks = min(BLOCKS, int(math.log2(min(images.shape[1:3]))))
    model = networks.build("students", "plain", {"width": WIDTH, "blocks": blocks}, images.shape[1:], classes)
    everything = Epoch(np.resize(np.arange(len(images)), VIEWS), np.zeros(VIEWS, np.int64), np.arange(VIEWS))
    batches = Batches(
        images,
        lambda indices, views: smoothed_one_hot(labels[indices], classes, 0.0),
        lambda epoch: everything,
        settings.batch_size,
        seed,
        weights=image_weights(labels, "class_weights"),
    )
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    rate = Rate(settings.learning_rate, 1, batches.steps, settings.schedule)
    with memory.named("recipe"):
        compiled(model, loss, settings, rate, "float32").fit(batches.epoch(0), verbose=0)
    forward = forward_of(model)
    return Answers(
        *(logits_of(forward, seen).argmax(axis=1) for seen in (held_out, held_out[:, :, ::-1], held_out[:, ::-1]))
    )
