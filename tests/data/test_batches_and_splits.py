from __future__ import annotations

import numpy as np
import pytest

from compress.data.augmentation import Augmentation, augment
from compress.data.batches import epoch_batches
from compress.data.resize import resize
from compress.data.splits import stratified
from compress.training.tensorflow import tf

STILL = Augmentation(shift=0, rotation=0, zoom=0)


def images(n: int = 6, size: int = 9) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 1), np.uint8)


def changed(limits: Augmentation, seed: int = 0) -> np.ndarray:
    return augment(tf.constant(images()), tf.constant([0, seed], tf.int64), limits).numpy()


def test_augmentation_without_limits_changes_nothing() -> None:
    np.testing.assert_array_equal(changed(STILL), images())


def test_augmentation_is_a_function_of_its_seed() -> None:
    np.testing.assert_array_equal(changed(Augmentation(), seed=1), changed(Augmentation(), seed=1))
    assert not np.array_equal(changed(Augmentation(), seed=1), changed(Augmentation(), seed=2))


@pytest.mark.parametrize(
    "limits", [Augmentation(shift=0, zoom=0, rotation=180), Augmentation(shift=0, rotation=0, zoom=0.5)]
)
def test_turning_and_scaling_keep_the_centre_in_place(limits: Augmentation) -> None:
    centre = changed(limits)[:, 4, 4].astype(int)
    np.testing.assert_allclose(centre, images()[:, 4, 4], rtol=0, atol=1)  # interpolation rounds down


def test_a_shift_moves_the_whole_image_by_no_more_than_its_limit() -> None:
    dot = np.zeros((200, 9, 9, 1), np.uint8)
    dot[:, 4, 4] = 255
    moved = augment(tf.constant(dot), tf.constant([0, 0], tf.int64), Augmentation(shift=2, rotation=0, zoom=0)).numpy()

    rows, columns = np.nonzero(moved.sum(axis=(0, 3)))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 6, 2, 6)


def test_an_epoch_has_every_image_once_with_its_own_target() -> None:
    targets = images()[:, 0, 0].astype(np.float32)
    batches = list(epoch_batches(images(), targets, 4, seed=0, epoch=0))

    assert [len(x) for x, _ in batches] == [4, 2]
    x, y = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    np.testing.assert_array_equal(np.sort(y, axis=0), np.sort(targets, axis=0))
    np.testing.assert_array_equal(x[:, 0, 0], y)


def epoch(seed: int, number: int) -> np.ndarray:
    targets = np.zeros((6, 1), np.float32)
    return np.concatenate([x for x, _ in epoch_batches(images(), targets, 4, seed, number, Augmentation())])


def test_batches_are_the_same_for_the_same_seed_and_epoch_and_differ_for_others() -> None:
    np.testing.assert_array_equal(epoch(0, 3), epoch(0, 3))
    assert not np.array_equal(epoch(0, 3), epoch(0, 4))
    assert not np.array_equal(epoch(0, 3), epoch(1, 3))


def test_splits_hold_every_image_once_and_every_class_in_proportion() -> None:
    labels = np.repeat([0, 1], [100, 300])
    splits = stratified(labels, validation=0.2, test=0.2, seed=0)

    assert sorted(np.concatenate(list(splits.values()))) == list(range(400))
    assert {split: np.bincount(labels[i]).tolist() for split, i in splits.items()} == {
        "train": [60, 180],
        "validation": [20, 60],
        "test": [20, 60],
    }


def test_splits_are_a_function_of_the_seed() -> None:
    labels = np.repeat([0, 1], 50)

    np.testing.assert_array_equal(stratified(labels, 0.2, 0.2, 1)["test"], stratified(labels, 0.2, 0.2, 1)["test"])
    assert not np.array_equal(stratified(labels, 0.2, 0.2, 1)["test"], stratified(labels, 0.2, 0.2, 2)["test"])


def test_resizing_interpolates_linearly() -> None:
    image = np.array([[[0], [100]]], np.uint8).reshape(1, 1, 2, 1)

    np.testing.assert_array_equal(resize(image, 4)[0, 0, :, 0], [0, 25, 75, 100])


def test_resizing_keeps_colours_apart() -> None:
    image = np.tile(np.array([10, 20, 30], np.uint8), (2, 3, 5, 1))

    resized = resize(image, 8)

    assert resized.shape == (2, 8, 8, 3)
    np.testing.assert_array_equal(resized.reshape(-1, 3), np.tile([10, 20, 30], (128, 1)))
