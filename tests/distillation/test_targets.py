from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from compress.context import Context
from compress.data.augmentation import Augmentation
from compress.data.batches import Batches, Epoch
from compress.distillation.targets import logits_of_views

N = 150  # more than are read at once
IMAGES = np.random.default_rng(0).integers(0, 256, (N, 16, 16, 1), np.uint8)


class Mirror:
    """A network whose logits are the pixels."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.calls += 1
        return images.reshape(len(images), -1).astype(np.float32)


def context(folder: Path) -> Context:
    return Context("distill", 0, 5, folder, folder, lambda fraction, words: None, lambda line: None)


def test_the_first_view_is_the_images_and_the_others_are_what_batches_make_of_them(
    tmp_path: Path,
) -> None:
    logits = logits_of_views(Mirror(), IMAGES, 3, Augmentation(), context(tmp_path))

    np.testing.assert_array_equal(logits[0], IMAGES.reshape(N, -1))

    def choose(epoch: int) -> Epoch:
        return Epoch(np.tile(np.arange(N), 3), np.repeat(np.arange(3), N), np.tile(np.arange(N), 3))

    def targets(indices: np.ndarray, views: np.ndarray) -> Any:
        return np.stack(logits)[views, indices]

    for pixels, of_source, _ in Batches(IMAGES, targets, choose, 32, 5, Augmentation()).epoch(0):
        np.testing.assert_array_equal(pixels.numpy().reshape(len(pixels), -1), of_source)


def test_views_that_an_interrupted_try_has_left_are_not_computed_again(tmp_path: Path) -> None:
    source = Mirror()
    before = logits_of_views(source, IMAGES, 2, Augmentation(), context(tmp_path))
    calls = source.calls
    (tmp_path / "logits1.npy").unlink()

    after = logits_of_views(source, IMAGES, 2, Augmentation(), context(tmp_path))

    assert source.calls == calls + calls // 2
    for left, right in zip(before, after, strict=True):
        np.testing.assert_array_equal(left, right)
