"""One way to bring an image to the network's size, in training as in deployment."""

from __future__ import annotations

import numpy as np
from PIL import Image


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """Return images of `(n, height, width, channels) uint8` as `(n, size, size, channels) uint8`.

    Pillow's bilinear filter, which a deployed model's user calls as `image.resize((size, size), BILINEAR)`.
    """
    grey = images.shape[3] == 1
    resized = [
        np.asarray(Image.fromarray(image[..., 0] if grey else image).resize((size, size), Image.Resampling.BILINEAR))
        for image in images
    ]
    return np.stack(resized).reshape(len(images), size, size, images.shape[3])
