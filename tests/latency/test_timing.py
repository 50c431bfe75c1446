from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from compress.latency import timing


class Clock:
    """A clock that only calls move."""

    def __init__(self) -> None:
        self.ns = 0

    def perf_counter(self) -> float:
        return self.ns / 1e9

    def perf_counter_ns(self) -> int:
        return self.ns


def call_of(clock: Clock, ms: float, runs_at: list[float]) -> Callable[[], None]:
    def call() -> None:
        clock.ns += round(ms * 1e6)
        runs_at.append(clock.perf_counter())

    return call


def test_all_models_are_measured_over_the_same_time_however_fast_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    milliseconds = {"slow": 30.0, "middle": 5.0, "fast": 0.1}
    runs_at: dict[str, list[float]] = {name: [] for name in milliseconds}
    calls = {name: call_of(clock, ms, runs_at[name]) for name, ms in milliseconds.items()}

    samples = timing.interleaved(calls, 10.0, random.Random(0))

    rounds = len(samples["slow"])  # one call fills its slice of 20 ms
    assert rounds >= 90
    assert len(samples["middle"]) == 4 * rounds
    assert len(samples["fast"]) == timing.SLICE_CALLS * rounds
    for name, ms in milliseconds.items():
        assert set(samples[name]) == {round(ms * 1e6)}
        assert runs_at[name][0] < 0.2
        assert runs_at[name][-1] > 9.8


def test_the_order_of_the_models_changes_from_round_to_round(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    runs_at: dict[str, list[float]] = {"a": [], "b": []}

    timing.interleaved({n: call_of(clock, 30.0, runs_at[n]) for n in "ab"}, 10.0, random.Random(0))

    a_first = [a < b for a, b in zip(runs_at["a"][::2], runs_at["b"][::2], strict=True)]  # two calls a round
    assert 0.3 < sum(a_first) / len(a_first) < 0.7
