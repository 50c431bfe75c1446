from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from compress.artifacts import CPU, OnnxModel
from compress.latency import measure as measuring
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
    monkeypatch.setattr(measuring.fingerprint, "available_cores", lambda: 2)
    models = [small_model(tmp_path, "a"), small_model(tmp_path, "b")]

    timings = measuring.measure(models, np.zeros((3, 4, 4, 1), np.uint8), (1, 5), 0.05, 0, lambda f, w: None)

    settings = {(row.model, row.provider, row.threads, row.batch) for row in timings.latencies}
    assert settings == {(m, CPU, t, b) for m in ("a-fp32", "b-fp32") for t in (1, 2) for b in (1, 5)}
    assert all(min(row.samples_ns) > 0 for row in timings.latencies)
    assert [skip.what for skip in timings.skipped] == list(measuring.GPU_PROVIDERS)


def test_a_model_that_a_provider_cannot_run_whole_is_skipped_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "WARM_UP_SECONDS", 0.0)
    monkeypatch.setattr(measuring.onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", CPU])
    opened = measuring.open_session

    def open_session(file: Path, *, provider: str, **options: object) -> object:
        if provider != CPU:
            raise RuntimeError("some nodes fall back to the CPU\nat length")
        return opened(file, provider=provider, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(measuring, "open_session", open_session)
    timings = measuring.measure(
        [small_model(tmp_path, "a")], np.zeros((1, 4, 4, 1), np.uint8), (1,), 0.02, 0, lambda f, w: None
    )

    assert {row.provider for row in timings.latencies} == {CPU}
    assert ("a-fp32 on CUDAExecutionProvider, batch 1", "some nodes fall back to the CPU") in [
        (skip.what, skip.why) for skip in timings.skipped
    ]


def test_all_models_are_measured_over_the_same_time_however_fast_they_are() -> None:
    calls: list[str] = []

    class Session:
        def __init__(self, name: str, seconds: float) -> None:
            self.name, self.seconds = name, seconds

        def run(self, outputs: object, feed: object) -> None:
            calls.append(self.name)
            time.sleep(self.seconds)

    sessions = {"slow": Session("slow", 0.03), "fast": Session("fast", 0.0001), "middle": Session("middle", 0.005)}
    samples = measuring._interleaved(sessions, {}, 0.6, random.Random(0))

    first, last = calls.index("slow"), len(calls) - 1 - calls[::-1].index("slow")
    assert calls[first:last].count("fast") > 0.5 * calls.count("fast"), "fast calls lie between the slow ones"
    assert len(samples["slow"]) >= 3
    assert len(samples["fast"]) == measuring.SLICE_CALLS * len(samples["slow"])
    assert min(map(min, samples.values())) > 0
