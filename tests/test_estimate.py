from __future__ import annotations

from pathlib import Path

import numpy as np

from compress import estimate
from compress.stages import data


def test_facts_have_the_height_and_width_that_are_set(tmp_path: Path) -> None:
    source = tmp_path / "few.npz"
    np.savez(source, images=np.zeros((8, 8, 8, 1), np.uint8), labels=np.repeat([0, 1], 4))

    assert estimate.facts(data.Config(source=str(source)), data.Image(size=[32, 96]), "none").image_shape == (32, 96, 1)


def test_of_few_images_at_least_one_of_each_class_is_left_to_train_on(tmp_path: Path) -> None:
    source = tmp_path / "few.npz"
    np.savez(source, images=np.zeros((8, 8, 8, 1), np.uint8), labels=np.repeat([0, 1], 4))
    config = data.Config(source=str(source), validation=0.45, test=0.45)

    assert estimate.facts(config, data.Image(size=16), "none").counts == (1, 1)
