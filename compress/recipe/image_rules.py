"""Rules about the images: how many are held out, at which size they are seen, and whether they are mirrored."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from statistics import median
from typing import Any

from compress.context import Decision
from compress.data.preparation import height_and_width
from compress.data.proportions import STEP, size_of
from compress.recipe.facts import Facts
from compress.recipe.sample import Size
from compress.recipe.trials import area_of, default_size

TRAININGS = ("teacher", "prune", "distill")  # sections, with one more if the student is pruned
SIDES = (32, 48, 64, 96, 128)  # pixels; a training takes about twice as long at each as at the one before
PHOTO_SIDE = 64  # pixels, from which features of photographs at 224 are of use
FEW = 16_000  # training images, below which published weights are worth it
LONGEST = 8  # times as long as wide, at most
MEASURED = 4_000  # held-out images that measure an accuracy of 0.9 to half a point, one standard error


def trainings(config: Any) -> tuple[str, ...]:
    """Return the sections of what is trained."""
    return (*TRAININGS, "prune_student") if config.prune_student.enabled else TRAININGS


def splits(facts: Facts, config: Any) -> Iterator[Decision]:
    """Hold out no more images than a figure needs: the standard error of an accuracy p of n is sqrt(p (1 - p) / n)."""
    n = sum(facts.undivided)
    for split in ("validation", "test"):
        fraction = max(0.01, math.floor(100 * MEASURED / max(1, n)) / 100)
        if split not in facts.given and fraction < getattr(config.data, split):
            yield Decision(f"data.{split}", fraction, f"of {n:,} images, enough to measure accuracy to half a point")


def image_size(facts: Facts, config: Any) -> Iterator[Decision]:
    """Take the size that the classes need, as short trainings have told; see `trials.needed_size`."""
    if facts.trained_size:
        yield Decision("image.size", _in_settings(facts.trained_size), "the teacher's weights were trained at it")
    if facts.trained_size or not facts.sizes:
        return
    width, height = typical_size(facts)
    alike = len(set(facts.sizes)) == 1
    stored = f"images are stored at {width}x{height}" if alike else f"{width}x{height} is typical"
    sizes = sizes_to_choose_from(facts, config)
    size, reason = default_size(sizes), stored
    if facts.learned and len(sizes) > 1:
        reason = f"{stored}; {facts.learned.size_reason}"
        size = facts.learned.size if facts.learned.size in sizes else sizes[0]  # learned before weights were there
    if sizes != _of_their_shape(facts):
        reason += f"; weights of others need {PHOTO_SIDE} at least"
    yield Decision("image.size", _in_settings(size), reason)


def flips(facts: Facts, config: Any) -> Iterator[Decision]:
    """Mirror images in the directions in which a short training told mirrored ones too; see `trials.mirrored`."""
    if facts.learned:
        for section in trainings(config):
            yield Decision(f"{section}.augmentation.flip", facts.learned.flip, facts.learned.flip_reason)


def are_few(facts: Facts, config: Any) -> bool:
    """Tell whether there are so few training images that weights of others are worth it."""
    return facts.n_train(config.data) < FEW


def sizes_to_choose_from(facts: Facts, config: Any) -> list[Size]:
    """Return sizes of the images' shape, small to large: none larger than images are stored, but one at least.

    A teacher that begins with a trunk of others sees images at `PHOTO_SIDE` or more, if they are stored so large: what
    it was trained on was larger, and short trainings from random weights cannot tell what such a trunk needs.
    """
    sizes, weights = _of_their_shape(facts), config.teacher.weights
    large = [size for size in sizes if min(height_and_width(size)) >= PHOTO_SIDE]
    if weights != "none" and not facts.whole:
        return large or sizes[-1:]
    will_begin = facts.published == "" and "weights" not in config.teacher.model_fields_set and are_few(facts, config)
    return large if large and will_begin else sizes


def _of_their_shape(facts: Facts) -> list[Size]:
    """Return squares, or rectangles of about their areas where nearly all images are long alike."""
    width, height = typical_size(facts)
    aspect = median(w / h for w, h in facts.sizes)
    alike = sum(0.8 < w / h / aspect < 1.25 for w, h in facts.sizes) / len(facts.sizes)
    if alike < 0.9 or 2 / 3 < aspect < 1.5:
        return [side for side in SIDES if side == SIDES[0] or side <= min(width, height)]
    ratio = min(LONGEST, max(1 / LONGEST, aspect))
    sizes: list[Size] = []
    for side in SIDES:
        shorter = max(SIDES[0], STEP * round(side / math.sqrt(max(ratio, 1 / ratio)) / STEP))
        size = size_of(ratio, shorter)
        if not sizes or (size not in sizes and side**2 <= width * height):
            sizes.append(size)
    return sizes


def sizes_to_try(facts: Facts, config: Any, given: Collection[str]) -> list[Size]:
    """Return the sizes of images to try, none if nothing is to be learned from that; `given` are the keys that are set.

    Where the size is given, mirrored images are tried at no more pixels than the default.
    """
    if not facts.sizes or len(facts.undivided) < 2 or min(facts.undivided) == 0:
        return []  # the data stage tells what is wrong with such data
    sizes = sizes_to_choose_from(facts, config)
    if facts.trained_size or "image.size" in given:
        sizes = [min(facts.trained_size or config.image.size, default_size(sizes), key=area_of)]
    flips_given = all(f"{section}.augmentation.flip" in given for section in TRAININGS)
    return [] if flips_given and len(sizes) == 1 else sizes


def typical_size(facts: Facts) -> tuple[int, int]:
    """Return the median width and height of images as stored."""
    width, height = (round(median(size[i] for size in facts.sizes)) for i in range(2))
    return width, height


def _in_settings(size: Size) -> int | list[int]:
    """Return a size as the setting image.size has it, a JSON value."""
    height, width = height_and_width(size)
    return height if height == width else [height, width]
