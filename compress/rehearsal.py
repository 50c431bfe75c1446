"""Rehearsals: a few steps of a training on images made up for it, in a process of their own, before a run begins.

They tell what a training costs and in which precision it is faster. What they have measured is remembered in the
workspace, for each kind of machine. The process is another one because TensorFlow in this one has to be as if nothing
had run when the first stage starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress import machine
from compress.children import one_child
from compress.files import sha256_json
from compress.fingerprint import library_versions
from compress.machine import Dtype
from compress.memo import recalled, remember
from compress.plugins import Choice
from compress.training.settings import TrainingSettings

if TYPE_CHECKING:
    from compress.networks import Family

CLASSES = 10  # of the images made up, whose number hardly changes a step's time
ROUNDS = 2  # of measurements, alternating, so that other load on the machine affects all precisions
HARDWARE = ("processor", "machine", "cores", "gpu")  # of `machine.host`: what a step's time depends on
OF_A_STEP = {"batch_size", "optimizer", "augmentation", "mixing", "l1", "l2", "clip_norm"}  # settings that change it


@dataclass(frozen=True)
class Rehearsal:
    """A training to time: a network by its family and choice, for images of a shape, its settings, and precisions."""

    network: tuple[Family, Choice]
    image_shape: tuple[int, int, int]
    settings: TrainingSettings
    precisions: tuple[Dtype, ...]

    @property
    def digest(self) -> str:
        """What the cost is remembered under: the steps of this training on this kind of machine."""
        host = machine.host()
        settings = self.settings.model_dump(mode="json", include=OF_A_STEP)
        if not any(settings.get("mixing", {}).values()):  # as where there is nothing to mix
            settings.pop("mixing", None)
        return sha256_json(
            [
                {name: host[name] for name in HARDWARE},
                library_versions(["compress.training.step_time"]),
                [self.network[0], self.network[1].model_dump(mode="json"), self.image_shape],
                settings,
                self.precisions,
            ]
        )


@dataclass(frozen=True)
class Cost:
    """What a training costs: `seconds` of a step per image, by precision.

    `activations` is the number of values in one image's forward pass.
    """

    params: int
    macs: int
    activations: int
    seconds: dict[Dtype, float]


def costs_of(rehearsals: Sequence[Rehearsal], memory: Path) -> tuple[dict[str, Cost], set[str]]:
    """Return the cost of each training by its digest, and the digests of those that had to be measured.

    `memory` is the file that remembers. Raises `MachineError` if memory is too small for a training.
    """
    known = remembered(memory)
    unknown = {rehearsal.digest: rehearsal for rehearsal in rehearsals if rehearsal.digest not in known}
    if unknown:
        killed = "what times training steps was killed, as where memory is short; image.size should be smaller"
        with one_child(killed) as child:
            for digest, rehearsal in unknown.items():
                known[digest] = child.submit(_measured, rehearsal).result()
                with suppress(OSError):  # nothing but time is lost
                    remember(memory, dict[str, Cost], known)
    return {rehearsal.digest: known[rehearsal.digest] for rehearsal in rehearsals}, set(unknown)


def remembered(memory: Path) -> dict[str, Cost]:
    """Return all costs that the file remembers, by digest; empty if it cannot be read."""
    return recalled(memory, dict[str, Cost])


def _measured(rehearsal: Rehearsal) -> Cost:
    import math

    from compress import networks
    from compress.metrics.cost import cost_of_keras
    from compress.tensorflow import start_afresh
    from compress.training import memory

    start_afresh(0)
    family, choice = rehearsal.network
    model = networks.build(family, choice.name, choice.options, rehearsal.image_shape, CLASSES)
    params, macs = cost_of_keras(model)
    activations = sum(math.prod(layer.output_shape[1:]) for layer in model.layers[1:])
    several = len(rehearsal.precisions) > 1
    with memory.named(f"timing a step of {choice.name}"):
        rounds = [
            {dtype: _seconds_per_image(model, rehearsal, dtype) for dtype in rehearsal.precisions}
            for _ in range(ROUNDS if several else 1)
        ]
    seconds = {dtype: min(times[dtype] for times in rounds) for dtype in rehearsal.precisions}
    return Cost(params, macs, activations, seconds)


def _seconds_per_image(model: Any, rehearsal: Rehearsal, dtype: Dtype) -> float:
    """Return the time per image of steps of a batch, or of as many images as fit into memory."""
    import numpy as np

    from compress.data.batches import Batches, Epoch
    from compress.tensorflow import keras
    from compress.training import memory
    from compress.training.step_time import seconds_per_step

    settings = rehearsal.settings
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)

    def timed(at_once: int) -> float:
        n = 2 * at_once
        everything = Epoch(np.arange(n), np.ones(n, np.int64), np.arange(n))
        batches = Batches(
            np.random.default_rng(0).integers(0, 256, (n, *rehearsal.image_shape), np.uint8),
            lambda indices, views: np.eye(CLASSES, dtype=np.float32)[indices % CLASSES],
            lambda epoch: everything,
            at_once,
            0,
            settings.augmentation,
        )
        return seconds_per_step(model, loss, batches, settings, dtype) / at_once

    return memory.with_fewer(settings.batch_size, timed)
