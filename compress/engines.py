"""What each stage trains on: how many replicas, and which precision `train.precision = "auto"` becomes.

Both change what is trained, so that they belong to a stage's key, which has to be known before anything runs. The
precision is therefore measured first. The key holds the choice, not the machine: another that chooses the same finds
what the first one has made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from compress import machine
from compress.machine import Dtype
from compress.rehearsal import Rehearsal, costs_of
from compress.training.cluster import Cluster
from compress.training.settings import Engine, Precision, SettledEngine, TrainingSettings

MIN_GAIN = 1.1  # times as fast as float32: a smaller gain is not worth fewer digits, and near 1 chance would decide


def settle(
    pipeline: Sequence[Any],
    config: Any,
    memory: Path,
    cluster: Cluster | None,
    note: Callable[[str], None],
    told: Mapping[str, Precision] | None = None,
) -> dict[str, dict[str, Engine]]:
    """Return the settled settings of each stage that trains, for `runner.plan`.

    `memory` is the file that remembers what was measured. A follower takes the precisions that its chief has `told`; it
    refuses a stage of which the chief told none later, for its key.
    """
    replicas = replicas_of(config.train, cluster)
    trained = [stage.name for stage in pipeline if stage.trains]
    chosen = dict.fromkeys(trained, "float32") | dict(told or _precisions(pipeline, config, memory, note))
    untrained = [stage.name for stage in pipeline if stage.trains and not trains(_settings(stage, config))]
    chosen |= dict.fromkeys(untrained, "float32")  # whatever the others choose: it is the same result
    settled: dict[str, dict[str, Engine]] = {}
    for name in trained:
        # not validated: whether this process can compute so is checked where it trains
        facts = {**dict(config.train), "precision": chosen[name], "replicas": replicas}
        settled[name] = {"train": SettledEngine.model_construct(**facts)}
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


def rehearsals_of(pipeline: Sequence[Any], config: Any) -> dict[str, Rehearsal]:
    """Return the rehearsal of each stage that trains a network of its own settings, in all precisions it may choose.

    A stage whose own settings are not `TrainingSettings` has none: how it trains is not known. Where the images decide
    whether they are in colour, it counts three channels.
    """
    from compress.data.preparation import height_and_width

    shape = (*height_and_width(config.image.size), 1 if config.image.color == "grey" else 3)
    found: dict[str, Rehearsal] = {}
    for stage in pipeline:
        settings = _settings(stage, config) if stage.trains else None
        network = getattr(getattr(config, stage.network, None), "network", None)
        if network is not None and isinstance(settings, TrainingSettings):
            found[stage.name] = Rehearsal(network, shape, settings, _candidates(config.train))
    return found


def _settings(stage: Any, config: Any) -> BaseModel | None:
    """Return the settings of a stage's own section, of whatever type; None if it has no such section."""
    return stage.settings(config, {}).get("config")


def trains(settings: BaseModel | None) -> bool:
    """Whether anything is trained with these settings: a teacher that begins with all weights may stay as it is."""
    return getattr(settings, "trains", True)


def _candidates(engine: Engine) -> tuple[Dtype, ...]:
    if engine.precision != "auto":
        return (engine.precision,)
    return ("float32",) if engine.strategy == "parameter_server" else machine.precisions(machine.device_class())


def _precisions(
    pipeline: Sequence[Any], config: Any, memory: Path, note: Callable[[str], None]
) -> dict[str, Precision]:
    """Return the precision of each stage that has a rehearsal; measure where there is a choice."""
    if len(_candidates(config.train)) == 1:
        return dict.fromkeys((stage.name for stage in pipeline), _candidates(config.train)[0])
    rehearsals = {name: each for name, each in rehearsals_of(pipeline, config).items() if trains(each.settings)}
    costs, measured = costs_of(list(rehearsals.values()), memory)
    chosen: dict[str, Precision] = {}
    alike: dict[str, list[str]] = {}
    for stage in pipeline:
        if stage.name in rehearsals:
            digest = rehearsals[stage.name].digest
            chosen[stage.name] = faster(costs[digest].seconds)
            alike.setdefault(digest, []).append(stage.section)
    for digest, sections in alike.items():
        if digest in measured:
            size = getattr(config, sections[0]).batch_size
            times = [
                f"{1000 * size * per_image:,.1f} ms in {name}" for name, per_image in costs[digest].seconds.items()
            ]
            names = " and ".join(dict.fromkeys(sections))
            note(f"{names}: computed in {faster(costs[digest].seconds)}: a step takes {', '.join(times)}")
    return chosen


def faster(seconds: Mapping[Dtype, float]) -> Dtype:
    """Return the precision in which steps are clearly faster; `seconds` are a step's by precision, float32 first."""
    usual, *others = seconds
    return next((dtype for dtype in others if seconds[usual] >= MIN_GAIN * seconds[dtype]), usual)
