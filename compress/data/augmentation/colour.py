"""Brightness, contrast and saturation, and functions that other changes of values share."""

from __future__ import annotations

from typing import Any

from compress.data.augmentation.draws import Column
from compress.data.augmentation.settings import Augmentation


def jitter(images: Any, draws: Any, limits: Augmentation) -> Any:
    """Return the images with contrast, brightness and saturation changed."""
    from compress.tensorflow import tf

    signed = (2 * draws - 1)[:, :, None, None, None]
    values = tf.cast(images, tf.float32)
    if limits.contrast:
        middle = mean(images, axes=(1, 2, 3))
        values = middle + (values - middle) * (1 + signed[:, Column.CONTRAST] * limits.contrast)
    if limits.brightness:
        values += signed[:, Column.BRIGHTNESS] * (255 * limits.brightness)
    if limits.saturation and images.shape[-1] == 3:
        luma = grey(values)
        values = luma + (values - luma) * (1 + signed[:, Column.SATURATION] * limits.saturation)
    return rounded(values)


def mean(images: Any, axes: tuple[int, ...]) -> Any:
    """Return the images' mean over `axes`, float32, with the dimensions kept."""
    from compress.tensorflow import tf

    # sums of integers do not depend on their order, which differs with the size of the batch
    sums = tf.reduce_sum(tf.cast(images, tf.int32), axis=axes, keepdims=True)
    count = tf.reduce_prod([tf.shape(images)[axis] for axis in axes])
    return tf.cast(sums, tf.float32) / tf.cast(count, tf.float32)


def grey(values: Any) -> Any:
    """Return the luma (ITU-R BT.601) of colours `(..., 3) float32`: `(..., 1)`."""
    return 0.299 * values[..., :1] + 0.587 * values[..., 1:2] + 0.114 * values[..., 2:]


def rounded(values: Any) -> Any:
    """Return float values as uint8, rounded and clipped to its range."""
    from compress.tensorflow import tf

    return tf.cast(tf.clip_by_value(values + 0.5, 0.0, 255.0), tf.uint8)
