"""golden.npz: images or noise with the logits of the deployed model, to check that it gives the same ones elsewhere."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Literal

import numpy as np

from compress.arrays import read_members, save_arrays
from compress.bundle.contents import GOLDEN, read_part
from compress.data.images import Images
from compress.errors import BadInputError
from compress.onnx_tools.precisions import PRECISIONS
from compress.onnx_tools.providers import CPU, find
from compress.onnx_tools.sessions import session_of
from compress.onnx_tools.signature import INPUT, LOGITS
from compress.plural import counted

IMAGES = 16
Golden = Literal["images", "noise", "none"]  # deploy.golden


def noise(shape: tuple[int, int, int]) -> np.ndarray:
    """Return as many images of noise as golden.npz holds, `(16, *shape) uint8`, always the same."""
    return np.random.default_rng(0).integers(0, 256, (IMAGES, *shape), np.uint8)


def write_golden(path: Path, model: bytes, precision: str, images: Images | np.ndarray) -> None:
    """Write up to 16 images, evenly spread over those given, with their logits and how far off these may be.

    The arrays are `images` (k, height, width, channels) uint8, `logits` (k, classes) float32, `tolerance` () float32.
    """
    chosen = images[np.linspace(0, len(images) - 1, min(IMAGES, len(images))).astype(int)]
    logits = golden_logits(model, chosen)
    tolerance = np.float32(PRECISIONS[precision].tolerance * np.abs(logits).max())
    save_arrays(path, {"images": chosen, "logits": logits, "tolerance": np.asarray(tolerance)})


def golden_logits(model: bytes, images: np.ndarray, provider: str = CPU) -> np.ndarray:
    """Return a model's logits for all images in one batch, on one thread: the same bits on the same machine."""
    session = session_of(model, threads=1, provider=provider, provider_options=find(provider).exact)
    return session.run([LOGITS], {INPUT: images})[0]


def read_golden(folder: Path, shape: tuple[int, int, int], classes: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return a bundle's golden images, logits and tolerance; raises `BadInputError` if the file does not hold them."""
    path = folder / GOLDEN
    data = read_part(folder, GOLDEN)
    arrays = read_members(io.BytesIO(data), len(data), ("images", "logits", "tolerance"), str(path))
    images, logits, tolerance = arrays["images"], arrays["logits"], arrays["tolerance"]
    is_valid = (
        images.dtype == np.uint8
        and images.ndim == 4
        and images.shape[1:] == shape
        and logits.dtype == np.float32
        and logits.shape == (len(images), classes)
        and tolerance.shape == ()
        and tolerance.dtype == np.float32
        and len(images) > 0
    )
    if not is_valid:
        raise BadInputError(
            f"{path}: should hold images of {shape} and logits of {counted(classes, 'class', 'classes')} for each"
        )
    return images, logits, float(tolerance)
