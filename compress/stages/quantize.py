"""Convert a network to ONNX and quantize it to int8, calibrated on training images."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from compress import plugins
from compress.artifacts import Dataset, Models, Network, OnnxModel, Trial
from compress.context import Context
from compress.plugins import Choice

JUDGED = 500  # validation images, at most, on which calibrators are compared


class Calibrator(Choice):
    """A way to find the range of activations."""

    package, entry = "compress.quantization.calibrators", "ranges"
    name: str = "minmax"

    @property
    def told(self) -> str:
        """The name, with the options that are set."""
        options = ", ".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.name} ({options})" if options else self.name


def _several(value: Any) -> Any:
    if value == "auto":
        return plugins.names(Calibrator.package)
    several = [value] if isinstance(value, str | dict | Calibrator) else value
    if not isinstance(several, list | tuple) or not several:
        raise ValueError("should be auto, a calibrator, or a list of them")
    if any(each in several[:i] for i, each in enumerate(several)):
        raise ValueError("names a calibrator twice; should name each once")
    return several


class Config(BaseModel):
    """How the ranges of activations are found, and which integers represent them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    calibration: Annotated[tuple[Calibrator, ...], BeforeValidator(_several)] = Field(
        (Calibrator(),),
        description="Files in compress/quantization/calibrators/, or auto for all: how the range of activations that "
        "integers represent is found. Of several, the one is taken whose int8 model answers most like the float one on "
        "validation images.",
    )
    images: int = Field(256, ge=1, le=100_000, description="Training images to calibrate on, at most.")
    activations: Literal["uint8", "int8"] = Field(
        "uint8", description="uint8 is faster on processors with VNNI, int8 is safe without it."
    )


def run(config: Config, network: Network, data: Dataset, out: Path, context: Context) -> Models:
    """Write the network as ONNX, float and int8."""
    from compress.onnx_tools.convert import to_onnx

    context.progress(0.0, "converting")
    fp32 = to_onnx(network, out / "fp32.onnx")
    with tempfile.TemporaryDirectory(dir=out) as temporary:
        made = _quantized(config, fp32, data, Path(temporary), context)
        trials = _compared(config, fp32, made, data, context) if len(made) > 1 else ()
        best = next((i for i, trial in enumerate(trials) if trial.taken), 0)
        file = made[best].file.rename(out / "int8.onnx")
    int8 = dataclasses.replace(made[best], name=context.product or network.name, stage=context.stage, file=file)
    return Models(network.name, (fp32, int8), trials)


def _quantized(config: Config, fp32: OnnxModel, data: Dataset, folder: Path, context: Context) -> list[OnnxModel]:
    """Return the int8 model of each calibrator."""
    from compress.data.images import images_of
    from compress.quantization.observation import checked
    from compress.quantization.static import observing, quantize

    images = images_of(data, "train")[: config.images]  # the splits are shuffled, so any part is a random sample
    made = []
    with observing(fp32, images, folder) as observed:
        for i, calibrator in enumerate(config.calibration):
            context.progress(0.4 + 0.4 * i / len(config.calibration), f"calibrating, {calibrator.told}")
            ranges = checked(calibrator.function(observed), observed, calibrator.name)
            made.append(quantize(fp32, ranges, folder / f"{i}.onnx", activations=config.activations))
    return made


def _compared(
    config: Config, fp32: OnnxModel, made: Sequence[OnnxModel], data: Dataset, context: Context
) -> tuple[Trial, ...]:
    """Return how much each int8 model diverges; the one that does least is taken, of equal ones the first."""
    from compress.data.images import images_of
    from compress.quantization.choice import divergences

    context.progress(0.8, "comparing calibrators")
    images = images_of(data, "validation")[:JUDGED]
    found = divergences(fp32, made, images)
    best = found.index(min(found))
    told = [calibrator.told for calibrator in config.calibration]
    figures = ", ".join(f"{name} {nats:.2g}" for name, nats in zip(told, found, strict=True))
    context.note(
        f"{context.stage}: calibration {told[best]}: of {figures}, the least divergence in nats from the float model's "
        f"probabilities on {len(images):,} validation images"
    )
    return tuple(Trial(f"calibration {told[i]}", -nats, 0.0, i == best) for i, nats in enumerate(found))
