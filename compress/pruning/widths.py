"""Which channels to keep: as many of each group as a rate leaves, the most important ones first."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from compress.graphs.coupling import Coupling, Group
from compress.pruning.settings import Rates

FLOOR = 0.1  # of a group's channels that always stay, at least one: without any, nothing would pass
SEARCH_STEPS = 30  # each halves the range in which the rate lies


class Chosen(NamedTuple):
    """The channels to keep, `(count,) bool`; what they cost; the groups that would be smaller but for the floor."""

    kept: np.ndarray
    cost: float
    at_floor: tuple[str, ...]


def chosen(
    coupling: Coupling,
    importance: np.ndarray,
    rates: Rates,
    multiple: int,
    cost: Callable[[np.ndarray], float],
    target: float,
) -> Chosen:
    """Return the channels to keep so that `cost` of them is at most `target`, removing no more than that needs.

    uniform removes the same fraction of each group; global the channels that matter least for what they cost, wherever
    they are, which is how a knapsack is filled. Groups keep a multiple of `multiple` channels, or of a quarter of their
    channels where that is less. If even the highest rate costs more than the target, what that leaves is returned.
    """
    wanted_at = _uniform(coupling) if rates == "uniform" else _global(coupling, importance, multiple, cost)

    def at(rate: float) -> Chosen:
        kept, at_floor = np.ones(coupling.count, bool), []
        for group, wanted in zip(coupling.groups, wanted_at(rate), strict=True):
            left = rounded(max(wanted, floor_of(group)), group, multiple)
            if rounded(wanted, group, multiple) < left:
                at_floor.append(group.name)
            order = np.argsort(-importance[group.channels], kind="stable")
            kept[group.channels[order[left:]]] = False
        return Chosen(kept, cost(kept), tuple(at_floor))

    low, high = 0.0, 1.0
    best = at(high)
    if best.cost > target:
        return best
    for _ in range(SEARCH_STEPS):
        middle = (low + high) / 2
        found = at(middle)
        if found.cost <= target:
            high, best = middle, found
        else:
            low = middle
    return best


def floor_of(group: Group) -> int:
    """Return how many channels of a group always stay."""
    return max(1, math.ceil(FLOOR * len(group.channels)))


def rounded(wanted: int, group: Group, multiple: int) -> int:
    """Return how many channels a group keeps that should keep `wanted`, 0 only for 0."""
    size = len(group.channels)
    step = min(multiple, max(1, size // 4))
    return min(size, math.ceil(wanted / step) * step)


def _uniform(coupling: Coupling) -> Callable[[float], list[int]]:
    """Return the function that tells how many channels each group keeps if all lose the same fraction."""
    return lambda rate: [round(len(group.channels) * (1 - rate)) for group in coupling.groups]


def _global(
    coupling: Coupling, importance: np.ndarray, multiple: int, cost: Callable[[np.ndarray], float]
) -> Callable[[float], list[int]]:
    """Return the function that tells how many channels each group keeps if a fraction of all goes, of least value."""
    prices = _prices(coupling, multiple, cost)
    values = [
        importance[group.channels] / price if price > 0 else np.full(len(group.channels), math.inf)
        for group, price in zip(coupling.groups, prices, strict=True)
    ]
    sizes = [len(value) for value in values]
    owner = np.repeat(np.arange(len(sizes)), sizes)
    order = np.argsort(np.concatenate([*values, []]), kind="stable")

    def wanted(rate: float) -> list[int]:
        gone = np.bincount(owner[order[: round(rate * len(order))]], minlength=len(sizes))
        return [size - int(count) for size, count in zip(sizes, gone, strict=True)]

    return wanted


def _prices(coupling: Coupling, multiple: int, cost: Callable[[np.ndarray], float]) -> list[float]:
    """Return how much less each group costs per channel, on the way from all of them to as few as may be."""
    prices = []
    kept = np.ones(coupling.count, bool)
    whole = cost(kept)
    for group in coupling.groups:
        left = rounded(floor_of(group), group, multiple)
        kept[group.channels[left:]] = False
        prices.append((whole - cost(kept)) / max(1, len(group.channels) - left))
        kept[group.channels] = True
    return prices
