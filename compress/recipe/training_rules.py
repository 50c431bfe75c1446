"""Rules about the trainings: batches, rates, how long, and the student that is trained."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from compress.context import Decision
from compress.data.preparation import height_and_width
from compress.recipe.facts import Facts
from compress.recipe.image_rules import TRAININGS
from compress.recipe.trials import area_of, in_words

SMALL_SIDE = 40  # pixels; images that are seen no larger have little detail
FEW, MANY = 4_000, 16_000  # training images
FEWEST_EPOCHS, MOST_EPOCHS, MOST_STEPS = 10, 200, 4_000  # of the teacher, at most
PATIENCE = 2  # epochs
ADAPTIVE = ("adam", "adamw", "rmsprop", "adagrad")


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
    if area_of(config.image.size) > SMALL_SIDE**2 or classes > 20:
        width = 16
    width = width if classes <= 100 else 24
    what = f"{classes} classes, {'grey' if facts.channels == 1 else 'colour'}, {in_words(config.image.size)} pixels"
    yield Decision("distill.student.options.width", width, what)
    shorter = min(height_and_width(config.image.size))
    yield Decision("distill.student.options.blocks", 5 if shorter >= 64 else min(4, int(math.log2(shorter))), what)
