"""Calibration: the range of each activation that integers have to represent, from what images make of it.

Activations are looked at and forgotten: a first pass over the images finds the least and the greatest value of each
tensor, and a second, where a method asks for it, counts the values in bins that span exactly these. So memory does not
depend on the number of images, nor the ranges on their order or on how they are batched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import numpy as np

from compress.errors import CompressError

Method = Literal["minmax", "entropy", "percentile"]
Range = tuple[float, float]
Batches = Callable[[], Iterable[Mapping[str, np.ndarray]]]  # activations by name; each call begins anew

BINS = 2048
PERCENT = 99.999  # of the values that a range of method percentile holds


def ranges(batches: Batches, method: Method, percent: float = PERCENT) -> dict[str, Range]:
    """Return the lowest and highest value to represent, by the names of the activations.

    With minmax, every value lies within its tensor's range; with percentile, `percent` of them do, and as many lie
    below as above, to within one of 2,048 bins. Entropy (Migacz, "8-bit Inference with TensorRT", 2017) is that of ONNX
    Runtime, which puts 128 bins into 128 levels: that loses nothing wherever it ends, so that the whole range is kept.

    Raises `CompressError` for values that are not finite.
    """
    extremes = _extremes(batches())
    if method != "percentile":
        return extremes
    counts = _histograms(batches(), extremes)
    return {name: _percentile_range(counts[name], extremes[name], percent) for name in extremes}


def _extremes(batches: Iterable[Mapping[str, np.ndarray]]) -> dict[str, Range]:
    found: dict[str, Range] = {}
    for batch in batches:
        for name, values in batch.items():
            low, high = float(values.min()), float(values.max())
            if not np.isfinite([low, high]).all():
                raise CompressError(f"{name}: has values on the calibration images that are not finite")
            before = found.get(name, (low, high))
            found[name] = min(low, before[0]), max(high, before[1])
    return found


def _histograms(batches: Iterable[Mapping[str, np.ndarray]], spans: Mapping[str, Range]) -> dict[str, np.ndarray]:
    """Return how many values lie in each of `BINS` equal parts of their tensor's span."""
    counts = {name: np.zeros(BINS, np.int64) for name in spans}
    for batch in batches:
        for name, values in batch.items():
            counts[name] += np.histogram(values, BINS, range=spans[name])[0]
    return counts


def _percentile_range(counts: np.ndarray, span: Range, percent: float) -> Range:
    """Return the bounds, to a bin, between which `percent` of the counted values lie, and as many below as above."""
    low, high = span
    shares = np.cumsum(counts) / counts.sum()
    cut = (100 - percent) / 200
    first, last = np.searchsorted(shares, [cut, 1 - cut])
    width = (high - low) / len(counts)
    return low + float(first) * width, min(high, low + float(last + 1) * width)
