"""What a run would do, as a table: each stage hit or miss and why, and what the misses would cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from rich.console import Console
from rich.table import Table

from compress import estimate
from compress.artifacts import Dataset
from compress.estimate import Estimate, Facts
from compress.runner import Step, load_artifact
from compress.stages import data


def plan_table(steps: Sequence[Step], console: Console) -> Table:
    """Return the table. Costs are given for the stages that train; one step of each is timed for them."""
    table = Table(
        title="What a run would do", caption="cost: of training alone, if no epoch is saved by early stopping"
    )
    for heading in ("stage", "", "why", "weights", "MACs", "time", "memory"):
        table.add_column(heading, justify="left" if heading in ("stage", "", "why") else "right")
    with console.status("timing one training step of each network to run"):
        estimates = _estimates(steps)
    for step in steps:
        estimate = estimates.get(step.stage.name)
        cost = _cells(estimate) if estimate and not step.entry else ["", "", "", ""]
        table.add_row(step.stage.name, "hit" if step.entry else "miss", step.why, *cost)
    return table


def _estimates(steps: Sequence[Step]) -> dict[str, Estimate]:
    """Return an estimate for each training stage up to the last that would run; none where none would."""
    training = [step for step in steps if step.stage.estimate]
    while training and training[-1].entry:
        training.pop()
    estimates: dict[str, Estimate] = {}
    for step in training:
        assert step.stage.estimate
        estimates[step.stage.name] = step.stage.estimate(step.config, _facts(steps[0]), estimates)
    return estimates


def _facts(step: Step) -> Facts:
    """Return the facts of the data: from the finished first stage, else from the source."""
    if step.entry:
        dataset: Dataset = load_artifact(step.stage, step.entry)
        return Facts(dataset.sizes["train"], dataset.image_shape, len(dataset.classes))
    return estimate.facts(cast(data.Config, step.config))


def _cells(estimate: Estimate) -> list[Any]:
    seconds = estimate.seconds
    return [
        f"{estimate.params:,}",
        f"{estimate.macs:,}",
        f"{seconds / 60:.1f} min" if seconds >= 90 else f"{seconds:.0f} s",
        f"{estimate.memory_bytes / 1e9:.1f} GB",
    ]
