"""The table of what a run would do: whether each stage is a hit or a miss, why, and the cost of the misses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from compress import estimate
from compress.artifacts import Dataset
from compress.data.balance import Balance, Method
from compress.estimate import Estimate, Facts
from compress.runner import Step, load_artifact
from compress.stages import data


def plan_table(steps: Sequence[Step], console: Console) -> Table:
    """Return the table. It gives costs for the stages that train, from the time of one step of each."""
    table = Table(
        title="What a run would do",
        caption="weights and MACs in millions; time and memory of training, if no epoch is saved by early stopping",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    for heading in ("stage", "", "why"):
        table.add_column(heading, no_wrap=heading != "why")
    for heading in ("weights", "MACs", "time", "memory"):
        table.add_column(heading, justify="right", no_wrap=True)
    with console.status("timing one training step of each network to run"):
        estimates = _estimates(steps)
    for step in steps:
        if step.entry:
            table.add_row(step.stage.name, "hit", f"made in {step.entry.manifest['seconds']:.0f} s")
        else:
            cost = estimates.get(step.stage.name)
            table.add_row(step.stage.name, "miss", step.why, *(_cells(cost) if cost else []))
    return table


def _estimates(steps: Sequence[Step]) -> dict[str, Estimate]:
    """Return estimates for the training stages up to the last one that would run, by name; empty if none would."""
    training = [(step, step.stage.estimate) for step in steps if step.stage.estimate]
    while training and training[-1][0].entry:
        training.pop()
    estimates: dict[str, Estimate] = {}
    if not training:
        return estimates
    balance = cast(Balance, next(step.settings["balance"] for step in steps if "balance" in step.settings))
    facts = _facts(steps[0], balance.method)
    for step, estimate_of in training:
        made_by = {name: source for name, sources in step.stage.inputs.items() for source in sources}
        known = {name: estimates[source] for name, source in made_by.items() if source in estimates}
        cost = estimate_of(step.settings["config"], facts, known)
        if cost:
            estimates[step.stage.name] = cost
    return estimates


def _facts(step: Step, balance: Method) -> Facts:
    """Return the facts about the data, from the first stage if it is finished, otherwise from the source."""
    if step.entry:
        dataset: Dataset = load_artifact(step.stage, step.entry)
        counts = np.bincount(dataset.labels("train"), minlength=len(dataset.classes))
        return Facts(tuple(counts.tolist()), dataset.image_shape, balance)
    settings = step.settings
    return estimate.facts(cast(data.Config, settings["config"]), cast(data.Image, settings["image"]), balance)


def _cells(cost: Estimate) -> list[str]:
    return [
        f"{cost.params / 1e6:.3f}",
        f"{cost.macs / 1e6:.1f}",
        f"{cost.seconds / 60:.1f} min" if cost.seconds >= 90 else f"{cost.seconds:.0f} s",
        f"{cost.memory_bytes / 1e9:.1f} GB",
    ]
