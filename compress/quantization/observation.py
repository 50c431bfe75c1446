"""What images make of a network's activations, of which calibrators find the ranges that integers have to represent.

Activations are looked at and forgotten: a first pass over the images finds the least and the greatest value of each
tensor, and a second, if a calibrator asks for it, counts the values in bins that span exactly these. So memory does not
depend on the number of images, nor do results on how they are batched.
"""

from __future__ import annotations

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


class Observed:
    """Facts about activations, by the names of the tensors; each pass over the images is made when it is asked for."""

    def __init__(self, activations: Activations) -> None:
        self._activations = activations

    @cached_property
    def extremes(self) -> dict[str, np.ndarray]:
        """The least and the greatest value on each image, `(images, 2) float64`.

        Raises `CompressError` for values that are not finite.
        """
        found: dict[str, list[np.ndarray]] = {}
        for batch in self._activations():
            for name, values in batch.items():
                flat = values.reshape(len(values), -1)
                both = np.stack([flat.min(axis=1), flat.max(axis=1)], axis=1).astype(np.float64)
                if not np.isfinite(both).all():
                    raise CompressError(f"{name}: has values on the calibration images that are not finite")
                found.setdefault(name, []).append(both)
        return {name: np.concatenate(parts) for name, parts in found.items()}

    @cached_property
    def spans(self) -> dict[str, Range]:
        """The least and the greatest value on all images."""
        return {name: (float(low.min()), float(high.max())) for name, (low, high) in self._columns()}

    @cached_property
    def histograms(self) -> dict[str, Histogram]:
        """How values are distributed between the least and the greatest one."""
        counts = {name: np.zeros(BINS, np.int64) for name in self.spans}
        for batch in self._activations():
            for name, values in batch.items():
                counts[name] += np.histogram(values, BINS, range=self.spans[name])[0]
        return {name: Histogram(counts[name], self.spans[name]) for name in counts}

    def _columns(self) -> Iterable[tuple[str, tuple[np.ndarray, np.ndarray]]]:
        for name, both in self.extremes.items():
            yield name, (both[:, 0], both[:, 1])


def narrowest(histogram: Histogram, error: Callable[[Histogram, Range], float]) -> Range:
    """Return the span, or the part of it around 0 whose error is least, of parts that differ by a hundredth.

    The range that integers represent always has 0 in it, so that both ends are moved towards 0.
    """
    low, high = min(0.0, histogram.span[0]), max(0.0, histogram.span[1])
    parts = [(low * part / 100, high * part / 100) for part in range(100, 0, -1)]
    if not high > low:
        return histogram.span
    return min(parts, key=lambda part: error(histogram, part))
