"""Random changes of batches of images; each image's change depends only on its own row of random numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compress.data.augmentation.colour import jitter
from compress.data.augmentation.draws import DRAWS, Column, draws
from compress.data.augmentation.erasing import erase
from compress.data.augmentation.geometry import move
from compress.data.augmentation.mixing import lambdas, mix
from compress.data.augmentation.randaugment import Operation, change_values, operations_of
from compress.data.augmentation.settings import Augmentation, Mixing

if TYPE_CHECKING:
    import numpy as np

__all__ = ["DRAWS", "Augmentation", "Column", "Mixing", "Operation", "augment", "draws", "lambdas", "mix", "view_of"]


def view_of(images: np.ndarray, view: int, start: int, limits: Augmentation, seed: int) -> np.ndarray:
    """Return a view of images `(k, height, width, channels) uint8` whose indices begin at `start`.

    View 0 is the images as they are; view v is what training makes of them in view v, with their indices as draw ids.
    """
    if view == 0:
        return images
    import numpy as np

    from compress.tensorflow import tf

    random = draws(seed, view, np.arange(start, start + len(images)))
    return augment(tf.constant(images), tf.constant(random), limits).numpy()


def augment(images: Any, draws: Any, limits: Augmentation) -> Any:
    """Return the images changed within `limits`, each by its own row of `draws` alone.

    `images` is a tensor `(batch, height, width, channels) uint8` of 1 or 3 channels and sides of 3 pixels or more, as
    is the result; `draws` is `(batch, DRAWS) float32` in [0, 1). In order:

    - flip, shift, rotation, zoom, crop (Szegedy et al., "Going deeper with convolutions", 2015; the aspect ratio is
      kept) and RandAugment's geometric operations: one affine map, so that pixels are interpolated (bilinearly) once;
      beyond an image's border its edge is repeated, whatever its background is;
    - contrast, brightness and saturation, clipped to the range once;
    - RandAugment (Cubuk et al., 2020) with the ranges of AutoAugment (2019). It differs from the paper in its order:
      an image's geometric operations come first, then those that map each value to another, then colour and sharpness;
      two of colour, or of sharpness, multiply their factors. Contrast is about the mean of all channels. Values are
      rounded where Pillow truncates them;
    - random erasing (Zhong et al., "Random Erasing Data Augmentation", 2020), with probability one half, of a
      rectangle of area 0 (the paper: 2 %) to the limit and aspect 0.3 to 3.3, clipped to the image; it is filled with
      the image's mean colour.
    """
    from compress.tensorflow import tf

    colour = images.shape[-1] == 3
    with tf.device("CPU"):  # the same images on machines with and without a GPU
        operations = operations_of(draws, limits)
        moves = limits.shift or limits.rotation or limits.zoom or limits.crop < 1 or limits.flip != "none"
        if moves or operations:
            images = move(limits)(images, draws, operations)
        if limits.brightness or limits.contrast or (limits.saturation and colour):
            images = jitter(images, draws, limits)
        if operations:
            images = change_values(images, operations, limits.randaugment_magnitude)
        if limits.erasing:
            images = erase(images, draws, limits.erasing)
        return images
