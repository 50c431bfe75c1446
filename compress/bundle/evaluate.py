"""Measuring a bundle on labelled images, which may be others than those it was made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from compress.bundle.classifier import Classifier
from compress.bundle.contents import MANIFEST, read_json
from compress.data.describe import DESCRIPTION, dark
from compress.data.names import canonical, spellings
from compress.data.proportions import effect, proportions
from compress.data.samples import Samples
from compress.data.survey import Look, Unreadable, survey
from compress.errors import BadInputError
from compress.plural import counted
from compress.report.schema import Metrics
from compress.report.scores import split_metrics

MAX_NAMED = 10  # classes or unreadable images in an error message


def counts_training_images(folder: Path, samples: Samples, name: str) -> bool:
    """Tell whether all images of the data that a bundle was made from would be counted, those it trained on included.

    `name` is what a run on the data would call them. Data are the same if they have this name, or as many images of
    each class as data.json counts. Splits of their own keep the test images apart.
    """
    if samples.splits is not None:
        return False
    made_from = read_json(folder, MANIFEST).get("data")
    if isinstance(made_from, dict) and made_from.get("name") == name:
        return True
    try:
        classes = read_json(folder, DESCRIPTION)["classes"]
        counted = {canonical(label): sum(splits.values()) for label, splits in classes.items()}
    except (BadInputError, KeyError, AttributeError, TypeError):
        return False
    return counted == Counter(samples.classes[label] for label in samples.labels)


def evaluate(
    classifier: Classifier, samples: Samples, what: str, note: Callable[[str], None] = lambda line: None
) -> Metrics:
    """Return the metrics of `split_metrics` on the test split of labelled images, or on all if there are no splits.

    `what` names the images in messages; `note` is called with each line that a user should read. Raises `BadInputError`
    if the bundle does not know one of the classes, or knows it twice, or if an image cannot be read.
    """
    index = {canonical(label): i for i, label in enumerate(classifier.labels)}
    if len(index) < len(classifier.labels):
        raise BadInputError(f"{classifier.name}: {spellings(classifier.labels)[0]}; should have each class once")
    counts = np.bincount(samples.labels, minlength=len(samples.classes))
    unknown = [name for name, n in zip(samples.classes, counts, strict=True) if n and name not in index]
    if unknown:
        known = ", ".join(map(repr, classifier.labels[:MAX_NAMED]))
        more = ", ..." if len(classifier.labels) > MAX_NAMED else ""
        raise BadInputError(f"{what}: has a class {unknown[0]!r}; {classifier.name} knows {known}{more}")
    chosen = np.arange(len(samples.labels))
    if samples.splits is not None:
        chosen = np.array([i for i, split in enumerate(samples.splits) if split == "test"])
    if not len(chosen):
        raise BadInputError(f"{what}: has no image to test on")
    probabilities: list[np.ndarray] = []

    def classify(pixels: np.ndarray) -> None:
        probabilities.append(classifier.run(pixels)[1])

    findings = survey(samples.images.take(chosen), classifier.preparation, classify, lambda *_: None)
    bad = [image for image in findings if isinstance(image, Unreadable)]
    if bad:
        named = "; ".join(f"{image.name} {image.why}" for image in bad[:MAX_NAMED])
        more = "; ..." if len(bad) > MAX_NAMED else ""
        raise BadInputError(f"{what}: {len(bad)} of {counted(len(findings), 'image')} cannot be read: {named}{more}")
    looks = [look for look in findings if isinstance(look, Look)]
    taken = effect(proportions([look.size for look in looks], classifier.preparation))
    said = [f"image.fit = {classifier.preparation['fit']} {taken}"] if taken else []
    for line in (*samples.notes, *dark({"": max(look.brightest for look in looks)}), *said):
        note(f"{what}: {line}")
    labels = np.array([index.get(name, -1) for name in samples.classes])[samples.labels[chosen]]
    return split_metrics(labels, np.concatenate(probabilities), classifier.labels)
