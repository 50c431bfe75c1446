"""Convert a network to ONNX and quantize it to int8, calibrated on training images."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from compress import plugins
from compress.artifacts import Dataset, Models, Network, OnnxModel
from compress.context import Context
from compress.data.images import Images
from compress.plugins import Choice

JUDGED = 1000  # validation images, at most, on which calibrators are compared


class Calibrator(Choice):
    """A way to find the range of activations."""

    package, entry = "compress.quantization.calibrators", "ranges"
    name: str = "minmax"


def _several(value: Any) -> Any:
    if value == "auto":
        return plugins.names(Calibrator.package)
    return [value] if isinstance(value, str | dict) else value


class Config(BaseModel):
    """How the ranges of activations are found, and which integers represent them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    calibration: Annotated[tuple[Calibrator, ...], BeforeValidator(_several), Field(min_length=1)] = Field(
        (Calibrator(),),
        description="Files in compress/quantization/calibrators/: how the range of activations is found that integers "
        "represent; of several, and with auto of all, the one whose int8 model answers most like the float one on "
        "validation images.",
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
    from compress.quantization.static import observing, quantize

    context.progress(0.0, "converting")
    fp32 = to_onnx(network, out / "fp32.onnx")
    train = images_of(data, "train")[: config.images]  # the splits are shuffled, so any part is a random sample
    with tempfile.TemporaryDirectory(dir=out) as temporary:
        made = []
        with observing(fp32, train) as observed:
            for i, calibrator in enumerate(config.calibration):
                context.progress(0.4 + 0.4 * i / len(config.calibration), f"calibrating, {calibrator.name}")
                file = Path(temporary) / f"{i}.onnx"
                made.append(quantize(fp32, calibrator.function(observed), file, activations=config.activations))
        context.progress(0.8, "comparing")
        taken = made[_closest(fp32, made, config.calibration, images_of(data, "validation")[:JUDGED], context)]
        file = taken.file.rename(out / "int8.onnx")
    name = context.product or network.name
    return Models(network.name, (fp32, dataclasses.replace(taken, name=name, stage=context.stage, file=file)))


def _closest(
    fp32: OnnxModel, made: Sequence[OnnxModel], calibrators: Sequence[Calibrator], images: Images, context: Context
) -> int:
    """Return the number of the int8 model that answers most like the float one; of equal ones, the first."""
    from compress.quantization.choice import divergences

    if len(made) == 1:
        return 0
    found = divergences(fp32, made, images)
    best = found.index(min(found))
    told = ", ".join(f"{each.name} {nats:.2g}" for each, nats in zip(calibrators, found, strict=True))
    context.note(
        f"{context.stage}: calibration {calibrators[best].name}: of {told}, the least divergence in nats from the "
        f"float model's probabilities on {len(images):,} validation images"
    )
    return best
