"""What short trainings tell: which size of image the classes need, and whether mirrored images are like others."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from compress.children import one_child
from compress.data.preparation import height_and_width
from compress.recipe.sample import Sample, Size
from compress.recipe.short_training import Answers, answers

Flip = Literal["none", "horizontal", "vertical", "both"]

DEFAULT_AREA = 5_000  # pixels, where trials cannot tell: a square of 64, or a rectangle of about its area
MIN_PER_CLASS = 10  # images; with fewer, trials cannot tell
LEARNED = 0.2  # of the way from guessing to telling all images; below, trials cannot tell
SURE = 3.0  # standard errors by which a network has to be better than guessing

LOOK_AHEAD = 2  # larger sizes that are tried in vain before one is enough
WORTH = 0.01  # of recall, that each step to a larger size has to gain
BETTER = 1.645  # standard errors of a difference: one-sided, at 5 %

KEPT = 0.8  # of what is told better than by guessing, that is still told of mirrored images
MIN_TOLD = 5  # images of a class, for its own recall to count
HALF = 0.5  # of a class's recall


@dataclass(frozen=True)
class SizeTrial:
    """The mean of the classes' recalls on `n` held-out images, after a short training at a size."""

    size: Size
    recall: float
    n: int


@dataclass(frozen=True)
class Learned:
    """What trials have told, each with its reason in words; `trials` are the sizes that were tried, small to large."""

    size: Size
    size_reason: str
    flip: Flip
    flip_reason: str
    trials: tuple[SizeTrial, ...] = ()


def learn(sample: Sample, seed: int, status: Callable[[str], None]) -> Learned:
    """Try the sizes of a sample, small to large, until one is enough, and mirrored images at that one.

    It works in a process of its own. `status` takes a line on what is tried. Raises `MachineError` if memory is short.
    """
    sizes = sorted(sample.pixels, key=area_of)
    labels, classes = sample.labels[sample.held_out], sample.classes
    n = len(sample.train) + len(sample.held_out)
    one_sided = 0 in (len(sample.train), len(sample.held_out))  # as few groups can be
    if len(classes) < 2 or n < MIN_PER_CLASS * len(classes) or one_sided:
        why = f"{n:,} images of {len(classes)} classes are too few to try it"
        return Learned(default_size(sizes), why, "none", why)
    told: dict[Size, Answers] = {}
    right: dict[Size, np.ndarray] = {}
    with one_child("the process that tries images was killed; image.size should be set") as child:
        for size in sizes:
            status(f"recipe: trying images at {in_words(size)}")
            images = sample.pixels[size]
            attempt = (images[sample.train], sample.labels[sample.train], images[sample.held_out], len(classes), seed)
            told[size] = child.submit(answers, *attempt).result()
            right[size] = told[size].plain == labels
            if is_enough(right, labels, len(classes)):
                break
    size, trials, size_reason = needed_size(right, labels, len(classes))
    flip, flip_reason = mirrored(told[size], labels, classes)
    return Learned(size, size_reason, flip, flip_reason, trials)


def needed_size(
    right: Mapping[Size, np.ndarray], labels: np.ndarray, classes: int
) -> tuple[Size, tuple[SizeTrial, ...], str]:
    """Return the smallest size that is enough, how well each was told, and the reason in words.

    `right` says for the sizes that were tried, small to large, which of the held-out images were told, `(n,) bool`. A
    size is enough if at none of the larger ones more is told: by a hundredth for each step between them, each of which
    doubles the work (the cost of a network grows with the area, accuracy with its logarithm: Tan and Le,
    "EfficientNet", 2019), and by more than chance, compared on the same images as McNemar's test (1947) does. Classes
    count alike, however many images they have. If no network is clearly better than guessing, it is the default.
    """
    trials = tuple(SizeTrial(size, recall_of(told, labels), len(labels)) for size, told in right.items())
    figures = ", ".join(f"{trial.recall:.3f} at {in_words(trial.size)}" for trial in trials)
    figures = f"short trainings tell {figures} of {len(labels)} images held out"
    found = _smallest(right, labels, classes)
    if found is None:
        return default_size(list(right)), trials, f"{figures}, too little to choose by"
    return found, trials, figures


def is_enough(right: Mapping[Size, np.ndarray], labels: np.ndarray, classes: int) -> bool:
    """Tell whether larger sizes than those tried are not worth trying: arguments as for `needed_size`."""
    found, sizes = _smallest(right, labels, classes), list(right)
    return found is not None and sizes.index(found) + LOOK_AHEAD < len(sizes)


def mirrored(told: Answers, labels: np.ndarray, classes: Sequence[str]) -> tuple[Flip, str]:
    """Return the directions in which images may be mirrored in training, and the reason in words.

    `told` are the answers of a network that has never seen a mirrored image. A direction is plausible if, of what the
    network tells better than by guessing, most is told of mirrored images, and if no class loses half of its recall:
    where two classes are each other's mirror image, these lose all, whatever the others keep.
    """
    plain, chance = told.plain == labels, 1 / len(classes)
    said = [f"a short training tells {recall_of(plain, labels):.3f} of the images held out"]
    if not is_learned(plain, labels, len(classes)):
        return "none", f"{said[0]}, too little to try mirrored ones"
    kept: list[Literal["horizontal", "vertical"]] = []
    for direction in ("horizontal", "vertical"):
        right = getattr(told, direction) == labels
        recall, lost = recall_of(right, labels), _lost(plain, right, labels)
        said.append(f"{recall:.3f} mirrored {direction}ly")
        if recall - chance < KEPT * (recall_of(plain, labels) - chance):
            continue
        if lost is None:
            kept.append(direction)
        else:
            said[-1] += f" but {right[labels == lost].mean():.3f} of {classes[lost]!r}"
    flip: Flip = "both" if len(kept) == 2 else kept[0] if kept else "none"
    return flip, ", ".join(said)


def is_learned(right: np.ndarray, labels: np.ndarray, classes: int) -> bool:
    """Tell whether a network that tells these images is clearly better than guessing, so that trials can tell."""
    chance, weights = 1 / classes, _weights(labels)
    gain = recall_of(right, labels) - chance
    return gain >= max(LEARNED * (1 - chance), SURE * math.sqrt(chance * (1 - chance) * (weights**2).sum()))


def recall_of(right: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean of the classes' recalls; `right` says which images were told, `(n,) bool`."""
    return float((_weights(labels) * right).sum())


def default_size(sizes: Sequence[Size]) -> Size:
    """Return the largest of some sizes, small to large, that has no more pixels than the default."""
    return next((size for size in reversed(sizes) if area_of(size) <= DEFAULT_AREA), sizes[0])


def area_of(size: Size) -> int:
    """Return how many pixels an image of a size has."""
    return math.prod(height_and_width(size))


def in_words(size: Size) -> str:
    """Return a size as height x width."""
    return "x".join(map(str, height_and_width(size)))


def _smallest(right: Mapping[Size, np.ndarray], labels: np.ndarray, classes: int) -> Size | None:
    """Return the smallest size that is enough, None if nothing is learned at any."""
    told = list(right.values())
    for i, size in enumerate(right):
        if is_learned(told[i], labels, classes) and not any(
            _is_worth(told[i], told[j], j - i, labels) for j in range(i + 1, len(told))
        ):
            return size
    return None


def _is_worth(small: np.ndarray, large: np.ndarray, steps: int, labels: np.ndarray) -> bool:
    gains = _weights(labels) * (large.astype(float) - small)
    return gains.sum() > max(WORTH * steps, BETTER * math.sqrt((gains**2).sum()))


def _lost(plain: np.ndarray, mirrored: np.ndarray, labels: np.ndarray) -> int | None:
    """Return the class of which least is left of what was told, if that is less than half; None if there is none."""
    left = {label: mirrored[labels == label].sum() / told for label, told in _told(plain, labels).items()}
    worst = min(left, key=lambda label: left[label], default=None)
    return worst if worst is not None and left[worst] < HALF else None


def _told(right: np.ndarray, labels: np.ndarray) -> dict[int, int]:
    """Return how many images were told of each class, those left out of which it is too few to judge by."""
    counts = np.bincount(labels[right])
    return {label: int(told) for label, told in enumerate(counts) if told >= MIN_TOLD}


def _weights(labels: np.ndarray) -> np.ndarray:
    """Return the weight of each image in the mean of the classes' recalls, `(n,) float64`; their sum is 1."""
    counts = np.bincount(labels)
    return 1 / (np.count_nonzero(counts) * counts[labels])
