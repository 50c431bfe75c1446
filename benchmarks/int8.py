"""An int8 model in one step, for benchmarks and tests."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from compress.artifacts import OnnxModel
from compress.quantization.settings import Calibrator
from compress.quantization.static import observed, quantize


def int8_of(
    model: OnnxModel, images: np.ndarray, file: Path, calibration: str = "minmax", activations: Any = "uint8"
) -> OnnxModel:
    """Write the int8 version of a float model, calibrated on images `(n, h, w, c) uint8`; return it."""
    with tempfile.TemporaryDirectory() as folder:
        ranges = Calibrator(name=calibration).function(observed(model, images, Path(folder)))
    return quantize(model, ranges, file, activations=activations)
