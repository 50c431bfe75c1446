"""Flip, shift, rotation, zoom, crop, RandAugment's geometry: one affine map per image, interpolated once."""

from __future__ import annotations

import math
import sys
from functools import cache
from typing import Any

from compress.data.augmentation.draws import Column
from compress.data.augmentation.randaugment import ROTATE, SHEAR, TRANSLATE, Operation
from compress.data.augmentation.settings import Augmentation

_ONE = 1 << 16
"""1 in the fixed-point numbers of a geometric map."""


@cache
def move(limits: Augmentation) -> Any:
    """Return the function of (images, draws, operations) that makes all geometric changes.

    Each change is a matrix that maps a pixel of the result to where it comes from, in pixels from the centre. A long
    image is turned and sheared so much less that its ends move by as many pixels as those of a square of its shorter
    side: they would leave the image, and with them what tells the classes apart. The rest
    is computed in integers, so that the result is the same bit for bit on every machine. XLA fuses it into one loop,
    which is four times as fast as ImageProjectiveTransformV3; TensorFlow has no XLA on Windows.
    """
    from compress.tensorflow import tf

    @tf.function(jit_compile=sys.platform != "win32")
    def move(images: Any, draws: Any, operations: list[tuple[Any, Any]]) -> Any:
        size = tf.shape(images)[1:3]
        # the last bits depend on a number's place in the batch (vector or scalar code): rounded away below
        draws, height, width = (tf.cast(x, tf.float64) for x in (draws, size[0], size[1]))
        maps = []
        if limits.crop < 1:
            maps.append(_crop_map(draws, height, width, limits.crop))
        if limits.shift or limits.rotation or limits.zoom:
            maps.append(_shift_turn_zoom_map(draws, height, width, limits))
        if limits.flip != "none":
            maps.append(_flip_map(draws, limits.flip))
        maps.extend(_operation_map(*drawn, height, width, limits.randaugment_magnitude) for drawn in operations)
        combined = maps[0]
        for following in maps[1:]:
            combined = combined @ following
        centre = tf.stack([(width - 1) / 2, (height - 1) / 2, tf.ones_like(width)])
        # pixels from the corner: M (p - centre) + centre
        origin = tf.linalg.matvec(combined, centre * [-1.0, -1.0, 1.0]) + centre * [1.0, 1.0, 0.0]
        combined = tf.concat([combined[:, :2, :2], origin[:, :2, None]], axis=2)
        return _interpolated(images, tf.cast(tf.round(combined * _ONE), tf.int32))

    return move


def _interpolated(images: Any, maps: Any) -> Any:
    """Return each pixel, interpolated bilinearly, from where its map `(batch, 2, 3) int32` says; edges are repeated."""
    from compress.tensorflow import tf

    batch, height, width, channels = (tf.shape(images)[axis] for axis in range(4))
    maps = maps[:, :, :, None, None]
    row, column = tf.range(height)[:, None], tf.range(width)
    x, y = (maps[:, i, 0] * column + maps[:, i, 1] * row + maps[:, i, 2] for i in (0, 1))
    left, top = x // _ONE, y // _ONE
    right_share, lower_share = ((z % _ONE // (_ONE // 256))[..., None] for z in (x, y))
    flat = tf.reshape(images, (-1, channels))
    first = tf.range(batch)[:, None, None] * height

    def pixels(y: Any, x: Any) -> Any:
        y, x = tf.clip_by_value(y, 0, height - 1), tf.clip_by_value(x, 0, width - 1)
        return tf.cast(tf.gather(flat, (first + y) * width + x), tf.int32)

    upper = pixels(top, left) * (256 - right_share) + pixels(top, left + 1) * right_share
    lower = pixels(top + 1, left) * (256 - right_share) + pixels(top + 1, left + 1) * right_share
    return tf.cast((upper * (256 - lower_share) + lower * lower_share + 2**15) // 2**16, tf.uint8)


def _affine(xx: Any, xy: Any, x: Any, yx: Any, yy: Any, y: Any) -> Any:
    """Return matrices `(batch, 3, 3)` with these entries, `(batch,)` each."""
    from compress.tensorflow import tf

    zero, one = tf.zeros_like(xx), tf.ones_like(xx)
    return tf.reshape(tf.stack([xx, xy, x, yx, yy, y, zero, zero, one], axis=1), (-1, 3, 3))


def _crop_map(draws: Any, height: Any, width: Any, smallest: float) -> Any:
    from compress.tensorflow import tf

    side = tf.sqrt(1 - draws[:, Column.CROP_AREA] * (1 - smallest))
    # measured between the centres of the outermost pixels, so that the crop lies within the image
    x = (draws[:, Column.CROP_X] - 0.5) * (1 - side) * (width - 1)
    y = (draws[:, Column.CROP_Y] - 0.5) * (1 - side) * (height - 1)
    zero = tf.zeros_like(side)
    return _affine(side, zero, x, zero, side, y)


def _shift_turn_zoom_map(draws: Any, height: Any, width: Any, limits: Augmentation) -> Any:
    from compress.tensorflow import tf

    signed = 2 * draws - 1
    angle = signed[:, Column.ROTATION] * math.radians(limits.rotation) * tf.minimum(height / width, width / height)
    scale = 1 + signed[:, Column.ZOOM] * limits.zoom
    cos, sin = scale * tf.cos(angle), scale * tf.sin(angle)
    x, y = signed[:, Column.SHIFT_X] * limits.shift * width, signed[:, Column.SHIFT_Y] * limits.shift * height
    return _affine(cos, -sin, x, sin, cos, y)


def _flip_map(draws: Any, flip: str) -> Any:
    from compress.tensorflow import tf

    one, zero = tf.ones_like(draws[:, 0]), tf.zeros_like(draws[:, 0])
    x = one if flip == "vertical" else tf.where(draws[:, Column.FLIP_X] < 0.5, -one, one)
    y = one if flip == "horizontal" else tf.where(draws[:, Column.FLIP_Y] < 0.5, -one, one)
    return _affine(x, zero, zero, zero, y, zero)


def _operation_map(operation: Any, sign: Any, height: Any, width: Any, magnitude: float) -> Any:
    from compress.tensorflow import tf

    sign = tf.cast(sign, tf.float64)
    zero = tf.zeros_like(sign)

    def only(which: Operation, value: Any) -> Any:
        return tf.where(operation == int(which), sign * value, zero)

    by_width, by_height = tf.minimum(width / height, 1.0), tf.minimum(height / width, 1.0)
    angle = math.radians(ROTATE * magnitude) * by_width * by_height
    sin = only(Operation.ROTATE, tf.sin(angle))
    cos = tf.where(operation == int(Operation.ROTATE), tf.cos(angle) + zero, 1 + zero)
    return _affine(
        cos,
        only(Operation.SHEAR_X, SHEAR * magnitude * by_width) - sin,
        only(Operation.TRANSLATE_X, TRANSLATE * magnitude * width),
        only(Operation.SHEAR_Y, SHEAR * magnitude * by_height) + sin,
        cos,
        only(Operation.TRANSLATE_Y, TRANSLATE * magnitude * height),
    )


def rectangle(start: Any, side: Any, size: Any) -> Any:
    """Return the pixels within rectangles, `(batch, height, width, 1) bool`; `start`, `side` are `(batch, 2) int32`."""
    from compress.tensorflow import tf

    end = start + side
    row, column = tf.range(size[0]), tf.range(size[1])
    rows = (row >= start[:, :1]) & (row < end[:, :1])
    columns = (column >= start[:, 1:]) & (column < end[:, 1:])
    return rows[:, :, None, None] & columns[:, None, :, None]
