"""Intervals of proportions and of their differences."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson(correct: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval (1927) for a proportion of `correct` in `n` > 0."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p = correct / n
    centre = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def paired_difference(only_first: int, only_second: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return an interval for the first accuracy minus the second, both on the same `n` images.

    `only_first` and `only_second` count the images that only that classifier gets right. It is the adjusted Wald
    interval of Agresti and Min (2005), which adds half an image to each of the four cells (right or wrong, first and
    second).
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    total = n + 2
    difference = (only_first - only_second) / total
    half = z * math.sqrt((only_first + only_second + 1) / total - difference**2) / math.sqrt(total)
    return max(-1.0, difference - half), min(1.0, difference + half)


def unpaired_difference(
    first: float, first_bounds: tuple[float, float], second: float, second_bounds: tuple[float, float]
) -> tuple[float, float]:
    """Return an interval for the first proportion minus the second, on different images.

    It is Newcombe's (1998, method 10), from Wilson's bounds of each.
    """
    difference = first - second
    low = math.hypot(first - first_bounds[0], second_bounds[1] - second)
    high = math.hypot(first_bounds[1] - first, second - second_bounds[0])
    return max(-1.0, difference - low), min(1.0, difference + high)
