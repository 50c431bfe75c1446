"""scikit-learn's handwritten digits: 1,797 real images of 8x8 (UCI, "Optical Recognition of Handwritten Digits")."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from compress.store import sha256_file

BRIGHTEST = 16  # a pixel counts the dark ones in a square of 4x4


def fingerprint() -> str:
    """Return the sha256 of the file that holds images and labels."""
    package = importlib.util.find_spec("sklearn")  # found, not imported: that takes a second
    if package is None or package.origin is None:
        raise ModuleNotFoundError("scikit-learn")
    return sha256_file(Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz")


def load() -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Return images `(1797, 8, 8, 1) uint8`, labels `(1797,) int64` and the names of the classes."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / BRIGHTEST)).astype(np.uint8)
    return images[..., np.newaxis], digits.target.astype(np.int64), tuple(str(c) for c in digits.target_names)
