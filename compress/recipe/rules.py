"""The rules of the recipe: pure functions from the facts about the data, and the settings so far, to decisions.

Each rule sees the settings that the user has given and that the rules before it have decided. It decides without asking
what is given: `settle.decide` drops what is. docs/training.md lists the rules with their sources.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from statistics import median
from typing import Any

from compress.context import Decision
from compress.data.proportions import STEP, size_of
from compress.recipe.facts import Facts
from compress.recipe.sample import Size
from compress.recipe.trials import area_of, default_size

TRAININGS = ("teacher", "prune", "distill")  # sections
SIDES = (32, 48, 64, 96, 128)  # pixels; a training takes about twice as long at each as at the one before
LONGEST = 8  # times as long as wide, at most
SMALL_SIDE = 40  # pixels; images that are seen no larger have little detail
MEASURED = 4_000  # held-out images that measure an accuracy of 0.9 to half a point, one standard error
FEW, MANY = 4_000, 16_000  # training images
FEWEST_EPOCHS, MOST_EPOCHS, MOST_STEPS = 10, 200, 4_000  # of the teacher, at most
PATIENCE = 2  # epochs
ADAPTIVE = ("adam", "adamw", "rmsprop", "adagrad")

Rule = Callable[[Facts, Any], Iterator[Decision]]


def splits(facts: Facts, config: Any) -> Iterator[Decision]:
    """Hold out no more images than a figure needs: the standard error of an accuracy p of n is sqrt(p (1 - p) / n)."""
    n = sum(facts.undivided)
    for split in ("validation", "test"):
        fraction = max(0.01, math.floor(100 * MEASURED / max(1, n)) / 100)
        if split not in facts.given and fraction < getattr(config.data, split):
            yield Decision(f"data.{split}", fraction, f"of {n:,} images, enough to measure accuracy to half a point")


def image_size(facts: Facts, config: Any) -> Iterator[Decision]:
    """Take the size that the classes need, as short trainings have told; see `trials.needed_size`."""
    if not facts.sizes:
        return
    width, height = _typical_size(facts)
    alike = len(set(facts.sizes)) == 1
    stored = f"images are stored at {width}x{height}" if alike else f"{width}x{height} is typical"
    sizes = sizes_to_choose_from(facts)
    size, reason = default_size(sizes), stored
    if facts.learned and len(sizes) > 1:
        size, reason = facts.learned.size, f"{stored}; {facts.learned.size_reason}"
    yield Decision("image.size", size if isinstance(size, int) else list(size), reason)


def flips(facts: Facts, config: Any) -> Iterator[Decision]:
    """Mirror images in the directions in which a short training told mirrored ones too; see `trials.mirrored`."""
    if facts.learned:
        for section in TRAININGS:
            yield Decision(f"{section}.augmentation.flip", facts.learned.flip, facts.learned.flip_reason)


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
    for section in TRAININGS:
        settings = getattr(config, section)
        batch = settings.batch_size
        if settings.optimizer in ADAPTIVE:
            rate = 0.001 * math.sqrt(batch / 32)
            yield Decision(f"{section}.learning_rate", round(rate, 6), f"{settings.optimizer} at {batch} per step")
        elif section == "teacher":
            yield Decision("teacher.learning_rate", min(0.1, 0.02 * batch / 32), f"{batch} images per step")


def schedules(facts: Facts, config: Any) -> Iterator[Decision]:
    """Let each training end by what it learns, not at an epoch set beforehand: Haegele et al., 2024; see `fall`."""
    for section in TRAININGS:
        yield Decision(f"{section}.schedule.shape", "wsd", "each training ends once it learns no more")


def lengths(facts: Facts, config: Any) -> Iterator[Decision]:
    """Allow as many steps as the hardest data took; where all epochs are taken, as many as suit easy data.

    A student goes on getting better for some 60 passes over the images (Beyer et al., "Knowledge distillation: A good
    teacher is patient and consistent", 2022).
    """
    for section in TRAININGS:
        if getattr(config, section).schedule.shape == "wsd":
            yield Decision(f"{section}.patience", PATIENCE, "epochs without gain before the rate falls")
    n = facts.n_train(config.data)
    seen = f"{n:,} training images"
    if config.teacher.schedule.shape == "wsd":
        steps = math.ceil(n / config.teacher.batch_size)
        epochs = min(MOST_EPOCHS, max(FEWEST_EPOCHS, math.ceil(MOST_STEPS / steps)))
        yield Decision("teacher.epochs", epochs, f"{seen}, {epochs * steps:,} steps at most")
    else:
        yield Decision("teacher.epochs", 6 if n < FEW else 10, seen)
    yield Decision("prune.epochs", 6 if n < MANY else 3, seen)
    views, epochs = (8, 10) if n < MANY else (4, 15)
    passes = f"{views * epochs} passes over the images"
    yield Decision("distill.views", views, passes)
    yield Decision("distill.epochs", epochs, passes)


def student(facts: Facts, config: Any) -> Iterator[Decision]:
    """Give the plain student more filters for colour and more classes, and as many blocks as images can be halved."""
    if config.distill.student.name != "plain":
        return
    classes = len(facts.counts)
    width = 8 if facts.channels == 1 else 12
    if _area(config) > SMALL_SIDE**2 or classes > 20:
        width = 16
    width = width if classes <= 100 else 24
    what = f"{classes} classes, {'grey' if facts.channels == 1 else 'colour'}, {_shape(config)}"
    yield Decision("distill.student.options.width", width, what)
    shorter = min(_height_and_width(config))
    yield Decision("distill.student.options.blocks", 5 if shorter >= 64 else min(4, int(math.log2(shorter))), what)


def sizes_to_choose_from(facts: Facts) -> list[Size]:
    """Return sizes of the images' shape, small to large: none larger than images are stored, but one at least.

    They are squares, or rectangles of about their areas where nearly all images are long alike.
    """
    width, height = _typical_size(facts)
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
    sizes = sizes_to_choose_from(facts)
    if "image.size" in given:
        sizes = [min(config.image.size, default_size(sizes), key=area_of)]
    flips_given = all(f"{section}.augmentation.flip" in given for section in TRAININGS)
    return [] if flips_given and len(sizes) == 1 else sizes


RULES: tuple[Rule, ...] = (
    splits,
    image_size,
    flips,
    batch_sizes,
    rates,
    schedules,
    lengths,
    student,
)
"""In the order in which they decide."""


def _typical_size(facts: Facts) -> tuple[int, int]:
    """Return the median width and height of images as stored."""
    width, height = (round(median(size[i] for size in facts.sizes)) for i in range(2))
    return width, height


def _height_and_width(config: Any) -> tuple[int, int]:
    size = config.image.size
    return (size, size) if isinstance(size, int) else size


def _area(config: Any) -> int:
    return math.prod(_height_and_width(config))


def _shape(config: Any) -> str:
    height, width = _height_and_width(config)
    return f"{width}x{height} pixels"
