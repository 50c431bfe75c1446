"""Ways to make an int8 model of a float one, made and judged as they are asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from compress.artifacts import OnnxModel
from compress.data.balance import Metric
from compress.data.images import Images
from compress.metrics.classification import result_of
from compress.quantization.biases import corrected
from compress.quantization.choice import NotFiniteError, divergence, logits_of
from compress.quantization.layers import Layer
from compress.quantization.observation import Observed, Range, checked
from compress.quantization.settings import Calibrator
from compress.quantization.static import observed, quantize_for
from compress.quantization.targets import Activations, Target


@dataclass(frozen=True)
class Candidate:
    """A way to make an int8 model: from which float model, by which calibrator, and which layers stay in float.

    `is_equalized` says whether that model is the one at first, or one with channels of one scale that answers as it.
    """

    model: OnnxModel
    calibrator: Calibrator
    is_equalized: bool = False
    corrects_biases: bool = False
    in_float: tuple[Layer, ...] = ()

    @property
    def told(self) -> str:
        """What it is, in words."""
        parts = {
            f"calibration {self.calibrator.told}": True,
            "equalized channels": self.is_equalized,
            "corrected biases": self.corrects_biases,
            f"{', '.join(layer.label for layer in self.in_float)} in float": bool(self.in_float),
        }
        return "; ".join(words for words, is_so in parts.items() if is_so)


class Judged(NamedTuple):
    """How good a model is on validation images: its score, and the divergence, nats, from the float model's answers."""

    score: float
    divergence: float


class Workbench:
    """What candidates are made of and judged on. Files are written to `folder`.

    `calibration` is training images `(n, height, width, channels) uint8`, `images` and `labels` are for validation,
    `metric` is what the score is. Models run as they are written, which is the same on every machine.
    """

    def __init__(
        self,
        fp32: OnnxModel,
        calibration: np.ndarray,
        images: Images,
        labels: np.ndarray,
        metric: Metric,
        target: Target,
        activations: Activations,
        folder: Path,
    ) -> None:
        self.fp32, self.images, self.labels, self.folder = fp32, images, labels, folder
        self._calibration, self._metric = calibration, metric
        self._target, self._activations = target, activations
        self._observed: dict[Path, Observed] = {}
        self._ranges: dict[tuple[Path, str], dict[str, Range]] = {}

    def observed(self, model: OnnxModel) -> Observed:
        """Return what a float model's activations are on the calibration images."""
        if model.file not in self._observed:
            self._observed[model.file] = observed(model, self._calibration, self.folder)
        return self._observed[model.file]

    def write(self, candidate: Candidate, file: Path) -> OnnxModel:
        """Write a candidate's int8 model to a file; return it."""
        model, calibrator = candidate.model, candidate.calibrator
        key, seen = (model.file, calibrator.told), self.observed(model)
        if key not in self._ranges:
            self._ranges[key] = checked(calibrator.function(seen), seen, calibrator.name)
        if candidate.corrects_biases:
            uncorrected = self.write(replace(candidate, corrects_biases=False), self.folder / "uncorrected.onnx")
            model = corrected(model, seen.channels, uncorrected, self.folder / "corrected.onnx")
        return quantize_for(
            self._target,
            model,
            self._ranges[key],
            file,
            activations=self._activations,
            in_float=[name for layer in candidate.in_float for name in layer.nodes],
        )

    def logits(self, candidate: Candidate, images: int | None = None) -> np.ndarray:
        """Return an int8 model's logits of so many validation images, by default all; the model is not kept."""
        return logits_of(self.write(candidate, self.folder / "candidate.onnx"), self.images[:images])

    @cached_property
    def wanted(self) -> np.ndarray:
        """The float model's logits of the validation images."""
        return logits_of(self.fp32, self.images)

    def score(self, logits: np.ndarray) -> float:
        """Return how good logits of the first validation images are."""
        return float(getattr(result_of(logits, self.labels[: len(logits)]), self._metric))

    def judged(self, candidate: Candidate) -> Judged:
        """Return how good a candidate's int8 model is; as bad as can be if its logits are not finite."""
        try:
            logits = self.logits(candidate)
        except NotFiniteError:
            return Judged(0.0, math.inf)
        return Judged(self.score(logits), divergence(self.wanted, logits))
