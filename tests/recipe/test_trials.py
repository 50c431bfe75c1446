from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from compress.recipe import short_training, trials
from compress.recipe.sample import Sample, Size
from compress.recipe.short_training import Answers
from compress.recipe.trials import Learned, is_enough, learn, mirrored, needed_size

LABELS = np.repeat(np.arange(4), 100)


class Here(Executor):
    """In place of a process of its own: this one."""

    def submit(self, function: Any, /, *arguments: Any, **_: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*arguments))
        return future


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def here(if_killed: str) -> Iterator[Here]:
        yield Here()

    monkeypatch.setattr(trials, "one_child", here)
    monkeypatch.setattr(short_training, "VIEWS", 1_600)


def told(share: float) -> np.ndarray:
    """Return which images are told, of each class the same share: the more, the same ones and others."""
    return np.arange(len(LABELS)) % 100 < round(100 * share)


@pytest.mark.parametrize(
    ("shares", "size"),
    [
        ({32: 0.90, 48: 0.90, 64: 0.90}, 32),
        ({32: 0.90, 48: 0.90, 64: 0.91}, 32),  # a hundredth for each step
        ({32: 0.90, 48: 0.96, 64: 0.96, 96: 0.97}, 48),
        ({32: 0.60, 48: 0.60, 64: 0.90, 96: 0.90, 128: 0.90}, 64),  # 48 alone would have ended it
        ({32: 0.60, 48: 0.70, 64: 0.80, 96: 0.90, 128: 0.99}, 128),
        ({32: 0.25, 48: 0.26, 64: 0.28, 96: 0.30, 128: 0.80}, 128),  # no better than guessing at first
        ({32: 0.25, 48: 0.25, 64: 0.25, 96: 0.25, 128: 0.25}, 64),
        ({(32, 256): 0.90, (48, 384): 0.90}, (32, 256)),
    ],
)
def test_the_smallest_size_is_taken_that_no_larger_one_beats(shares: dict[Size, float], size: Size) -> None:
    right = {size: told(share) for size, share in shares.items()}

    found, tried, reason = needed_size(right, LABELS, 4)

    assert found == size
    assert [trial.recall for trial in tried] == pytest.approx(list(shares.values()))
    assert ("too little" in reason) == (max(shares.values()) < 0.3)


def test_more_is_tried_until_two_larger_sizes_bring_nothing() -> None:
    assert not is_enough({32: told(0.9), 48: told(0.9)}, LABELS, 4)
    assert is_enough({32: told(0.9), 48: told(0.9), 64: told(0.9)}, LABELS, 4)
    assert not is_enough({32: told(0.9), 48: told(0.9), 64: told(0.97)}, LABELS, 4)
    assert not is_enough({32: told(0.25), 48: told(0.25), 64: told(0.25)}, LABELS, 4)


def test_a_gain_within_the_noise_of_few_images_counts_for_nothing() -> None:
    labels = np.arange(40) % 4
    few: dict[Size, np.ndarray] = {32: np.arange(40) >= 6, 48: np.arange(40) >= 4}  # two images are 5 points
    many: dict[Size, np.ndarray] = {size: np.tile(right, 20) for size, right in few.items()}

    assert needed_size(few, labels, 4)[0] == 32
    assert needed_size(many, np.tile(labels, 20), 4)[0] == 48


def test_rare_classes_count_as_much_as_frequent_ones() -> None:
    labels = np.repeat([0, 1], [950, 50])
    only_frequent = labels == 0

    found, [small, large], _ = needed_size({32: only_frequent, 48: labels >= 0}, labels, 2)

    assert found == 48
    assert (small.recall, large.recall) == pytest.approx((0.5, 1.0))


@pytest.mark.parametrize(
    ("horizontal", "vertical", "flip"),
    [
        (0.92, 0.90, "both"),
        (0.92, 0.40, "horizontal"),
        (0.40, 0.92, "vertical"),
        (0.60, 0.50, "none"),
    ],
)
def test_a_direction_is_taken_if_mirrored_images_are_told_as_well(
    horizontal: float, vertical: float, flip: str
) -> None:
    answers = [np.where(told(share), LABELS, (LABELS + 1) % 4) for share in (0.95, horizontal, vertical)]

    found, reason = mirrored(Answers(*answers), LABELS, "abcd")

    assert found == flip
    assert f"{horizontal:.3f} mirrored horizontally" in reason


def test_a_class_that_mirroring_makes_another_is_enough_to_forbid_it() -> None:
    labels = np.repeat(np.arange(20), 20)
    swapped = np.array([1, 0, *range(2, 20)])[labels]  # nine tenths are told

    flip, reason = mirrored(Answers(labels, swapped, labels), labels, ["left", "right", *"abcdefghijklmnopqr"])

    assert flip == "vertical"
    assert "0.900 mirrored horizontally but 0.000 of 'left'" in reason


def test_what_hardly_learned_tells_nothing_about_mirrored_images() -> None:
    guesses = np.zeros_like(LABELS)

    flip, reason = mirrored(Answers(guesses, guesses, guesses), LABELS, "abcd")

    assert flip == "none"
    assert "too little" in reason


def sample_of_drawings(draw: Any, n: int = 240, classes: int = 2) -> Sample:
    """Return noisy images of 64x64 and, halved, of 32x32, which `draw` makes from a random generator and a class."""
    random = np.random.default_rng(0)
    labels = np.arange(n) % classes
    images = np.stack([draw(random, label) for label in labels]) + random.normal(0, 10, (n, 64, 64))
    halved = images.reshape(n, 32, 2, 32, 2).mean(axis=(2, 4))
    pixels: dict[Size, np.ndarray] = {
        size: array.clip(0, 255).astype(np.uint8)[..., None] for size, array in ((64, images), (32, halved))
    }
    held_out = np.arange(n) % 3 == 0
    return Sample(pixels, labels, tuple("ab"[:classes]), np.flatnonzero(~held_out), np.flatnonzero(held_out))


def stripes(random: np.random.Generator, label: int) -> np.ndarray:
    """Draw stripes of one pixel, lying or standing, which a mean over two hides."""
    lines = np.tile([90.0, 160.0], 32)
    return np.broadcast_to(lines[:, None] if label else lines, (64, 64))


def blobs(random: np.random.Generator, label: int) -> np.ndarray:
    """Draw one light disc or two, anywhere."""
    rows, columns = np.mgrid[:64, :64]
    image = np.full((64, 64), 80.0)
    for row, column in random.uniform(12, 52, (1 + 2 * label, 2)):
        image[(rows - row) ** 2 + (columns - column) ** 2 < 100] = 180.0
    return image


def arrows(random: np.random.Generator, label: int) -> np.ndarray:
    """Draw an arrow's head that points to the left or to the right, anywhere."""
    rows, columns = np.mgrid[:64, :64]
    row, column = random.uniform(20, 44, 2)
    across = (columns - column) if label else (column - columns)
    inside = (abs(rows - row) < (across + 12) / 1.5) & (across < 12)
    return np.where(inside, 180.0, 80.0)


@pytest.mark.parametrize(("draw", "size"), [(stripes, 64), (blobs, 32)])
def test_short_trainings_tell_the_size_that_is_needed(draw: Any, size: int, quick: None) -> None:
    said: list[str] = []

    learned = learn(sample_of_drawings(draw), 0, said.append)

    assert (learned.size, learned.flip) == (size, "both"), learned
    assert said == ["recipe: trying images at 32x32", "recipe: trying images at 64x64"]


def test_short_trainings_tell_that_arrows_have_a_direction_and_tell_the_same_again(quick: None) -> None:
    whole = sample_of_drawings(arrows)
    sample = replace(whole, pixels={32: whole.pixels[32]})

    learned, again = (learn(sample, 0, print) for _ in range(2))

    assert learned.flip == "vertical", learned
    assert again == learned


def test_too_few_images_are_not_tried() -> None:
    learned = learn(sample_of_drawings(blobs, 18), 0, print)

    assert learned == Learned(64, learned.size_reason, "none", learned.flip_reason)
    assert learned.size_reason == "18 images of 2 classes are too few to try it"


@pytest.mark.parametrize("held_out", [[], range(240)])
def test_groups_so_few_that_all_are_on_one_side_are_not_tried(held_out: Any) -> None:
    whole = sample_of_drawings(blobs)
    rest = np.setdiff1d(np.arange(240), held_out)

    learned = learn(replace(whole, train=rest, held_out=np.array(held_out, int)), 0, print)

    assert learned == Learned(64, learned.size_reason, "none", learned.flip_reason)
