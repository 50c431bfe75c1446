"""Convert a network to ONNX and quantize it to int8, calibrated on training images."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from compress.artifacts import Dataset, Models, Network
from compress.context import Context


class Config(BaseModel):
    """How the ranges of activations are found, and which integers represent them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    calibration: Literal["minmax", "entropy", "percentile"] = Field(
        "minmax",
        description="The range of activations that is kept: of all calibration images (minmax, and entropy, for which "
        "ONNX Runtime leaves nothing to cut), or 99.999 % of it (percentile).",
    )
    images: int = Field(256, ge=1, le=100_000, description="Training images to calibrate on, at most.")
    activations: Literal["uint8", "int8"] = Field(
        "uint8", description="uint8 is faster on processors with VNNI, int8 is safe without it."
    )


def run(config: Config, network: Network, data: Dataset, out: Path, context: Context) -> Models:
    """Write the network as ONNX, float and int8."""
    import dataclasses

    from compress.data.images import images_of
    from compress.onnx_tools.convert import to_onnx
    from compress.quantization.static import quantize

    context.progress(0.0, "converting")
    fp32 = to_onnx(network, out / "fp32.onnx")
    context.progress(0.5, "calibrating")
    int8 = quantize(
        fp32,
        images_of(data, "train")[: config.images],  # the splits are shuffled, so any part is a random sample
        out / "int8.onnx",
        calibration=config.calibration,
        activations=config.activations,
    )
    int8 = dataclasses.replace(int8, name=context.product or network.name, stage=context.stage)
    return Models(network.name, (fp32, int8))
