"""What the student learns from: views of the training images and the source's logits of each, computed once."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np

from compress.arrays import save_array
from compress.artifacts import OnnxModel
from compress.context import Context
from compress.data.augmentation import Augmentation, augment
from compress.onnx_tools.sessions import open_session, run
from compress.training.tensorflow import tf


def make_views(images: np.ndarray, count: int, augmentation: Augmentation, seed: int) -> np.ndarray:
    """Return the images as they are, then `count - 1` times augmented: `(count * n, height, width, channels) uint8`."""
    views = [np.asarray(images)]
    for view in range(1, count):
        changed = augment(tf.constant(views[0]), tf.constant([seed, view], tf.int64), augmentation)
        views.append(changed.numpy())
    return np.concatenate(views)


def logits_of_views(source: OnnxModel, views: np.ndarray, cache: Path, context: Context) -> np.ndarray:
    """Return the source's logits `(len(views), classes) float32`, from `cache` where an earlier try left them."""
    with suppress(OSError, ValueError, EOFError):
        return np.load(cache, allow_pickle=False)
    session = open_session(source.file)
    parts = []
    chunks = np.array_split(np.arange(len(views)), max(1, len(views) // 1024))
    for i, chunk in enumerate(chunks, start=1):
        parts.append(run(session, views[chunk]))
        context.progress(0.0, f"logits of the source, {i / len(chunks):.0%}")
    logits = np.concatenate(parts)
    save_array(cache, logits)
    return logits
