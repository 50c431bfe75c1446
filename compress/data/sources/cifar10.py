"""CIFAR-10: 60,000 colour photographs of 32x32 pixels (Krizhevsky, "Learning Multiple Layers of Features", 2009).

Keras's copy is pickled, and no pickle is read here. This is the binary version of the same images, described at
https://www.cs.toronto.edu/~kriz/cifar.html: records of label bytes and 3,072 bytes of pixels, first all red values,
then green, then blue.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from compress.artifacts import Split
from compress.data.array_samples import Part, array_samples, refuse_groups
from compress.data.samples import Samples
from compress.digests import file_digests
from compress.downloads import fetched, keras_folder
from compress.errors import BadInputError
from compress.files import sha256_json

URL = "https://www.cs.toronto.edu/~kriz/"
FILES = {"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"}
TRAIN = [f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)]
TEST = "cifar-10-batches-bin/test_batch.bin"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CHANNELS, SIZE = 3, 32
MAX_BYTES = 200_000_000  # of a member of the archive; the largest, CIFAR-100's train.bin, is 154 MB


def claims(spec: str) -> bool:
    """Tell whether `spec` is the data set's name."""
    return spec == "cifar10"


def fingerprint(spec: str, memo: Path) -> str:
    """Return the sha256 of the archive, which is downloaded if missing."""
    return sha256_json(file_digests([_archive()], memo))


def load(spec: str, group: str) -> Samples:
    """Return 50,000 images to train on and 10,000 to test on, in ten classes (the archive's batches.meta.txt)."""
    refuse_groups(group)
    archive = _archive()
    members = read_members(archive, [*TRAIN, TEST])
    parts: dict[Split, Part] = {
        "train": records(archive, {name: members[name] for name in TRAIN}, label_bytes=1),
        "test": records(archive, {TEST: members[TEST]}, label_bytes=1),
    }
    return array_samples(str(archive), parts, CLASSES)


def read_members(archive: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Return members of a .tar.gz, read into memory; raises `BadInputError` if one is missing, broken or too large."""
    members = {}
    try:
        with gzip.open(archive) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                for member in tar:
                    if member.name in names and member.size > MAX_BYTES:
                        raise BadInputError(f"{archive}: {member.name}: has {member.size:,} bytes; too many for CIFAR")
                    if member.name in names and (content := tar.extractfile(member)):
                        members[member.name] = content.read()
            while stream.read(1 << 20):  # to the end, where gzip compares the checksum
                pass
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise BadInputError(f"{archive}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    missing = [name for name in names if name not in members]
    if missing:
        raise BadInputError(f"{archive}: has no {missing[0]}; delete the file to have it downloaded again")
    return members


def records(archive: Path, members: Mapping[str, bytes], label_bytes: int) -> Part:
    """Return images `(n, 32, 32, 3) uint8` and labels of the records in `members`; the last label byte counts."""
    length = label_bytes + CHANNELS * SIZE * SIZE
    for name, data in members.items():
        if len(data) % length:
            raise BadInputError(f"{archive}: {name}: has {len(data):,} bytes; should be records of {length:,}")
    rows = np.frombuffer(b"".join(members.values()), np.uint8).reshape(-1, length)
    images = rows[:, label_bytes:].reshape(-1, CHANNELS, SIZE, SIZE).transpose(0, 2, 3, 1)
    names = ", ".join(members)
    return Part(images, rows[:, label_bytes - 1], f"images of {names}", f"labels of {names}")


def _archive() -> Path:
    [file] = fetched(FILES, URL, keras_folder())
    return file
