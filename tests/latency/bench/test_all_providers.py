from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from compress.artifacts import OnnxModel
from compress.latency import timing
from compress.latency.bench import all_providers
from compress.onnx_tools import providers
from compress.onnx_tools.providers import CPU


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
    monkeypatch.setattr(timing, "WARM_UP_SECONDS", 0.0)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    monkeypatch.setattr("compress.machine.available_cores", lambda: 2)
    models = [small_model(tmp_path, "a"), small_model(tmp_path, "b")]

    timings = all_providers.measure(models, np.zeros((3, 4, 4, 1), np.uint8), (1, 5), 0.05, 0, lambda f, w: None)

    settings = {(row.model, row.provider, row.threads, row.batch) for row in timings.latencies}
    assert settings == {(m, CPU, t, b) for m in ("a-fp32", "b-fp32") for t in (1, 2) for b in (1, 5)}
    assert all(min(row.samples_ns) > 0 for row in timings.latencies)
    assert [skip.what for skip in timings.skipped] == [providers.CUDA, providers.TENSORRT]
    assert timings.inspections.keys() == {"a-fp32", "b-fp32"}
    assert {row.operator for row in timings.inspections["a-fp32"].kernels} >= {"Cast", "GlobalAveragePool"}


def test_a_model_that_a_provider_cannot_run_whole_is_skipped_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "WARM_UP_SECONDS", 0.0)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", CPU])
    opened = all_providers.open_session

    def open_session(file: Path, *, provider: str, **options: object) -> object:
        if provider != CPU:
            raise RuntimeError("some nodes fall back to the CPU\nat length")
        return opened(file, provider=provider, **options)

    monkeypatch.setattr(all_providers, "open_session", open_session)
    timings = all_providers.measure(
        [small_model(tmp_path, "a")], np.zeros((1, 4, 4, 1), np.uint8), (1,), 0.02, 0, lambda f, w: None
    )

    assert {row.provider for row in timings.latencies} == {CPU}
    assert ("a-fp32 on CUDAExecutionProvider, batch 1", "some nodes fall back to the CPU") in [
        (skip.what, skip.why) for skip in timings.skipped
    ]
