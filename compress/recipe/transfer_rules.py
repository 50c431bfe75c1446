"""Rules about a teacher that begins with weights of others."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from compress.context import Decision
from compress.data.preparation import height_and_width
from compress.recipe.facts import Facts
from compress.recipe.image_rules import typical_size
from compress.recipe.trials import in_words

FEW = 16_000  # training images, below which published weights are worth it
PHOTO_SIDE = 64  # pixels, from which features of photographs at 224 are of use
PHASES = [{"epochs": 20}, {"blocks": 1, "epochs": 4, "learning_rate": 5e-4}]
TEACHER: dict[str, Any] = {
    "epochs": 2,
    "learning_rate": 1e-4,
    "optimizer": "momentum",
    "weight_decay": 5e-4,
    "schedule.shape": "one_cycle",
}
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
    n, shape = facts.n_train(config.data), f"{in_words(config.image.size)} pixels"
    if facts.published is None or min(height_and_width(config.image.size)) < PHOTO_SIDE or n >= FEW:
        return
    if facts.published:
        yield Decision("teacher.weights", "none", f"published weights cannot be had: {facts.published}")
    else:
        yield Decision("teacher.weights", "imagenet", f"{n:,} training images, in colour, {shape}")


def transfer(facts: Facts, config: Any) -> Iterator[Decision]:
    """Train what begins with published weights as the preset photos does: the head to its end first, then more.

    A random head's first gradients distort good features (Kumar et al., "Fine-Tuning Can Distort Pretrained Features",
    2022). Without batch normalization the network bears neither high rates nor as much sparsity.
    """
    if config.teacher.weights == "none":
        return
    if facts.whole:
        if not config.teacher.phases:
            yield Decision("teacher.epochs", 0, "the weights are those of all layers")
        return
    yield Decision("teacher.phases", PHASES, "a new head learns first, on features that stay")
    for key, value in TEACHER.items():
        yield Decision(f"teacher.{key}", value, "then all layers, in small steps")
    for key, value in PRUNING.items():
        yield Decision(f"prune.{key}", value, "without batch normalization a network bears less")


def asks_for_published(facts: Facts, config: Any, given: Collection[str]) -> bool:
    """Tell whether it matters if published weights can be had; `given` are the keys that are set.

    They suit colour images that are not small, and the architecture as it was published, without options.
    """
    suits = facts.channels == 3 and bool(facts.sizes) and min(typical_size(facts)) >= PHOTO_SIDE
    architecture = config.teacher.architecture
    is_as_published = hasattr(architecture.module, "IMAGENET") and not architecture.options
    return suits and is_as_published and "teacher.weights" not in given
