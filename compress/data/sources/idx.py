"""A folder of IDX files, named as MNIST's are: train-images-idx3-ubyte and so on, each plain or with .gz.

The format is that of MNIST (LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/, 1998): two zero bytes, the
type, the number of dimensions, each dimension as a big-endian 32-bit number, then the values in C order.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from compress.artifacts import Split
from compress.data.array_samples import Part, array_samples, check_memory, refuse_groups
from compress.data.samples import Samples
from compress.digests import file_digests
from compress.errors import BadInputError
from compress.files import sha256_json

STEMS: dict[Split, str] = {"train": "train", "test": "t10k"}
IMAGES, LABELS = (3, 4), (1,)  # dimensions; the fourth is colour
UNSIGNED_BYTES = 8  # the type's code
MAX_FOLD = 1032  # deflate's limit: 258 bytes from 2 bits


def claims(spec: str) -> bool:
    """Tell whether `spec` is a folder with a file of training images named as MNIST's."""
    return _find(Path(spec), "train-images", IMAGES) is not None


def fingerprint(spec: str, memo: Path) -> str:
    """Return the sha256 of the files of images and labels."""
    return sha256_json(file_digests([file for pair in _files(Path(spec)).values() for file in pair], memo))


def load(spec: str, group: str) -> Samples:
    """Return the images, their classes "0", "1" and so on, and the splits train and test if there are t10k files."""
    refuse_groups(group)
    return load_folder(Path(spec))


def load_folder(folder: Path, classes: Sequence[str] = ()) -> Samples:
    """Return what the folder's IDX files hold; labels are indices into `classes`, if given."""
    parts = {
        split: Part(_read(images, IMAGES), _read(labels, LABELS), images.name, labels.name)
        for split, (images, labels) in _files(folder).items()
    }
    return array_samples(str(folder), parts, classes)


def _files(folder: Path) -> dict[Split, tuple[Path, Path]]:
    """Return the files of images and labels of each split; raises `BadInputError` if one of the two is missing."""
    found: dict[Split, tuple[Path, Path]] = {}
    for split, stem in STEMS.items():
        images, labels = _find(folder, f"{stem}-images", IMAGES), _find(folder, f"{stem}-labels", LABELS)
        if images and labels:
            found[split] = images, labels
        elif images or labels or split == "train":
            missing = f"{stem}-labels-idx1-ubyte" if images else f"{stem}-images-idx3-ubyte"
            raise BadInputError(f"{folder / missing}: no such file, nor with .gz; should be there")
    return found


def _find(folder: Path, stem: str, dimensions: Collection[int]) -> Path | None:
    names = [
        f"{stem}{separator}idx{n}-ubyte{suffix}" for suffix in ("", ".gz") for separator in "-." for n in dimensions
    ]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _read(file: Path, dimensions: Collection[int]) -> np.ndarray:
    packed = file.suffix == ".gz"
    try:
        with gzip.open(file) if packed else file.open("rb") as stream:
            start = stream.read(4)
            if len(start) < 4 or start[:2] != b"\0\0":
                raise BadInputError(
                    f"{file}: is not an IDX file; should begin with two zero bytes, type and dimensions"
                )
            if start[2] != UNSIGNED_BYTES or start[3] not in dimensions:
                raise BadInputError(
                    f"{file}: has type {start[2]:#04x} and {start[3]} dimensions; should have type 0x08, unsigned "
                    f"bytes, and {' or '.join(map(str, dimensions))}"
                )
            header = stream.read(4 * start[3])
            if len(header) < 4 * start[3]:
                raise BadInputError(f"{file}: ends within its header")
            shape = struct.unpack(f">{start[3]}I", header)
            size = math.prod(shape)
            if size > file.stat().st_size * (MAX_FOLD if packed else 1):
                raise BadInputError(f"{file}: is too short for the {size:,} bytes of the shape {shape} in its header")
            check_memory(size, str(file))
            data = stream.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInputError(f"{file}: {getattr(error, 'strerror', None) or error}") from error
    if len(data) != size:
        held = f"{len(data):,}" if len(data) < size else "more"
        raise BadInputError(f"{file}: holds {held} bytes of values; the shape {shape} in its header takes {size:,}")
    return np.frombuffer(data, np.uint8).reshape(shape)
