"""Two classifiers on the same images."""

from __future__ import annotations

import numpy as np


def only_right(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[int, int]:
    """Return how many images only the first of two classifiers gets right, and how many only the second.

    `labels` is `(n,) int64`, as are `first` and `second`, the classes that they name.
    """
    a, b = first == labels, second == labels
    return int((a & ~b).sum()), int((b & ~a).sum())


def changed(first: np.ndarray, second: np.ndarray) -> float:
    """Return the share of images that two classifiers put into different classes; arguments as for `only_right`."""
    return float((first != second).mean())


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p-value of McNemar's test (1947), a binomial test on the images that differ.

    The hypothesis is that both classifiers are equally often right; if no image differs, p is 1.
    """
    from scipy.stats import binomtest

    differing = only_first + only_second
    return float(binomtest(only_first, differing).pvalue) if differing else 1.0
