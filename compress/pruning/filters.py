"""Remove filters: judge each channel, choose how many to keep, build the narrower network."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
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
from compress.pruning.widths import Chosen, chosen

NAMES = {"macs": "MACs", "weights": "weights", "latency": "time"}


def without_filters(
    network: Network, model: Any, settings: FilterSettings, whole: Collection[str], sample: Sample, context: Context
) -> tuple[Any, dict[str, int]]:
    """Return the narrower network, and the widths of the layers that lose filters; `model` is `network` in Keras.

    The layers `whole` keep all filters, and so do those that are coupled to them. Raises `BadInputError` for a target
    that is not reached even with a tenth of each layer's filters.
    """
    coupling = coupling_of(model, whole)
    file = context.made(context.checkpoint / "importance.npy", partial(_judge, model, coupling, settings, sample))
    importance = np.load(file, allow_pickle=False)
    _tell_what_stays(coupling, context)
    price = _prices(network, model, coupling, settings, context)
    before = price(np.ones(coupling.count, bool))
    found = chosen(
        coupling, importance, settings.rates, settings.multiple, lambda kept: price(kept) / before, settings.target
    )
    if not coupling.groups:
        raise BadInputError(f"prune.method = {settings.method!r}: no filter can be removed; should be magnitude")
    if found.cost > settings.target:
        raise BadInputError(
            f"prune.target = {settings.target:g}: at least {math.ceil(1000 * found.cost) / 1000:g} of the "
            f"{NAMES[settings.target_of]} is left; should be that or more, or prune.method magnitude"
        )
    _tell(coupling, CostOf(model, coupling), found, context)
    return narrowed(model, coupling, found.kept), widths_of(coupling, found.kept)


def _prices(
    network: Network, model: Any, coupling: Coupling, settings: FilterSettings, context: Context
) -> Callable[[np.ndarray], float]:
    """Return the function that tells what the target is a fraction of, with some of the channels."""
    cost_of = CostOf(model, coupling)
    if settings.target_of != "latency":
        return lambda kept: getattr(cost_of(kept), settings.target_of)
    context.progress(0.0, "measuring each layer at several widths")
    measure = partial(latency_table.write, network, model, coupling, cost_of, settings.multiple)
    table = latency_table.load(context.made(context.checkpoint / "latency.json", measure))
    return lambda kept: table.seconds(cost_of.by_layer(kept))


def _tell(coupling: Coupling, cost_of: CostOf, found: Chosen, context: Context) -> None:
    """Say how many filters are kept."""
    widths = [
        f"{int(found.kept[group.channels].sum())} of {len(group.channels)} in {group.name}" for group in coupling.groups
    ]
    cost, whole = cost_of(found.kept), cost_of(np.ones(coupling.count, bool))
    context.note(
        f"{context.stage}: keeps filters: {', '.join(widths)}; {cost.macs / whole.macs:.1%} of the MACs, "
        f"{cost.weights / whole.weights:.1%} of the weights"
    )
    if found.at_floor:
        context.note(f"{context.stage}: a tenth of the filters stays in {', '.join(found.at_floor)}, important or not")


def _tell_what_stays(coupling: Coupling, context: Context) -> None:
    """Say which layers cannot lose filters, and why."""
    for why in dict.fromkeys(coupling.whole.values()):
        names = ", ".join(name for name, reason in coupling.whole.items() if reason == why)
        context.note(f"{context.stage}: keeps all filters of {names}: {why}")


def _judge(model: Any, coupling: Coupling, settings: FilterSettings, sample: Sample, file: Path) -> None:
    values = np.asarray(settings.importance.function(model, coupling, sample), np.float64)
    if values.shape != (coupling.count,) or not (np.isfinite(values).all() and (values >= 0).all()):
        raise BadInputError(
            f"prune.importance = {settings.importance.name!r}: should give {coupling.count} finite values of 0 or more"
        )
    save_array(file, values)
