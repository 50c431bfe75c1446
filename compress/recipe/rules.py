"""The rules of the recipe: pure functions from the facts about the data, and the settings so far, to decisions.

Each rule sees the settings that the user has given and that the rules before it have decided. It decides without asking
what is given: `settle.decide` drops what is. docs/training.md lists the rules with their sources.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

from compress.context import Decision
from compress.data.proportions import STEP, size_of
from compress.recipe.facts import Facts

SMALL_SIDE = 40  # pixels; images stored no larger are seen at 32
LONGEST = 8  # times as long as wide, at most
MEASURED = 4_000  # held-out images that measure an accuracy of 0.9 to half a point, one standard error
FEW, MANY = 4_000, 16_000  # training images
ADAPTIVE = ("adam", "adamw", "rmsprop", "adagrad")


def splits(facts: Facts, config: Any) -> Iterator[Decision]:
    """Hold out no more images than a figure needs: the standard error of an accuracy p of n is sqrt(p (1 - p) / n)."""
    n = sum(facts.undivided)
    for split in ("validation", "test"):
        fraction = max(0.01, math.floor(100 * MEASURED / n) / 100)
        if split not in facts.given and fraction < getattr(config.data, split):
            yield Decision(f"data.{split}", fraction, f"of {n:,} images, enough to measure accuracy to half a point")


def image_size(facts: Facts, config: Any) -> Iterator[Decision]:
    """Take 32 pixels for what is stored small, else 64; a rectangle where nearly all images are long alike.

    The cost of a training grows with the area, accuracy with its logarithm (Tan and Le, "EfficientNet", 2019).
    """
    if not facts.sizes:
        return
    width, height = (round(median(size[i] for size in facts.sizes)) for i in range(2))
    side = 32 if max(width, height) <= SMALL_SIDE else 64
    stored = f"images are stored at {width}x{height}" if len(set(facts.sizes)) == 1 else f"{width}x{height} is typical"
    aspect = median(w / h for w, h in facts.sizes)
    alike = sum(0.8 < w / h / aspect < 1.25 for w, h in facts.sizes) / len(facts.sizes)
    if alike < 0.9 or 2 / 3 < aspect < 1.5:
        yield Decision("image.size", side, stored)
        return
    ratio = min(LONGEST, max(1 / LONGEST, aspect))
    shorter = max(32, STEP * round(side / math.sqrt(max(ratio, 1 / ratio)) / STEP))  # for about the square's area
    yield Decision("image.size", list(size_of(ratio, shorter)), f"{stored}, of one long shape")


def batch_sizes(facts: Facts, config: Any) -> Iterator[Decision]:
    """Take larger batches of more images, which are as many steps, but faster ones (McCandlish et al., 2018)."""
    n = facts.n_train(config.data)
    batch = 32 if n < FEW else 64 if n < MANY else 128
    for section, size in (("teacher", batch), ("prune", batch), ("distill", 2 * batch)):
        yield Decision(f"{section}.batch_size", size, f"{n:,} training images")


def rates(facts: Facts, config: Any) -> Iterator[Decision]:
    """Scale the teacher's rate with the batch (Goyal et al., 2017); that of adam and its kind with its square root.

    The rates at a batch of 32 are those that digits were tuned for, and 0.001 as Kingma and Ba (2015) have it for adam.
    """
    for section in ("teacher", "prune", "distill"):
        settings = getattr(config, section)
        batch = settings.batch_size
        if settings.optimizer in ADAPTIVE:
            rate = 0.001 * math.sqrt(batch / 32)
            yield Decision(f"{section}.learning_rate", round(rate, 6), f"{settings.optimizer} at {batch} per step")
        elif section == "teacher":
            yield Decision("teacher.learning_rate", min(0.1, 0.02 * batch / 32), f"{batch} images per step")


def lengths(facts: Facts, config: Any) -> Iterator[Decision]:
    """Train longer on what is harder to see, and see fewer epochs of more images.

    A student goes on getting better for some 60 passes over the images (Beyer et al., "Knowledge distillation: A good
    teacher is patient and consistent", 2022).
    """
    n = facts.n_train(config.data)
    hard = facts.channels == 3 or _area(config) > SMALL_SIDE**2
    seen = f"{n:,} training images{', in colour or detail' if hard else ''}"
    yield Decision("teacher.epochs", (30 if n < MANY else 15) if hard else 6 if n < FEW else 10, seen)
    yield Decision("prune.epochs", 6 if n < MANY else 3, seen)
    views, epochs = (8, 10) if n < MANY else (4, 15)
    passes = f"{views * epochs} passes over the images"
    yield Decision("distill.views", views, passes)
    yield Decision("distill.epochs", epochs, passes)


def student(facts: Facts, config: Any) -> Iterator[Decision]:
    """Give the plain student more filters for colour and more classes, and a block more for larger images."""
    if config.distill.student.name != "plain":
        return
    classes = len(facts.counts)
    width = 8 if facts.channels == 1 else 12
    if _area(config) > SMALL_SIDE**2 or classes > 20:
        width = 16
    width = width if classes <= 100 else 24
    what = f"{classes} classes, {'grey' if facts.channels == 1 else 'colour'}, {_shape(config)}"
    yield Decision("distill.student.options.width", width, what)
    yield Decision("distill.student.options.blocks", 5 if min(_height_and_width(config)) >= 64 else 4, what)


RULES: tuple[Callable[[Facts, Any], Iterator[Decision]], ...] = (
    splits,
    image_size,
    batch_sizes,
    rates,
    lengths,
    student,
)
"""In the order in which they decide."""


def _height_and_width(config: Any) -> tuple[int, int]:
    size = config.image.size
    return (size, size) if isinstance(size, int) else size


def _area(config: Any) -> int:
    return math.prod(_height_and_width(config))


def _shape(config: Any) -> str:
    height, width = _height_and_width(config)
    return f"{width}x{height} pixels"
