"""Rules about a teacher that begins with weights of others."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import Any

from compress.context import Decision
from compress.data.preparation import height_and_width
from compress.recipe.facts import Facts
from compress.recipe.image_rules import PHOTO_SIDE, are_few, typical_size
from compress.recipe.trials import in_words
from compress.stages.prune import FILTERS, ZEROS

HEAD_STEPS, HEAD_EPOCHS = 600, (15, 60)  # in which a head has learned what it can; epochs at least and at most
MORE_STEPS, MORE_EPOCHS = 600, (4, 12)  # of the last block, and of all layers
RATES = (0.02, 0.003, 0.001)  # of the head, with the last block, and of all layers: features have a scale of 1
PRUNING: dict[str, Any] = {
    "sparsity": 0.5,
    "initial_sparsity": 0.3,
    "dense_ends": True,
    "optimizer": "momentum",
    "learning_rate": 1e-4,
    "weight_decay": 5e-4,
    "schedule.shape": "one_cycle",
}


def weights(facts: Facts, config: Any) -> Iterator[Decision]:
    """Begin with published weights where photographs are few: Yosinski et al., 2014; Kornblith et al., 2019."""
    if config.teacher.weights != "none" or facts.published is None or not are_few(facts, config):
        return
    n, shape = facts.n_train(config.data), f"{in_words(config.image.size)} pixels"
    if facts.published:
        yield Decision("teacher.weights", "none", f"published weights cannot be had: {facts.published}")
    elif min(height_and_width(config.image.size)) >= PHOTO_SIDE:
        yield Decision("teacher.weights", "imagenet", f"about {n:,} training images, in colour, {shape}")
    else:
        why = f"{shape} are too few for published weights, which know images of {PHOTO_SIDE} and more a side"
        yield Decision("teacher.weights", "none", why)


def transfer(facts: Facts, config: Any) -> Iterator[Decision]:
    """Train the head to its end first, then the last block with it and all layers where there are images enough.

    A random head's first gradients distort good features (Kumar et al., "Fine-Tuning Can Distort Pretrained Features",
    2022). With few images for each class frozen features do as well as fine-tuned ones (Kornblith et al., "Do Better
    ImageNet Models Transfer Better?", 2019, section 4.6).
    """
    if config.teacher.weights == "none":
        return
    if facts.whole:
        if not config.teacher.phases:
            yield Decision("teacher.epochs", 0, "the weights are those of all layers")
        return
    n, classes = facts.n_train(config.data), len(facts.counts)
    steps = math.ceil(n / config.teacher.batch_size)
    more = _epochs(MORE_STEPS, MORE_EPOCHS, steps)
    head = {"epochs": _epochs(HEAD_STEPS, HEAD_EPOCHS, steps), "learning_rate": RATES[0]}
    block = {"blocks": 1, "epochs": more, "learning_rate": RATES[1]}
    no_head = "phases" in config.teacher.model_fields_set and not config.teacher.phases
    if facts.has_few(config.data) and not no_head:
        few = f"about {n:,} training images of {classes} classes are too few for more than a new head"
        yield Decision("teacher.phases", [head], few)
        yield Decision("teacher.epochs", 0, few)
    else:
        yield Decision("teacher.phases", [head, block], "a new head learns first, on features that stay")
        yield Decision("teacher.epochs", more, "then all layers, in small steps")
    yield Decision("teacher.learning_rate", RATES[2], "small steps for layers that are trained already")
    yield Decision("teacher.schedule.shape", "one_cycle", "so few epochs need no search for their number")
    yield from _pruning(facts, config)


def _pruning(facts: Facts, config: Any) -> Iterator[Decision]:
    """Set weights to zero in small steps; in place of filters, where so few images are there that none was tried.

    What loses its filters learns at the usual rates, without batch normalization too: that was measured.
    """
    given = config.prune.model_fields_set
    zeros_alone = config.prune.method == "magnitude" or bool(given & ZEROS and not given & {"method", *FILTERS})
    if not zeros_alone and facts.has_few(config.data) and not given & {"method", *FILTERS}:
        zeros_alone = True
        yield Decision("prune.method", "magnitude", "removing filters has not been tried with so few images")
    elif zeros_alone and "method" not in given:
        yield Decision("prune.method", "magnitude", "zeros are asked for, and of a network without batch normalization")
    for key, value in PRUNING.items() if zeros_alone else ():
        yield Decision(f"prune.{key}", value, "without batch normalization a network bears less")


def _epochs(steps: int, limits: tuple[int, int], per_epoch: int) -> int:
    """Return the epochs in which so many steps are taken, within limits."""
    fewest, most = limits
    return min(most, max(fewest, math.ceil(steps / per_epoch)))


def asks_for_published(facts: Facts, config: Any, given: Collection[str]) -> bool:
    """Tell whether it matters if published weights can be had; `given` are the keys that are set.

    They suit colour images that are not small, and the architecture as it was published, without options.
    """
    suits = facts.channels == 3 and bool(facts.sizes) and min(typical_size(facts)) >= PHOTO_SIDE
    architecture = config.teacher.architecture
    is_as_published = hasattr(architecture.module, "IMAGENET") and not architecture.options
    return suits and is_as_published and "teacher.weights" not in given
