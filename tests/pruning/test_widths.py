from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from compress.graphs.coupling import Coupling, Group
from compress.pruning.widths import Chosen, at_floors, by_sensitivity, by_worth, chosen, rounded, uniform

ALL = ["uniform", "global"]


def coupling(*sizes: int) -> Coupling:
    """Return the coupling of layers with these numbers of channels, one after the other."""
    numbers = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    groups = tuple(Group((f"layer{i}",), channels) for i, channels in enumerate(numbers))
    return Coupling(sum(sizes), {}, {}, {}, groups, {})


def fraction(kept: np.ndarray) -> float:
    return float(kept.mean())


def choose(
    graph: Coupling,
    importance: np.ndarray,
    rates: str,
    multiple: int,
    cost: Callable[[np.ndarray], float],
    target: float,
) -> Chosen:
    wanted_at = uniform(graph) if rates == "uniform" else by_worth(graph, importance, multiple, cost)
    return chosen(graph, importance, wanted_at, multiple, cost, target)


def left(importance: Sequence[float], rates: str, multiple: int, target: float, *sizes: int) -> list[int]:
    """Return how many channels are left of each layer."""
    graph = coupling(*sizes)
    found = choose(graph, np.array(importance, float), rates, multiple, fraction, target)
    return [int(found.kept[group.channels].sum()) for group in graph.groups]


@pytest.mark.parametrize("rates", ALL)
def test_the_most_important_channels_stay(rates: str) -> None:
    found = choose(coupling(6), np.array([3.0, 1.0, 6.0, 2.0, 5.0, 4.0]), rates, 1, fraction, 0.5)

    np.testing.assert_array_equal(found.kept, [False, False, True, False, True, True])


@pytest.mark.parametrize("rates", ALL)
def test_no_more_is_removed_than_the_target_needs(rates: str) -> None:
    assert left(np.arange(100.0).tolist(), rates, 1, 0.7, 100) == [70]
    assert left(np.arange(100.0).tolist(), rates, 1, 1.0, 100) == [100]


@pytest.mark.parametrize(
    ("multiple", "target", "sizes", "expected"),
    [
        (16, 15 / 16, (16,), [12]),  # the target is reached, in quarters of so few channels
        (8, 0.5, (6,), [3]),
        (8, 0.5, (16,), [8]),
        (8, 0.6, (12,), [6]),
        (8, 0.01, (64, 64), [8, 8]),
        (1, 0.01, (64, 6), [7, 1]),
    ],
)
@pytest.mark.parametrize("rates", ALL)
def test_a_layer_keeps_a_multiple_of_channels_and_never_none(
    rates: str, multiple: int, target: float, sizes: tuple[int, ...], expected: list[int]
) -> None:
    importance = np.concatenate([np.arange(size) / size for size in sizes]).tolist()

    assert left(importance, rates, multiple, target, *sizes) == expected


@pytest.mark.parametrize(
    ("wanted", "size", "multiple", "left"),
    [(15, 16, 16, 16), (1, 16, 16, 4), (0, 16, 8, 0), (5, 6, 8, 5), (1, 6, 8, 1), (70, 100, 8, 72), (99, 100, 8, 100)],
)
def test_widths_are_rounded_up_to_a_multiple_and_never_beyond_what_there_is(
    wanted: int, size: int, multiple: int, left: int
) -> None:
    assert rounded(wanted, coupling(size).groups[0], multiple) == left


def test_global_takes_what_is_dear_for_what_it_is_worth() -> None:
    """Both layers matter as much; the second costs four times as much."""
    prices = np.repeat([1.0, 4.0], 10)

    def cost(kept: np.ndarray) -> float:
        return float(prices[kept].sum() / prices.sum())

    graph = coupling(10, 10)
    found = choose(graph, np.tile(np.linspace(1, 2, 10), 2), "global", 1, cost, 0.5)

    assert [int(found.kept[group.channels].sum()) for group in graph.groups] == [10, 3]


def test_what_costs_nothing_stays_and_what_is_equal_is_not_all_removed_at_once() -> None:
    free = choose(coupling(10, 10), np.ones(20), "global", 1, lambda kept: float(kept[10:].mean()), 0.5)
    equal = choose(coupling(10, 10), np.ones(20), "global", 1, fraction, 0.6)

    assert int(free.kept[:10].sum()) == 10
    assert equal.cost == pytest.approx(0.6)


@pytest.mark.parametrize("rates", ALL)
def test_a_network_without_removable_channels_stays_as_it_is(rates: str) -> None:
    fixed = Coupling(3, {}, {}, {}, (), {})

    assert choose(fixed, np.ones(3), rates, 8, fraction, 0.5).kept.all()


def test_uniform_takes_the_same_fraction_of_each_layer_and_global_what_matters_least() -> None:
    importance = [*np.linspace(0, 1, 20), *np.linspace(2, 3, 20)]

    assert left(importance, "uniform", 1, 0.5, 20, 20) == [10, 10]
    assert left(importance, "global", 1, 0.55, 20, 20) == [2, 20]


def test_a_layer_that_global_would_empty_keeps_a_tenth_and_is_named() -> None:
    importance = np.concatenate([np.full(20, 0.01), np.linspace(0.5, 1.5, 20)])

    found = choose(coupling(20, 20), importance, "global", 1, fraction, 0.4)

    assert [int(found.kept[:20].sum()), int(found.kept[20:].sum())] == [2, 14]
    assert found.at_floor == ("layer0",)


@pytest.mark.parametrize("rates", ALL)
def test_a_target_that_cannot_be_reached_gets_the_least_there_is(rates: str) -> None:
    found = choose(coupling(10, 10), np.arange(20.0), rates, 1, fraction, 0.01)

    assert found.cost == pytest.approx(0.1)


def test_of_equal_channels_the_first_stay() -> None:
    found = choose(coupling(4), np.ones(4), "uniform", 1, fraction, 0.5)

    np.testing.assert_array_equal(found.kept, [True, True, False, False])


def test_the_cost_is_that_of_what_is_kept() -> None:
    prices = np.array([1.0, 1.0, 8.0, 8.0])
    cost: Callable[[np.ndarray], float] = lambda kept: float(prices[kept].sum() / prices.sum())  # noqa: E731

    assert choose(coupling(2, 2), np.arange(4.0), "uniform", 1, cost, 0.5).cost == pytest.approx(0.5)


def test_what_steps_before_have_removed_stays_away_and_rates_are_of_what_there_was_at_first() -> None:
    """100 channels in five steps to 70 are 70, not a rate applied again to what is left; 31 would be."""
    graph, random, present = coupling(100), np.random.default_rng(0), np.ones(100, bool)

    for step in range(1, 6):
        found = chosen(graph, random.random(100), uniform(graph), 1, fraction, 0.7 ** (step / 5), present)
        assert not (found.kept & ~present).any()
        present = found.kept

    assert int(present.sum()) == 70


@pytest.mark.parametrize("rates", ALL)
def test_a_layer_that_has_lost_channels_before_gets_none_back(rates: str) -> None:
    graph = coupling(10, 10)
    present = np.ones(20, bool)
    present[3:10] = False
    importance = np.concatenate([np.full(10, 9.0), np.ones(10)])
    wanted_at = uniform(graph) if rates == "uniform" else by_worth(graph, importance, 1, fraction)

    found = chosen(graph, importance, wanted_at, 1, fraction, 0.4, present)

    assert not found.kept[3:10].any()
    assert found.cost == pytest.approx(0.4)


def test_the_fewest_channels_are_a_tenth_of_each_layer() -> None:
    assert [int(part.sum()) for part in np.split(at_floors(coupling(20, 3), 1), [20])] == [2, 1]


def test_by_sensitivity_layers_lose_as_much_as_costs_the_same_accuracy() -> None:
    """The first layer loses half of its filters at no cost, of the second one each costs."""
    graph = coupling(200, 200)
    wanted_at = by_sensitivity(graph, (0.25, 0.5, 0.75), np.array([[0.0, 0.0, 0.4], [0.2, 0.3, 0.4]]))

    assert wanted_at(0.0) == [200, 200]
    first, second = wanted_at(0.25)
    assert first == pytest.approx(200 * (1 - 0.5625), abs=1)  # half, and a quarter of the way to three quarters
    assert second == pytest.approx(200 * (1 - 0.125), abs=1)
    assert wanted_at(1.0) == [0, 0]


def test_accuracy_that_rises_without_filters_is_no_reason_to_keep_them() -> None:
    graph = coupling(10, 10)
    wanted_at = by_sensitivity(graph, (0.5,), np.array([[-0.1], [0.1]]))

    assert wanted_at(0.01)[0] <= 5
    assert chosen(graph, np.arange(20.0), wanted_at, 1, fraction, 0.8).cost <= 0.8
