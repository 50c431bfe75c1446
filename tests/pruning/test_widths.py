from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from compress.graphs.coupling import Coupling, Group
from compress.pruning.settings import Rates
from compress.pruning.widths import chosen

ALL: list[Rates] = ["uniform", "global"]


def coupling(*sizes: int) -> Coupling:
    """Return the coupling of layers with these numbers of channels, one after the other."""
    numbers = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    groups = tuple(Group((f"layer{i}",), channels) for i, channels in enumerate(numbers))
    return Coupling(sum(sizes), {}, {}, {}, groups, {})


def fraction(kept: np.ndarray) -> float:
    return float(kept.mean())


def left(importance: Sequence[float], rates: Rates, multiple: int, target: float, *sizes: int) -> list[int]:
    """Return how many channels are left of each layer."""
    graph = coupling(*sizes)
    found = chosen(graph, np.array(importance, float), rates, multiple, fraction, target)
    return [int(found.kept[group.channels].sum()) for group in graph.groups]


@pytest.mark.parametrize("rates", ALL)
def test_the_most_important_channels_stay(rates: Rates) -> None:
    found = chosen(coupling(6), np.array([3.0, 1.0, 6.0, 2.0, 5.0, 4.0]), rates, 1, fraction, 0.5)

    np.testing.assert_array_equal(found.kept, [False, False, True, False, True, True])


@pytest.mark.parametrize("rates", ALL)
def test_no_more_is_removed_than_the_target_needs(rates: Rates) -> None:
    assert left(np.arange(100.0).tolist(), rates, 1, 0.7, 100) == [70]
    assert left(np.arange(100.0).tolist(), rates, 1, 1.0, 100) == [100]


@pytest.mark.parametrize(
    ("multiple", "target", "sizes", "expected"),
    [
        (16, 15 / 16, (16,), [16]),  # there is no smaller multiple but none at all
        (8, 0.5, (6,), [6]),
        (8, 0.5, (6, 32), [6, 8]),
        (8, 0.01, (64, 64), [8, 8]),
        (1, 0.01, (64, 6), [7, 1]),
    ],
)
@pytest.mark.parametrize("rates", ALL)
def test_a_layer_keeps_a_multiple_of_channels_and_never_none(
    rates: Rates, multiple: int, target: float, sizes: tuple[int, ...], expected: list[int]
) -> None:
    importance = np.concatenate([np.arange(size) / size for size in sizes]).tolist()

    assert left(importance, rates, multiple, target, *sizes) == expected


def test_uniform_takes_the_same_fraction_of_each_layer_and_global_what_matters_least() -> None:
    importance = [*np.linspace(0, 1, 20), *np.linspace(2, 3, 20)]

    assert left(importance, "uniform", 1, 0.5, 20, 20) == [10, 10]
    assert left(importance, "global", 1, 0.55, 20, 20) == [2, 20]


def test_a_layer_that_global_would_empty_keeps_a_tenth_and_is_named() -> None:
    importance = np.concatenate([np.full(20, 0.01), np.linspace(0.5, 1.5, 20)])

    found = chosen(coupling(20, 20), importance, "global", 1, fraction, 0.4)

    assert [int(found.kept[:20].sum()), int(found.kept[20:].sum())] == [2, 14]
    assert found.at_floor == ("layer0",)


@pytest.mark.parametrize("rates", ALL)
def test_a_target_that_cannot_be_reached_gets_the_least_there_is(rates: Rates) -> None:
    found = chosen(coupling(10, 10), np.arange(20.0), rates, 1, fraction, 0.01)

    assert found.cost == pytest.approx(0.1)


def test_of_equal_channels_the_first_stay() -> None:
    found = chosen(coupling(4), np.ones(4), "uniform", 1, fraction, 0.5)

    np.testing.assert_array_equal(found.kept, [True, True, False, False])


def test_the_cost_is_that_of_what_is_kept() -> None:
    prices = np.array([1.0, 1.0, 8.0, 8.0])
    cost: Callable[[np.ndarray], float] = lambda kept: float(prices[kept].sum() / prices.sum())  # noqa: E731

    assert chosen(coupling(2, 2), np.arange(4.0), "uniform", 1, cost, 0.5).cost == pytest.approx(0.5)
