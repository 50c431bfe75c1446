"""Batches of an epoch, the same for the same seed and epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from compress.data.augmentation import Augmentation, augment
from compress.training.tensorflow import tf

PARALLEL_CALLS = 2  # one batch in the making behind each one that waits
PREFETCHED = 2


def epoch_batches(
    images: np.ndarray,
    targets: np.ndarray,
    batch_size: int,
    seed: int,
    epoch: int,
    augmentation: Augmentation | None = None,
) -> Any:
    """Return a `tf.data.Dataset` of (images uint8, targets float32), shuffled and augmented for this epoch.

    `images` is `(n, height, width, channels) uint8`, `targets` `(n, k) float32`. The last batch holds what is left.
    """
    order = np.random.default_rng([seed, epoch]).permutation(len(images))
    all_images, all_targets = tf.constant(images), tf.constant(targets)

    def gather(batch: Any, indices: Any) -> Any:
        chosen = tf.gather(all_images, indices)
        if augmentation:
            # the stage's seed, and a number that no other batch of the stage has
            chosen = augment(chosen, tf.stack([tf.cast(seed, tf.int64), (epoch << 32) + batch]), augmentation)
        return tf.cast(chosen, tf.float32), tf.gather(all_targets, indices)

    dataset = tf.data.Dataset.from_tensor_slices(order).batch(batch_size).enumerate()
    dataset = dataset.map(gather, num_parallel_calls=PARALLEL_CALLS, deterministic=True).prefetch(PREFETCHED)
    options = tf.data.Options()
    options.autotune.enabled = False  # its thread lets the end of every other epoch wait for 10 seconds
    return dataset.with_options(options)
