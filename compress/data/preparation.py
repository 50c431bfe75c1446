"""From the bytes of an image file to the pixels that a network sees: in training, in calibration and in deployment.

This file is also copied into every bundle, as `preparation.py`, so that what is deployed prepares images with the very
same lines. It therefore needs nothing but numpy and Pillow.
"""

from __future__ import annotations

import io
import stat
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF")
MOST_PIXELS = 50_000_000
MOST_BYTES = 8 * MOST_PIXELS  # four channels of 16 bits
GREY_MODES = ("1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N")
WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
ORIENTATION = 0x0112  # the EXIF tag
FITS = ("crop", "pad", "stretch")

warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower, and an error


class UnreadableImageError(ValueError):
    """A file that is no image that we can use; its text says why."""


def read_file(path: Path) -> bytes:
    """Return a file's bytes; raises `UnreadableImageError` for what is no regular file or too large to be an image."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableImageError("is no regular file")
        if status.st_size > MOST_BYTES:
            raise UnreadableImageError(f"has {status.st_size:,} bytes; at most {MOST_BYTES:,} are read")
        return path.read_bytes()
    except UnreadableImageError:
        raise
    except OSError as error:
        raise UnreadableImageError(error.strerror or str(error)) from error
    except ValueError as error:  # a null character in the name
        raise UnreadableImageError(str(error)) from error


def identify(data: bytes) -> Image.Image:
    """Return what a file's header says, nothing decoded yet; the format is told from the bytes, not from a name.

    Raises `UnreadableImageError` for what is none of `FORMATS`, larger than `MOST_PIXELS`, or has pixels of 32 bits.
    """
    if not data:
        raise UnreadableImageError("is empty")
    with _as_unreadable():
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    if image.width * image.height > MOST_PIXELS:
        raise UnreadableImageError(f"is larger than the {MOST_PIXELS:,} pixels that are decoded")
    if image.mode in ("I", "F"):
        raise UnreadableImageError("has pixels of 32 bits; should have 8 or 16")
    return image


def open_image(data: bytes) -> Image.Image:
    """Return a file's first frame, decoded and turned as its EXIF orientation says.

    Raises `UnreadableImageError` as `identify`, and for what is broken or cut short.
    """
    image = identify(data)
    with _as_unreadable():
        image.load()
        if image.getexif().get(ORIENTATION, 1) == 1:
            return image
        turned = ImageOps.exif_transpose(image)
        turned.format = image.format
        return turned


@contextmanager
def _as_unreadable() -> Iterator[None]:
    try:
        yield
    except Image.UnidentifiedImageError as error:
        raise UnreadableImageError(f"is none of {', '.join(FORMATS)}") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f"is larger than the {MOST_PIXELS:,} pixels that are decoded") from error
    except Exception as error:  # Pillow raises many kinds for broken files
        raise UnreadableImageError(f"cannot be decoded: {str(error).partition(chr(10))[0] or 'broken'}") from error


def prepare(image: Image.Image, *, size: int, fit: str, channels: int, background: Sequence[int]) -> np.ndarray:
    """Return `(size, size, channels) uint8`: what a network sees of an image.

    16-bit pixels lose their low byte; transparent ones are laid over `background`, a colour of three values 0 to 255;
    palette, CMYK and other colours become RGB, and grey (ITU-R 601 luma) where `channels` is 1. Then one bilinear
    resize by Pillow, wide enough to take in every pixel when it shrinks: `fit` crop takes the middle square, pad puts
    the whole image in the middle of `background`, stretch changes its proportions.
    """
    image = to_channels(image, channels, background)
    width, height = image.size
    if (width, height) == (size, size):
        return np.asarray(image).reshape(size, size, channels)
    box: tuple[float, float, float, float] = (0, 0, width, height)
    to = (size, size)
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
    elif fit == "pad":
        longest = max(width, height)
        to = (max(1, round(size * width / longest)), max(1, round(size * height / longest)))
    image = image.resize(to, Image.Resampling.BILINEAR, box)
    if to != (size, size):
        ground = to_channels(Image.new("RGB", (1, 1), tuple(background)), channels, background).resize((size, size))
        ground.paste(image, ((size - to[0]) // 2, (size - to[1]) // 2))
        image = ground
    return np.asarray(image).reshape(size, size, channels)


def to_channels(image: Image.Image, channels: int, background: Sequence[int]) -> Image.Image:
    """Return an image as 8-bit grey (`channels` 1) or RGB (3), transparency laid over `background`."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode == "La":  # Pillow turns it into nothing else
        image = image.convert("LA")
    if image.mode in WITH_ALPHA or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (*background, 255))
        image = Image.alpha_composite(ground, image).convert("RGB")
    mode = "L" if channels == 1 else "RGB"
    if image.mode != mode:
        image = (image if image.mode in (*GREY_MODES, "RGB") else image.convert("RGB")).convert(mode)
    return image


def is_grey(image: Image.Image) -> bool:
    """Tell whether an image has no colour by its kind: a palette counts as colour, whatever it holds."""
    return image.mode in GREY_MODES
