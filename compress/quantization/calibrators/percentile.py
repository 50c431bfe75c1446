"""Nearly all values: a few outliers would take levels from all others.

Wu et al., "Integer Quantization for Deep Learning Inference: Principles and Empirical Evaluation" (2020), section 4.2.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from compress.quantization.observation import Histogram, Observed, Range


def ranges(observed: Observed, *, percent: Annotated[float, Field(gt=0, le=100)] = 99.999) -> dict[str, Range]:
    """Return bounds, to a bin, between which `percent` of the values lie, and as many below as above.

    Raises as `Observed` does.
    """
    return {name: _range(histogram, percent) for name, histogram in observed.histograms.items()}


def _range(histogram: Histogram, percent: float) -> Range:
    low, high = histogram.span
    shares = np.cumsum(histogram.counts) / histogram.counts.sum()
    cut = (100 - percent) / 200
    first, last = np.searchsorted(shares, [cut, 1 - cut])
    width = (high - low) / len(histogram.counts)
    return low + float(first) * width, min(high, low + float(last + 1) * width)
