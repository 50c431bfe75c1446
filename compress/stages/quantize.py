"""Quantize a network to int8 after training, calibrated on training images."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from compress.artifacts import Dataset, Network, OnnxModel
from compress.context import Context


class Config(BaseModel):
    """How activation ranges are found, and which integers stand for them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    calibration: Literal["minmax", "entropy", "percentile"] = Field(
        "minmax", description="How a range is taken from the activations that were seen."
    )
    images: int = Field(256, ge=1, le=100_000, description="Training images to calibrate on, at most.")
    activations: Literal["uint8", "int8"] = Field(
        "uint8", description="uint8 is faster on processors with VNNI, int8 is safe without it."
    )


def run(config: Config, network: Network, data: Dataset, out: Path, context: Context) -> OnnxModel:
    """Write the network as int8 ONNX."""
    import dataclasses

    from compress.onnx_tools.convert import to_onnx
    from compress.quantization import quantize

    float_model = to_onnx(network, context.checkpoint / "float.onnx")
    context.progress(0.5, "converted, now calibrating")
    quantized = quantize(
        float_model,
        data.images("train")[: config.images],  # the splits are shuffled: any part is a fair sample
        out / "model.onnx",
        calibration=config.calibration,
        activations=config.activations,
    )
    return dataclasses.replace(quantized, stage=context.stage)
