"""Ranges with values worked by hand, and that neither memory nor ranges depend on how images are batched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import numpy as np
import pytest

from compress.errors import CompressError
from compress.quantization.calibration import BINS, Method, ranges

METHODS = get_args(Method)
VALUES = np.random.default_rng(0).normal(1, 2, (9, 50)).astype(np.float32)


def ranges_of(parts: list[np.ndarray], method: Method, percent: float = 99.999) -> tuple[float, float]:
    return ranges(lambda: [{"x": part} for part in parts], method, percent)["x"]


@pytest.mark.parametrize("method", METHODS)
def test_ranges_do_not_depend_on_how_images_are_batched_nor_on_their_order(method: Method) -> None:
    once = ranges_of([VALUES], method)

    assert ranges_of([VALUES[:4], VALUES[4:8], VALUES[8:]], method) == once
    assert ranges_of(list(VALUES[::-1]), method) == once


@pytest.mark.parametrize("method", METHODS)
def test_the_largest_value_may_be_in_any_batch(method: Method) -> None:
    assert ranges_of([np.array([0, value], np.float32) for value in (10, 1, 1)], method) == (0, 10)
    assert ranges_of([np.array([0, value], np.float32) for value in (1, 1, 10)], method) == (0, 10)


@pytest.mark.parametrize("method", METHODS)
def test_a_first_batch_of_zeros_changes_no_range(method: Method) -> None:
    assert ranges_of([np.zeros(50, np.float32), *VALUES], method) == ranges_of([VALUES], method)


def test_percentile_99_of_uniform_values_from_0_to_100_keeps_those_from_a_half_to_99_and_a_half() -> None:
    uniform = np.linspace(0, 100, 100_001, dtype=np.float32)

    assert ranges_of([uniform], "percentile", 99) == pytest.approx((0.5, 99.5), abs=100 / BINS)


def test_percentile_cuts_a_single_outlier_of_a_million_values() -> None:
    values = np.append(np.linspace(-1, 1, 1_000_000, dtype=np.float32), np.float32(4))

    assert ranges_of([values], "percentile") == pytest.approx((-1, 1), abs=5 / BINS)
    assert ranges_of([values], "minmax") == (-1, 4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0, 5, -3])
def test_an_activation_that_never_changes_has_its_value_in_its_range(method: Method, value: float) -> None:
    assert ranges_of([np.full(7, value, np.float32)], method) == (value, value)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_an_error_with_the_name_of_the_tensor(method: Method, value: float) -> None:
    with pytest.raises(CompressError, match="x: has values"):
        ranges_of([VALUES, np.array([value], np.float32)], method)


@pytest.mark.parametrize("method", METHODS)
def test_no_more_than_one_batch_is_held(method: Method) -> None:
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

    assert ranges(batches, method)["x"] == ranges_of([VALUES], method)
