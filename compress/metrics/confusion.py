"""Precision, recall and F1 from a confusion matrix: of each class, as means over classes, and with intervals."""

from __future__ import annotations

import numpy as np

RESAMPLES = 1000


def confusion_matrix(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return counts of images, `(classes, classes) int64`: rows by true class, columns by most probable class.

    `labels` is `(n,) int64`, `probabilities` `(n, classes) float32`.
    """
    from sklearn.metrics import confusion_matrix as count

    return count(labels, probabilities.argmax(axis=1), labels=np.arange(probabilities.shape[1]))


def class_scores(right: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
    """Return each class's precision, recall and f1, `(..., classes) float64`; 0/0 counts as 0.

    The arguments are counts of images, `(..., classes)`: those of a class that were predicted as it, all of the class,
    and all predicted as it.
    """
    return {
        "precision": right / np.maximum(predicted, 1),
        "recall": right / np.maximum(true, 1),
        "f1": 2 * right / np.maximum(true + predicted, 1),
    }


def macro_averages(right: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
    """Return precision, recall and f1 as means over the classes that have examples, `(...) float64`.

    Arguments as for `class_scores`. A class that was never predicted has precision 0.
    """
    present = true > 0
    scores = class_scores(right, true, predicted)
    return {name: (values * present).sum(axis=-1) / present.sum(axis=-1) for name, values in scores.items()}


def macro_intervals(confusion: np.ndarray) -> dict[str, tuple[float, float]]:
    """Return 95 % intervals of the macro averages of a confusion matrix, `(classes, classes) int64`.

    The percentile bootstrap of Efron (1979): 1,000 times, always with the same random numbers, as many images as the
    matrix counts are drawn from its cells with replacement. What was never seen is never drawn: without an error, the
    interval is the point 1, however few the images.
    """
    from scipy.sparse import csr_array

    rows, columns = np.nonzero(confusion)
    cells = confusion[rows, columns]
    drawn = np.random.default_rng(0).multinomial(cells.sum(), cells / cells.sum(), size=RESAMPLES)

    def total(by: np.ndarray, kept: np.ndarray) -> np.ndarray:  # (resamples, classes)
        cell = np.arange(len(cells))
        return drawn @ csr_array((kept.astype(np.int64), (cell, by)), shape=(len(cells), len(confusion)))

    every = np.ones(len(cells), bool)
    averages = macro_averages(total(rows, rows == columns), total(rows, every), total(columns, every))
    bounds = {name: np.percentile(values, [2.5, 97.5]) for name, values in averages.items()}
    return {name: (float(low), float(high)) for name, (low, high) in bounds.items()}
