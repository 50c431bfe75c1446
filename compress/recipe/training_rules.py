"""Rules about the trainings: batches, rates, how long, and the student that is trained."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from compress.context import Decision
from compress.data.preparation import height_and_width
from compress.recipe.facts import Facts
from compress.recipe.image_rules import trainings
from compress.recipe.trials import area_of, in_words
from compress.stages.prune import ZEROS

SMALL_SIDE = 40  # pixels; images that are seen no larger have little detail
FEW, MANY = 8_000, 16_000  # training images
MOST_STEPS = {"teacher": 8_000, "prune": 1_200, "prune_student": 1_200}
FEWEST_EPOCHS = {"teacher": 10, "prune": 3, "prune_student": 3}
MOST_EPOCHS = {"teacher": 200, "prune": 40, "prune_student": 40}
WIDTH, HALF = "teacher.architecture.options.width", 0.5  # of VGG16, as a fraction of its filters
RATE = 0.03  # of the teacher, at 32 images per step
PATIENCE, PATIENCE_STEPS = 2, 600  # without gain before the rate falls: epochs, and steps
FALLING = ("exponential", "polynomial", "cosine", "one_cycle")  # schedules that end at a low rate, at a set epoch
ADAPTIVE = ("adam", "adamw", "rmsprop", "adagrad")


def may_be_narrower(teacher: Any) -> bool:
    """Tell whether a teacher with these settings is VGG16 from random weights: published ones are of all filters."""
    return teacher.architecture.name == "vgg16" and teacher.weights == "none"


def teacher_width(facts: Facts, config: Any) -> Iterator[Decision]:
    """Give VGG16 half of its filters where images are few, which about halves the time of its training.

    How far a network's accuracy reaches is a matter of its size and of the number of images together: with few of them
    a larger one gains little (Rosenfeld et al., "A Constructive Prediction of the Generalization Error Across Scales",
    2020). Published weights are those of all filters.
    """
    n = facts.n_train(config.data)
    if n < MANY and may_be_narrower(config.teacher):
        yield Decision(WIDTH, HALF, f"about {n:,} training images")


def augmentation(facts: Facts, config: Any) -> Iterator[Decision]:
    """Shift and mirror the images from which a network without weights learns, but neither turn nor zoom them.

    So do He et al., "Deep Residual Learning for Image Recognition" (2016), section 4.2. What a student sees may be
    changed further: it learns what its source says of these very views. Very few images are changed in all ways. A
    teacher of an earlier run is taken to have learned in the same way: it says little of images turned, from which the
    pruned network would learn.
    """
    if (config.teacher.weights == "none" or facts.whole) and not facts.has_few(config.data):
        for section in ("teacher", "prune"):
            for kind in ("rotation", "zoom"):
                yield Decision(f"{section}.augmentation.{kind}", 0.0, "shifts are enough for a network to learn from")


def batch_sizes(facts: Facts, config: Any) -> Iterator[Decision]:
    """Take larger batches of more images, which are as many steps, but faster ones (McCandlish et al., 2018)."""
    n = facts.n_train(config.data)
    batch = 32 if n < FEW else 64 if n < MANY else 128
    for section in trainings(config):
        size = batch if section in ("teacher", "prune") else 2 * batch
        yield Decision(f"{section}.batch_size", size, f"about {n:,} training images")


def pruning(facts: Facts, config: Any) -> Iterator[Decision]:
    """Remove filters alone, unless zeros are asked for: these make no network faster, and cost accuracy besides."""
    reason = "zeros in a network that has lost filters cost accuracy, and save no time"
    for section in ("prune", "prune_student"):
        if section in trainings(config) and not getattr(config, section).model_fields_set & ZEROS:
            yield Decision(f"{section}.method", "filters", reason)


def rates(facts: Facts, config: Any) -> Iterator[Decision]:
    """Scale the teacher's rate with the batch (Goyal et al., 2017); that of adam and its kind with its square root.

    A batch of 32 takes 0.03, or 0.001 of adam as Kingma and Ba (2015) have it.
    """
    for section in trainings(config):
        settings = getattr(config, section)
        batch = settings.batch_size
        if settings.optimizer in ADAPTIVE:
            rate = 0.001 * math.sqrt(batch / 32)
            yield Decision(f"{section}.learning_rate", round(rate, 6), f"{settings.optimizer} at {batch} per step")
        elif section == "teacher":
            yield Decision("teacher.learning_rate", min(0.1, RATE * batch / 32), f"{batch} images per step")


def schedules(facts: Facts, config: Any) -> Iterator[Decision]:
    """Let each training end by what it learns, not at an epoch set beforehand: Haegele et al., 2024; see `fall`."""
    for section in trainings(config):
        yield Decision(f"{section}.schedule.shape", "wsd", "each training ends once it learns no more")


def lengths(facts: Facts, config: Any) -> Iterator[Decision]:
    """Allow as many steps as the hardest data took; where all epochs are taken, as many as suit easy data.

    Where filters are removed there is more to make up for, and steps are cheaper: pruning may take more of them. A
    student goes on getting better for some 60 passes over the images (Beyer et al., "Knowledge distillation: A good
    teacher is patient and consistent", 2022).
    """
    n = facts.n_train(config.data)
    of_teacher, of_pruning = 6 if n < FEW else 10, 6 if n < MANY else 3
    for section in (section for section in trainings(config) if section != "distill"):
        epochs, reason = of_teacher if section == "teacher" else of_pruning, f"about {n:,} training images"
        settings = getattr(config, section)
        if settings.schedule.shape == "wsd":
            steps = _steps(n, settings)
            most = MOST_STEPS[section] / _cost_of_a_step(section, settings)
            epochs = max(FEWEST_EPOCHS[section], math.ceil(most / steps))
            epochs = min(MOST_EPOCHS[section], epochs)
            reason += f", {epochs * steps:,} steps at most"
        yield Decision(f"{section}.epochs", epochs, reason)
    views, epochs = (8, 10) if n < MANY else (4, 15)
    passes = f"{views * epochs} passes over the images"
    yield Decision("distill.views", views, passes)
    yield Decision("distill.epochs", epochs, passes)


def patience(facts: Facts, config: Any) -> Iterator[Decision]:
    """Wait for as many steps without gain, however many epochs these are, before the rate falls.

    A schedule that falls to its end whatever is learned has to come to it: what it gains shows when the rate is low.
    """
    n = facts.n_train(config.data)
    for section in trainings(config):
        settings = getattr(config, section)
        if settings.schedule.shape == "wsd":
            steps = _steps(n * settings.views if section == "distill" else n, settings)
            epochs = max(PATIENCE, min(settings.epochs, math.ceil(PATIENCE_STEPS / steps)))
            yield Decision(f"{section}.patience", epochs, "epochs without gain before the rate falls")
        elif settings.schedule.shape in FALLING:
            epochs = max(settings.epochs, *(phase.epochs for phase in getattr(settings, "phases", ())), 1)
            yield Decision(f"{section}.patience", epochs, "the gain shows once the rate has fallen")


def _cost_of_a_step(section: str, settings: Any) -> float:
    """Return about what a step of pruning costs without the filters that are removed, as a fraction."""
    is_narrower = section != "teacher" and settings.method != "magnitude" and settings.target_of != "weights"
    return settings.fraction if is_narrower else 1.0


def _steps(images: int, settings: Any) -> int:
    return math.ceil(images / settings.batch_size)


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
