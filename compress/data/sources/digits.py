"""scikit-learn's handwritten digits: 1,797 real images of 8x8 pixels.

From UCI's "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, 1998).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from compress.data.array_samples import Part, array_samples, refuse_groups
from compress.data.samples import Samples
from compress.digests import file_digests
from compress.files import sha256_json

BRIGHTEST = 16  # a pixel counts the dark ones in a square of 4x4 in the scan


def claims(spec: str) -> bool:
    """Tell whether `spec` is the data set's name."""
    return spec == "digits"


def fingerprint(spec: str, memo: Path) -> str:
    """Return the sha256 of the file that holds images and labels."""
    package = importlib.util.find_spec("sklearn")  # not imported: that takes a second
    if package is None or package.origin is None:
        raise ModuleNotFoundError("scikit-learn")
    return sha256_json(file_digests([Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"], memo))


def load(spec: str, group: str) -> Samples:
    """Return the images `(1797, 8, 8, 1)` in ten classes."""
    from sklearn.datasets import load_digits

    refuse_groups(group)
    digits = load_digits()
    images = np.rint(digits.images * (255 / BRIGHTEST)).astype(np.uint8)
    return array_samples(spec, {"train": Part(images, digits.target, "images", "labels")})
