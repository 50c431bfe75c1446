"""What the student learns from: views of the training images and the source's logits of each, computed once."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np

from compress.arrays import save_array
from compress.artifacts import OnnxModel
from compress.context import Context
from compress.data.augmentation import Augmentation, view_of
from compress.data.images import Images, in_batches
from compress.onnx_tools.sessions import open_session


def logits_of_views(
    source: OnnxModel, images: Images, count: int, augmentation: Augmentation, context: Context
) -> list[np.ndarray]:
    """Return the source's logits of each view, `count` arrays of `(n, classes) float32`.

    The first view is the images as they are; view v is what `Batches` makes of them with turn v and their indices as
    slots. A view that an earlier, interrupted try has left in the checkpoint folder is not computed again.
    """
    session = open_session(source.file)
    views = []
    for view in range(count):
        cache = context.checkpoint / f"logits{view}.npy"
        logits = _read(cache)
        if logits is None:
            parts: list[np.ndarray] = []
            done = 0
            for batch in in_batches(images):
                changed = view_of(batch, view, done, augmentation, context.seed)
                parts.append(session.run(["logits"], {"image": changed})[0])
                done += len(batch)
                whole = (view + done / len(images)) / count
                context.progress(0.0, f"logits of the source, {whole:.0%}")
            logits = np.concatenate(parts)
            save_array(cache, logits)
        views.append(logits)
    return views


def _read(cache: Path) -> np.ndarray | None:
    with suppress(OSError, ValueError, EOFError):
        return np.load(cache, allow_pickle=False)
    return None
