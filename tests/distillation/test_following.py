from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.artifacts import Dataset
from compress.context import Context
from compress.data.balance import Balance
from compress.distillation.following import Following
from compress.distillation.settings import FollowingSettings

SHAPE, CLASSES = (8, 8, 1), 3
COUNTS = (9, 4, 5)


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Images of random pixels in three classes, one of which has more than the others."""
    labels = np.repeat(np.arange(CLASSES), COUNTS)
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, (len(labels), *SHAPE), np.uint8))
    for split in ("train", "validation", "test"):
        np.save(tmp_path / f"{split}.npy", np.arange(len(labels)))
        np.save(tmp_path / f"{split}_labels.npy", labels)
    sizes: Any = dict.fromkeys(("train", "validation", "test"), len(labels))
    return Dataset("noise", ("a", "b", "c"), SHAPE, sizes, {}, tmp_path)


def mirror(images: np.ndarray) -> np.ndarray:
    """Return the pixels as logits."""
    return images.reshape(len(images), -1).astype(np.float32)


@pytest.mark.parametrize("balance", ["none", "class_weights", "oversample", "undersample"])
@pytest.mark.parametrize("every_view", [True, False])
def test_each_image_comes_with_what_the_source_says_of_this_very_view_of_it(
    balance: Any, every_view: bool, data: Dataset, tmp_path: Path
) -> None:
    context = Context("prune", 0, 5, tmp_path, tmp_path, lambda fraction, words: None, lambda line: None)
    settings = FollowingSettings(views=3, epochs=9, batch_size=4)

    following = Following(mirror, settings, Balance(method=balance), data, context, passes=None if every_view else 4)

    first = None
    for epoch in range(4):
        pixels, targets = (
            np.concatenate(parts) for parts in list(zip(*following.batches.epoch(epoch), strict=True))[:2]
        )
        np.testing.assert_array_equal(targets[:, CLASSES:], mirror(pixels))
        np.testing.assert_array_equal(targets[:, :CLASSES].sum(axis=1), 1)
        seen = {image.tobytes() for image in pixels.astype(np.uint8)}
        first = seen if first is None else first
        assert (seen == first) == (epoch == 0 or (balance != "undersample" and (every_view or epoch == 3)))
