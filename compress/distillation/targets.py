"""What a network that follows another learns from: views of the images, and the source's logits for each, made once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from compress.arrays import save_array
from compress.context import Context
from compress.data.augmentation import Augmentation, view_of
from compress.data.images import Images, in_batches

Source = Callable[[np.ndarray], np.ndarray]  # from images `(n, height, width, channels) uint8` to logits `(n, classes)`


def logits_of_views(
    source: Source, images: Images, count: int, augmentation: Augmentation, context: Context
) -> list[np.ndarray]:
    """Return the source's logits for each view, `count` arrays of `(n, classes) float32`.

    View 0 is the images as they are; view v is what `Batches` makes of them in view v, with their indices as draw ids.
    Logits that an interrupted run has left in the checkpoint folder are not computed again.
    """

    def make(view: int, file: Path) -> None:
        parts: list[np.ndarray] = []
        done = 0
        for batch in in_batches(images):
            changed = view_of(batch, view, done, augmentation, context.seed)
            parts.append(source(changed))
            done += len(batch)
            context.progress(0.0, f"logits of the source, {(view + done / len(images)) / count:.0%}")
        save_array(file, np.concatenate(parts))

    files = [context.made(context.checkpoint / f"logits{view}.npy", partial(make, view)) for view in range(count)]
    return [np.load(file, allow_pickle=False) for file in files]
