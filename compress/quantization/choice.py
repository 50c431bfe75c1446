"""How far the answers of an int8 model are from those of the float model it was made from.

Models run as they are written, so that it is the same on processors whose integer kernels saturate.
"""

from __future__ import annotations

import numpy as np

from compress.artifacts import OnnxModel
from compress.data.images import Images
from compress.errors import CompressError
from compress.metrics.classification import log_softmax
from compress.onnx_tools import scoring
from compress.onnx_tools.sessions import open_session

CLEAN = 1e15  # 150 decibels


class NotFiniteError(CompressError):
    """A model's logits are not finite."""


def logits_of(model: OnnxModel, images: Images) -> np.ndarray:
    """Return a model's logits, `(n, classes) float32`, on images `(n, height, width, channels) uint8`.

    Raises `NotFiniteError` if they are not finite.
    """
    logits = scoring.run(open_session(model.file, as_written=True), images)
    if not np.isfinite(logits).all():
        raise NotFiniteError(f"{model.id}: has logits on the validation images that are not finite")
    return logits


def divergence(wanted: np.ndarray, given: np.ndarray) -> float:
    """Return the mean Kullback-Leibler divergence, in nats, of probabilities from those that were wanted.

    Both are logits, `(n, classes)`. It tells models apart that give the same answers; no labels are needed.
    """
    log_wanted = log_softmax(wanted)
    return float((np.exp(log_wanted) * (log_wanted - log_softmax(given))).sum(axis=1).mean())


def signal_to_noise(wanted: np.ndarray, given: np.ndarray) -> float:
    """Return the ratio of what logits `(n, classes)` should be to how far they are from it, in decibels.

    It is never above 150, beyond which float32 tells nothing apart.
    """
    signal, noise = (float(np.square(values.astype(np.float64)).sum()) for values in (wanted, wanted - given))
    return float(10 * np.log10(signal / max(noise, signal / CLEAN))) if signal else 0.0
