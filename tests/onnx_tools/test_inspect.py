from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks.small_models import write_model, write_quantized
from compress.kernels import Inspection
from compress.onnx_tools import inspect as module
from compress.onnx_tools.inspect import inspect, kind_of
from compress.onnx_tools.providers import CPU
from compress.onnx_tools.sessions import open_session


@pytest.fixture(autouse=True)
def _little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.0)


def found(file: Path, **feed: np.ndarray) -> Inspection:
    return inspect({"m": (partial(open_session, file, threads=1), feed)})["m"]


def write(path: Path, nodes: list[onnx.NodeProto], inputs: list[Any], outputs: list[Any], **constants: Any) -> Path:
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def value(name: str, kind: int = TensorProto.FLOAT, shape: tuple[int, ...] = (4,)) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


@pytest.mark.parametrize(
    ("operator", "takes", "gives", "kind"),
    [
        ("QLinearConv", "uint8", "uint8", "int8"),
        ("QLinearConv", "int8", "int8", "int8"),
        ("ConvInteger", "uint8", "int32", "int8"),
        ("QGemm", "uint8", "float", "int8"),
        ("QLinearConcat", "float", "uint8", "int8"),  # its first input is a scale
        ("DynamicQuantizeMatMul", "float", "float", "int8"),
        ("Conv", "float", "float", "float"),
        ("Conv", "float16", "float16", "float"),
        ("Greater", "float", "bool", "float"),
        ("QuantizeLinear", "float", "uint8", "conversion"),
        ("DequantizeLinear", "int8", "float", "conversion"),
        ("Cast", "uint8", "float", "conversion"),
        ("Transpose", "uint8", "uint8", "movement"),
        ("ReorderInput", "float", "float", "movement"),
        ("Add", "int64", "int64", "other"),
        ("RandomNormal", "", "float", "float"),
        ("SequenceEmpty", "", "", "other"),
    ],
)
def test_a_kernel_is_of_the_kind_of_what_it_takes_and_gives(operator: str, takes: str, gives: str, kind: str) -> None:
    assert kind_of(operator, takes, gives) == kind


def test_a_quantized_file_runs_as_int8_but_for_what_is_named(tmp_path: Path) -> None:
    inspection = found(write_quantized(tmp_path / "m.onnx"), x=np.zeros((1, 2, 6, 6), np.float32))

    products = {(row.operator, row.kind, row.takes, row.nodes) for row in inspection.kernels if row.is_product}
    assert products == {("QLinearConv", "int8", "uint8", 1), ("Gemm", "float", "float", 1)}
    assert inspection.other_products == ("head",)
    assert {row.provider for row in inspection.kernels} == {CPU}
    assert [row.us for row in inspection.kernels] == sorted((row.us for row in inspection.kernels), reverse=True)
    assert inspection.left is not None
    between = {(left.operator, left.after): left for left in inspection.left}
    assert between["QuantizeLinear", "input"].tensor == "x"
    assert {left.before for left in inspection.left if left.operator == "DequantizeLinear"} <= {("Flatten",), ("Gemm",)}
    assert all(left.us is not None for left in inspection.left)


def test_what_ran_is_counted_as_onnxruntime_counts_it(tmp_path: Path) -> None:
    """The graph that onnxruntime has written and its profile are two accounts of the same nodes."""
    file = write_model(tmp_path / "m.onnx", layers=3)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(file, options, providers=[CPU])
    expected = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]

    inspection = found(file, image=np.zeros((1, 8, 8, 1), np.uint8))

    assert sum(row.nodes for row in inspection.kernels) == len(expected)
    assert {row.operator for row in inspection.kernels} == set(expected)
    assert len(inspection.other_products) == 3
    assert not any(row.kind == "int8" for row in inspection.kernels)


def test_weights_that_are_converted_at_each_call_are_said_to_be_weights(tmp_path: Path) -> None:
    inspection = found(write_quantized(tmp_path / "m.onnx"), x=np.zeros((1, 2, 6, 6), np.float32))

    of_weights = [
        (left.operator, left.tensor, left.before) for left in inspection.left or () if left.after == "weights"
    ]
    assert of_weights == [("DequantizeLinear", "weights", ("Gemm",))]


def test_an_unnamed_node_is_told_with_its_neighbors_and_without_its_time(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["h"], "relu"),
        helper.make_node("Cast", ["h"], ["i"], to=TensorProto.INT32),
        helper.make_node("Neg", ["i"], ["j"], "neg"),
        helper.make_node("Abs", ["i"], ["k"], "abs"),
    ]
    outputs = [value("j", TensorProto.INT32), value("k", TensorProto.INT32)]
    file = write(tmp_path / "m.onnx", nodes, [value("x")], outputs)

    [left] = found(file, x=np.ones(4, np.float32)).left or ()

    assert (left.operator, left.tensor, left.after) == ("Cast", "h", "Relu")
    assert set(left.before) == {"Neg", "Abs"}
    assert left.us is None


def test_a_branch_that_is_not_taken_is_left_out_and_the_time_of_one_that_is_counts_once(tmp_path: Path) -> None:
    branches = {}
    for name, kind in (("then", TensorProto.INT32), ("else", TensorProto.INT64)):
        body = [
            helper.make_node("Cast", ["x"], [f"{name}_i"], f"{name}_to", to=kind),
            helper.make_node("Abs", [f"{name}_i"], [f"{name}_abs"], f"{name}_abs"),
            helper.make_node("Cast", [f"{name}_abs"], [f"{name}_y"], f"{name}_back", to=TensorProto.FLOAT),
        ]
        branches[f"{name}_branch"] = helper.make_graph(body, name, [], [value(f"{name}_y")])
    node = helper.make_node("If", ["condition"], ["y"], "if", **branches)
    file = write(tmp_path / "m.onnx", [node], [value("condition", TensorProto.BOOL, ()), value("x")], [value("y")])

    inspection = found(file, condition=np.array(True), x=np.ones(4, np.float32))

    assert {row.operator for row in inspection.kernels} == {"Cast", "Abs"}
    assert sum(row.nodes for row in inspection.kernels) == 3
    assert [(left.tensor, left.before) for left in inspection.left or ()] == [
        ("x", ("Abs",)),
        ("then_abs", ("output",)),
    ]


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31mb", 'a"b', "a\\b", b"a\xff\xfeb"])
def test_names_of_any_bytes_are_one_line_of_text(name: str | bytes, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "x"], ["PLACEHOLDER"], "PLACEHOLDER"),
        helper.make_node("Cast", ["PLACEHOLDER"], ["y"], "cast", to=TensorProto.INT32),
    ]
    file = write(tmp_path / "m.onnx", nodes, [value("x")], [value("y", TensorProto.INT32, ())])
    encoded = name if isinstance(name, bytes) else name.encode()
    whole = encoded + b"-" * (len("PLACEHOLDER") - len(encoded))  # lengths are stored
    file.write_bytes(file.read_bytes().replace(b"PLACEHOLDER", whole))

    inspection = found(file, x=np.ones(4, np.float32))

    [product], [left] = inspection.other_products, inspection.left or ()
    assert product == left.tensor
    assert product.isprintable()
    assert product.startswith("a")
    assert product.rstrip("-").endswith("b")


def test_a_provider_that_cannot_write_its_graph_down_is_inspected_without_it(tmp_path: Path) -> None:
    file = write_quantized(tmp_path / "m.onnx")

    def open_(*, profile: Path, optimized: Path | None = None) -> Any:
        if optimized:
            raise RuntimeError("Unable to serialize model as it contains compiled nodes")
        return open_session(file, threads=1, profile=profile)

    inspection = inspect({"m": (open_, {"x": np.zeros((1, 2, 6, 6), np.float32)})})["m"]

    assert inspection.left is None
    assert inspection.other_products == ("head",)


def test_models_take_turns_and_each_is_told_by_its_own_name(tmp_path: Path) -> None:
    order: list[str] = []

    class Session:
        def __init__(self, name: str, layers: int, **options: Any) -> None:
            file = write_model(tmp_path / f"{name}.onnx", layers)
            self.name, self.session = name, open_session(file, threads=1, **options)

        def run(self, outputs: None, feed: Any) -> None:
            order.append(self.name)
            self.session.run(outputs, feed)

        def end_profiling(self) -> str:
            return self.session.end_profiling()

    feed = {"image": np.zeros((1, 8, 8, 1), np.uint8)}

    inspections = inspect({name: (partial(Session, name, layers), feed) for name, layers in (("a", 1), ("b", 2))})

    assert order == ["a", "b"] * module.MIN_CALLS
    assert {name: len(one.other_products) for name, one in inspections.items()} == {"a": 1, "b": 2}


def test_time_is_that_of_a_median_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def event(operator: str, name: str, microseconds: int) -> dict[str, Any]:
        types = {"input_type_shape": [{"uint8": [1]}], "output_type_shape": [{"uint8": [1]}]}
        args = {"provider": CPU, "node_index": name, "op_name": operator, **types}
        return {"cat": "Node", "name": f"{name}_kernel_time", "dur": microseconds, "args": args}

    calls = [(900, 5), (10, 5), (12, 5)]  # the first is slow; a node in a loop runs twice a call
    events = [
        each
        for conv, relu in calls
        for each in (event("QLinearConv", "c", conv), event("Relu", "r", relu), event("Relu", "r", relu))
    ]
    monkeypatch.setattr(module, "node_events", lambda profile: events)

    inspection = found(write_model(tmp_path / "m.onnx"), image=np.zeros((1, 8, 8, 1), np.uint8))

    assert [(row.operator, row.nodes, row.us) for row in inspection.kernels] == [
        ("QLinearConv", 1, 12.0),
        ("Relu", 1, 10.0),
    ]
