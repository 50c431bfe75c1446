"""Convert a network to ONNX and quantize it to int8, calibrated on training images."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from compress import plugins
from compress.artifacts import Damage, Dataset, Models, Network, OnnxModel, Trial
from compress.context import Context
from compress.data.balance import Balance, Metric
from compress.plural import counted
from compress.quantization.settings import JUDGED, Calibrator
from compress.quantization.targets import TARGETS, Activations, TargetName
from compress.word_or_number import NoneOrPoints

if TYPE_CHECKING:
    from compress.quantization.candidates import Candidate, Workbench
    from compress.quantization.portability import IntegerProduct

FEWEST = 100  # with fewer, accuracies on two processors say nothing
MOST_PIXELS = 2**19  # of all images that are run as on another processor: 20 seconds of VGG16 on 2 cores


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
    """How the ranges of activations are found, for which processors, and how much accuracy int8 may lose."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    calibration: Annotated[tuple[Calibrator, ...], BeforeValidator(_several)] = Field(
        (Calibrator(),),
        description="Files in compress/quantization/calibrators/, or auto for all: how the range of activations that "
        "integers represent is found. Of several, the one is taken whose int8 model answers most like the float one on "
        "validation images.",
    )
    images: int = Field(256, ge=1, le=100_000, description="Training images to calibrate on, at most.")
    target: TargetName = Field(
        "x86-any",
        description="Processors that int8 models are made for: x86-any for all x86 and ARM, where they answer alike; "
        "this for those like the one that makes them, which on x86 without VNNI answer otherwise.",
    )
    activations: Literal["auto", "uint8", "int8"] = Field(
        "auto", description="Integers that represent activations; auto: those that are fastest on the target."
    )
    max_drop: NoneOrPoints = Field(
        "none",
        description="Percentage points of validation accuracy, of mean recall if classes are balanced, that int8 may "
        "lose against float; if it loses more, other calibrators, equalized channels, corrected biases and layers left "
        "in float are tried, until it does not.",
    )

    @model_validator(mode="after")
    def _activations_suit_the_target(self) -> Config:
        known = TARGETS[self.target].activations
        if self.activations not in ("auto", *known):
            raise ValueError(
                f"activations = {self.activations!r}: should be {' or '.join(known)}, or auto, with target = "
                f"{self.target!r}"
            )
        return self

    @property
    def integers(self) -> Activations:
        """Those that represent activations."""
        return TARGETS[self.target].activations[0] if self.activations == "auto" else self.activations


def fingerprint(config: Config, memo: Path) -> str:
    """Return a digest of all calibrators, if int8 that loses too much is tried with each."""
    from compress.fingerprint import code_digest

    if config.max_drop == "none":
        return ""
    return code_digest(Calibrator.find(name).__name__ for name in plugins.names(Calibrator.package))


def run(config: Config, balance: Balance, network: Network, data: Dataset, out: Path, context: Context) -> Models:
    """Write the network as ONNX, float and int8."""
    from compress.onnx_tools.convert import to_onnx
    from compress.quantization.candidates import Candidate

    context.progress(0.0, "converting")
    fp32 = to_onnx(network, out / "fp32.onnx")
    with tempfile.TemporaryDirectory(dir=out) as temporary:
        workbench = _workbench(config, balance, fp32, data, Path(temporary))
        candidates = [Candidate(fp32, calibrator) for calibrator in config.calibration]
        best, trials, damages = candidates[0], tuple[Trial, ...](), tuple[Damage, ...]()
        if len(candidates) > 1:
            best, trials = _compared(candidates, workbench, context)
        if config.max_drop != "none":
            best, trials, damages = _within(best, workbench, config.max_drop, balance.metric, context)
        context.progress(0.9, "writing")
        made = workbench.write(best, out / "int8.onnx")
    name = context.product or network.name
    int8 = dataclasses.replace(made, name=name, stage=context.stage, target=config.target)
    _tell_of_saturation(config, int8, data, context)
    return Models(network.name, (fp32, int8), trials, damages)


def _workbench(config: Config, balance: Balance, fp32: OnnxModel, data: Dataset, folder: Path) -> Workbench:
    from compress.data.images import images_of
    from compress.quantization.candidates import Workbench

    images = images_of(data, "train")[: config.images]  # the splits are shuffled, so any part is a random sample
    held_out = images_of(data, "validation"), data.labels("validation"), balance.metric
    return Workbench(fp32, images, *held_out, TARGETS[config.target], config.integers, folder)


def _compared(
    candidates: Sequence[Candidate], workbench: Workbench, context: Context
) -> tuple[Candidate, tuple[Trial, ...]]:
    """Return the candidate whose answers diverge least, of equal ones the first, and how much each does."""
    from compress.quantization.choice import divergence, logits_of

    images = workbench.images[:JUDGED]
    wanted, found = logits_of(workbench.fp32, images), []
    for i, candidate in enumerate(candidates):
        context.progress(0.3 + 0.3 * i / len(candidates), candidate.told)
        found.append(divergence(wanted, workbench.logits(candidate, JUDGED)))
    best = found.index(min(found))
    told = [candidate.calibrator.told for candidate in candidates]
    figures = ", ".join(f"{name} {nats:.2g}" for name, nats in zip(told, found, strict=True))
    context.note(
        f"{context.stage}: calibration {told[best]}: of {figures}, the least divergence in nats from the float model's "
        f"probabilities on {len(images):,} validation images"
    )
    trials = (Trial(candidates[i].told, -nats, 0.0, i == best) for i, nats in enumerate(found))
    return candidates[best], tuple(trials)


def _within(
    start: Candidate, workbench: Workbench, max_drop: float, metric: Metric, context: Context
) -> tuple[Candidate, tuple[Trial, ...], tuple[Damage, ...]]:
    """Return the candidate that loses no more than is allowed, or the best one, which is said; and what was tried."""
    from compress.quantization.budget import search

    found = search(start, workbench, max_drop, lambda words: context.progress(0.6, words))
    tried = f", the best of {counted(len(found.trials), 'way', 'ways')} tried" if len(found.trials) > 1 else ""
    missed = "" if found.lost <= max_drop else f": max_drop = {max_drop:g} is missed"
    context.note(
        f"{context.stage}: {found.candidate.told}: {found.lost:+.2f} points of validation {metric} lost{tried}{missed}"
    )
    return found.candidate, found.trials, found.damages


def _tell_of_saturation(config: Config, int8: OnnxModel, data: Dataset, context: Context) -> None:
    """Say in which layers x86 processors without VNNI can clip sums, and what it changes; or that it was prevented."""
    import onnx

    from compress.data.images import images_of
    from compress.onnx_tools.sessions import clips_sums
    from compress.quantization.emulation import accuracies
    from compress.quantization.portability import products_of

    products = products_of(onnx.load(int8.file).graph)
    if TARGETS[config.target].pairs_fit and (narrow := [product for product in products if product.has_seven_bits]):
        told = _layers(narrow, products)
        context.note(f"{context.stage}: weights of {told} have 7 bits, so that no x86 processor clips their sums")
    clipped = [product for product in products if product.exceeding.any()]
    if config.target != "this" or not clipped:
        return
    context.progress(0.9, "computing what processors without VNNI answer")
    count, told = clipped_images(data.image_shape, data.sizes["validation"]), ""
    if count:
        images = images_of(data, "validation")[:count]
        exact, there = accuracies(int8, images, data.labels("validation")[:count])
        told = f": on {count:,} validation images, accuracy {there:.4f} there, {exact:.4f} with VNNI and on ARM"
    here = ", such as this one," if clips_sums() else ""
    context.note(
        f"{context.stage}: x86 processors without VNNI{here} can clip sums in {_layers(clipped, products)}{told}; "
        "target = x86-any makes it the same on all"
    )


def clipped_images(image_shape: tuple[int, int, int], available: int) -> int:
    """Return on how many images it is told what processors without VNNI answer; 0 if they would be too few."""
    count = min(JUDGED, available, MOST_PIXELS // (image_shape[0] * image_shape[1]))
    return count if count >= FEWEST else 0


def _layers(some: Sequence[IntegerProduct], every: Sequence[IntegerProduct]) -> str:
    from compress.metrics.cost import layer_name

    if len(some) == len(every):
        return f"all {counted(len(every), 'layer')}"
    names = ", ".join(layer_name(product.node.name) for product in some)
    return f"{len(some)} of {counted(len(every), 'layer')} ({names})"
