"""What a run will cost, stage by stage, before it has begun."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from compress import estimate
from compress.artifacts import Dataset
from compress.engines import rehearsals_of
from compress.estimate import Estimate, Facts
from compress.networks import Family
from compress.pipeline import Stage
from compress.rehearsal import Cost, Rehearsal, costs_of, remembered
from compress.runner import load_artifact
from compress.store import Entry

WORTH_MEASURING = 600.0  # seconds: a run that seems shorter tells its pace soon enough itself
# Of the default networks, on images of 32x32 and 2 cores of a server: weights, and seconds of a training step per image
GUESSED: dict[Family, tuple[int, float]] = {"teachers": (15_000_000, 12e-3), "students": (70_000, 3e-4)}


def facts_of(config: Any, stage: Stage, entry: Entry | None) -> Facts:
    """Return the facts about the data: from what its stage has made, or from the source if it has not run yet."""
    if entry is None:
        return estimate.facts(config.data, config.image, config.balance.method)
    dataset: Dataset = load_artifact(stage, entry)
    counts = np.bincount(dataset.labels("train"), minlength=len(dataset.classes))
    sizes = dataset.sizes
    return Facts(tuple(counts.tolist()), sizes["validation"], sizes["test"], dataset.image_shape, config.balance.method)


def forecast(
    pipeline: Sequence[Stage],
    config: Any,
    settled: Mapping[str, Mapping[str, BaseModel]],
    facts: Facts,
    to_run: Collection[str],
    memory: Path,
    measuring: bool = False,
) -> dict[str, Estimate]:
    """Return what each stage costs, by its name, finished or not; `settled` is as for `runner.plan`.

    A training whose steps are not remembered in the file `memory` is timed if it is among the stages `to_run`, and if
    `measuring` or if the run will be long; otherwise its cost is guessed from the size of the images.
    """
    rehearsals = rehearsals_of(pipeline, config)
    known = remembered(memory)
    costs = {name: known.get(rehearsal.digest, _guessed(rehearsal)) for name, rehearsal in rehearsals.items()}
    estimates = _estimates(pipeline, config, settled, facts, costs)
    seconds = {name: estimates[name].seconds for name in to_run}
    if measuring or sum(seconds.values()) > WORTH_MEASURING:
        timed = {name: rehearsal for name, rehearsal in rehearsals.items() if seconds.get(name)}
        found, _ = costs_of(list(timed.values()), memory)
        costs |= {name: found[rehearsal.digest] for name, rehearsal in timed.items()}
        estimates = _estimates(pipeline, config, settled, facts, costs)
    return estimates


def _estimates(
    pipeline: Sequence[Stage],
    config: Any,
    settled: Mapping[str, Mapping[str, BaseModel]],
    facts: Facts,
    costs: Mapping[str, Cost],
) -> dict[str, Estimate]:
    made: dict[str, Estimate] = {}
    for stage in pipeline:
        settings = stage.settings(config, settled.get(stage.name, {}))
        inputs = {parameter: [made[source] for source in sources] for parameter, sources in stage.inputs.items()}
        if stage.estimate is None:
            made[stage.name] = estimate.of_other(stage.seconds, inputs)
            continue
        engine, cost = settings.get("train"), costs.get(stage.name)
        network = estimate.network_of(cost, engine) if engine and cost else None
        made[stage.name] = stage.estimate(settings.get("config"), facts, network, inputs)
    return made


def _guessed(rehearsal: Rehearsal) -> Cost:
    params, seconds = GUESSED[rehearsal.network[0]]
    height, width, _ = rehearsal.image_shape
    return Cost(params, 0, 0, dict.fromkeys(rehearsal.precisions, seconds * height * width / 32**2))
