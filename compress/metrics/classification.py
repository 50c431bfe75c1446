"""Metrics of a classifier's probabilities, through scikit-learn."""

from __future__ import annotations

import numpy as np


def accuracy_counts(labels: np.ndarray, probabilities: np.ndarray) -> tuple[int, int]:
    """Return how many images were classified correctly, and of how many.

    `labels` is `(n,) int64`, `probabilities` `(n, classes) float32`.
    """
    return int((probabilities.argmax(axis=1) == labels).sum()), len(labels)


def class_counts(labels: np.ndarray, probabilities: np.ndarray) -> list[tuple[int, int]]:
    """Return for each class how many of its images were classified correctly, and of how many; arguments as above."""
    right = probabilities.argmax(axis=1) == labels
    classes = range(probabilities.shape[1])
    return [(int(right[labels == label].sum()), int((labels == label).sum())) for label in classes]


def macro_averages(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Return precision, recall and f1 as means over classes, and auc as the mean of one-versus-rest areas.

    A class that was never predicted has precision 0. A class without examples is left out of all means, one with
    nothing but examples out of auc's; with no area at all auc is not a number.
    """
    from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

    classes = probabilities.shape[1]
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, probabilities.argmax(axis=1), labels=np.unique(labels), average="macro", zero_division=0
    )
    one_hot = np.eye(classes, dtype=bool)[labels]
    counts = one_hot.sum(axis=0)
    areas = [roc_auc_score(one_hot[:, c], probabilities[:, c]) for c in range(classes) if 0 < counts[c] < len(labels)]
    auc = float(np.mean(areas)) if areas else float("nan")
    return {"precision": float(precision), "recall": float(recall), "f1": float(f1), "auc": auc}
