"""MNIST: 70,000 grey handwritten digits, 28x28 pixels (LeCun, Bottou, Bengio and Haffner, 1998), in Keras's file."""

from __future__ import annotations

from pathlib import Path

from compress.data.array_samples import refuse_groups
from compress.data.samples import Samples
from compress.data.sources import npz
from compress.downloads import KERAS, fetched, keras_folder

FILES = {"mnist.npz": "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"}


def claims(spec: str) -> bool:
    """Tell whether `spec` is the data set's name."""
    return spec == "mnist"


def fingerprint(spec: str, memo: Path) -> str:
    """Return the sha256 of the file, which is downloaded if missing."""
    return npz.fingerprint(_file(), memo)


def load(spec: str, group: str) -> Samples:
    """Return 60,000 images to train on and 10,000 to test on, in ten classes."""
    refuse_groups(group)
    return npz.load(_file(), group)


def _file() -> str:
    [file] = fetched(FILES, KERAS, keras_folder())
    return str(file)
