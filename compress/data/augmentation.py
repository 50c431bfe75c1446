"""Random changes of whole batches of images, a function of a seed alone."""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Augmentation(BaseModel):
    """How far an image may be moved, turned and scaled; each drawn evenly between minus and plus its limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shift: float = Field(3.0, ge=0, le=64, description="Pixels, in both directions.")
    rotation: float = Field(10.0, ge=0, le=180, description="Degrees.")
    zoom: float = Field(0.1, ge=0, lt=1, description="Fraction of the size.")


def augment(images: Any, seed: Any, limits: Augmentation) -> Any:
    """Return the images shifted, turned about their centre and scaled, each by its own draw; outside is black.

    `images` is a tensor `(batch, height, width, channels) uint8`, `seed` an integer tensor `(2,)`. The same seed gives
    the same images. All three changes are one affine map, so that pixels are interpolated (bilinearly) once.
    """
    from compress.training.tensorflow import tf

    shape = tf.shape(images)
    draws = tf.random.stateless_uniform((shape[0], 4), seed, -1.0, 1.0)
    angle = draws[:, 0] * math.radians(limits.rotation)
    scale = 1.0 + draws[:, 1] * limits.zoom
    cos, sin = scale * tf.cos(angle), scale * tf.sin(angle)
    centre_y, centre_x = (tf.cast(shape[1], tf.float32) - 1) / 2, (tf.cast(shape[2], tf.float32) - 1) / 2
    move_x = centre_x - cos * centre_x + sin * centre_y + draws[:, 2] * limits.shift
    move_y = centre_y - sin * centre_x - cos * centre_y + draws[:, 3] * limits.shift
    zero = tf.zeros_like(angle)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([cos, -sin, move_x, sin, cos, move_y, zero, zero], axis=1),
        output_shape=shape[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
