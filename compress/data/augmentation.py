"""Random changes of whole batches of images, each image's own, a function of its row of random numbers alone."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import numpy as np


class Augmentation(BaseModel):
    """How far training images may be changed; a change of either sign is drawn evenly from minus to plus its limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flip: Literal["none", "horizontal", "vertical", "both"] = Field(
        "none", description="Directions in which images are mirrored, each with probability one half."
    )
    shift: float = Field(0.1, ge=0, lt=1, description="Largest shift in both directions, a fraction of the side.")
    rotation: float = Field(10.0, ge=0, le=180, description="Largest rotation, in degrees.")
    zoom: float = Field(0.1, ge=0, lt=1, description="Largest change of the size, a fraction of it.")
    crop: float = Field(
        1.0, gt=0, le=1, description="Smallest part of the area that a random crop keeps, a fraction; 1: no crop."
    )
    brightness: float = Field(0.0, ge=0, le=1, description="Largest change added, a fraction of the full range.")
    contrast: float = Field(
        0.0, ge=0, lt=1, description="Largest change of the factor, else 1, about the image's mean."
    )
    saturation: float = Field(
        0.0, ge=0, le=1, description="Largest change of the factor, else 1, about a pixel's grey; colour images only."
    )
    erasing: float = Field(
        0.0, ge=0, le=1, description="Largest part of the area that a blanked rectangle covers, a fraction."
    )
    randaugment: int = Field(0, ge=0, le=8, description="Number of RandAugment operations an image.")
    randaugment_magnitude: float = Field(
        0.3, ge=0, le=1, description="Strength of RandAugment's operations, a fraction of the paper's strongest."
    )


class Mixing(BaseModel):
    """How images are mixed with each other; where both ways are on, each image takes either with equal chance."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mixup: float = Field(0.0, ge=0, le=10, description="Alpha of mixup's Beta(alpha, alpha); 0: none.")
    cutmix: float = Field(0.0, ge=0, le=10, description="Alpha of CutMix's Beta(alpha, alpha); 0: none.")


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


class Column(IntEnum):
    """What each number of an image's draws decides; from RANDAUGMENT on, two for each operation: which, and sign."""

    FLIP_X = 0
    FLIP_Y = 1
    SHIFT_X = 2
    SHIFT_Y = 3
    ROTATION = 4
    ZOOM = 5
    CROP_AREA = 6
    CROP_X = 7
    CROP_Y = 8
    BRIGHTNESS = 9
    CONTRAST = 10
    SATURATION = 11
    ERASE = 12
    ERASE_AREA = 13
    ERASE_ASPECT = 14
    ERASE_X = 15
    ERASE_Y = 16
    MIX_CHOICE = 17
    MIX_LAMBDA = 18
    CUT_X = 19
    CUT_Y = 20
    RANDAUGMENT = 21


DRAWS: int = Column.RANDAUGMENT + 2 * 8
"""Number of uniform numbers an image uses."""

_SHEAR, _TRANSLATE, _ROTATE, _ENHANCE, _POSTERIZE = 0.3, 150 / 331, 30.0, 0.9, 4
"""RandAugment's strongest: fractions, the part of the side, degrees, change of the factor, bits lost."""


_ONE = 1 << 16
"""1 in the fixed-point numbers of a geometric map."""


def draws(seed: int, turn: int | np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Return the random numbers of images, `(len(slots), DRAWS) float32` in [0, 1).

    Each number is a function of `seed`, its image's `turn` (the epoch or view; one number, or one a slot), its image's
    number in `slots` (`(n,) int64`) and its column alone, so that an image's changes do not depend on its batch.
    SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014), split at each of these.
    """
    import numpy as np

    state = np.zeros(1, np.uint64)
    for number in (seed, turn, slots):
        state = _splitmix64(state, np.atleast_1d(np.asarray(number, np.int64)))
    bits = _splitmix64(state[:, None], np.arange(DRAWS))
    return (bits >> 40).astype(np.float32) * np.float32(2**-24)  # the 24 bits that a float32 holds


def _splitmix64(state: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return output `n`, counted from 0, of the generator that starts at `state`."""
    z = state + (n.astype("uint64") + 1) * 0x9E3779B97F4A7C15
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB
    return z ^ (z >> 31)


def augment(images: Any, draws: Any, limits: Augmentation) -> Any:
    """Return the images changed within `limits`, each by its own row of `draws` alone.

    `images` is a tensor `(batch, height, width, channels) uint8` of 1 or 3 channels and sides of 3 pixels or more, as
    is the result; `draws` is `(batch, DRAWS) float32` in [0, 1). In order:

    - flip, shift, rotation, zoom, crop (Szegedy et al., "Going deeper with convolutions", 2015; the aspect ratio is
      kept) and RandAugment's geometric operations: one affine map, so that pixels are interpolated (bilinearly) once;
      outside of an image its edge goes on, whatever its background is;
    - contrast, brightness and saturation, cut to the range once;
    - RandAugment (Cubuk et al., 2020) with the ranges of AutoAugment (2019). It differs from the paper in its order:
      an image's geometric operations come first, then those that map each value to another, then colour and sharpness;
      two of colour, or of sharpness, multiply their factors. Contrast is about the mean of all channels. Values are
      rounded where Pillow cuts them off;
    - random erasing (Zhong et al., "Random Erasing Data Augmentation", 2020), with probability one half, of a
      rectangle of area 0 (the paper: 2 %) to the limit and aspect 0.3 to 3.3, cut to the image; it takes the image's
      mean colour.
    """
    from compress.training.tensorflow import tf

    colour = images.shape[-1] == 3
    with tf.device("CPU"):  # the same images on machines with and without a GPU
        operations = _operations(draws, limits)
        moves = limits.shift or limits.rotation or limits.zoom or limits.crop < 1 or limits.flip != "none"
        if moves or operations:
            images = _move(limits)(images, draws, operations)
        if limits.brightness or limits.contrast or (limits.saturation and colour):
            images = _jitter(images, draws, limits)
        if operations:
            images = _map_values(images, operations, limits.randaugment_magnitude)
            if colour:
                factor = _blend_factor(operations, Operation.COLOUR, limits.randaugment_magnitude)
                images = _blend_some(images, factor, _grey)
            factor = _blend_factor(operations, Operation.SHARPNESS, limits.randaugment_magnitude)
            images = _blend_some(images, factor, _smooth)
        if limits.erasing:
            images = _erase(images, draws, limits.erasing)
        return images


def lambdas(draws: np.ndarray, settings: Mixing) -> np.ndarray:
    """Return the share of itself that each image keeps, `(batch,) float32`, distributed as Beta(alpha, alpha).

    `draws` is `(batch, DRAWS)`. `mix` takes the result; NumPy, since TensorFlow has no inverse of this distribution.
    """
    import numpy as np
    from scipy.special import betaincinv

    if not (settings.mixup or settings.cutmix):
        return np.ones(len(draws), np.float32)
    alpha = np.where(_cuts(draws, settings), settings.cutmix, settings.mixup)
    return betaincinv(alpha, alpha, draws[:, Column.MIX_LAMBDA]).astype(np.float32)


def mix(images: Any, targets: Any, weights: Any, draws: Any, lambdas: Any, settings: Mixing) -> tuple[Any, Any, Any]:
    """Return images, targets and weights, each mixed with the one before it in the batch, the first with the last.

    `images` is `(batch, height, width, channels) float32`, `targets` `(batch, k) float32`, `weights` `(batch,)
    float32`, `draws` `(batch, DRAWS) float32` and `lambdas` what the function of that name gives for them. mixup (Zhang
    et al., 2018) blends the images; CutMix (Yun et al., 2019) pastes a rectangle, cut at the border. Targets and
    weights are blended by the share of the pixels really taken.
    """
    from compress.training.tensorflow import tf

    if not (settings.mixup or settings.cutmix):
        return images, targets, weights
    taken = (1 - lambdas)[:, None, None, None]
    if settings.cutmix:
        rectangle = tf.cast(_cut(images, draws, lambdas), tf.float32)
        taken = tf.where(_cuts(draws, settings)[:, None, None, None], rectangle, taken)
    share = tf.reduce_mean(taken, axis=(1, 2, 3))

    def blend(own: Any, part: Any) -> Any:
        return (1 - part) * own + part * tf.roll(own, 1, axis=0)

    return blend(images, taken), blend(targets, share[:, None]), blend(weights, share)


def _cuts(draws: Any, settings: Mixing) -> Any:
    """Return which images take CutMix, `(batch,) bool`; the others take mixup."""
    chance = 0.5 if settings.mixup and settings.cutmix else float(settings.cutmix > 0)
    return draws[:, Column.MIX_CHOICE] < chance


def _cut(images: Any, draws: Any, lambdas: Any) -> Any:
    """Return the pixels of CutMix's rectangles, `(batch, height, width, 1) bool`."""
    from compress.training.tensorflow import tf

    size = tf.shape(images)[1:3]
    side = tf.sqrt(1 - lambdas)[:, None] * tf.cast(size, tf.float32)
    side = tf.cast(side, tf.int32)
    centre = tf.stack([draws[:, Column.CUT_Y], draws[:, Column.CUT_X]], axis=1) * tf.cast(size, tf.float32)
    return _rectangle(tf.cast(centre, tf.int32) - side // 2, side, size)


def _rectangle(start: Any, side: Any, size: Any) -> Any:
    """Return the pixels within rectangles, `(batch, height, width, 1) bool`; `start`, `side` are `(batch, 2) int32`."""
    from compress.training.tensorflow import tf

    end = start + side
    row, column = tf.range(size[0]), tf.range(size[1])
    rows = (row >= start[:, :1]) & (row < end[:, :1])
    columns = (column >= start[:, 1:]) & (column < end[:, 1:])
    return rows[:, :, None, None] & columns[:, None, :, None]


def _operations(draws: Any, limits: Augmentation) -> list[tuple[Any, Any]]:
    """Return each RandAugment operation in turn: which `(batch,) int32`, and with which sign `(batch,) float32`."""
    from compress.training.tensorflow import tf

    operations = []
    for i in range(limits.randaugment):
        which, sign = draws[:, Column.RANDAUGMENT + 2 * i], draws[:, Column.RANDAUGMENT + 2 * i + 1]
        operations.append((tf.cast(which * len(Operation), tf.int32), tf.where(sign < 0.5, -1.0, 1.0)))
    return operations


@cache
def _move(limits: Augmentation) -> Any:
    """Return the function of (images, draws, operations) that makes all geometric changes.

    Each change is a matrix that takes a pixel of its result to where it came from, in pixels from the centre. The rest
    is done in whole numbers, so that the result is the same bit for bit wherever it is computed. XLA makes one loop of
    it, which is four times as fast as ImageProjectiveTransformV3; TensorFlow has no XLA on Windows.
    """
    from compress.training.tensorflow import tf

    @tf.function(jit_compile=sys.platform != "win32")
    def move(images: Any, draws: Any, operations: list[tuple[Any, Any]]) -> Any:
        size = tf.shape(images)[1:3]
        # the last bits differ with a number's place in the batch (vector or scalar code): rounded away below
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
    """Return each pixel from where its map `(batch, 2, 3) int32` says, bilinearly; its edge goes on outside of an image."""
    from compress.training.tensorflow import tf

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
    """Return matrices `(batch, 3, 3)` of their entries, `(batch,)` each."""
    from compress.training.tensorflow import tf

    zero, one = tf.zeros_like(xx), tf.ones_like(xx)
    return tf.reshape(tf.stack([xx, xy, x, yx, yy, y, zero, zero, one], axis=1), (-1, 3, 3))


def _crop_map(draws: Any, height: Any, width: Any, smallest: float) -> Any:
    from compress.training.tensorflow import tf

    side = tf.sqrt(1 - draws[:, Column.CROP_AREA] * (1 - smallest))
    # from the centres of the outermost pixels on: what is cut out lies within the image
    x = (draws[:, Column.CROP_X] - 0.5) * (1 - side) * (width - 1)
    y = (draws[:, Column.CROP_Y] - 0.5) * (1 - side) * (height - 1)
    zero = tf.zeros_like(side)
    return _affine(side, zero, x, zero, side, y)


def _shift_turn_zoom_map(draws: Any, height: Any, width: Any, limits: Augmentation) -> Any:
    from compress.training.tensorflow import tf

    signed = 2 * draws - 1
    angle = signed[:, Column.ROTATION] * math.radians(limits.rotation)
    scale = 1 + signed[:, Column.ZOOM] * limits.zoom
    cos, sin = scale * tf.cos(angle), scale * tf.sin(angle)
    x, y = signed[:, Column.SHIFT_X] * limits.shift * width, signed[:, Column.SHIFT_Y] * limits.shift * height
    return _affine(cos, -sin, x, sin, cos, y)


def _flip_map(draws: Any, flip: str) -> Any:
    from compress.training.tensorflow import tf

    one, zero = tf.ones_like(draws[:, 0]), tf.zeros_like(draws[:, 0])
    x = one if flip == "vertical" else tf.where(draws[:, Column.FLIP_X] < 0.5, -one, one)
    y = one if flip == "horizontal" else tf.where(draws[:, Column.FLIP_Y] < 0.5, -one, one)
    return _affine(x, zero, zero, zero, y, zero)


def _operation_map(operation: Any, sign: Any, height: Any, width: Any, magnitude: float) -> Any:
    from compress.training.tensorflow import tf

    sign = tf.cast(sign, tf.float64)
    zero = tf.zeros_like(sign)

    def only(which: Operation, value: Any) -> Any:
        return tf.where(operation == int(which), sign * value, zero)

    angle = math.radians(_ROTATE * magnitude)
    sin = only(Operation.ROTATE, math.sin(angle))
    cos = tf.where(operation == int(Operation.ROTATE), math.cos(angle) + zero, 1 + zero)
    return _affine(
        cos,
        only(Operation.SHEAR_X, _SHEAR * magnitude) - sin,
        only(Operation.TRANSLATE_X, _TRANSLATE * magnitude * width),
        only(Operation.SHEAR_Y, _SHEAR * magnitude) + sin,
        cos,
        only(Operation.TRANSLATE_Y, _TRANSLATE * magnitude * height),
    )


def _jitter(images: Any, draws: Any, limits: Augmentation) -> Any:
    """Return the images with contrast, brightness and saturation changed."""
    from compress.training.tensorflow import tf

    signed = (2 * draws - 1)[:, :, None, None, None]
    values = tf.cast(images, tf.float32)
    if limits.contrast:
        mean = _mean(images, axes=(1, 2, 3))
        values = mean + (values - mean) * (1 + signed[:, Column.CONTRAST] * limits.contrast)
    if limits.brightness:
        values += signed[:, Column.BRIGHTNESS] * (255 * limits.brightness)
    if limits.saturation and images.shape[-1] == 3:
        grey = _grey(values)
        values = grey + (values - grey) * (1 + signed[:, Column.SATURATION] * limits.saturation)
    return _rounded(values)


def _mean(images: Any, axes: tuple[int, ...]) -> Any:
    """Return the images' mean over `axes`, float32, of as many dimensions."""
    from compress.training.tensorflow import tf

    # sums of integers do not depend on their order, which differs with the size of the batch
    sums = tf.reduce_sum(tf.cast(images, tf.int32), axis=axes, keepdims=True)
    count = tf.reduce_prod([tf.shape(images)[axis] for axis in axes])
    return tf.cast(sums, tf.float32) / tf.cast(count, tf.float32)


def _grey(values: Any) -> Any:
    """Return the luma (ITU-R BT.601) of colours `(..., 3) float32`: `(..., 1)`."""
    return 0.299 * values[..., :1] + 0.587 * values[..., 1:2] + 0.114 * values[..., 2:]


def _rounded(values: Any) -> Any:
    from compress.training.tensorflow import tf

    return tf.cast(tf.clip_by_value(values + 0.5, 0.0, 255.0), tf.uint8)


def _map_values(images: Any, operations: list[tuple[Any, Any]], magnitude: float) -> Any:
    """Return the images after RandAugment's operations that are tables, composed into one table a channel."""
    from compress.training.tensorflow import tf

    channels = images.shape[-1]
    tables = tf.shape(images)[0] * channels
    first = 256 * tf.range(tables)  # of each table, all of them in one row
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
    from compress.training.tensorflow import tf

    value = list(range(256))
    bits_lost = round(_POSTERIZE * magnitude)
    fixed: dict[int, list[int]] = {
        Operation.SOLARIZE: [255 - v if v >= 256 - 256 * magnitude else v for v in value],
        Operation.POSTERIZE: [v >> bits_lost << bits_lost for v in value],
    }
    values = tf.gather(tf.constant([fixed.get(which, value) for which in Operation], tf.float32), operation)

    operation, factor = operation[:, None], 1 + sign[:, None] * (_ENHANCE * magnitude)
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
    from compress.training.tensorflow import tf

    below = tf.cumsum(histogram, axis=2, exclusive=True)
    step = tf.reduce_max(tf.where(histogram > 0, below, 0), axis=2, keepdims=True) // 255
    equalized = tf.minimum((below + step // 2) // tf.maximum(step, 1), 255)
    return tf.where(step > 0, equalized, tf.range(256))


def _blend_factor(operations: list[tuple[Any, Any]], which: Operation, magnitude: float) -> Any:
    """Return the product of the factors of the operations that are `which`, `(batch,) float32`; 1 where none is."""
    from compress.training.tensorflow import tf

    factor = 1.0
    for operation, sign in operations:
        factor *= tf.where(operation == int(which), 1 + sign * (_ENHANCE * magnitude), 1.0)
    return factor


def _blend_some(images: Any, factor: Any, other: Callable[[Any], Any]) -> Any:
    """Return the images with their difference from `other` of them times `factor`, at no cost where that is 1."""
    from compress.training.tensorflow import tf

    chosen = tf.where(factor != 1.0)
    values = tf.cast(tf.gather_nd(images, chosen), tf.float32)
    others = other(values)
    blended = others + (values - others) * tf.gather_nd(factor, chosen)[:, None, None, None]
    return tf.tensor_scatter_nd_update(images, chosen, _rounded(blended))


def _smooth(values: Any) -> Any:
    """Return the images under Pillow's smoothing filter, which leaves the border as it is."""
    from compress.training.tensorflow import tf

    # 13 times the filter, whose sums are whole numbers and so exact in any order
    kernel = tf.constant([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]])[:, :, None, None]
    kernel = tf.tile(kernel, (1, 1, values.shape[-1], 1))
    smooth = tf.nn.depthwise_conv2d(values, kernel, strides=(1, 1, 1, 1), padding="SAME")
    change = (smooth - 13 * values)[:, 1:-1, 1:-1]
    return values + tf.pad(change, ((0, 0), (1, 1), (1, 1), (0, 0))) * (1 / 13)


def _erase(images: Any, draws: Any, largest: float) -> Any:
    from compress.training.tensorflow import tf

    size = tf.shape(images)[1:3]
    draws, sides = tf.cast(draws, tf.float64), tf.cast(size, tf.float64)  # for the reason given in _move
    area = draws[:, Column.ERASE_AREA] * largest * tf.reduce_prod(sides)
    aspect = 0.3 ** (2 * draws[:, Column.ERASE_ASPECT] - 1)
    side = tf.minimum(tf.sqrt(tf.stack([area * aspect, area / aspect], axis=1)), sides)
    side = tf.where(draws[:, Column.ERASE, None] < 0.5, tf.floor(side), 0)
    start = tf.stack([draws[:, Column.ERASE_Y], draws[:, Column.ERASE_X]], axis=1) * (sides - side + 1)
    blanked = _rectangle(tf.cast(start, tf.int32), tf.cast(side, tf.int32), size)
    return tf.where(blanked, _rounded(_mean(images, axes=(1, 2))), images)
