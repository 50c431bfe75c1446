"""What each stage trains on: how many replicas, and which precision `train.precision = "auto"` becomes.

Both change what is trained, so that they belong to a stage's key, which has to be known before anything runs. The
precision is therefore measured first, on images made up for it, and remembered in the workspace for each kind of
machine. The key holds the choice, not the machine: another that chooses the same finds what the first one has made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from compress import machine
from compress.children import one_child
from compress.files import sha256_json, write_file
from compress.fingerprint import library_versions
from compress.networks import Family
from compress.plugins import Choice
from compress.training.cluster import Cluster
from compress.training.settings import Engine, Precision, SettledEngine, TrainingSettings

CLASSES = 10  # of the images made up, whose number hardly changes a step's time
HARDWARE = ("processor", "machine", "cores", "gpu")  # of `machine.host`: what a step's time depends on


@dataclass(frozen=True)
class Rehearsal:
    """A training to time: a network by its family and choice, for images of a shape, and the training's settings."""

    network: tuple[Family, Choice]
    image_shape: tuple[int, int, int]
    settings: TrainingSettings

    @property
    def digest(self) -> str:
        """What the fastest precision is remembered under: this training on this kind of machine."""
        host = machine.host()
        return sha256_json(
            [
                {name: host[name] for name in HARDWARE},
                library_versions(["compress.training.step_time"]),
                [self.network[0], self.network[1].model_dump(mode="json"), self.image_shape],
                self.settings.model_dump(mode="json"),
            ]
        )


def settle(
    pipeline: Sequence[Any],
    config: Any,
    memory: Path,
    cluster: Cluster | None,
    note: Callable[[str], None],
    told: Mapping[str, Precision] | None = None,
) -> dict[str, dict[str, Engine]]:
    """Return the settled settings of each stage that trains, for `runner.plan`.

    `memory` is the file that remembers choices. A follower takes those that its chief has `told`; it refuses
    a stage of which the chief told none later, for its key.
    """
    replicas = replicas_of(config.train, cluster)
    settled: dict[str, dict[str, Engine]] = {}
    for stage in pipeline:
        if stage.trains:
            chosen = told.get(stage.name, "float32") if told else _precision(stage, config, memory, note)
            # not validated: whether this process can compute so is checked where it trains
            facts = {"strategy": config.train.strategy, "precision": chosen, "replicas": replicas}
            settled[stage.name] = {"train": SettledEngine.model_construct(**facts)}
    return settled


def replicas_of(engine: Engine, cluster: Cluster | None) -> int:
    """Return how many copies of a network train together."""
    gpus = len(machine.gpus())
    if cluster:
        return cluster.trainers * max(1, gpus)
    return gpus if engine.strategy == "mirrored" else 1


def precisions_of(settled: Mapping[str, Mapping[str, Engine]]) -> dict[str, Precision]:
    """Return the precision of each stage, which a chief tells its followers."""
    return {name: engine.precision for name, sections in settled.items() for engine in sections.values()}


def _precision(stage: Any, config: Any, memory: Path, note: Callable[[str], None]) -> Precision:
    if config.train.precision != "auto":
        return config.train.precision
    network = getattr(getattr(config, stage.network), "network", None)
    only_float32 = len(machine.precisions(machine.device_class())) == 1
    if network is None or only_float32 or config.train.strategy == "parameter_server":
        return "float32"
    from compress.data.preparation import height_and_width

    shape = (*height_and_width(config.image.size), 1 if config.image.color == "grey" else 3)
    rehearsal = Rehearsal(network, shape, getattr(config, stage.section))
    known = _remembered(memory)
    if rehearsal.digest not in known:
        with one_child("train.precision = 'auto': what measures was killed; should be float32") as child:
            chosen, why = child.submit(_measured, rehearsal).result()
        note(f"{stage.name} is computed in {chosen}{why}")
        known[rehearsal.digest] = chosen
        memory.parent.mkdir(parents=True, exist_ok=True)
        write_file(memory, json.dumps(known, indent=2).encode())
    return known[rehearsal.digest]


def _remembered(memory: Path) -> dict[str, Precision]:
    try:
        return TypeAdapter(dict[str, Precision]).validate_json(memory.read_bytes())
    except (OSError, ValueError):
        return {}


def _measured(rehearsal: Rehearsal) -> tuple[Precision, str]:
    """Return the faster precision for a training, and the figures in words."""
    import numpy as np

    from compress import networks
    from compress.data.batches import Batches, Epoch
    from compress.tensorflow import keras, start_afresh
    from compress.training import precision
    from compress.training.step_time import seconds_per_step

    start_afresh(0)
    settings, shape = rehearsal.settings, rehearsal.image_shape
    family, choice = rehearsal.network
    model = networks.build(family, choice.name, choice.options, shape, CLASSES)
    n = 2 * settings.batch_size
    everything = Epoch(np.arange(n), np.ones(n, np.int64), np.arange(n))
    batches = Batches(
        np.random.default_rng(0).integers(0, 256, (n, *shape), np.uint8),
        lambda indices, views: np.eye(CLASSES, dtype=np.float32)[indices % CLASSES],
        lambda epoch: everything,
        settings.batch_size,
        0,
        settings.augmentation,
    )
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    return precision.faster(lambda dtype: seconds_per_step(model, loss, batches, settings, dtype))
