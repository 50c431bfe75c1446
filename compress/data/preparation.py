"""From the bytes of an image file to the pixels that a network sees: in training, in calibration and in deployment.

This file is also copied into every bundle, as `preparation.py`, so that what is deployed prepares images with the
same code, and decoding.py with it. They therefore need nothing but numpy and Pillow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

if __package__:
    from .decoding import GREY_MODES, UnreadableImageError, as_unreadable, open_image, read_file
else:  # in a bundle's folder
    from decoding import (  # type: ignore[import-not-found,no-redef]
        GREY_MODES,
        UnreadableImageError,
        as_unreadable,
        open_image,
        read_file,
    )

__all__ = [
    "FITS",
    "UnreadableImageError",
    "height_and_width",
    "open_image",
    "prepare",
    "prepared_shape",
    "read_file",
    "to_channels",
]

WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
FITS = ("crop", "pad", "stretch")


def height_and_width(size: int | Sequence[int]) -> tuple[int, int]:
    """Return the two sides that `size` means, which is the one side of a square, or height and width."""
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


def prepared_shape(preparation: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return the height, width and channels of what `prepare` returns with these settings."""
    return (*height_and_width(preparation["size"]), preparation["channels"])


def prepare(
    image: Image.Image, *, size: int | Sequence[int], fit: str, channels: int, background: Sequence[int]
) -> np.ndarray:
    """Return `(height, width, channels) uint8`: what a network sees of an image; `size` is a side or both sides.

    16-bit pixels lose their low byte; transparent ones are laid over `background`, a colour of three values 0 to 255;
    palette, CMYK and other colours become RGB, and grey (ITU-R 601 luma) if `channels` is 1. Then Pillow resizes once,
    bilinearly, with a filter wide enough to cover every pixel when it shrinks: `fit` crop takes the largest part in the
    middle that has the proportions of `size`, pad puts the whole image in the middle of `background`, stretch changes
    its proportions.

    Raises `UnreadableImageError` for colours that Pillow cannot convert to RGB.
    """
    with as_unreadable():
        image = to_channels(image, channels, background)
    width, height = image.size
    rows, columns = height_and_width(size)
    if (width, height) == (columns, rows):
        return np.asarray(image).reshape(rows, columns, channels)
    box: tuple[float, float, float, float] = (0, 0, width, height)
    to = (columns, rows)
    if fit == "crop":
        left = (width - min(width, height * columns / rows)) / 2
        top = (height - min(height, width * rows / columns)) / 2
        box = (left, top, width - left, height - top)
    elif fit == "pad":
        to = (
            max(1, round(min(columns, rows * width / height))),
            max(1, round(min(rows, columns * height / width))),
        )
    image = image.resize(to, Image.Resampling.BILINEAR, box)
    if to != (columns, rows):
        ground = to_channels(Image.new("RGB", (1, 1), tuple(background)), channels, background)
        ground = ground.resize((columns, rows))
        ground.paste(image, ((columns - to[0]) // 2, (rows - to[1]) // 2))
        image = ground
    return np.asarray(image).reshape(rows, columns, channels)


def to_channels(image: Image.Image, channels: int, background: Sequence[int]) -> Image.Image:
    """Return an image as 8-bit grey (`channels` 1) or RGB (3), transparency laid over `background`."""
    if image.mode.startswith("I;16"):
        image = _high_bytes(image)
    if image.mode == "La":  # Pillow converts it to nothing else
        image = image.convert("LA")
    if image.mode in WITH_ALPHA or "transparency" in image.info:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        ground = Image.new("RGB", image.size, tuple(background))
        ground.paste(image, mask=image)  # needs one copy fewer in memory than alpha_composite
        image = ground
    mode = "L" if channels == 1 else "RGB"
    if image.mode != mode:
        image = (image if image.mode in (*GREY_MODES, "RGB") else image.convert("RGB")).convert(mode)
    return image


def _high_bytes(image: Image.Image) -> Image.Image:
    """Return a grey image of 16 bits as one of 8, with alpha if one 16-bit value stands for transparent."""
    values = np.asarray(image)
    grey = Image.fromarray((values >> 8).astype(np.uint8))
    if "transparency" not in image.info:
        return grey
    alpha = np.where(values == image.info["transparency"], 0, 255).astype(np.uint8)
    return Image.merge("LA", (grey, Image.fromarray(alpha)))
