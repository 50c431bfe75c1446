"""Which channels to keep: as many of each group as a rate leaves, the most important ones first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from compress.graphs.coupling import Coupling, Group

WantedAt = Callable[[float], list[int]]
FLOOR = 0.1  # of a group's channels that always stay, at least one: without any, nothing would pass
SEARCH_STEPS = 30  # each halves the range in which the rate lies
RISE = 1e-6  # by which a drop in accuracy grows with what is removed, so that it tells how much may be


class Chosen(NamedTuple):
    """The channels to keep, `(count,) bool`; what they cost; the groups that would be smaller but for the floor."""

    kept: np.ndarray
    cost: float
    at_floor: tuple[str, ...]


def chosen(
    coupling: Coupling,
    importance: np.ndarray,
    wanted_at: WantedAt,
    multiple: int,
    cost: Callable[[np.ndarray], float],
    target: float,
    present: np.ndarray | None = None,
) -> Chosen:
    """Return the channels to keep so that `cost` of them is at most `target`, removing no more than that needs.

    `wanted_at` tells how many channels each group should keep at a rate from 0 to 1. Groups keep a multiple of
    `multiple` channels, or of a quarter of their channels where that is less. `present`, `(count,) bool`, are the
    channels that are left of those that there were; rates, floors and multiples are of all that there were. If even the
    highest rate costs more than the target, what that leaves is returned.
    """
    present = np.ones(coupling.count, bool) if present is None else present
    worth = np.where(present, importance, -1.0)  # what is gone goes first

    def at(rate: float) -> Chosen:
        kept, at_floor = present.copy(), []
        for group, wanted in zip(coupling.groups, wanted_at(rate), strict=True):
            left = rounded(max(wanted, floor_of(group)), group, multiple)
            if rounded(wanted, group, multiple) < left:
                at_floor.append(group.name)
            order = np.argsort(-worth[group.channels], kind="stable")
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


def uniform(coupling: Coupling) -> WantedAt:
    """Return the function that tells how many channels each group keeps if all lose the same fraction."""
    return lambda rate: [round(len(group.channels) * (1 - rate)) for group in coupling.groups]


def by_worth(
    coupling: Coupling, importance: np.ndarray, multiple: int, cost: Callable[[np.ndarray], float]
) -> WantedAt:
    """Return the function that tells how many channels each group keeps if a fraction of all goes, of least value.

    Value is importance for what a channel costs, wherever it is, which is how a knapsack is filled.
    """
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


def by_sensitivity(coupling: Coupling, removed: Sequence[float], drops: np.ndarray) -> WantedAt:
    """Return the function that tells how many channels each group keeps if all cost the same accuracy on their own.

    `drops`, `(groups, len(removed))`, are the drops in accuracy where a group alone loses the fractions `removed` of
    its channels, ascending. What lies between is interpolated. A group that loses all costs as much as the worst.
    """
    at = np.array([0.0, *removed, 1.0])
    most = drops.max(initial=0.0)
    curves = [np.maximum.accumulate([0.0, *group, most]) + RISE * at for group in drops]

    def wanted(rate: float) -> list[int]:
        allowed = rate * (most + RISE)
        return [
            round(len(group.channels) * (1.0 - float(np.interp(allowed, curve, at))))
            for group, curve in zip(coupling.groups, curves, strict=True)
        ]

    return wanted


def at_floors(coupling: Coupling, multiple: int) -> np.ndarray:
    """Return the fewest channels that can be kept, `(count,) bool`: the first ones of each group."""
    kept = np.ones(coupling.count, bool)
    for group in coupling.groups:
        kept[group.channels[rounded(floor_of(group), group, multiple) :]] = False
    return kept


def _prices(coupling: Coupling, multiple: int, cost: Callable[[np.ndarray], float]) -> list[float]:
    """Return how much less each group costs per channel, on the way from all of them to as few as may be."""
    prices = []
    least, kept = at_floors(coupling, multiple), np.ones(coupling.count, bool)
    whole = cost(kept)
    for group in coupling.groups:
        kept[group.channels] = least[group.channels]
        gone = len(group.channels) - int(kept[group.channels].sum())
        prices.append((whole - cost(kept)) / max(1, gone))
        kept[group.channels] = True
    return prices
