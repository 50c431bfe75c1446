from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from pydantic import ValidationError

from compress.data.balance import Balance, epoch_indices, image_weights, with_synthetic

LABELS = np.array([0] * 6 + [1] * 2 + [2] * 1)
SMOTE = pytest.mark.skipif(not importlib.util.find_spec("imblearn"), reason="imbalanced-learn is not installed")


def test_class_weights_let_every_class_count_the_same_and_are_one_in_the_mean() -> None:
    weights = image_weights(LABELS, "class_weights")

    np.testing.assert_allclose(weights, [0.5] * 6 + [1.5] * 2 + [3.0])
    assert weights.mean() == pytest.approx(1)


def test_other_methods_weigh_all_images_alike() -> None:
    np.testing.assert_array_equal(image_weights(LABELS, "oversample"), np.ones(9))


def test_without_balance_an_epoch_has_every_image_once() -> None:
    assert epoch_indices(LABELS, "none", 0, 3).tolist() == list(range(9))


def test_oversampling_shows_every_class_as_often_as_the_largest_and_no_image_is_left_out() -> None:
    chosen = epoch_indices(np.array([0] * 5 + [1] * 2), "oversample", 0, 0)

    assert sorted(chosen[:5]) == [0, 1, 2, 3, 4]
    rare = np.bincount(chosen[5:], minlength=7)[5:]
    assert sorted(rare) == [2, 3]


def test_undersampling_shows_as_many_of_each_class_as_the_smallest_has_and_others_in_each_epoch() -> None:
    epochs = [epoch_indices(LABELS, "undersample", 0, epoch) for epoch in range(40)]

    assert all(np.bincount(LABELS[chosen]).tolist() == [1, 1, 1] for chosen in epochs)
    assert {int(chosen[0]) for chosen in epochs} == {0, 1, 2, 3, 4, 5}


@pytest.mark.parametrize("method", ["oversample", "undersample"])
def test_an_epoch_is_a_function_of_seed_and_number(method: str) -> None:
    labels = np.array([0] * 50 + [1] * 20)
    first, again, other = (epoch_indices(labels, method, 0, n).tolist() for n in (1, 1, 2))  # type: ignore[arg-type]

    assert first == again
    assert first != other


@SMOTE
def test_smote_fills_up_the_rare_classes_with_images_between_their_own() -> None:
    images = np.full((9, 2, 2, 1), 200, np.uint8)
    images[6], images[7], images[8] = 0, 100, 50
    labels = np.array([0] * 6 + [1] * 2 + [1])

    more, more_labels = with_synthetic(images, labels, "smote", 0)

    assert np.bincount(more_labels).tolist() == [6, 6]
    np.testing.assert_array_equal(np.asarray(more)[:9], images)
    assert more.shape == (12, 2, 2, 1)
    assert np.asarray(more)[9:].max() <= 100


@SMOTE
@pytest.mark.parametrize("each", [1, 3])
def test_smote_leaves_equal_classes_as_they_are(each: int) -> None:
    images = np.arange(2 * each, dtype=np.uint8).reshape(-1, 1, 1, 1)
    labels = np.repeat([0, 1], each)

    more, more_labels = with_synthetic(images, labels, "smote", 0)

    np.testing.assert_array_equal(np.asarray(more), images)
    np.testing.assert_array_equal(more_labels, labels)


@SMOTE
def test_smote_repeats_the_only_image_of_a_class() -> None:
    images = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)

    more, labels = with_synthetic(images, np.array([0, 0, 0, 1]), "smote", 0)

    assert np.asarray(more)[labels == 1].ravel().tolist() == [3, 3, 3]


@SMOTE
def test_smote_repeats_the_only_image_of_a_class_and_still_makes_new_ones_for_others() -> None:
    images = np.concatenate([np.full(20, 200), np.arange(0, 100, 10), [255]]).astype(np.uint8).reshape(-1, 1, 1, 1)
    labels = np.array([0] * 20 + [1] * 10 + [2])

    more, more_labels = with_synthetic(images, labels, "smote", 0)

    assert np.bincount(more_labels).tolist() == [20, 20, 20]
    assert set(np.asarray(more)[more_labels == 2].ravel()) == {255}
    assert set(np.asarray(more)[more_labels == 1].ravel()) > set(range(0, 100, 10))


def test_smote_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(ValidationError, match="pip install 'compress\\[balance\\]'"):
        Balance(method="smote")
