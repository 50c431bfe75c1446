"""The range that keeps most of what the distribution of values tells.

Migacz, "8-bit Inference with TensorRT" (2017): the least Kullback-Leibler divergence between values and levels. Where a
span begins at 0, its first part holds the zeros that ReLU makes. They are left out: beside so many, clipping the few
large values would seem to cost nothing.
"""

from __future__ import annotations

import numpy as np

from compress.quantization.observation import Histogram, Observed, Range, narrowest
from compress.quantization.rounding import LEVELS

LEAST = 1e-9  # in place of a probability of 0, whose logarithm is not finite


def ranges(observed: Observed) -> dict[str, Range]:
    """Return for each activation the part of its span with the least divergence; raises as `Observed` does."""
    return {name: narrowest(_without_zeros(histogram), _divergence) for name, histogram in observed.histograms.items()}


def _without_zeros(histogram: Histogram) -> Histogram:
    """Return the histogram with as many values in the first part as in the second, if the span begins at 0."""
    if histogram.span[0] != 0.0:
        return histogram
    counts = histogram.counts.copy()
    counts[0] = counts[1]
    return Histogram(counts, histogram.span)


def _divergence(histogram: Histogram, part: Range) -> float:
    """Return the divergence of what levels tell of the values within a part, from all values, clipped to it."""
    low, high = part
    centers = histogram.centers
    inside = (centers >= low) & (centers <= high)
    if not inside.any():
        return np.inf
    counts = histogram.counts[inside].astype(np.float64)
    levels = np.rint((centers[inside] - low) / (high - low) * (LEVELS - 1)).astype(np.int64)
    values = np.bincount(levels, counts, LEVELS) / np.maximum(1, np.bincount(levels, counts > 0, LEVELS))
    told = np.where(counts > 0, values[levels], 0.0)
    counts[0] += histogram.counts[centers < low].sum()
    counts[-1] += histogram.counts[centers > high].sum()
    seen = counts > 0
    p, q = counts[seen] / counts.sum(), np.maximum(told[seen] / max(told.sum(), 1.0), LEAST)
    return float(p @ np.log(p / q))
