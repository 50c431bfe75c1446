"""Remove filters: judge each channel, choose how many to keep, build the narrower network."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from compress.arrays import save_array
from compress.artifacts import Network
from compress.context import Context
from compress.errors import BadInputError
from compress.graphs.costs import CostOf
from compress.graphs.coupling import Coupling
from compress.graphs.groups import coupling_of
from compress.graphs.surgery import narrowed, widths_of
from compress.pruning import latency_table
from compress.pruning.sample import Sample
from compress.pruning.settings import FilterSettings
from compress.pruning.widths import chosen


def without_filters(
    network: Network, model: Any, settings: FilterSettings, sample: Sample, context: Context
) -> tuple[Any, dict[str, int]]:
    """Return the narrower network, and the widths of the layers that lose filters; `model` is `network` in Keras.

    Raises `BadInputError` for a target that is not reached even with a tenth of each layer's filters.
    """
    coupling = coupling_of(model)
    file = context.made(context.checkpoint / "importance.npy", partial(_judge, model, coupling, settings, sample))
    importance = np.load(file, allow_pickle=False)
    cost_of = CostOf(model, coupling)
    everything = np.ones(coupling.count, bool)
    whole = cost_of(everything)
    if settings.target_of == "latency":
        context.progress(0.0, "measuring each layer at several widths")
        measure = partial(latency_table.write, network, model, coupling, cost_of, settings.multiple)
        table = latency_table.load(context.made(context.checkpoint / "latency.json", measure))

    def price(kept: np.ndarray) -> float:
        return (
            table.seconds(cost_of.by_layer(kept))
            if settings.target_of == "latency"
            else getattr(cost_of(kept), settings.target_of)
        )

    def left(kept: np.ndarray) -> float:
        return price(kept) / price(everything)

    found = chosen(coupling, importance, settings.rates, settings.multiple, left, settings.target)
    if found.cost > settings.target:
        raise BadInputError(
            f"prune.target = {settings.target:g}: of the {settings.target_of}, {found.cost:.3g} are left at least; "
            "should be that or more"
        )
    cost = cost_of(found.kept)
    context.note(
        f"{context.stage}: keeps {_widths(coupling, found.kept)} filters: {cost.macs / whole.macs:.1%} of the MACs, "
        f"{cost.weights / whole.weights:.1%} of the weights"
    )
    for why in dict.fromkeys(coupling.whole.values()):
        names = ", ".join(name for name, reason in coupling.whole.items() if reason == why)
        context.note(f"{context.stage}: {names} is left whole: {why}")
    if found.at_floor:
        context.note(f"{context.stage}: a tenth of the filters stays in {', '.join(found.at_floor)}, important or not")
    return narrowed(model, coupling, found.kept), widths_of(coupling, found.kept)


def _judge(model: Any, coupling: Coupling, settings: FilterSettings, sample: Sample, file: Path) -> None:
    save_array(file, settings.importance.function(model, coupling, sample))


def _widths(coupling: Coupling, kept: np.ndarray) -> str:
    return ", ".join(f"{int(kept[group.channels].sum())}/{len(group.channels)}" for group in coupling.groups)
