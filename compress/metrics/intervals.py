"""Intervals of proportions."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson(correct: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval (1927) of a proportion of `correct` among `n` > 0."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p = correct / n
    centre = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)
