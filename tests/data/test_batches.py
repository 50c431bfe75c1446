from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

from compress.data.augmentation import Augmentation, Mixing
from compress.data.batches import Batches, Epoch
from compress.errors import BadInputError, CompressError

STILL = Augmentation(shift=0, rotation=0, zoom=0)
N = 21


def images(size: int = 9) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (N, size, size, 1), np.uint8)


def batches(seed: int = 0, batch_size: int = 4, **options: Any) -> Batches:
    def choose(epoch: int) -> Epoch:
        return Epoch(np.arange(N), np.full(N, epoch + 1), np.arange(N))

    options = {"images": images(), "choose": choose, **options}
    return Batches(
        targets=lambda indices, views: np.stack([indices, views], axis=1).astype(np.float32),
        batch_size=batch_size,
        seed=seed,
        **options,
    )


def epoch(number: int, **options: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parts = list(batches(**options).epoch(number))
    pixels, targets, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
    return pixels, targets, weights


def test_an_epoch_has_every_image_once_with_its_own_target_and_weight() -> None:
    pixels, targets, weights = epoch(0, weights=np.arange(N, dtype=np.float32))

    assert [len(x) for x, _, _ in batches().epoch(0)] == [4, 4, 4, 3, 3, 3]  # no rest of a single image at the end
    assert batches().steps == 6
    indices = targets[:, 0].astype(int)
    assert sorted(indices) == list(range(N))
    assert indices.tolist() != list(range(N))
    np.testing.assert_array_equal(pixels, images()[indices])
    np.testing.assert_array_equal(weights, indices)


def test_a_batch_larger_than_the_data_is_the_data() -> None:
    assert [len(x) for x, _, _ in batches(batch_size=1000).epoch(0)] == [N]


@pytest.mark.parametrize("mixing", [Mixing(), Mixing(mixup=0.4, cutmix=1.0)])
def test_batches_are_the_same_for_the_same_seed_and_epoch_and_differ_for_others(mixing: Mixing) -> None:
    options = {"augmentation": Augmentation(flip="horizontal", erasing=0.2, randaugment=2), "mixing": mixing}
    one, same = epoch(3, **options), epoch(3, **options)

    for left, right in zip(one, same, strict=True):
        np.testing.assert_array_equal(left, right)
    assert not np.array_equal(one[0], epoch(4, **options)[0])
    assert not np.array_equal(one[0], epoch(3, seed=1, **options)[0])


def test_an_image_is_changed_alike_whatever_batch_it_is_in() -> None:
    small, large = (epoch(0, batch_size=size, augmentation=Augmentation()) for size in (2, 20))

    np.testing.assert_array_equal(small[0], large[0])


def test_an_image_in_turn_0_is_left_as_it_is_and_changed_in_others() -> None:
    def choose(epoch: int) -> Epoch:
        return Epoch(np.arange(N), np.arange(N) % 2, np.arange(N))

    pixels, targets, _ = epoch(0, choose=choose, augmentation=Augmentation())

    for image, (index, view) in zip(pixels, targets, strict=True):
        assert np.array_equal(image, images()[int(index)]) == (view == 0)


def test_an_image_that_is_repeated_in_an_epoch_is_changed_otherwise_each_time() -> None:
    def choose(epoch: int) -> Epoch:
        return Epoch(np.zeros(N, int), np.full(N, 1), np.arange(N))

    pixels, _, _ = epoch(0, choose=choose, augmentation=Augmentation())

    assert len({image.tobytes() for image in pixels}) == N


def test_mixing_mixes_targets_as_it_mixes_images() -> None:
    levels = np.repeat(np.arange(N, dtype=np.uint8), 81).reshape(N, 9, 9, 1)
    pixels, targets, _ = epoch(0, images=levels, mixing=Mixing(mixup=1.0), batch_size=N)

    np.testing.assert_allclose(pixels[:, 0, 0, 0], targets[:, 0], rtol=1e-5)
    np.testing.assert_allclose(targets[:, 1], 1, rtol=1e-6)
    assert not np.array_equal(np.sort(targets[:, 0]), np.arange(N))


def test_a_batch_that_cannot_be_read_says_why() -> None:
    class Gone:
        shape, dtype = (N, 9, 9, 1), np.dtype(np.uint8)

        def __len__(self) -> int:
            return N

        def __getitem__(self, key: Any) -> np.ndarray:
            raise BadInputError("cat.png: is gone")

    several = batches(images=Gone())
    with pytest.raises(Exception, match="BadInputError"):
        list(several.epoch(0))

    assert isinstance(several.failure, CompressError)
    assert str(several.failure) == "cat.png: is gone"


def test_nothing_of_an_epoch_outlives_its_batches() -> None:
    seen = []

    def choose(number: int) -> Epoch:
        chosen = Epoch(np.arange(N), np.full(N, number + 1), np.arange(N))
        seen.append(weakref.ref(chosen))
        return chosen

    several = batches(choose=choose, augmentation=Augmentation())
    for number in range(3):
        list(several.epoch(number))
    whole = weakref.ref(several)
    del several
    gc.collect()

    assert whole() is None
    assert [alive() for alive in seen] == [None] * len(seen)
