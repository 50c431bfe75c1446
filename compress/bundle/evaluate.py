"""What a bundle makes of labelled images that it may never have seen."""

from __future__ import annotations

import numpy as np

from compress.bundle.classifier import Classifier
from compress.data.samples import Samples
from compress.data.survey import Unreadable, survey
from compress.errors import BadInputError
from compress.report.schema import Metrics
from compress.report.scores import split_metrics

NAMED = 10  # unreadable images in the error


def evaluate(classifier: Classifier, samples: Samples, what: str) -> Metrics:
    """Return the metrics of `split_metrics` on the test split of labelled images, or on all where there are no splits.

    `what` is what messages call them. Raises `BadInputError` for classes that the bundle does not have, and for images
    that cannot be read.
    """
    index = {label: i for i, label in enumerate(classifier.labels)}
    strange = [name for name in samples.classes if name not in index]
    if strange:
        known = ", ".join(map(repr, classifier.labels[:NAMED])) + (", ..." if len(classifier.labels) > NAMED else "")
        raise BadInputError(f"{what}: has a class {strange[0]!r}; {classifier.name} knows {known}")
    chosen = np.arange(len(samples.labels))
    if samples.splits is not None:
        chosen = np.array([i for i, split in enumerate(samples.splits) if split == "test"])
    if not len(chosen):
        raise BadInputError(f"{what}: has no image to test on")
    probabilities: list[np.ndarray] = []

    def classify(pixels: np.ndarray) -> None:
        probabilities.append(classifier.run(pixels)[1])

    looks = survey(samples.images.take(chosen), classifier.preparation, classify, lambda *_: None)
    bad = [look for look in looks if isinstance(look, Unreadable)]
    if bad:
        named = "; ".join(f"{one.name} {one.why}" for one in bad[:NAMED]) + ("; ..." if len(bad) > NAMED else "")
        raise BadInputError(f"{what}: {len(bad)} of {len(looks)} images cannot be read: {named}")
    labels = np.array([index[name] for name in samples.classes])[samples.labels[chosen]]
    return split_metrics(labels, np.concatenate(probabilities), classifier.labels)
