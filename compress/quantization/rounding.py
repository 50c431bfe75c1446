"""What 8-bit integers make of numbers."""

from __future__ import annotations

import numpy as np

from compress.quantization.observation import Range

LEVELS = 256


def rounded(values: np.ndarray, span: Range) -> np.ndarray:
    """Return values as 8-bit integers over this range, which is extended to 0, would represent them."""
    low, high = min(0.0, span[0]), max(0.0, span[1])
    scale = (high - low) / (LEVELS - 1) or 1.0
    zero_point = np.rint(-low / scale)
    return (np.clip(np.rint(values / scale) + zero_point, 0, LEVELS - 1) - zero_point) * scale
