"""From the bytes of an image file to the pixels that a network sees: in training, in calibration and in deployment.

This file is also copied into every bundle, as `preparation.py`, so that what is deployed prepares images with the
same code. It therefore needs nothing but numpy and Pillow.
"""

from __future__ import annotations

import io
import stat
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile, ImageOps, TiffImagePlugin

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF")
LOWEST_PILLOW = "10.3"  # earlier releases read 16-bit PNG files as 32 bits
MAX_PIXELS = 50_000_000
MAX_BYTES = 8 * MAX_PIXELS  # four channels of 16 bits
GREY_MODES = ("1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N")
WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
GIT_LFS = b"version https://git-lfs.github.com/spec/"
ORIENTATION = 0x0112  # the EXIF tag
BITS, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0  # TIFF's tags
# The colour that a PNG names as transparent is that of the file; Pillow does not scale it as it scales the pixels
KEY_AS_DECODED: dict[str, Callable[[Any], Any]] = {
    "L;2": lambda key: key * 85,
    "L;4": lambda key: key * 17,
    "RGB;16B": lambda key: tuple(value >> 8 for value in key),
}
FITS = ("crop", "pad", "stretch")

warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower, and an error


class UnreadableImageError(ValueError):
    """A file is not an image that can be used; the message says why."""


def read_file(path: Path) -> bytes:
    """Return a file's bytes; raises `UnreadableImageError` if it is not a regular file or is too large."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableImageError("is not a regular file")
        if status.st_size > MAX_BYTES:
            raise UnreadableImageError(f"has {status.st_size:,} bytes; at most {MAX_BYTES:,} are read")
        return path.read_bytes()
    except UnreadableImageError:
        raise
    except OSError as error:
        raise UnreadableImageError(error.strerror or str(error)) from error
    except ValueError as error:  # a null character in the name
        raise UnreadableImageError(str(error)) from error


def identify(data: bytes) -> Image.Image:
    """Return an image whose header has been read and whose pixels are not decoded yet.

    The bytes tell the format, not the file's name. Raises `UnreadableImageError` if it is not one of `FORMATS`, or if
    the image is larger than `MAX_PIXELS` or has pixels of 12 or 32 bits.
    """
    if not data:
        raise UnreadableImageError("is empty")
    if data.startswith(GIT_LFS):
        raise UnreadableImageError("is a Git LFS pointer, not the image itself; `git lfs pull` fetches the image")
    with _as_unreadable():
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    check(image)
    return image


def check(image: Image.Image) -> None:
    """Raise `UnreadableImageError` if an image has no pixels, more than `MAX_PIXELS`, or pixels of 12 or 32 bits."""
    if not image.width * image.height:
        raise UnreadableImageError("has no pixels")
    if image.width * image.height > MAX_PIXELS:
        raise UnreadableImageError(f"is larger than the {MAX_PIXELS:,} pixels that are decoded")
    if image.mode in ("I", "F"):
        raise UnreadableImageError("has pixels of 32 bits; should have 8 or 16")
    if _tiff(image, BITS) == (12,):  # Pillow decodes them as if they had 16
        raise UnreadableImageError("has pixels of 12 bits; should have 8 or 16")


def open_image(data: bytes) -> Image.Image:
    """Return a file's first frame, decoded and rotated as its EXIF orientation says.

    Raises `UnreadableImageError` as `identify` does, and if the file is broken or cut short.
    """
    return decoded(identify(data))


def decoded(image: Image.Image) -> Image.Image:
    """Return an image that `check` has passed with its pixels decoded and rotated as its EXIF orientation says.

    The image itself is left as it is, but for the decoding. Raises `UnreadableImageError` if the file is broken.
    """
    kind, stored, white_is_zero = image.format, _stored_as(image), _tiff(image, PHOTOMETRIC) == WHITE_IS_ZERO
    with _as_unreadable():
        image.load()
        if isinstance(key := image.info.get("transparency"), int | tuple) and stored in KEY_AS_DECODED:
            image.info["transparency"] = KEY_AS_DECODED[stored](key)
        if image.getexif().get(ORIENTATION, 1) != 1:
            image = ImageOps.exif_transpose(image)
        if image.mode == "I;16" and white_is_zero:  # Pillow inverts only those of 8 bits
            image = Image.fromarray(np.uint16(0xFFFF) - np.asarray(image))
    image.format = kind
    return image


def _tiff(image: Image.Image, tag: int) -> Any:
    return image.tag_v2.get(tag) if isinstance(image, TiffImagePlugin.TiffImageFile) else None


def _stored_as(image: Image.Image) -> str:
    """Return Pillow's name for the layout of the values in the file; empty once they are decoded."""
    arguments = image.tile[0][3] if isinstance(image, ImageFile.ImageFile) and image.tile else ""
    return arguments if isinstance(arguments, str) else ""


@contextmanager
def _as_unreadable() -> Iterator[None]:
    try:
        yield
    except Image.UnidentifiedImageError as error:
        raise UnreadableImageError(f"is not one of {', '.join(FORMATS)}") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f"is larger than the {MAX_PIXELS:,} pixels that are decoded") from error
    except Exception as error:  # Pillow raises many kinds for broken files
        raise UnreadableImageError(f"cannot be decoded: {str(error).partition(chr(10))[0] or 'broken'}") from error


def prepare(image: Image.Image, *, size: int, fit: str, channels: int, background: Sequence[int]) -> np.ndarray:
    """Return `(size, size, channels) uint8`: what a network sees of an image.

    16-bit pixels lose their low byte; transparent ones are laid over `background`, a colour of three values 0 to 255;
    palette, CMYK and other colours become RGB, and grey (ITU-R 601 luma) if `channels` is 1. Then Pillow resizes once,
    bilinearly, with a filter wide enough to cover every pixel when it shrinks: `fit` crop takes the middle square, pad
    puts the whole image in the middle of `background`, stretch changes its proportions.

    Raises `UnreadableImageError` for colours that Pillow cannot convert to RGB.
    """
    with _as_unreadable():
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


def is_grey(image: Image.Image) -> bool:
    """Tell from the mode of an image, not decoded yet, whether it is grey; a palette counts as colour."""
    return image.mode in GREY_MODES or _stored_as(image).startswith("LA")  # Pillow reads 16-bit grey and alpha as RGBA
