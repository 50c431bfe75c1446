"""Averages of the least and the greatest value of each image, as networks keep them that are trained for integers.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference" (2018),
section 3.1. The average is corrected for its beginning, so that the first image weighs no more than others.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from compress.quantization.observation import Observed, Range


def ranges(observed: Observed, *, momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99) -> dict[str, Range]:
    """Return averages in which each image weighs `momentum` times as much as the next; raises as `Observed` does."""
    found = {}
    for name, extremes in observed.extremes.items():
        weights = momentum ** np.arange(len(extremes) - 1, -1, -1, dtype=np.float64)
        low, high = (weights @ extremes / weights.sum()).tolist()
        found[name] = low, high
    return found
