"""From the bytes of an image file to an upright image with its pixels decoded.

This file is also copied into every bundle, as `decoding.py`, beside preparation.py, which uses it. It therefore needs
nothing but numpy and Pillow.
"""

from __future__ import annotations

import ctypes
import io
import logging
import re
import stat
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile, TiffImagePlugin

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF")
LOWEST_PILLOW = "10.3"  # earlier releases read 16-bit PNG files as 32 bits
MAX_PIXELS = 50_000_000
MAX_BYTES = 8 * MAX_PIXELS  # four channels of 16 bits
GREY_MODES = ("1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N")
GIT_LFS = b"version https://git-lfs.github.com/spec/"
SIGNATURES = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"BM": "BMP", b"GIF8": "GIF", b"II*": "TIFF", b"MM\0": "TIFF"}
EXIF = b"Exif\0\0"
BITS, PHOTOMETRIC, WHITE_IS_ZERO, ORIENTATION, BANDS = 258, 262, 0, 274, 277  # tags of TIFF, and of EXIF
SHORT = 3  # the type of a tag's 16-bit value
TURNS = ("FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90")
BYTES_OF_CLEAR = {b"\0": 2, b"\2": 6, b"\3": 1}  # in a PNG, at least, by its colour type: grey, RGB, palette
SEGMENT = re.compile(rb"\xff([^\x00\x01\xd0-\xd9\xff])(..)", re.DOTALL)  # of a JPEG, up to its length
SCAN, APP1, ANCILLARY = b"\xda", b"\xe1", {b"\xfe", *(bytes([marker]) for marker in range(0xE0, 0xF0))}
BYTES_OF_COLOURS = {b"\xe0": 18, b"\xee": 16}  # of JFIF's and Adobe's segments, where they tell how to read colours
MASKED = [struct.pack("<II", 40, 6), struct.pack("<II", 56, 3)]  # a BMP's header size and compression: four masks
# The colour that a PNG names as transparent is that of the file; Pillow does not scale it as it scales the pixels
KEY_AS_DECODED: dict[str, Callable[[Any], Any]] = {
    "L;2": lambda key: key * 85,
    "L;4": lambda key: key * 17,
    "RGB;16B": lambda key: tuple(value >> 8 for value in key),
}

# What Pillow and libtiff print is said by the errors here, or is about metadata, which change no pixel
warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower, and an error
warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
logging.getLogger("PIL.TiffImagePlugin").setLevel(logging.CRITICAL)
with suppress(OSError, AttributeError):  # a libtiff that is linked into Pillow cannot be reached
    ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)


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
    kind = next((name for start, name in SIGNATURES.items() if data.startswith(start)), "")
    reduced = {"PNG": _png, "JPEG": _jpeg, "BMP": _bmp}.get(kind)
    with as_unreadable():
        pixels, exif = reduced(data) if reduced else (data, b"")
        try:
            image = Image.open(io.BytesIO(pixels), formats=FORMATS)
        except Image.UnidentifiedImageError as error:
            bands = tags(data).get(BANDS, 0)
            why = f"of {bands} bands; should have 1 to 4" if bands > 4 else "that cannot be decoded"
            what = f"is a {kind} {why}" if kind else f"is not one of {', '.join(FORMATS)}"
            raise UnreadableImageError(what) from error
    image.info.pop("xmp", None)  # some releases of Pillow look for an orientation there, too
    if exif:
        image.info["exif"] = exif
    check(image)
    return image


def _png(data: bytes) -> tuple[bytes, bytes]:
    """Return a PNG without the chunks that no pixel depends on, and its EXIF data.

    As in libpng, a wrong checksum is an error in a critical chunk, and has any other passed over.
    """
    view, exif, seen, at = memoryview(data), b"", set[bytes](), 8
    kept = [view[:at]]
    while at + 12 <= len(data) and b"IEND" not in seen:
        length, kind = struct.unpack_from(">I4s", data, at)
        chunk, at = view[at : at + 12 + length], at + 12 + length
        is_critical = not kind[0] & 0x20
        is_whole = zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")
        if is_critical and not is_whole and kind != b"IEND" and at <= len(data):  # Pillow tells what is cut short
            raise UnreadableImageError(f"cannot be decoded: wrong checksum in chunk {kind.decode('ascii', 'replace')}")
        if kind == b"eXIf" and is_whole:
            exif = exif or bytes(chunk[8:-4])
        if is_critical or (kind == b"tRNS" and is_whole and _is_usable(chunk[8:-4], data[25:26], seen)):
            kept.append(chunk)
            seen.add(kind)
    return b"".join(kept), exif


def _is_usable(clear: memoryview, colours: bytes, seen: set[bytes]) -> bool:
    """Tell whether transparent colours are the first, long enough, after a palette and before the pixels."""
    is_in_place = not seen & {b"tRNS", b"IDAT"} and (colours != b"\3" or b"PLTE" in seen)
    return is_in_place and colours in BYTES_OF_CLEAR and len(clear) >= BYTES_OF_CLEAR[colours]


def _jpeg(data: bytes) -> tuple[bytes, bytes]:
    """Return a JPEG without the segments that no pixel depends on, and its EXIF data."""
    view, exif, at = memoryview(data), b"", 2
    kept = [view[:at]]
    while found := SEGMENT.search(data, at):
        marker, end = found[1], found.start(2) + int.from_bytes(found[2], "big")
        if marker == SCAN or not found.end() <= end <= len(data):
            break
        segment, at = view[found.start() : end], end
        if marker == APP1 and segment[4:10] == EXIF:
            exif = exif or bytes(segment[10:])
        if marker not in ANCILLARY or (marker in BYTES_OF_COLOURS and len(segment) >= BYTES_OF_COLOURS[marker]):
            kept.append(segment)
    return b"".join([*kept, view[at:]]), exif


def _bmp(data: bytes) -> tuple[bytes, bytes]:
    """Return a BMP with its mask for alpha in the header of version 4, where every Pillow looks for it, and no EXIF."""
    if data[14:18] + data[30:34] not in MASKED:
        return data, b""
    start = int.from_bytes(data[10:14], "little") + 52
    head = data[:10] + struct.pack("<II", start, 108) + data[18:30] + struct.pack("<I", 3) + data[34:70]
    return head + bytes(52) + data[70:], b""


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
    with as_unreadable():
        image.load()
        if isinstance(key := image.info.get("transparency"), int | tuple) and stored in KEY_AS_DECODED:
            image.info["transparency"] = KEY_AS_DECODED[stored](key)
        if kind == "GIF":
            image = _covered(image)
        orientation = tags(image.info.get("exif", b"")).get(ORIENTATION, 1)
        if 2 <= orientation <= 8:
            image = image.transpose(Image.Transpose[TURNS[orientation - 2]])
        if image.mode == "I;16" and white_is_zero:  # Pillow inverts only those of 8 bits
            image = Image.fromarray(np.uint16(0xFFFF) - np.asarray(image))
    image.format = kind
    return image


def _covered(image: Image.Image) -> Image.Image:
    """Return a GIF whose first frame does not reach everywhere with nothing there, where Pillow puts a colour."""
    box = getattr(image, "dispose_extent", None)
    if image.tell() or box in (None, (0, 0, *image.size)):
        return image
    whole = Image.new("RGBA", image.size)
    whole.paste(image.convert("RGBA").crop(box), box)
    return whole


def tags(data: bytes) -> dict[int, int]:
    """Return the 16-bit values in the first directory of TIFF or EXIF data, by tag, as far as it goes."""
    data, found = data.removeprefix(EXIF), dict[int, int]()
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if not order:
        return found
    with suppress(struct.error):  # it ends early
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (entries,) = struct.unpack_from(f"{order}H", data, start)
        for at in range(start + 2, start + 2 + 12 * entries, 12):
            tag, kind, count, value = struct.unpack_from(f"{order}HHIH", data, at)
            if (kind, count) == (SHORT, 1):
                found.setdefault(tag, value)
    return found


def _tiff(image: Image.Image, tag: int) -> Any:
    return image.tag_v2.get(tag) if isinstance(image, TiffImagePlugin.TiffImageFile) else None


def _stored_as(image: Image.Image) -> str:
    """Return Pillow's name for the layout of the values in the file; empty once they are decoded."""
    arguments = image.tile[0][3] if isinstance(image, ImageFile.ImageFile) and image.tile else ""
    return arguments if isinstance(arguments, str) else ""


@contextmanager
def as_unreadable() -> Iterator[None]:
    """Turn what Pillow raises into an `UnreadableImageError` of one line."""
    try:
        yield
    except UnreadableImageError:
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f"is larger than the {MAX_PIXELS:,} pixels that are decoded") from error
    except Exception as error:  # Pillow raises many kinds for broken files
        raise UnreadableImageError(f"cannot be decoded: {str(error).partition(chr(10))[0] or 'broken'}") from error


def is_grey(image: Image.Image) -> bool:
    """Tell from the mode of an image, not decoded yet, whether it is grey; a palette counts as colour."""
    return image.mode in GREY_MODES or _stored_as(image).startswith("LA")  # Pillow reads 16-bit grey and alpha as RGBA
