"""What images make of a network's activations, of which calibrators find the ranges that integers have to represent.

Activations are looked at and forgotten: a first pass over the images finds the least and the greatest value of each
tensor on each image, and a second, if a calibrator asks for it, counts the values in bins that span exactly these. So
memory grows by two numbers per image and tensor alone, and results do not depend on how images are batched.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from compress.errors import CompressError

Range = tuple[float, float]
Activations = Callable[[], Iterable[Mapping[str, np.ndarray]]]  # by name, images first; each call begins anew

BINS = 2048


@dataclass(frozen=True)
class Histogram:
    """How many values of a tensor lie in each of `BINS` equal parts of a span, `counts` `(BINS,) int64`."""

    counts: np.ndarray
    span: Range

    @property
    def centers(self) -> np.ndarray:
        """The middles of the parts, `(BINS,) float64`."""
        low, high = self.span
        return low + (np.arange(len(self.counts)) + 0.5) * ((high - low) / len(self.counts))


@dataclass(frozen=True)
class Channels:
    """The largest magnitude in each channel of a tensor of so many dimensions, and its mean, `(channels,) float64`."""

    dimensions: int
    peaks: np.ndarray
    means: np.ndarray


class Observed:
    """Facts about activations, by the names of the tensors; each pass over the images is made when it is asked for."""

    def __init__(self, activations: Activations) -> None:
        self._activations = activations

    @cached_property
    def extremes(self) -> dict[str, np.ndarray]:
        """The least and the greatest value on each image, `(images, 2) float64`.

        Raises `CompressError` for values that are not finite.
        """
        found: dict[str, array[float]] = {}
        for batch in self._activations():
            for name, values in batch.items():
                flat = values.reshape(len(values), -1)
                both = np.stack([flat.min(axis=1), flat.max(axis=1)], axis=1).astype(np.float64)
                if not np.isfinite(both).all():
                    raise CompressError(f"{name}: has values on the calibration images that are not finite")
                found.setdefault(name, array("d")).extend(both.ravel().tolist())
        return {name: np.array(values).reshape(-1, 2) for name, values in found.items()}

    @cached_property
    def spans(self) -> dict[str, Range]:
        """The least and the greatest value on all images; raises `CompressError` as `extremes` does."""
        return {name: (float(both[:, 0].min()), float(both[:, 1].max())) for name, both in self.extremes.items()}

    @cached_property
    def channels(self) -> dict[str, Channels]:
        """What each channel holds: in tensors of four dimensions the second, in others the last."""
        dimensions: dict[str, int] = {}
        peaks: dict[str, np.ndarray] = {}
        sums: dict[str, np.ndarray] = {}
        counts: dict[str, int] = {}
        for batch in self._activations():
            for name, values in batch.items():
                channels = np.moveaxis(values.astype(np.float64), 1 if values.ndim == 4 else -1, 0)
                flat = channels.reshape(len(channels), -1)
                dimensions[name] = values.ndim
                peaks[name] = np.maximum(peaks.get(name, 0.0), np.abs(flat).max(axis=1))
                sums[name] = sums.get(name, 0.0) + flat.sum(axis=1)
                counts[name] = counts.get(name, 0) + flat.shape[1]
        return {name: Channels(dimensions[name], peaks[name], sums[name] / counts[name]) for name in peaks}

    @cached_property
    def histograms(self) -> dict[str, Histogram]:
        """How values are distributed between the least and the greatest one; raises as `extremes` does."""
        counts = {name: np.zeros(BINS, np.int64) for name in self.spans}
        for batch in self._activations():
            for name, values in batch.items():
                exact = values.astype(np.float64)  # in float32, a narrow span has fewer numbers than bins
                counts[name] += np.histogram(exact, BINS, range=self.spans[name])[0]
        return {name: Histogram(counts[name], self.spans[name]) for name in counts}


def narrowest(histogram: Histogram, error: Callable[[Histogram, Range], float]) -> Range:
    """Return the span, or the part of it around 0 whose `error` is least, of parts that differ by a hundredth.

    `error` tells how much is lost where integers represent no more than a part; of equal ones, the widest is returned.
    The range that integers represent always has 0 in it, so that both ends are moved towards 0.
    """
    low, high = min(0.0, histogram.span[0]), max(0.0, histogram.span[1])
    parts = [(low * part / 100, high * part / 100) for part in range(100, 0, -1)]
    if not high > low:
        return histogram.span
    return min(parts, key=lambda part: error(histogram, part))


def checked(ranges: Mapping[str, Range], observed: Observed, calibrator: str) -> dict[str, Range]:
    """Return the ranges that a calibrator gives; raises `CompressError` unless there is a valid one per activation."""
    found = {name: (float(low), float(high)) for name, (low, high) in ranges.items()}
    for name in observed.spans:
        low, high = found.get(name, (np.nan, np.nan))
        if not (np.isfinite([low, high]).all() and low <= high):
            said = f"{low:g} to {high:g}" if name in found else "nothing"
            raise CompressError(f"calibrator {calibrator}: gives {said} for {name}; should give finite ends, in order")
    return found
