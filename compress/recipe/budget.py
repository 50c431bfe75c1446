"""What a budget of time leaves of a run: how many epochs and views, of which teacher and images of which size.

What a run does besides training takes as long as it takes; trainings share the rest. The teacher may take many epochs,
of which it seldom needs all: those beyond a fair length go first. Rather than that trainings get shorter than fair, the
teacher gets half of its filters; then all are cut in proportion.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from compress.config import updated
from compress.context import Decision
from compress.estimate import Facts
from compress.recipe.training_rules import HALF, WIDTH, may_be_narrower

SIZE = "image.size"
KEYS = {
    "teacher": ("teacher.epochs",),
    "prune": ("prune.epochs",),
    "distill": ("distill.epochs", "distill.views"),
    "prune_student": ("prune_student.epochs",),
}
ALL_KEYS = (WIDTH, SIZE, *(key for keys in KEYS.values() for key in keys))  # that a budget may change
LEAST_STEPS = 100  # of a training, without which it learns hardly anything
FAIR_STEPS = {"teacher": 1000, "prune": 500, "prune_student": 500}  # with fewer, all trainings become shorter
FAIR = 1.0  # a length, see `Fit`: below it, a teacher of half the filters, trained for longer, is as accurate
USEFUL = 1 / 3  # below it, fewer views, a still narrower teacher or smaller images cost less accuracy
LEAST_VIEWS = 2  # the image itself, and one that is changed
LEAST_WIDTH = 0.25  # of the teacher's filters
LEAST_SIDE = 32  # pixels, which five poolings leave one of
SEARCH_STEPS = 12  # each halves the range in which the fraction lies


@dataclass(frozen=True)
class Limits:
    """What a fit has to keep to.

    `given` are the dotted keys that the user has set, which stay, `undecided` the stages in `KEYS` whose length is
    open. `seconds_of` says how long what is still to run takes with some settings, `available` how long it may take.
    """

    given: Collection[str]
    undecided: Collection[str]
    facts: Facts
    seconds_of: Callable[[Any], float]
    available: float


@dataclass(frozen=True)
class Fit:
    """Settings with which a run is as long as its budget lets it be.

    `length` is that of its trainings, from 0 for the least over 1 for a fair one to 2 for the usual one; below 0 if the
    run takes longer than it may even with the least. `seconds` is what it takes.
    """

    config: Any
    length: float
    seconds: float


def fit(config: Any, limits: Limits) -> Fit:
    """Return the settings with the longest trainings that end in time, or with the shortest ones if none do."""
    found = Fit(config, -1.0, math.inf)
    for fewer in _with_fewer_views(config, limits):
        found = _longest(fewer, limits)
        if found.length >= USEFUL:
            break
    return found


def cheaper(config: Any, given: Collection[str]) -> Iterator[tuple[dict[str, Any], float]]:
    """Yield settings to change, each cheaper than those before, and the length of trainings below which to take them.

    The teacher, if it is VGG16 from random weights, gets half of its filters, then half of these; then square images
    get smaller, to about half the area each time.
    """
    changes: dict[str, Any] = {}
    width = value_of(config, WIDTH)
    while may_be_narrower(config.teacher) and WIDTH not in given and width > LEAST_WIDTH:
        width /= 2
        changes = {**changes, WIDTH: width}
        yield changes, FAIR if width >= HALF else USEFUL
    size = config.image.size
    while SIZE not in given and isinstance(size, int) and size > LEAST_SIDE:
        size = max(LEAST_SIDE, 16 * round(size / math.sqrt(2) / 16))
        changes = {**changes, SIZE: size}
        yield changes, USEFUL


def value_of(config: Any, key: str) -> Any:
    """Return a setting by one of the dotted keys that a budget may change."""
    if key == WIDTH:
        return config.teacher.architecture.options.get("width", 1.0)
    section, name = key.split(".")
    return getattr(getattr(config, section), name)


def decisions_of(usual: Any, fitted: Any, budget: str) -> tuple[Decision, ...]:
    """Return what was given up of the usual settings, key by key."""
    values = [(key, value_of(usual, key), value_of(fitted, key)) for key in ALL_KEYS]
    return tuple(
        Decision(key, now, f"{before} without the budget of {budget}") for key, before, now in values if now != before
    )


def _longest(config: Any, limits: Limits) -> Fit:
    sections = [section for section in limits.undecided if f"{section}.epochs" not in limits.given]
    usual = {section: getattr(config, section).epochs for section in sections}
    enough = {name: _epochs(FAIR_STEPS[name], config, name, limits.facts) for name in usual.keys() & FAIR_STEPS.keys()}
    fair = {name: min(n, enough.get(name, n)) for name, n in usual.items()}
    least = {name: min(n, _epochs(LEAST_STEPS, config, name, limits.facts)) for name, n in fair.items()}

    def of_length(length: float) -> dict[str, int]:
        first, second = min(1.0, length), max(0.0, length - 1.0)
        return {
            name: int(least[name] + first * (fair[name] - least[name]) + second * (usual[name] - fair[name]) + 1e-9)
            for name in usual
        }

    def tried(epochs: dict[str, int], length: float) -> Fit:
        settings = updated(config, {f"{name}.epochs": n for name, n in epochs.items()}, "the budget")
        return Fit(settings, length, limits.seconds_of(settings))

    if (whole := tried(usual, 2.0)).seconds <= limits.available:
        return whole
    if (shortest := tried(least, -1.0)).seconds > limits.available:
        return shortest
    low, high = 0.0, 2.0
    for _ in range(SEARCH_STEPS):
        middle = (low + high) / 2
        ends_in_time = tried(of_length(middle), middle).seconds <= limits.available
        low, high = (middle, high) if ends_in_time else (low, middle)
    epochs = of_length(low)
    for name in usual:  # whole epochs leave some time over
        more = {**epochs, name: min(usual[name], epochs[name] + 1)}
        epochs = more if tried(more, low).seconds <= limits.available else epochs
    return tried(epochs, low)


def _with_fewer_views(config: Any, limits: Limits) -> Iterator[Any]:
    yield config
    views = config.distill.views
    while "distill" in limits.undecided and "distill.views" not in limits.given and views > LEAST_VIEWS:
        views = max(LEAST_VIEWS, views // 2)
        yield updated(config, {"distill.views": views}, "the budget")


def _epochs(steps: int, config: Any, section: str, facts: Facts) -> int:
    """Return how many epochs of a training have as many steps."""
    settings = getattr(config, section)
    images = facts.n_train * settings.views if section == "distill" else facts.n_balanced
    return math.ceil(steps / math.ceil(images / settings.batch_size))
