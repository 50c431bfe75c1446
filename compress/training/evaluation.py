"""Outputs of a model that is not being trained, and how good they are."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from compress.data.images import Images, in_batches
from compress.errors import MachineError
from compress.metrics.classification import Result, result_of
from compress.tensorflow import tf
from compress.training import memory

Forward = Callable[[np.ndarray], np.ndarray]


def forward_of(model: Any) -> Forward:
    """Return a function from a batch of images to a model's outputs, such as logits, computed without training it.

    If a batch is too large for memory, it and all later ones are computed in parts. The function raises `MachineError`
    if even one image is too large.
    """
    run = tf.function(lambda batch: model(tf.cast(batch, tf.float32), training=False))
    max_images = sys.maxsize  # that fit into memory

    def forward(batch: np.ndarray) -> np.ndarray:
        nonlocal max_images
        size = min(max_images, len(batch))
        try:
            parts = [run(tf.constant(batch[i : i + size])).numpy() for i in range(0, len(batch), size)]
        except tf.errors.OpError as error:
            if not memory.ran_out(error):
                raise
            if size == 1:
                raise MachineError("out of memory even with one image; image.size should be smaller") from error
            max_images = memory.half(size)
            return forward(batch)
        return np.concatenate(parts)

    return forward


def logits_of(forward: Forward, images: Images) -> np.ndarray:
    """Return the logits `(n, classes) float32` of images `(n, height, width, channels)`."""
    return np.concatenate([forward(batch) for batch in in_batches(images)])


def evaluate(forward: Forward, images: Images, labels: np.ndarray) -> Result:
    """Return how good a function that returns logits is on images of these labels, `(n,) int64`."""
    return result_of(logits_of(forward, images), labels)
