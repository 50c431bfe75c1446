"""Summaries of latencies: pure functions over numbers."""

from __future__ import annotations

from collections.abc import Sequence

# A percentile is stated only where enough samples lie beyond it: p90 from 64 samples (six beyond), p99 from 662 (six).
SAMPLES_NEEDED = {50: 1, 90: 64, 99: 662}


def percentile_ms(samples_ns: Sequence[int], percent: int) -> float | None:
    """Return a percentile in milliseconds, the nearest rank; None where the samples do not carry it."""
    if len(samples_ns) < SAMPLES_NEEDED[percent]:
        return None
    ordered = sorted(samples_ns)
    rank = -(-percent * len(ordered) // 100)  # rounded up
    return ordered[rank - 1] / 1e6


def throughput_per_s(samples_ns: Sequence[int], batch: int) -> float:
    """Return images a second over all calls."""
    return batch * len(samples_ns) / (sum(samples_ns) / 1e9)
