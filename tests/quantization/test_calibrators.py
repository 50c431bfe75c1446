"""Ranges with values worked by hand, and that neither memory nor ranges depend on how images are batched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy.stats import entropy as entropy_of

from compress import plugins
from compress.errors import CompressError
from compress.quantization.observation import BINS, Observed, checked
from compress.quantization.rounding import rounded
from compress.quantization.settings import Calibrator

METHODS = plugins.names(Calibrator.package)
VALUES = np.random.default_rng(0).normal(1, 2, (9, 50)).astype(np.float32)


def ranges_of(parts: list[np.ndarray], method: str, **options: Any) -> tuple[float, float]:
    observed = Observed(lambda: [{"x": part} for part in parts])
    found: tuple[float, float] = Calibrator(name=method, options=options).function(observed)["x"]
    return found


@pytest.mark.parametrize("method", METHODS)
def test_ranges_do_not_depend_on_how_images_are_batched(method: str) -> None:
    once = ranges_of([VALUES], method)

    assert ranges_of([VALUES[:4], VALUES[4:8], VALUES[8:]], method) == once
    assert ranges_of([VALUES[i : i + 1] for i in range(9)], method) == once


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy", "mse"])
def test_ranges_do_not_depend_on_the_order_of_images(method: str) -> None:
    assert ranges_of([VALUES[::-1]], method) == ranges_of([VALUES], method)


@pytest.mark.parametrize("method", ["minmax", "percentile"])
def test_the_largest_value_may_be_in_any_batch(method: str) -> None:
    assert ranges_of([np.array([[0, value]], np.float32) for value in (10, 1, 1)], method) == (0, 10)
    assert ranges_of([np.array([[0, value]], np.float32) for value in (1, 1, 10)], method) == (0, 10)


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy", "mse"])
def test_a_first_batch_of_zeros_changes_hardly_a_range(method: str) -> None:
    given = ranges_of([VALUES], method)

    assert ranges_of([np.zeros((1, 50), np.float32), VALUES], method) == pytest.approx(given, rel=0.02)


def test_the_moving_average_weighs_each_image_by_how_long_ago_it_was() -> None:
    images = [np.array([[low, high]], np.float32) for low, high in ((-4, 8), (0, 2))]

    assert ranges_of(images, "moving_average", momentum=0.5) == pytest.approx((-4 / 3, 4))
    assert ranges_of(images, "moving_average", momentum=0.0) == (0, 2)
    assert ranges_of([np.zeros((1, 2), np.float32), *images], "moving_average", momentum=0.999) == pytest.approx(
        (-4 / 3, 10 / 3), rel=2e-3
    )


def fractions_of_error(values: np.ndarray) -> list[float]:
    """Return the squared error of rounding to parts of a span, by hundredths, as the definition says."""
    low, high = float(values.min()), float(values.max())
    return [float(np.square(values - rounded(values, (low * i / 100, high * i / 100))).sum()) for i in range(1, 101)]


@pytest.mark.parametrize("seed", range(3))
def test_mse_is_the_part_of_the_span_with_the_least_error(seed: int) -> None:
    values = np.random.default_rng(seed).standard_t(4, 200_000).astype(np.float32)  # long tails

    low, high = ranges_of([values[np.newaxis]], "mse")

    errors = fractions_of_error(values)
    assert low / values.min() == pytest.approx(high / values.max())
    assert errors[round(100 * high / values.max()) - 1] <= 1.02 * min(errors)
    assert min(errors) < 0.9 * errors[-1]  # clipping pays


def test_uniform_values_lose_by_any_clipping() -> None:
    values = np.random.default_rng(0).uniform(-1, 3, (1, 100_000)).astype(np.float32)

    for method in ("mse", "entropy"):
        assert ranges_of([values], method) == (values.min(), values.max())


def test_entropy_cuts_a_long_tail_where_the_divergence_by_hand_is_nearly_least() -> None:
    values = np.abs(np.random.default_rng(0).standard_t(3, (1, 200_000))).astype(np.float32)

    low, high = ranges_of([values], "entropy")

    assert low == 0
    assert high < 0.9 * values.max()
    counts = np.histogram(values, BINS, range=(values.min(), values.max()))[0]
    found = [divergence_by_hand(counts, round(part * BINS / 100)) for part in range(5, 101)]
    at = round(100 * high / values.max())
    assert at >= 5
    assert found[at - 5] <= min(found) + 0.1 * (found[-1] - min(found))


def test_entropy_does_not_count_the_zeros_that_relu_makes() -> None:
    positive = np.abs(np.random.default_rng(0).standard_t(3, (1, 100_000))).astype(np.float32)
    zeros = np.zeros((1, 2_000_000), np.float32)

    some, many = (ranges_of([np.concatenate([zeros[:, :n], positive], axis=1)], "entropy") for n in (10, 2_000_000))

    assert many == some
    assert some[1] < positive.max()


def divergence_by_hand(counts: np.ndarray, kept: int) -> float:
    """Return the divergence of 256 levels of the first `kept` bins from all bins, clipped."""
    p = counts[:kept].astype(float)
    q = np.zeros(kept)
    for bins in np.array_split(np.arange(kept), 256):
        used = bins[p[bins] > 0]
        q[used] = p[bins].sum() / max(1, len(used))
    p[-1] += counts[kept:].sum()
    return float(entropy_of(p / p.sum(), q / q.sum()))


def test_percentile_99_of_uniform_values_from_0_to_100_keeps_those_from_a_half_to_99_and_a_half() -> None:
    uniform = np.linspace(0, 100, 100_001, dtype=np.float32)

    assert ranges_of([uniform[np.newaxis]], "percentile", percent=99) == pytest.approx((0.5, 99.5), abs=100 / BINS)


def test_percentile_cuts_a_single_outlier_of_a_million_values() -> None:
    values = np.append(np.linspace(-1, 1, 1_000_000, dtype=np.float32), np.float32(4))

    assert ranges_of([values[np.newaxis]], "percentile") == pytest.approx((-1, 1), abs=5 / BINS)
    assert ranges_of([values[np.newaxis]], "minmax") == (-1, 4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0, 5, -3])
def test_an_activation_that_never_changes_is_the_end_of_its_range(method: str, value: float) -> None:
    low, high = ranges_of([np.full((1, 7), value, np.float32)], method)

    assert (min(low, 0), max(high, 0)) == (min(value, 0), max(value, 0))  # integers always represent 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "values", [(1, 1.00001, 1.0001), (5, np.nextafter(np.float32(5), 6)), (0, 1e-44), (-3e38, 3e38), (-2, -1)]
)
def test_spans_of_any_width_have_a_range(method: str, values: tuple[float, ...]) -> None:
    low, high = ranges_of([np.array([values], np.float32)], method)

    assert np.isfinite([low, high]).all()
    assert low <= high


@pytest.mark.parametrize("ranges", [{}, {"x": (0, np.nan)}, {"x": (2, 1)}])
def test_what_a_calibrator_gives_is_checked(ranges: dict[str, tuple[float, float]]) -> None:
    observed = Observed(lambda: [{"x": VALUES}])

    with pytest.raises(CompressError, match=r"calibrator mine: gives .* for x; should"):
        checked(ranges, observed, "mine")
    assert checked({"x": (-1, 2), "y": (0, 1)}, observed, "mine")["x"] == (-1, 2)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_an_error_with_the_name_of_the_tensor(method: str, value: float) -> None:
    with pytest.raises(CompressError, match="x: has values"):
        ranges_of([VALUES, np.array([[value]], np.float32)], method)


@pytest.mark.parametrize("method", METHODS)
def test_no_more_than_one_batch_is_held(method: str) -> None:
    held = 0

    class Batch(dict[str, np.ndarray]):
        def __init__(self) -> None:
            nonlocal held
            held += 1
            super().__init__(x=VALUES)

        def __del__(self) -> None:
            nonlocal held
            held -= 1

    def batches() -> Iterator[Batch]:
        for _ in range(5):
            assert held <= 1  # the one that the loop has not let go of yet
            yield Batch()

    found = Calibrator(name=method).function(Observed(batches))

    assert found["x"] == pytest.approx(ranges_of([VALUES], method))
