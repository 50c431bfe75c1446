"""Random erasing (Zhong et al., "Random Erasing Data Augmentation", 2020)."""

from __future__ import annotations

from typing import Any

from compress.data.augmentation.colour import mean, rounded
from compress.data.augmentation.draws import Column
from compress.data.augmentation.geometry import rectangle


def erase(images: Any, draws: Any, largest: float) -> Any:
    """Return the images, about half of them with a rectangle blanked, of at most the fraction `largest` of the area."""
    from compress.tensorflow import tf

    size = tf.shape(images)[1:3]
    draws, sides = tf.cast(draws, tf.float64), tf.cast(size, tf.float64)  # for the reason given in geometry.move
    area = draws[:, Column.ERASE_AREA] * largest * tf.reduce_prod(sides)
    aspect = 0.3 ** (2 * draws[:, Column.ERASE_ASPECT] - 1)
    side = tf.minimum(tf.sqrt(tf.stack([area * aspect, area / aspect], axis=1)), sides)
    side = tf.where(draws[:, Column.ERASE, None] < 0.5, tf.floor(side), 0)
    start = tf.stack([draws[:, Column.ERASE_Y], draws[:, Column.ERASE_X]], axis=1) * (sides - side + 1)
    blanked = rectangle(tf.cast(start, tf.int32), tf.cast(side, tf.int32), size)
    return tf.where(blanked, rounded(mean(images, axes=(1, 2))), images)
