"""An int8 model for tests, in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from compress.artifacts import OnnxModel
from compress.quantization.static import observing, quantize
from compress.stages.quantize import Calibrator


def int8_of(
    model: OnnxModel, images: np.ndarray, file: Path, calibration: str = "minmax", activations: Any = "uint8"
) -> OnnxModel:
    """Return the int8 version of a float model, calibrated on images."""
    with observing(model, images) as observed:
        ranges = Calibrator(name=calibration).function(observed)
    return quantize(model, ranges, file, activations=activations)
