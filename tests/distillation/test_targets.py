from __future__ import annotations

import numpy as np

from compress.data.augmentation import Augmentation
from compress.distillation.targets import make_views

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 1), np.uint8)


def test_the_first_view_is_the_images_themselves() -> None:
    views = make_views(IMAGES, 3, Augmentation(), seed=0)

    assert views.shape == (9, 16, 16, 1)
    np.testing.assert_array_equal(views[:3], IMAGES)


def test_views_differ_from_each_other_and_are_the_same_for_the_same_seed() -> None:
    views = make_views(IMAGES, 3, Augmentation(), seed=0)

    assert not np.array_equal(views[3:6], views[6:])
    np.testing.assert_array_equal(views, make_views(IMAGES, 3, Augmentation(), seed=0))
    assert not np.array_equal(views, make_views(IMAGES, 3, Augmentation(), seed=1))
