"""The table of what a run would do: whether each stage is a hit or a miss, why, and the cost of the misses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table

from compress.durations import between, duration
from compress.estimate import Estimate
from compress.runner import Step

LONG = 3600.0  # seconds of a run, from which on it is said what a budget of an hour would do


def plan_table(steps: Sequence[Step], estimates: Mapping[str, Estimate]) -> Table:
    """Return the table; `estimates` are by name of the stage."""
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
    for step in steps:
        if step.entry:
            table.add_row(step.stage.name, "hit", f"made in {step.entry.manifest['seconds']:.0f} s")
        else:
            cost = estimates.get(step.stage.name)
            table.add_row(step.stage.name, "miss", step.why, *(_cells(cost) if cost else []))
    return table


def total_line(least: float, most: float) -> str:
    """Return in words how many seconds the stages that are not finished will take together."""
    return f"the run will take {between(least, most)}"


def _cells(cost: Estimate) -> list[str]:
    if not cost.memory_bytes:
        return ["", "", duration(cost.seconds)] if cost.seconds else []
    [network] = cost.networks
    return [
        f"{network.params / 1e6:.3f}",
        f"{network.macs / 1e6:.1f}",
        duration(cost.seconds),
        f"{cost.memory_bytes / 1e9:.1f} GB",
    ]
