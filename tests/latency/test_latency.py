from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from compress.artifacts import OnnxModel
from compress.latency import measure as measuring
from compress.latency.statistics import percentile_ms, throughput_per_s
from compress.onnx_tools import providers
from compress.onnx_tools.providers import CPU


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


def small_model(path: Path, name: str) -> OnnxModel:
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["x"], to=TensorProto.FLOAT),
            helper.make_node("GlobalAveragePool", ["x"], ["y"]),
            helper.make_node("Flatten", ["y"], ["logits"]),
        ],
        "toy",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 4, 4, 1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 4])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path / f"{name}.onnx")
    return OnnxModel(name, "export", "fp32", (4, 4, 1), 4, path / f"{name}.onnx")


def test_every_model_is_measured_in_every_setting_and_absent_providers_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "WARM_UP_SECONDS", 0.0)
    monkeypatch.setattr(measuring.onnxruntime, "get_available_providers", lambda: [CPU])
    monkeypatch.setattr(measuring.machine, "available_cores", lambda: 2)
    models = [small_model(tmp_path, "a"), small_model(tmp_path, "b")]

    timings = measuring.measure(models, np.zeros((3, 4, 4, 1), np.uint8), (1, 5), 0.05, 0, lambda f, w: None)

    settings = {(row.model, row.provider, row.threads, row.batch) for row in timings.latencies}
    assert settings == {(m, CPU, t, b) for m in ("a-fp32", "b-fp32") for t in (1, 2) for b in (1, 5)}
    assert all(min(row.samples_ns) > 0 for row in timings.latencies)
    assert [skip.what for skip in timings.skipped] == [providers.CUDA, providers.TENSORRT]


def test_a_model_that_a_provider_cannot_run_whole_is_skipped_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "WARM_UP_SECONDS", 0.0)
    monkeypatch.setattr(measuring.onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", CPU])
    opened = measuring.open_session

    def open_session(file: Path, *, provider: str, **options: object) -> object:
        if provider != CPU:
            raise RuntimeError("some nodes fall back to the CPU\nat length")
        return opened(file, provider=provider, **options)

    monkeypatch.setattr(measuring, "open_session", open_session)
    timings = measuring.measure(
        [small_model(tmp_path, "a")], np.zeros((1, 4, 4, 1), np.uint8), (1,), 0.02, 0, lambda f, w: None
    )

    assert {row.provider for row in timings.latencies} == {CPU}
    assert ("a-fp32 on CUDAExecutionProvider, batch 1", "some nodes fall back to the CPU") in [
        (skip.what, skip.why) for skip in timings.skipped
    ]


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
    monkeypatch.setattr(measuring, "time", clock)
    milliseconds = {"slow": 30.0, "middle": 5.0, "fast": 0.1}
    runs_at: dict[str, list[float]] = {name: [] for name in milliseconds}
    calls = {name: call_of(clock, ms, runs_at[name]) for name, ms in milliseconds.items()}

    samples = measuring.interleaved(calls, 10.0, random.Random(0))

    rounds = len(samples["slow"])  # one call fills its slice of 20 ms
    assert rounds >= 90
    assert len(samples["middle"]) == 4 * rounds
    assert len(samples["fast"]) == measuring.SLICE_CALLS * rounds
    for name, ms in milliseconds.items():
        assert set(samples[name]) == {round(ms * 1e6)}
        assert runs_at[name][0] < 0.2
        assert runs_at[name][-1] > 9.8


def test_the_order_of_the_models_changes_from_round_to_round(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(measuring, "time", clock)
    runs_at: dict[str, list[float]] = {"a": [], "b": []}

    measuring.interleaved({n: call_of(clock, 30.0, runs_at[n]) for n in "ab"}, 10.0, random.Random(0))

    a_first = [a < b for a, b in zip(runs_at["a"][::2], runs_at["b"][::2], strict=True)]  # two calls a round
    assert 0.3 < sum(a_first) / len(a_first) < 0.7
