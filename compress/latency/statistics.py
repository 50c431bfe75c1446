"""Summaries of latencies: pure functions over numbers."""

from __future__ import annotations

from collections.abc import Sequence

# A high percentile is reported only if six samples lie beyond it: p90 needs 64 samples, p99 needs 662.
SAMPLES_NEEDED = {50: 1, 90: 64, 99: 662}


def percentile_ms(samples_ns: Sequence[int], percent: int) -> float | None:
    """Return a percentile in milliseconds, by nearest rank; None if there are too few samples for it."""
    if len(samples_ns) < SAMPLES_NEEDED[percent]:
        return None
    ordered = sorted(samples_ns)
    rank = -(-percent * len(ordered) // 100)  # rounded up
    return ordered[rank - 1] / 1e6


def throughput_per_s(samples_ns: Sequence[int], batch: int) -> float:
    """Return the images per second over all calls."""
    return batch * len(samples_ns) / (sum(samples_ns) / 1e9)
