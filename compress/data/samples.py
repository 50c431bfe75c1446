"""What a data source finds: labels and names of all images, and their pixels one image at a time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image

from compress.data.decoding import MAX_BYTES, ORIENTATION, identify, is_grey, open_image, read_file, tags
from compress.data.names import canonical, is_class_name
from compress.digests import SHA256, file_digests
from compress.errors import BadInputError

if TYPE_CHECKING:
    from compress.artifacts import Split


MAX_DIGITS = 18  # of a class name that is sorted as a number; Python refuses to parse thousands of digits


class RawImages(Protocol):
    """Images by index, not yet decoded."""

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def name(self, index: int) -> str:
        """Return what messages call the image: a path below the data's folder, or `images[17]`."""
        ...

    def grey(self, index: int) -> bool:
        """Tell whether an image has no colour, without decoding it; raises `UnreadableImageError`."""
        ...

    def size(self, index: int) -> tuple[int, int]:
        """Return an image's width and height in pixels, without decoding it; raises `UnreadableImageError`."""
        ...

    def open(self, index: int) -> tuple[Image.Image, bytes]:
        """Return the decoded image, and the sha256 of it as it was given: of its file's bytes or its row of an array.

        Raises `UnreadableImageError` if it cannot be decoded.
        """
        ...

    def digests(self, memo: Path) -> list[bytes | None]:
        """Return the sha256 that `open` returns of each image, none decoded; None for a file that cannot be read.

        `memo` is a file that keeps the digests of files from one call to the next.
        """
        ...

    def take(self, indices: np.ndarray) -> RawImages:
        """Return some of the images, in the order of `indices`."""
        ...


@dataclass(frozen=True)
class Files:
    """Image files below a folder; `paths` are relative to it, or absolute."""

    root: Path
    paths: Sequence[str]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    def name(self, index: int) -> str:
        """Return the path, with characters that cannot be printed escaped."""
        return printable(self.paths[index])

    def file(self, index: int) -> Path:
        """Return the image's path."""
        return self.root / self.paths[index]

    def grey(self, index: int) -> bool:
        """Tell whether the image is grey, from its file's header."""
        return is_grey(identify(read_file(self.file(index))))

    def size(self, index: int) -> tuple[int, int]:
        """Return the image's width and height, from its file's header."""
        return _upright_size(identify(read_file(self.file(index))))

    def open(self, index: int) -> tuple[Image.Image, bytes]:
        """Return the decoded image and the digest of its file."""
        data = read_file(self.file(index))
        return open_image(data), hashlib.sha256(data).digest()

    def digests(self, memo: Path) -> list[bytes | None]:
        """Return the digests of the files."""
        found = file_digests([self.file(i) for i in range(len(self))], memo, MAX_BYTES)
        return [bytes.fromhex(digest) if len(digest) == SHA256 else None for digest in found]

    def take(self, indices: np.ndarray) -> Files:
        """Return some of the files."""
        return Files(self.root, [self.paths[i] for i in indices])


@dataclass(frozen=True)
class Pixels:
    """Images in one array `(n, height, width)` or `(n, height, width, 1, 3 or 4) uint8`; `what` is its name."""

    array: np.ndarray
    what: str = "images"

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.array)

    def name(self, index: int) -> str:
        """Return the array's name and the index in it."""
        return f"{self.what}[{index}]"

    def grey(self, index: int) -> bool:
        """Tell whether all images are grey, from the array's shape."""
        return self.array.ndim == 3 or self.array.shape[3] == 1

    def size(self, index: int) -> tuple[int, int]:
        """Return the width and height that all images have."""
        return self.array.shape[2], self.array.shape[1]

    def open(self, index: int) -> tuple[Image.Image, bytes]:
        """Return one image of the array, and the digest of its row."""
        pixels = self.array[index]
        image = Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
        return image, hashlib.sha256(pixels.tobytes()).digest()

    def digests(self, memo: Path) -> list[bytes | None]:
        """Return the digests of the rows."""
        return [hashlib.sha256(pixels.tobytes()).digest() for pixels in self.array]

    def take(self, indices: np.ndarray) -> Pixels:
        """Return some of the images; their names count from 0 again."""
        return Pixels(self.array[indices], self.what)


@dataclass(frozen=True)
class Encoded:
    """Image files whose bytes are in memory; `what` is the name of the data in messages."""

    data: Sequence[bytes]
    what: str

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.data)

    def name(self, index: int) -> str:
        """Return the data's name and the index in it."""
        return f"{self.what}[{index}]"

    def grey(self, index: int) -> bool:
        """Tell whether the image is grey, from its file's header."""
        return is_grey(identify(self.data[index]))

    def size(self, index: int) -> tuple[int, int]:
        """Return the image's width and height, from its file's header."""
        return _upright_size(identify(self.data[index]))

    def open(self, index: int) -> tuple[Image.Image, bytes]:
        """Return the decoded image and the digest of its file."""
        return open_image(self.data[index]), hashlib.sha256(self.data[index]).digest()

    def digests(self, memo: Path) -> list[bytes | None]:
        """Return the digests of the files."""
        return [hashlib.sha256(data).digest() for data in self.data]

    def take(self, indices: np.ndarray) -> Encoded:
        """Return some of the images; their names count from 0 again."""
        return Encoded([self.data[i] for i in indices], self.what)


@dataclass(frozen=True)
class Samples:
    """Labelled images as a source loads them, before any is decoded.

    `labels` is `(n,) int64`, indices into `classes`. `splits` holds the split of each image if the source has splits,
    else None. `groups` names the person or scene that each image belongs to, if data.group is set, else is None.
    `notes` are lines on what was guessed, merged or left out.
    """

    classes: tuple[str, ...]
    labels: np.ndarray
    images: RawImages
    splits: Sequence[Split] | None = None
    groups: Sequence[str] | None = None
    notes: Sequence[str] = ()


def printable(path: str) -> str:
    """Return a path as one line of text that can be stored as UTF-8, with other bytes and characters escaped."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Return the width and height that an image, not decoded yet, has once it is rotated as its EXIF data says."""
    sideways = 5 <= tags(image.info.get("exif", b"")).get(ORIENTATION, 1) <= 8
    return image.size[::-1] if sideways else image.size


def by_class_name(names: Sequence[str], where: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the classes in order and the labels `(n,) int64` of images whose class names are given.

    Classes are named in their canonical form, and names of the same one are one class. Names that are all integers are
    ordered by value, so that 10 comes after 9. Raises `BadInputError` for a name that cannot be a line of labels.txt.
    """
    as_kept = {name: canonical(name) for name in set(names)}
    found = set(as_kept.values())
    bad = next((name for name in sorted(found) if not is_class_name(name)), None)
    if bad is not None:
        shown = f"'{printable(bad)}'"
        raise BadInputError(f"{where}: a class named {shown}: class names should be UTF-8 text of one line, not empty")
    numeric = all(name.isdecimal() and len(name) <= MAX_DIGITS for name in found)
    classes = tuple(sorted(found, key=(lambda name: (int(name), name)) if numeric else None))
    index = {name: i for i, name in enumerate(classes)}
    return classes, np.array([index[as_kept[name]] for name in names], np.int64)
