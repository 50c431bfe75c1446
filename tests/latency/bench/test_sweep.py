from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks.perf_test import perf_test
from benchmarks.small_models import write_identity, write_model
from compress.errors import BadInputError, MachineError
from compress.latency import cold_start, timing
from compress.latency.bench import sweep
from compress.latency.bench.sweep import Settings
from compress.latency.given import Given
from compress.latency.inputs import feed_for
from compress.onnx_tools.placement import nodes_by_provider
from compress.onnx_tools.providers import CPU, CUDA, PROVIDERS, TENSORRT, Provider
from compress.onnx_tools.sessions import open_session

AT_ONCE = Settings(batches=(1,), threads=(1,), seconds=0.05)


@pytest.fixture(autouse=True)
def _little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cold_start, "RUNS", 0)
    monkeypatch.setattr(timing, "WARM_UP_SECONDS", 0.0)


def run(models: dict[str, Path], settings: Settings = AT_ONCE) -> list[sweep.Measured]:
    return sweep.sweep(models, settings, lambda words: None)[0]


def test_a_model_whose_batch_is_fixed_is_measured_at_that_batch_alone(tmp_path: Path) -> None:
    models = {
        "fixed": write_identity(tmp_path / "fixed.onnx", TensorProto.FLOAT, [4, 3]),
        "free": write_model(tmp_path / "free.onnx"),
        "scalar": write_identity(tmp_path / "scalar.onnx", TensorProto.FLOAT, []),
    }

    measured = run(models, replace(AT_ONCE, batches=(1, 8)))

    assert {one.name: [row.batch for row in one.latencies] for one in measured} == {
        "fixed": [4],
        "free": [1, 8],
        "scalar": [1],
    }


def write_stubborn(path: Path, batch: int) -> Path:
    """Write a model whose batch is free by its shapes, but which runs on `batch` images only."""
    image, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in ("image", "y"))
    shape = numpy_helper.from_array(np.array([batch, 4]), "shape")
    node = helper.make_node("Reshape", ["image", "shape"], ["y"])
    graph = helper.make_graph([node], "g", [image], [y], [shape])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_where_a_larger_batch_fails_what_was_measured_at_1_stands(tmp_path: Path) -> None:
    models = {"m": write_stubborn(tmp_path / "m.onnx", 1), "free": write_model(tmp_path / "free.onnx")}

    measured, skipped = sweep.sweep(models, replace(AT_ONCE, batches=(1, 4)), lambda words: None)

    assert {one.name: [row.batch for row in one.latencies] for one in measured} == {"m": [1], "free": [1, 4]}
    [skip] = skipped
    assert skip.what == "m at batch 4"
    assert "fails to run on image (4, 4)" in skip.why
    with pytest.raises(BadInputError, match="fails to run on image"):
        run({"m": write_stubborn(tmp_path / "m.onnx", 2)}, replace(AT_ONCE, batches=(1, 2)))


def test_what_is_fed_is_as_stated_and_kept(tmp_path: Path) -> None:
    file = write_identity(tmp_path / "m.onnx", TensorProto.FLOAT, ["batch", 3, "h", "w"])

    for shape, fed in (
        ((1, 3, 6, 5), [sweep.Fed(1, {"x": (1, 3, 6, 5)}), sweep.Fed(8, {"x": (8, 3, 6, 5)})]),
        ((2, 3, 6, 5), [sweep.Fed(2, {"x": (2, 3, 6, 5)})]),
    ):
        [measured] = run({"m": file}, replace(AT_ONCE, batches=(1, 8), given=Given({"x": shape})))

        assert list(measured.fed) == fed
        assert [row.batch for row in measured.latencies] == [one.batch for one in fed]


def test_a_first_dimension_of_colors_is_no_batch(tmp_path: Path) -> None:
    [measured] = run({"m": write_identity(tmp_path / "m.onnx", TensorProto.FLOAT, [3, 16, 16])})

    assert measured.batches == (1,)


def test_two_models_of_one_name_are_named_by_their_paths(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    files = [tmp_path / "other.onnx", tmp_path / "model.onnx", tmp_path / "bundle" / "model.onnx"]
    for file in files:
        write_model(file)

    named = sweep.named(files)

    assert list(named) == ["other", f"{tmp_path}/model.onnx", f"{tmp_path}/bundle/model.onnx"]


def test_nodes_are_counted_as_they_ran_those_of_a_loop_once(tmp_path: Path) -> None:
    def event(name: str, index: int, provider: str) -> dict[str, Any]:
        return {"cat": "Node", "name": name, "args": {"node_index": str(index), "provider": provider}}

    loop = [event("body_kernel_time", 0, CUDA)] * 3
    others = [event("conv_kernel_time", 1, CUDA), event("shape_kernel_time", 2, CPU)]
    session = {"cat": "Session", "name": "model_run", "args": {}}
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps([session, *loop, *others]))

    assert nodes_by_provider(profile) == {CUDA: 2, CPU: 1}


def test_a_profile_of_a_real_session_names_the_cpu_for_every_node(tmp_path: Path) -> None:
    file = write_model(tmp_path / "m.onnx", layers=3)

    [measured] = run({"m": file})

    assert measured.nodes.keys() == {CPU}
    assert measured.nodes[CPU] >= 3


def test_a_gpu_figure_is_refused_where_nodes_ran_elsewhere_whatever_the_session_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "open_model", lambda file, *, provider, **options: opened_on_cpu(file, **options))

    with pytest.raises(MachineError, match=r"m.onnx: CUDAExecutionProvider cannot run all of it: its nodes ran on"):
        run({"m": write_model(tmp_path / "m.onnx")}, replace(AT_ONCE, provider=CUDA))


def test_on_a_gpu_calls_with_data_on_the_device_are_measured_besides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No GPU here: the CPU stands in for it, so that binding is real and the device is not
    monkeypatch.setattr(sweep, "open_model", lambda file, *, provider, **options: opened_on_cpu(file, **options))
    monkeypatch.setattr(sweep, "nodes_by_provider", lambda profile: {CUDA: 5})
    monkeypatch.setattr(sweep, "cold_starts", lambda files, *asked: dict.fromkeys(files, ()))
    monkeypatch.setitem(PROVIDERS, CUDA, Provider(CUDA, device="cpu"))

    [measured] = run({"m": write_model(tmp_path / "m.onnx")}, replace(AT_ONCE, provider=CUDA))

    assert [row.provider for row in measured.latencies] == [CUDA, f"{CUDA}, data on the device"]
    assert all(min(row.samples_ns) > 0 for row in measured.latencies)


def test_data_bound_to_a_device_give_the_same_outputs(tmp_path: Path) -> None:
    file = write_model(tmp_path / "m.onnx", layers=2)
    session = opened_on_cpu(file, threads=1)
    feed = feed_for(session, file, batch=3)

    call = sweep.on_device(session, feed, "cpu")
    call()

    [binding] = call.args
    np.testing.assert_array_equal(binding.copy_outputs_to_cpu()[0], session.run(None, feed)[0])


def test_tensorrt_keeps_its_engines_so_that_none_is_built_while_timing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def open_model(file: Path, *, provider: str, **options: Any) -> Any:
        asked.append(options.pop("provider_options"))
        return opened_on_cpu(file, **options)

    def cold_starts(files: dict[Path, dict[str, str]], *rest: Any) -> dict[Path, tuple[()]]:
        asked.extend(files.values())
        return dict.fromkeys(files, ())

    monkeypatch.setattr(sweep, "open_model", open_model)
    monkeypatch.setattr(sweep, "nodes_by_provider", lambda profile: {TENSORRT: 1})
    monkeypatch.setattr(sweep, "cold_starts", cold_starts)
    monkeypatch.setitem(PROVIDERS, TENSORRT, replace(PROVIDERS[TENSORRT], device="cpu"))

    run({"m": write_model(tmp_path / "m.onnx")}, replace(AT_ONCE, provider=TENSORRT))

    assert len(asked) == 3, "a look, processes of its own, a measurement"
    assert asked[0]["trt_engine_cache_enable"] == "1"
    assert asked[0] == asked[1] == asked[2], "one folder for all"


@pytest.mark.measures_time
def test_figures_agree_with_what_the_perf_test_of_onnxruntime_does(tmp_path: Path) -> None:
    """Quick calls, the tenth percentile: on a busy machine the others say more of it than of the model."""
    file = write_model(tmp_path / "m.onnx", layers=40, side=32)
    ratios = []
    for _ in range(5):
        [measured] = run({"m": file}, replace(AT_ONCE, seconds=0.3))
        ours = np.percentile(measured.latencies[0].samples_ns, 10)
        ratios.append(ours / np.percentile(perf_test(file, threads=1, seconds=0.3), 10))

    assert 0.75 < np.median(ratios) < 1.33, ratios


def opened_on_cpu(file: Path, **options: Any) -> Any:
    return open_session(file, **{name: value for name, value in options.items() if name != "provider_options"})
