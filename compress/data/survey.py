"""One look at every image: can it be decoded, what does the network see of it, which ones are the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

from compress.data.decoding import UnreadableImageError
from compress.data.preparation import prepare, prepared_shape
from compress.data.samples import Files, RawImages
from compress.data.workers import Workers, at_once, in_order

CHUNK = 64  # images that are prepared at a time, at most


@dataclass(frozen=True)
class Look:
    """What was seen of one image.

    `content` is the sha256 of the prepared pixels, the same for the same picture in another file or format. `source`
    is the sha256 of the image as it was given, the bytes of its file or its row of an array. `size` is width and height
    as stored, in pixels; `kind` names the format and Pillow's mode. `brightest` is the largest value of a pixel, 0 to
    255.
    """

    content: bytes
    source: bytes
    size: tuple[int, int]
    kind: str
    brightest: int


@dataclass(frozen=True)
class Unreadable:
    """An image that cannot be used: what messages call it, and why."""

    name: str
    why: str


def channels_of(images: RawImages, color: Literal["auto", "grey", "rgb"]) -> int:
    """Return 1 for grey or 3 for colour: as `color` says or, if it is auto, 3 if any image has colour."""
    if color != "auto":
        return 1 if color == "grey" else 3
    return 1 if all(_grey_or_unreadable(images, i) for i in range(len(images))) else 3


def survey(
    images: RawImages,
    preparation: dict[str, Any],
    keep: Callable[[np.ndarray], None] | None,
    progress: Callable[[float, str], None],
) -> list[Look | Unreadable]:
    """Prepare every image, in parallel and in order; return what was seen of each.

    `preparation` holds the settings of `prepare`. `keep` is called with the prepared pixels in order, some at a time,
    `(k, height, width, channels) uint8`; an unreadable image is all zeros.
    """
    chunk = at_once(prepared_shape(preparation), CHUNK)
    chunks = [range(start, min(start + chunk, len(images))) for start in range(0, len(images), chunk)]
    workers = Workers((images, preparation), len(images) if isinstance(images, Files) else 0)
    looks: list[Look | Unreadable] = []
    for pixels, seen in in_order(lambda chunk: workers.submit(_prepare_chunk, chunk), chunks):
        if keep:
            keep(pixels)
        looks += seen
        progress(len(looks) / len(images), f"{len(looks):,} of {len(images):,} images read")
    return looks


def _prepare_chunk(
    state: tuple[RawImages, dict[str, Any]], indices: range
) -> tuple[np.ndarray, list[Look | Unreadable]]:
    images, preparation = state
    pixels = np.zeros((len(indices), *prepared_shape(preparation)), np.uint8)
    looks: list[Look | Unreadable] = []
    for row, index in enumerate(indices):
        try:
            image, source = images.open(index)
            kind = f"{image.format or 'array'} {image.mode}"
            pixels[row] = prepare(image, **preparation)
            content = content_of(pixels[row])
            looks.append(Look(content, source, image.size, kind, _brightest(image, pixels[row], preparation)))
        except UnreadableImageError as error:
            looks.append(Unreadable(images.name(index), str(error)))
    return pixels, looks


def _brightest(image: Image.Image, pixels: np.ndarray, preparation: dict[str, Any]) -> int:
    """Return the largest value of a pixel, that of bars around the image not counted."""
    height, width, _ = pixels.shape
    if preparation["fit"] == "pad" and image.width * height != image.height * width:
        pixels = prepare(image, **{**preparation, "fit": "stretch"})
    return int(pixels.max())


def content_of(pixels: np.ndarray) -> bytes:
    """Return the sha256 of an image's pixels, for grey ones the same whether they are in one channel or in three.

    Adding a colour image to grey ones makes all of them RGB, and must not change which of them are copies.
    """
    grey = pixels[..., :1]
    return hashlib.sha256((grey if (pixels == grey).all() else pixels).tobytes()).digest()


def _grey_or_unreadable(images: RawImages, index: int) -> bool:
    try:
        return images.grey(index)
    except UnreadableImageError:
        return True
