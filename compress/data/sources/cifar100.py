"""CIFAR-100: 60,000 colour photographs of 32x32 pixels (Krizhevsky, "Learning Multiple Layers of Features", 2009).

This is the binary version, like CIFAR-10's but with two label bytes: first one of 20 coarse classes, then the one of
100 fine classes that is used here.
"""

from __future__ import annotations

from pathlib import Path

from compress.artifacts import Split
from compress.data.array_samples import Part, array_samples, checked_classes, refuse_groups
from compress.data.samples import Samples
from compress.data.sources.cifar10 import URL, read_members, records
from compress.digests import file_digests
from compress.downloads import fetched, keras_folder
from compress.files import sha256_json

FILES = {"cifar-100-binary.tar.gz": "03b5dce01913d631647c71ecec9e9cb8"}
TRAIN, TEST = "cifar-100-binary/train.bin", "cifar-100-binary/test.bin"
CLASSES = "cifar-100-binary/fine_label_names.txt"


def claims(spec: str) -> bool:
    """Tell whether `spec` is the data set's name."""
    return spec == "cifar100"


def fingerprint(spec: str, memo: Path) -> str:
    """Return the sha256 of the archive, which is downloaded if missing."""
    return sha256_json(file_digests([_archive()], memo))


def load(spec: str, group: str) -> Samples:
    """Return 50,000 images to train on and 10,000 to test on, in the 100 fine classes, named as in the archive."""
    refuse_groups(group)
    archive = _archive()
    members = read_members(archive, [TRAIN, TEST, CLASSES])
    names = members[CLASSES].decode("utf-8", "surrogateescape").split()
    parts: dict[Split, Part] = {
        "train": records(archive, {TRAIN: members[TRAIN]}, label_bytes=2),
        "test": records(archive, {TEST: members[TEST]}, label_bytes=2),
    }
    return array_samples(str(archive), parts, checked_classes(names, f"{archive}: {CLASSES}"))


def _archive() -> Path:
    [file] = fetched(FILES, URL, keras_folder())
    return file
