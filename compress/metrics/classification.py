"""Metrics of a classifier's probabilities, through scikit-learn where it has them.

Throughout, `labels` is `(n,) int64`, indices of classes, and `probabilities` `(n, classes) float32`; n > 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

BINS = 15  # of the calibration error, as in Guo et al. (2017)


class Result(NamedTuple):
    """How good logits are: accuracy and the mean of the classes' recalls, fractions, and mean cross-entropy, nats."""

    accuracy: float
    recall: float
    cross_entropy: float


def result_of(logits: np.ndarray, labels: np.ndarray) -> Result:
    """Return how good logits `(n, classes)` are."""
    log_probabilities = log_softmax(logits)
    right = logits.argmax(axis=1) == labels
    return Result(
        accuracy=float(right.mean()),
        recall=float(np.mean([right[labels == label].mean() for label in np.unique(labels)])),
        cross_entropy=float(-log_probabilities[np.arange(len(labels)), labels].mean()),
    )


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the logarithms of the probabilities that logits `(n, classes)` stand for, computed in float64."""
    exact = logits.astype(np.float64)
    shifted = exact - exact.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def accuracy_counts(labels: np.ndarray, probabilities: np.ndarray) -> tuple[int, int]:
    """Return how many images were classified correctly, and how many there are."""
    return int((probabilities.argmax(axis=1) == labels).sum()), len(labels)


def top_k_count(labels: np.ndarray, probabilities: np.ndarray, k: int) -> int:
    """Return for how many images the true class is among the `k` most probable; `k` < classes."""
    from sklearn.metrics import top_k_accuracy_score

    classes = np.arange(probabilities.shape[1])
    return int(top_k_accuracy_score(labels, probabilities, k=k, labels=classes, normalize=False))


def class_counts(labels: np.ndarray, probabilities: np.ndarray) -> list[tuple[int, int]]:
    """Return for each class how many of its images were classified correctly, and how many it has."""
    right = probabilities.argmax(axis=1) == labels
    classes = range(probabilities.shape[1])
    return [(int(right[labels == label].sum()), int((labels == label).sum())) for label in classes]


def auc(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Return the mean of the classes' one-versus-rest areas under the ROC curve.

    A class of no images, or of all images, has no area and is left out; None if that leaves no class.
    """
    from sklearn.metrics import roc_auc_score

    classes = probabilities.shape[1]
    one_hot = np.eye(classes, dtype=bool)[labels]
    counts = one_hot.sum(axis=0)
    areas = [roc_auc_score(one_hot[:, c], probabilities[:, c]) for c in range(classes) if 0 < counts[c] < len(labels)]
    return float(np.mean(areas)) if areas else None


def cross_entropy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean of minus the logarithm of the true class's probability, in nats.

    Probabilities are clipped to float32's resolution (1.2e-7) from below, so that the mean is finite.
    """
    from sklearn.metrics import log_loss

    return float(log_loss(labels, probabilities, labels=np.arange(probabilities.shape[1])))


def calibration_bins(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return for each of 15 bins how many images it has, the sum of their highest probabilities, how many are right.

    The result is `(bins, 3) float64`. Bins are of equal width, by the highest probability; each includes its upper
    edge.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    bins = np.digitize(confidence, np.linspace(0, 1, BINS + 1)[1:-1], right=True)
    parts = (None, confidence, right)
    return np.stack([np.bincount(bins, weights=part, minlength=BINS).astype(np.float64) for part in parts], axis=1)


def calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the expected calibration error of Guo et al. (2017), a fraction.

    It is the mean over images of the distance between their bin's accuracy and its mean highest probability.
    """
    _, confidence, right = calibration_bins(labels, probabilities).T
    return float(np.abs(right - confidence).sum() / len(labels))
