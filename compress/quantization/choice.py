"""Which of several int8 models of a network answers most like it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from compress.artifacts import OnnxModel
from compress.data.images import Images
from compress.errors import CompressError
from compress.onnx_tools import scoring
from compress.onnx_tools.sessions import open_session


def divergences(model: OnnxModel, quantized: Sequence[OnnxModel], images: Images) -> list[float]:
    """Return the mean Kullback-Leibler divergence, in nats, of each int8 model's probabilities from the float model's.

    `images` is `(n, height, width, channels) uint8`. It tells models apart that give the same answers; no labels are
    needed. 0 is as the float model. All run as they are written, so that it is the same on processors whose kernels
    saturate. Raises `CompressError` if a model's logits are not finite.
    """
    wanted = _log_probabilities(model, images)
    probabilities = np.exp(wanted)
    return [
        float((probabilities * (wanted - _log_probabilities(other, images))).sum(axis=1).mean()) for other in quantized
    ]


def _log_probabilities(model: OnnxModel, images: Images) -> np.ndarray:
    logits = scoring.run(open_session(model.file, as_written=True), images).astype(np.float64)
    if not np.isfinite(logits).all():
        raise CompressError(f"{model.id}: has logits on the validation images that are not finite")
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
