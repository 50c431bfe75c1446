"""Which channels to keep: as many of each group as a rate leaves, the most important ones first."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from compress.graphs.coupling import Coupling
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
    they are, which is how a knapsack is filled. Groups keep a multiple of `multiple` channels, or all of them if they
    have fewer. If even the highest rate costs more than the target, what that leaves is returned.
    """
    value = importance / _prices(coupling, cost)
    shares = _uniform if rates == "uniform" else _global

    def at(rate: float) -> Chosen:
        kept, at_floor = np.ones(coupling.count, bool), []
        for group, wanted in zip(coupling.groups, shares(coupling, value, rate), strict=True):
            size = len(group.channels)
            floor = max(1, math.ceil(FLOOR * size))
            if wanted < floor:
                at_floor.append(group.name)
            left = min(size, math.ceil(max(wanted, floor) / multiple) * multiple)
            order = np.argsort(-importance[group.channels], kind="stable")
            kept[group.channels[order[left:]]] = False
        return Chosen(kept, cost(kept), tuple(at_floor))

    low, high = 0.0, 1.0
    if at(low).cost <= target:
        return at(low)
    if at(high).cost > target:
        return at(high)
    for _ in range(SEARCH_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if at(middle).cost <= target else (middle, high)
    return at(high)


def _prices(coupling: Coupling, cost: Callable[[np.ndarray], float]) -> np.ndarray:
    """Return how much less each channel's group costs without one of its channels, `(count,)`."""
    prices = np.ones(coupling.count)
    kept = np.ones(coupling.count, bool)
    whole = cost(kept)
    for group in coupling.groups:
        kept[group.channels[0]] = False
        prices[group.channels] = whole - cost(kept)
        kept[group.channels[0]] = True
    return prices


def _uniform(coupling: Coupling, value: np.ndarray, rate: float) -> list[int]:
    """Return how many channels each group keeps if all lose the same fraction."""
    return [round(len(group.channels) * (1 - rate)) for group in coupling.groups]


def _global(coupling: Coupling, value: np.ndarray, rate: float) -> list[int]:
    """Return how many channels each group keeps if a fraction of all is removed, those of least value."""
    everywhere = np.sort(np.concatenate([value[group.channels] for group in coupling.groups]))
    gone = min(len(everywhere), round(rate * len(everywhere)))
    threshold = everywhere[gone] if gone < len(everywhere) else math.inf
    return [int((value[group.channels] >= threshold).sum()) for group in coupling.groups]
