"""RandAugment (Cubuk et al., 2020): which operations an image gets, and those that change its values.

Its geometric operations are part of the one map that `geometry` makes.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

from compress.data.augmentation.colour import grey, rounded
from compress.data.augmentation.draws import Column
from compress.data.augmentation.settings import Augmentation


class Operation(IntEnum):
    """RandAugment's operations (Cubuk et al., "RandAugment", 2020)."""

    IDENTITY = 0
    AUTOCONTRAST = 1
    EQUALIZE = 2
    ROTATE = 3
    SOLARIZE = 4
    POSTERIZE = 5
    COLOUR = 6
    CONTRAST = 7
    BRIGHTNESS = 8
    SHARPNESS = 9
    SHEAR_X = 10
    SHEAR_Y = 11
    TRANSLATE_X = 12
    TRANSLATE_Y = 13


SHEAR, TRANSLATE, ROTATE, ENHANCE, POSTERIZE = 0.3, 150 / 331, 30.0, 0.9, 4
"""The strongest change of each: a fraction, a fraction of the side, degrees, change of the factor, bits lost."""


def operations_of(draws: Any, limits: Augmentation) -> list[tuple[Any, Any]]:
    """Return each RandAugment operation in turn: which `(batch,) int32`, and with which sign `(batch,) float32`."""
    from compress.tensorflow import tf

    operations = []
    for i in range(limits.randaugment):
        which, sign = draws[:, Column.RANDAUGMENT + 2 * i], draws[:, Column.RANDAUGMENT + 2 * i + 1]
        operations.append((tf.cast(which * len(Operation), tf.int32), tf.where(sign < 0.5, -1.0, 1.0)))
    return operations


def change_values(images: Any, operations: list[tuple[Any, Any]], magnitude: float) -> Any:
    """Return the images after their operations on values; those on colour, and on sharpness, come last."""
    images = _map_values(images, operations, magnitude)
    if images.shape[-1] == 3:
        images = _blend_some(images, _blend_factor(operations, Operation.COLOUR, magnitude), grey)
    return _blend_some(images, _blend_factor(operations, Operation.SHARPNESS, magnitude), _smooth)


def _map_values(images: Any, operations: list[tuple[Any, Any]], magnitude: float) -> Any:
    """Return the images after all operations that map single values, composed into one table per channel."""
    from compress.tensorflow import tf

    channels = images.shape[-1]
    tables = tf.shape(images)[0] * channels
    first = 256 * tf.range(tables)  # index of each table, with all tables in one row
    index = tf.cast(images, tf.int32) + tf.reshape(first, (-1, 1, 1, channels))
    histogram = tf.math.bincount(tf.reshape(index, [-1]), minlength=256 * tables, maxlength=256 * tables)
    composed = tf.range(256 * tables)
    for operation, sign in operations:
        table = _table(tf.reshape(histogram, (-1, channels, 256)), operation, sign, magnitude)
        table = tf.reshape(tf.reshape(table, (-1, 256)) + first[:, None], [-1])
        histogram = tf.math.unsorted_segment_sum(histogram, table, 256 * tables)
        composed = tf.gather(table, composed)
    return tf.gather(tf.cast(composed % 256, tf.uint8), index)


def _table(histogram: Any, operation: Any, sign: Any, magnitude: float) -> Any:
    """Return what each value becomes, `(batch, channels, 256) int32`, given the images' histogram of that shape."""
    from compress.tensorflow import tf

    value = list(range(256))
    bits_lost = round(POSTERIZE * magnitude)
    fixed: dict[int, list[int]] = {
        Operation.SOLARIZE: [255 - v if v >= 256 - 256 * magnitude else v for v in value],
        Operation.POSTERIZE: [v >> bits_lost << bits_lost for v in value],
    }
    values = tf.gather(tf.constant([fixed.get(which, value) for which in Operation], tf.float32), operation)

    operation, factor = operation[:, None], 1 + sign[:, None] * (ENHANCE * magnitude)
    contrast, brightness, autocontrast = (
        operation == int(which) for which in (Operation.CONTRAST, Operation.BRIGHTNESS, Operation.AUTOCONTRAST)
    )
    count = tf.reduce_sum(histogram, axis=(1, 2))
    mean = tf.reduce_sum(histogram * value, axis=(1, 2)) / count
    mean = tf.where(contrast, tf.cast(mean, tf.float32)[:, None], 0.0)
    lowest = tf.reduce_min(tf.where(histogram > 0, value, 255), axis=2)
    highest = tf.reduce_max(tf.where(histogram > 0, value, 0), axis=2)
    autocontrast &= highest > lowest
    lowest, highest = tf.cast(lowest, tf.float32), tf.cast(highest, tf.float32)
    scale = tf.where(autocontrast, 255 / tf.maximum(highest - lowest, 1), tf.where(contrast | brightness, factor, 1.0))
    origin = tf.where(autocontrast, lowest, mean)[:, :, None]
    mapped = (values[:, None] - origin) * scale[:, :, None] + mean[:, :, None]
    mapped = tf.cast(tf.clip_by_value(mapped + 0.5, 0.0, 255.0), tf.int32)
    return tf.where(operation[:, None] == int(Operation.EQUALIZE), _equalizing_table(histogram), mapped)


def _equalizing_table(histogram: Any) -> Any:
    """Return what each value becomes, given a histogram of the same shape; the rule is Pillow's."""
    from compress.tensorflow import tf

    below = tf.cumsum(histogram, axis=2, exclusive=True)
    step = tf.reduce_max(tf.where(histogram > 0, below, 0), axis=2, keepdims=True) // 255
    equalized = tf.minimum((below + step // 2) // tf.maximum(step, 1), 255)
    return tf.where(step > 0, equalized, tf.range(256))


def _blend_factor(operations: list[tuple[Any, Any]], which: Operation, magnitude: float) -> Any:
    """Return the product of the factors of the operations that are `which`, `(batch,) float32`; 1 if none is."""
    from compress.tensorflow import tf

    factor = 1.0
    for operation, sign in operations:
        factor *= tf.where(operation == int(which), 1 + sign * (ENHANCE * magnitude), 1.0)
    return factor


def _blend_some(images: Any, factor: Any, other: Callable[[Any], Any]) -> Any:
    """Return images with their difference from `other(images)` scaled by `factor`; a factor of 1 costs nothing."""
    from compress.tensorflow import tf

    chosen = tf.where(factor != 1.0)
    values = tf.cast(tf.gather_nd(images, chosen), tf.float32)
    others = other(values)
    blended = others + (values - others) * tf.gather_nd(factor, chosen)[:, None, None, None]
    return tf.tensor_scatter_nd_update(images, chosen, rounded(blended))


def _smooth(values: Any) -> Any:
    """Return the images under Pillow's smoothing filter, which leaves the border as it is."""
    from compress.tensorflow import tf

    # 13 times the filter: its sums are integers, and so exact in any order
    kernel = tf.constant([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]])[:, :, None, None]
    kernel = tf.tile(kernel, (1, 1, values.shape[-1], 1))
    smooth = tf.nn.depthwise_conv2d(values, kernel, strides=(1, 1, 1, 1), padding="SAME")
    change = (smooth - 13 * values)[:, 1:-1, 1:-1]
    return values + tf.pad(change, ((0, 0), (1, 1), (1, 1), (0, 0))) * (1 / 13)
