"""A folder of IDX files, named as MNIST's are: train-images-idx3-ubyte and so on, each plain or with .gz.

Sets in MNIST's format have a name before that (EMNIST's emnist-letters-train-images-idx3-ubyte), or test for t10k.

The format is that of MNIST (LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/, 1998): two zero bytes, the
type, the number of dimensions, each dimension as a big-endian 32-bit number, then the values in C order.
"""

from __future__ import annotations

import gzip
import math
import os
import re
import struct
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from compress.artifacts import Split
from compress.data.array_samples import Part, array_samples, check_memory, refuse_groups
from compress.data.samples import Samples
from compress.data.splits import SPLITS
from compress.digests import file_digests
from compress.errors import BadInputError
from compress.files import sha256_json
from compress.plural import counted

NAME = re.compile(
    r"(?:(?P<set>.+?)[-_.])?(?:(?P<train>train)|(?P<test>t10k|test)|(?P<validation>val(?:id(?:ation)?)?))"
    r"[-_.](?P<kind>images|labels)[-.]idx\d[-.]ubyte(?:\.gz)?",
    re.IGNORECASE,
)
IMAGES, LABELS = (3, 4), (1, 2)  # dimensions; the fourth of images is colour, the second of labels one-hot
UNSIGNED_BYTES = 8  # the type's code
MAX_NAMED = 6  # data sets in a message
MAX_FOLD = 1032  # deflate's limit: 258 bytes from 2 bits


def claims(spec: str) -> bool:
    """Tell whether `spec` is a folder with a file of images named as MNIST's."""
    return any(match["kind"].lower() == "images" for match in _named(Path(spec)))


def fingerprint(spec: str, memo: Path) -> str:
    """Return the sha256 of the files of images and labels, and of the splits that their names say."""
    return sha256_json({split: file_digests(list(pair), memo) for split, pair in _files(Path(spec)).items()})


def load(spec: str, group: str) -> Samples:
    """Return the images, their classes "0", "1" and so on, and their splits if there are other files than of train."""
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
    """Return the files of images and labels of each split; of a plain and a packed one, the plain.

    Raises `BadInputError` if one of the two is missing or there twice, and for several data sets in one folder.
    """
    found: dict[Split, dict[str, str]] = {split: {} for split in SPLITS}
    sets = set()
    for match in _named(folder):
        file, kind = match.string, match["kind"].lower()
        [split] = [split for split in SPLITS if match[split]]
        sets.add(match["set"] or "")
        other = found[split].setdefault(kind, file)
        if len(sets) == 1 and file not in (other, f"{other}.gz"):
            raise BadInputError(f"{folder}: {other} and {file} both hold {kind} of {split}; should be one file")
    if len(sets) > 1:
        named = ", ".join(name or "one without a name" for name in sorted(sets)[:MAX_NAMED]) + (
            ", ..." if len(sets) > MAX_NAMED else ""
        )
        raise BadInputError(f"{folder}: holds several data sets: {named}; should hold one, in a folder of its own")
    for files in found.values():
        for kind, other in (("images", "labels"), ("labels", "images")):
            if other in files and kind not in files:
                missing = re.sub(other, kind, files[other], flags=re.IGNORECASE).removesuffix(".gz")
                missing = re.sub(r"idx\d", "idx3" if kind == "images" else "idx1", missing, flags=re.IGNORECASE)
                raise BadInputError(f"{folder / missing}: no such file, nor with .gz; should be there")
    return {split: (folder / of["images"], folder / of["labels"]) for split, of in found.items() if of}


def _named(folder: Path) -> list[re.Match[str]]:
    """Return the names that a folder's files have as MNIST's do, each before itself with .gz."""
    try:
        with os.scandir(folder) as entries:
            matches = [match for entry in entries if (match := NAME.fullmatch(entry.name)) and entry.is_file()]
    except OSError:
        return []
    return sorted(matches, key=lambda match: match.string)


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
        held = counted(len(data), "byte") if len(data) < size else "more bytes"
        raise BadInputError(f"{file}: holds {held} of values; the shape {shape} in its header takes {size:,}")
    return np.frombuffer(data, np.uint8).reshape(shape)
