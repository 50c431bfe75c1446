"""A split's images as the network sees them, read from disk as needed: their number is not limited by memory."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from compress.artifacts import Dataset, Split
from compress.data.decoding import UnreadableImageError, open_image, read_file
from compress.data.preparation import prepare
from compress.data.samples import Files, printable
from compress.data.workers import Workers, at_once, in_order, result_of
from compress.errors import BadInputError
from compress.machine import available_cores

STORED = "images.npy"  # every image of the data, prepared
LISTED = "files.json"  # the image files, for data that is decoded each time it is read
READ_AT_ONCE = 128


class Images(Protocol):
    """Images `(n, height, width, channels) uint8` by index, whether they are an array or on disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n, height, width, channels)`."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the pixels' values."""
        ...

    def __len__(self) -> int:
        """Return n."""
        ...

    def __getitem__(self, key: Any) -> np.ndarray:
        """Return the images of a slice or of an array of indices."""
        ...


def images_of(data: Dataset, split: Split) -> Images:
    """Return a split's images; reading them raises `BadInputError` if a file is gone or has changed since."""
    return images_at(data, np.load(data.folder / f"{split}.npy", allow_pickle=False))


def images_at(data: Dataset, positions: np.ndarray) -> Images:
    """Return the images at these positions of the source, `(n,) int64`; errors as those of `images_of`."""
    if (data.folder / STORED).exists():
        read = _stored(data.folder / STORED)
    else:
        read = _decoded((data.folder / LISTED).resolve(), json.dumps(data.preparation))
    return _OnDisk(positions, data.image_shape, read)


def in_batches(images: Images, size: int = READ_AT_ONCE) -> Iterator[np.ndarray]:
    """Yield all images in order, `size` at a time or fewer if they are large, reading ahead."""
    size = at_once(images.shape[1:], size)
    starts = range(0, len(images), size)

    def read(start: int) -> np.ndarray:
        return np.ascontiguousarray(images[start : start + size])

    with ThreadPoolExecutor(available_cores()) as pool:
        yield from in_order(lambda start: pool.submit(read, start), starts)


@dataclass(frozen=True)
class _OnDisk:
    """Images that `read(positions, into)` reads into an array."""

    positions: np.ndarray
    image_shape: tuple[int, int, int]
    read: Callable[[np.ndarray, np.ndarray], None]
    dtype: np.dtype[Any] = np.dtype(np.uint8)  # noqa: RUF009

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.positions), *self.image_shape)

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, key: Any) -> np.ndarray:
        positions = self.positions[key]
        images = np.empty((len(positions), *self.image_shape), np.uint8)
        self.read(positions, images)
        return images


def _stored(path: Path) -> Callable[[np.ndarray, np.ndarray], None]:
    """Return a function that reads from one file of all images.

    The file is not memory-mapped: mapped pages would count as memory of the process.
    """
    with path.open("rb") as stream:
        np.lib.format.read_magic(stream)
        shape, _, _ = np.lib.format.read_array_header_1_0(stream)
        start, bytes_each = stream.tell(), math.prod(shape[1:])

    def read(positions: np.ndarray, into: np.ndarray) -> None:
        with path.open("rb", buffering=0) as stream:
            for row, position in enumerate(positions.tolist()):
                stream.seek(start + position * bytes_each)
                if stream.readinto(into[row]) != bytes_each:
                    raise BadInputError(f"{path}: ends too early; run python -m compress clean, and start again")

    return read


@dataclass(frozen=True)
class _Listing:
    """The image files of a data set, the sha256 of each, and how they are prepared."""

    files: Files
    sha256: list[str]
    preparation: dict[str, Any]


@lru_cache(maxsize=1)
def _decoded(listing: Path, preparation: str) -> Callable[[np.ndarray, np.ndarray], None]:
    """Return a function that decodes the image files; it and its processes are shared by all splits and stages."""
    found = json.loads(listing.read_bytes())
    files = Files(Path(found["root"]), found["paths"])
    workers = Workers(_Listing(files, found["sha256"], json.loads(preparation)), len(files))

    def read(positions: np.ndarray, into: np.ndarray) -> None:
        into[:] = result_of(workers.submit(_decode, positions))

    return read


def _decode(listing: _Listing, positions: np.ndarray) -> np.ndarray:
    """Return prepared images; raises `BadInputError` if a file is not the one that was surveyed."""
    images = []
    for position in positions.tolist():
        path = listing.files.file(position)
        try:
            data = read_file(path)
        except UnreadableImageError as error:
            raise BadInputError(f"{printable(str(path))}: {error}; it was there when the run began") from error
        if hashlib.sha256(data).hexdigest() != listing.sha256[position]:
            raise BadInputError(f"{printable(str(path))}: has changed since the run began; start the run again")
        images.append(prepare(open_image(data), **listing.preparation))
    return np.stack(images)
