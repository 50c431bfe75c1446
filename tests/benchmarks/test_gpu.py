"""What the benchmark of a GPU does before and after the GPU: the machine that tests has none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks import gpu
from benchmarks.small_models import write_external
from compress import machine
from compress.errors import BadInputError, MachineError
from compress.onnx_tools.providers import CPU, CUDA
from compress.onnx_tools.sessions import session_of

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), np.uint8)
REFERENCE = [np.ones((3, 4), np.float32)] * 2


def model(scale: float = 1 / 255, quantized: bool = False) -> bytes:
    """Return a classifier of 8x8 images in 4 classes that scales its pixels inside."""
    kernel = np.random.default_rng(0).normal(0, 0.5, (4, 1, 3, 3)).astype(np.float32)
    constants = [
        numpy_helper.from_array(np.array(scale, np.float32), "scale"),
        numpy_helper.from_array(kernel, "kernel"),
    ]
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pixels", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["x"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["x", "weights" if quantized else "kernel"], ["features"]),
        helper.make_node("GlobalAveragePool", ["features"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    if quantized:
        constants[1] = numpy_helper.from_array(np.ones((4, 1, 3, 3), np.int8), "steps")
        nodes.insert(0, helper.make_node("DequantizeLinear", ["steps", "scale"], ["weights"]))
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 8, 8, 1])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in gpu.OUTPUTS]
    graph = helper.make_graph(nodes, "classifier", [image], outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def measure(stored: bytes, batches: tuple[int, ...] = (1, 2)) -> tuple[list[gpu.Row], list[str]]:
    rows: list[gpu.Row] = []
    lines = gpu.measure("m", stored, IMAGES, 0.02, rows, CPU, batches)
    return rows, lines


def run_main(monkeypatch: pytest.MonkeyPatch, folder: Path) -> object:
    monkeypatch.setattr("sys.argv", ["gpu.py", str(folder)])
    with pytest.raises(SystemExit) as stop:
        gpu.main()
    return stop.value.code


def test_in_fp16_a_model_takes_and_gives_what_it_did_and_answers_alike() -> None:
    converted, note = gpu.to_fp16(model())

    graph, stored = onnx.load_model_from_string(converted).graph, onnx.load_model_from_string(model()).graph
    assert (list(graph.input), list(graph.output)) == (list(stored.input), list(stored.output))
    assert {tensor.data_type for tensor in graph.initializer} == {TensorProto.FLOAT16}
    assert note == ""
    expected = session_of(model()).run(None, {"image": IMAGES})
    for found, output in zip(session_of(converted).run(None, {"image": IMAGES}), expected, strict=True):
        np.testing.assert_allclose(found, output, atol=2e-3)


def test_a_constant_that_fp16_holds_is_kept_though_it_is_large() -> None:
    graph = onnx.load_model_from_string(gpu.to_fp16(model(scale=20_000))[0]).graph

    assert float(numpy_helper.to_array(graph.initializer[0])) == 20_000


@pytest.mark.parametrize(
    ("stored", "why"),
    [(model(scale=70_000), "scale holds 70000; fp16 ends at 65,504"), (model(quantized=True), "it is in 8 bits")],
)
def test_what_fp16_cannot_hold_is_a_line_and_no_figure(stored: bytes, why: str) -> None:
    rows, lines = measure(stored)

    assert [row.arithmetic for row in rows] == ["fp32"]
    [line] = lines
    assert line.startswith("m in fp16: no figures, or no further ones")
    assert why in line


def test_a_constant_that_the_converter_raises_is_told() -> None:
    _, lines = measure(model(scale=1e-9))

    assert lines == ["m in fp16: 1 constants below fp16's smallest, 6.0e-08, were raised to it"]


def test_each_arithmetic_has_its_answers_and_a_median_per_batch_and_call(capsys: pytest.CaptureFixture[str]) -> None:
    rows, lines = measure(model())
    gpu.show(rows, lines, {"name": "a card"})

    report = json.loads(json.dumps(gpu.as_json(rows, lines, {"name": "a card"})))
    assert report["gpu"] == {"name": "a card"}
    assert [(row["model"], row["arithmetic"]) for row in report["models"]] == [("m", "fp32"), ("m", "fp16")]
    exact, half = report["models"]
    assert (exact["probabilities_differ"], exact["logits_differ"], exact["equal_labels"]) == (0, 0, 1)
    assert 0 < half["logits_differ"] < 2e-3
    assert exact["nodes"].keys() == {CPU}
    assert {batch: set(medians) for batch, medians in exact["p50_ms"].items()} == {
        "1": {"whole", "on device"},
        "2": {"whole", "on device"},
    }
    printed = capsys.readouterr().out
    assert f"{exact['p50_ms']['2']['whole']:.3f}" in printed
    assert "a card" in printed


def test_a_model_of_which_a_node_ran_elsewhere_has_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "nodes_by_provider", lambda profile: {CPU: 5, CUDA: 2})

    rows, lines = measure(model())

    assert rows == []
    assert [line.partition(": ")[2] for line in lines] == [
        "no figures, or no further ones: its nodes ran on 5 CPU, 2 CUDA"
    ] * 2


def test_outputs_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="its outputs are not finite"):
        gpu.compare("m", "fp32", model(scale=float("inf")), IMAGES, REFERENCE, (CPU, {}))


def test_a_provider_that_runs_nothing_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "nodes_by_provider", lambda profile: {CUDA: 7})

    with pytest.raises(MachineError, match="CPUExecutionProvider cannot start here"):
        measure(model())


def test_a_folder_without_a_bundle_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, tmp_path) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_model_that_does_not_hold_its_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "variants").mkdir()
    write_external(tmp_path / "variants" / "m.onnx", 1)
    manifest = {"input": {"shape": ["batch", 8, 8, 1]}, "files": {"variants/m.onnx": {}}}
    monkeypatch.setattr(gpu, "read_manifest", lambda folder: manifest)

    with pytest.raises(BadInputError, match=r"m\.onnx: 'w' is in another file"):
        gpu.read_bundle(tmp_path)


@pytest.mark.parametrize(
    ("available", "why"), [([CPU], f"has no {CUDA}"), ([CUDA, CPU], "nvidia-smi lists no GPU on this machine")]
)
def test_a_machine_without_a_gpu_is_one_line(
    available: list[str],
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(gpu, "read_bundle", lambda folder: ({}, IMAGES))
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    monkeypatch.setattr(machine, "gpu", lambda: "")

    assert run_main(monkeypatch, tmp_path) == 4
    error = capsys.readouterr().err
    assert why in error
    assert error.count("\n") == 1


def test_the_gpus_libraries_are_loaded_before_the_first_session(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(machine, "gpu", lambda: "a card")
    monkeypatch.setattr(gpu, "nvidia_smi", lambda facts: {"name": "a card"})
    monkeypatch.setattr(gpu, "load_libraries", loaded.append)

    assert gpu.find_gpu() == {"name": "a card", "onnxruntime": onnxruntime.__version__}
    assert loaded == [CUDA]


def test_what_nvidia_smi_says_is_read_while_the_gpu_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nsleep 0.05\necho 'a card, 1980 MHz'\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    calls: list[int] = []

    assert gpu.nvidia_smi(("name", "clocks.sm"), lambda: calls.append(1)) == {"name": "a card", "clocks.sm": "1980 MHz"}
    assert calls
