from __future__ import annotations

import pytest

from compress.latency.statistics import percentile_ms, throughput_per_s


@pytest.mark.parametrize(
    ("percent", "needed"),
    [(90, 64), (99, 662)],
)
def test_a_percentile_is_stated_only_where_the_samples_carry_it(percent: int, needed: int) -> None:
    assert percentile_ms([1_000_000] * (needed - 1), percent) is None
    assert percentile_ms([1_000_000] * needed, percent) == 1.0


def test_percentiles_are_nearest_ranks() -> None:
    samples = [n * 1_000_000 for n in range(1, 1001)]

    assert [percentile_ms(samples[::-1], p) for p in (50, 90, 99)] == [500.0, 900.0, 990.0]


def test_throughput_counts_images() -> None:
    assert throughput_per_s([1_000_000, 3_000_000], batch=32) == pytest.approx(16_000)
