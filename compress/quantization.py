"""Static int8 quantization after training, through ONNX Runtime.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference" (2018).
Weights get one scale per channel, activations one per tensor. The scales are stored in QuantizeLinear /
DequantizeLinear pairs (QDQ) around standard operators, so that any runtime can read the file.
"""

from __future__ import annotations

import dataclasses
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from compress.artifacts import OnnxModel
from compress.onnx_tools.canonical import write
from compress.onnx_tools.precisions import INT8
from compress.onnx_tools.signature import INPUT

QUANTIZED_OPERATORS = ["Conv", "Gemm", "MatMul", "MaxPool", "Relu"]
ACTIVATIONS = {"uint8": QuantType.QUInt8, "int8": QuantType.QInt8}
CALIBRATIONS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}


def quantize(
    model: OnnxModel,
    images: np.ndarray,
    file: Path,
    *,
    calibration: Literal["minmax", "entropy", "percentile"],
    activations: Literal["uint8", "int8"],
) -> OnnxModel:
    """Write the int8 version of a float model, with activations calibrated on images `(n, h, w, c) uint8`.

    Returns the quantized model.
    """
    with tempfile.TemporaryDirectory(dir=file.parent) as folder, _without_advice():
        quantized = Path(folder) / "quantized.onnx"
        quantize_static(
            model.file,
            quantized,
            _Reader(images),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTIZED_OPERATORS,
            per_channel=True,
            activation_type=ACTIVATIONS[activations],
            weight_type=QuantType.QInt8,
            calibrate_method=CALIBRATIONS[calibration],
        )
        write(onnx.load(quantized, load_external_data=False), file)
    return dataclasses.replace(model, precision=INT8.name, file=file)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Hide a warning that recommends preprocessing: the converter has already folded batch normalization."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


class _Reader(CalibrationDataReader):
    """Feeds calibration images one by one, because histograms need batches of equal size."""

    def __init__(self, images: np.ndarray) -> None:
        self._images = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        image = next(self._images, None)
        return None if image is None else {INPUT: np.ascontiguousarray(image[np.newaxis])}
