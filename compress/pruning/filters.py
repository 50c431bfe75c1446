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
from compress.pruning import latency_table, sensitivity
from compress.pruning.sample import Sample, judged
from compress.pruning.settings import FilterSettings
from compress.pruning.widths import Chosen, WantedAt, at_floors, by_sensitivity, by_worth, chosen, uniform

NAMES = {"macs": "MACs", "weights": "weights", "latency": "time"}


class Removal:
    """A network that loses filters, all at once or some at a time; `model` is what is left of it in Keras.

    Whatever has gone before, targets, rates and the tenth of each layer that always stays are of the network as it was
    at first, so that steps do not add up to more than is asked for. The layers `whole` keep all filters, and so do
    those that are coupled to them. `sample` is what criteria look at, `validation` what accuracy is told on.
    Raises `BadInputError` if no filter can be removed.
    """

    def __init__(
        self,
        network: Network,
        model: Any,
        settings: FilterSettings,
        whole: Collection[str],
        sample: Sample,
        validation: sensitivity.Validation,
        context: Context,
    ) -> None:
        self.network, self.first, self.model = network, model, model
        self.settings, self.whole, self.sample, self.validation = settings, whole, sample, validation
        self.context = context
        self.coupling = coupling_of(model, whole)
        if not self.coupling.groups and whole:
            raise BadInputError(f"{context.stage}.whole and whole_above keep all filters; should leave some layers")
        if not self.coupling.groups:
            raise BadInputError(
                f"{context.stage}.method = {settings.method!r}: no filter can be removed; should be magnitude"
            )
        _tell_what_stays(self.coupling, context)
        self.cost_of = CostOf(model, self.coupling)
        self.kept = np.ones(self.coupling.count, bool)
        self.first_cost = self.cost_of(self.kept)
        self.price = self._price()
        self.all = self.price(self.kept)
        self.least = self._fraction(at_floors(self.coupling, settings.multiple))
        if settings.max_drop == "none" and settings.fraction < self.least:
            least = math.ceil(1000 * self.least) / 1000
            raise BadInputError(
                f"{context.stage}.target = {settings.fraction:g}: at least {least:g} of the "
                f"{NAMES[settings.target_of]} is left; should be that or more, or {context.stage}.method magnitude"
            )

    @property
    def widths(self) -> dict[str, int]:
        """`{layer: channels}` for the layers that have lost some."""
        return widths_of(self.coupling, self.kept)

    @property
    def macs(self) -> int:
        """The multiplications that are left, for one image."""
        return self.cost_of(self.kept).macs

    @property
    def left(self) -> float:
        """The fraction that is left of what the target counts."""
        return self._fraction(self.kept)

    @property
    def told(self) -> str:
        """What is left, in words."""
        cost, whole = self.cost_of(self.kept), self.first_cost
        return f"{cost.macs / whole.macs:.1%} of the MACs, {cost.weights / whole.weights:.1%} of the weights"

    def predicted_ms(self, name: str) -> dict[str, float]:
        """Return the predicted time of the first network and of what is left, by the name of that, if it was asked."""
        if self.settings.target_of != "latency":
            return {}
        return {self.network.name: 1000 * self.all, name: 1000 * self.price(self.kept)}

    def to(self, target: float, step: str = "") -> None:
        """Remove filters until no more than `target` of what the settings count is left, and build what stays.

        A target of less than `least`, the fraction that always stays, gets that. `step` tells steps apart.
        """
        now = self.coupling if self.kept.all() else coupling_of(self.model, self.whole)
        file = self.context.checkpoint / f"importance{step}.npy"
        judge = partial(_judge, self.model, now, self.settings, self.sample, self.context.stage)
        values = np.load(self.context.made(file, judge), allow_pickle=False)
        numbers = self._numbers(now)
        importance = np.zeros(self.coupling.count)
        importance[numbers[numbers >= 0]] = values[numbers >= 0]
        wanted_at, multiple = self._wanted_at(importance), self.settings.multiple
        found = chosen(self.coupling, importance, wanted_at, multiple, self._fraction, target, self.kept)
        stays = np.array([number < 0 or found.kept[number] for number in numbers], bool)
        self.model, self.kept = narrowed(self.model, now, stays), found.kept
        self._tell(found)

    def _fraction(self, kept: np.ndarray) -> float:
        return self.price(kept) / self.all

    def _numbers(self, now: Coupling) -> np.ndarray:
        """Return which of the first network's channels those of the one that is left are, -1 for the images'."""
        numbers = np.full(now.count, -1)
        for name, channels in self.coupling.made.items():
            numbers[now.made[name]] = channels[self.kept[channels]]
        return numbers

    def _price(self) -> Callable[[np.ndarray], float]:
        """Return the function that tells what the target is a fraction of, with some of the channels."""
        cost_of, settings, context = self.cost_of, self.settings, self.context
        if settings.target_of != "latency":
            return lambda kept: getattr(cost_of(kept), settings.target_of)
        context.progress(0.0, "measuring each layer at several widths")
        measure = partial(latency_table.write, self.network, self.first, self.coupling, cost_of, settings.multiple)
        table = latency_table.load(context.made(context.checkpoint / "latency.json", measure))
        return lambda kept: table.seconds(cost_of.by_layer(kept))

    def _wanted_at(self, importance: np.ndarray) -> WantedAt:
        """Return the function that tells how many channels each group should keep at a rate."""
        rates, context = self.settings.rates, self.context
        if rates == "uniform":
            return uniform(self.coupling)
        if rates == "global":
            return by_worth(self.coupling, importance, self.settings.multiple, self._fraction)
        # measured once, on the network as it was at first
        measure = partial(
            sensitivity.write,
            self.first,
            self.coupling,
            importance,
            self.validation,
            self.first_cost.macs,
            partial(context.progress, 0.0),
        )
        file = context.made(context.checkpoint / "sensitivity.npy", measure)
        return by_sensitivity(self.coupling, sensitivity.REMOVED, np.load(file, allow_pickle=False))

    def _tell(self, found: Chosen) -> None:
        """Say how many filters are kept."""
        widths = [
            f"{int(found.kept[group.channels].sum())} of {len(group.channels)} in {group.name}"
            for group in self.coupling.groups
        ]
        stage, note = self.context.stage, self.context.note
        note(f"{stage}: keeps filters: {', '.join(widths)}; {self.told}")
        if found.at_floor:
            note(f"{stage}: a tenth of the filters stays in {', '.join(found.at_floor)}, important or not")


def _tell_what_stays(coupling: Coupling, context: Context) -> None:
    """Say which layers cannot lose filters, and why."""
    for why in dict.fromkeys(coupling.whole.values()):
        names = ", ".join(name for name, reason in coupling.whole.items() if reason == why)
        context.note(f"{context.stage}: keeps all filters of {names}: {why}")


def _judge(model: Any, coupling: Coupling, settings: FilterSettings, sample: Sample, section: str, file: Path) -> None:
    save_array(file, judged(model, coupling, settings, sample, section))
