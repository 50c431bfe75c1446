"""Mixup (Zhang et al., 2018) and CutMix (Yun et al., 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compress.data.augmentation.draws import Column
from compress.data.augmentation.geometry import rectangle
from compress.data.augmentation.settings import Mixing

if TYPE_CHECKING:
    import numpy as np


def lambdas(draws: np.ndarray, settings: Mixing) -> np.ndarray:
    """Return the share of itself that each image keeps, `(batch,) float32`, distributed as Beta(alpha, alpha).

    `draws` is `(batch, DRAWS)`; the result is for `mix`. NumPy, since TensorFlow has no inverse of this distribution.
    """
    import numpy as np
    from scipy.special import betaincinv

    if not settings.is_on:
        return np.ones(len(draws), np.float32)
    alpha = np.where(_cuts(draws, settings), settings.cutmix, settings.mixup)
    return betaincinv(alpha, alpha, draws[:, Column.MIX_LAMBDA]).astype(np.float32)


def mix(images: Any, targets: Any, weights: Any, draws: Any, lambdas: Any, settings: Mixing) -> tuple[Any, Any, Any]:
    """Return images, targets and weights, each mixed with the one before it in the batch, the first with the last.

    `images` is `(batch, height, width, channels) float32`, `targets` `(batch, k) float32`, `weights` `(batch,)
    float32`, `draws` `(batch, DRAWS) float32` and `lambdas` what the function of that name gives for them. mixup (Zhang
    et al., 2018) blends the images; CutMix (Yun et al., 2019) pastes a rectangle, cut at the border. Targets and
    weights are blended by the share of pixels that really come from the other image, so that a loss that is linear in
    the targets, such as cross-entropy, is the sum of what each part would count alone: with class weights, a rare
    class's part counts more.
    """
    from compress.tensorflow import tf

    if not settings.is_on:
        return images, targets, weights
    mask = (1 - lambdas)[:, None, None, None]
    if settings.cutmix:
        rectangle = tf.cast(_cut(images, draws, lambdas), tf.float32)
        mask = tf.where(_cuts(draws, settings)[:, None, None, None], rectangle, mask)
    share = tf.reduce_mean(mask, axis=(1, 2, 3))

    def blend(own: Any, part: Any) -> Any:
        return (1 - part) * own + part * tf.roll(own, 1, axis=0)

    mixed = blend(weights, share)
    return blend(images, mask), blend(weights[:, None] * targets, share[:, None]) / mixed[:, None], mixed


def _cuts(draws: Any, settings: Mixing) -> Any:
    """Return which images use CutMix, `(batch,) bool`; the others use mixup."""
    chance = 0.5 if settings.mixup and settings.cutmix else float(settings.cutmix > 0)
    return draws[:, Column.MIX_CHOICE] < chance


def _cut(images: Any, draws: Any, lambdas: Any) -> Any:
    """Return the pixels of CutMix's rectangles, `(batch, height, width, 1) bool`."""
    from compress.tensorflow import tf

    size = tf.shape(images)[1:3]
    side = tf.sqrt(1 - lambdas)[:, None] * tf.cast(size, tf.float32)
    side = tf.cast(side, tf.int32)
    centre = tf.stack([draws[:, Column.CUT_Y], draws[:, Column.CUT_X]], axis=1) * tf.cast(size, tf.float32)
    return rectangle(tf.cast(centre, tf.int32) - side // 2, side, size)
