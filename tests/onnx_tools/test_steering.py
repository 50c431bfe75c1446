from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import pytest
from onnx import TensorProto, defs, helper

from compress.onnx_tools.steering import STEERED, steering_inputs

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
OPSETS = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
NEWEST = 26  # opset up to which operators were looked through
# Inputs of integers or flags that decide nothing about the amount of work: data, zero points, and labels of a loss
DATA = {
    "And": {0, 1},
    "BitShift": {0, 1},
    "BitwiseAnd": {0, 1},
    "BitwiseNot": {0},
    "BitwiseOr": {0, 1},
    "BitwiseXor": {0, 1},
    "ConvInteger": {0, 1, 2, 3},
    "DequantizeLinear": {0, 2},
    "Equal": {0, 1},
    "ImageDecoder": {0},
    "MatMulInteger": {0, 1, 2, 3},
    "MelWeightMatrix": {2},
    "NegativeLogLikelihoodLoss": {1},
    "Not": {0},
    "Or": {0, 1},
    "QLinearConv": {0, 2, 3, 5, 7, 8},
    "QLinearMatMul": {0, 2, 3, 5, 7},
    "QuantizeLinear": {2},
    "SoftmaxCrossEntropyLoss": {1},
    "Where": {0},
    "Xor": {0, 1},
    "Scan": {0},  # of opset 8: how much of each sequence counts
}


def test_every_input_of_whole_numbers_of_an_operator_is_known_to_steer_it_or_to_be_data() -> None:
    whole = {
        (schema.name, i)
        for schema in defs.get_all_schemas_with_history()
        if schema.domain == "" and schema.since_version <= NEWEST
        for i, value in enumerate(schema.inputs)
        if value.types and all("int" in kind or "bool" in kind for kind in value.types)
    }
    steered, data = ({(name, i) for name, places in table.items() for i in places} for table in (STEERED, DATA))

    assert whole - steered == data


def model_of(
    nodes: list[Any], inputs: dict[str, int], functions: list[Any] | None = None, output: str = "y"
) -> onnx.ModelProto:
    values = [helper.make_tensor_value_info(name, kind, [2, 2]) for name, kind in inputs.items()]
    graph = helper.make_graph(nodes, "g", values, [helper.make_tensor_value_info(output, FLOAT, None)])
    return helper.make_model(graph, opset_imports=OPSETS, functions=functions or [], ir_version=8)


def call(name: str, inputs: list[str], outputs: list[str]) -> Any:
    return helper.make_node(name, inputs, outputs, domain="own")


def function(name: str, inputs: list[str], outputs: list[str], nodes: list[Any]) -> Any:
    return helper.make_function("own", name, inputs, outputs, nodes, OPSETS)


def reducing() -> onnx.ModelProto:
    nodes = [helper.make_node("Cast", ["x"], ["axes"], to=INT64), helper.make_node("ReduceMean", ["d", "axes"], ["y"])]
    return model_of(nodes, {"x": FLOAT, "d": FLOAT})


def in_a_function() -> onnx.ModelProto:
    inner = function("expand", ["a", "b"], ["c"], [helper.make_node("Expand", ["a", "b"], ["c"])])
    outer = function(
        "sized",
        ["d", "s"],
        ["e"],
        [helper.make_node("Cast", ["s"], ["t"], to=INT64), call("expand", ["d", "t"], ["e"])],
    )
    return model_of([call("sized", ["d", "x"], ["y"])], {"x": FLOAT, "d": FLOAT}, [outer, inner])


def through_a_function() -> onnx.ModelProto:
    """The first output of the function hangs on its second input, and the other way round."""
    swap = function(
        "swap",
        ["a", "b"],
        ["c", "d"],
        [helper.make_node("Identity", ["b"], ["c"]), helper.make_node("Identity", ["a"], ["d"])],
    )
    nodes = [call("swap", ["d", "x"], ["size", "data"]), helper.make_node("Expand", ["data", "size"], ["y"])]
    return model_of(nodes, {"x": INT64, "d": FLOAT}, [swap])


def named_as_an_operator() -> onnx.ModelProto:
    """The model's own Reshape only adds."""
    own = function("Reshape", ["a", "b"], ["c"], [helper.make_node("Add", ["a", "b"], ["c"])])
    return model_of([call("Reshape", ["d", "e"], ["y"])], {"d": FLOAT, "e": FLOAT}, [own])


def calling_itself() -> onnx.ModelProto:
    own = function("again", ["a"], ["b"], [call("again", ["a"], ["b"])])
    return model_of([call("again", ["d"], ["y"])], {"d": FLOAT}, [own])


def value(name: str, kind: int) -> Any:
    return helper.make_tensor_value_info(name, kind, None)


def while_above_a_threshold() -> onnx.ModelProto:
    body = helper.make_graph(
        [helper.make_node("Mul", ["carried", "half"], ["next"]), helper.make_node("Greater", ["next", "d"], ["more"])],
        "body",
        [value("i", INT64), value("going", BOOL), value("carried", FLOAT)],
        [value("more", BOOL), value("next", FLOAT)],
    )
    half = helper.make_node("Constant", [], ["half"], value_float=0.5)
    return model_of([half, helper.make_node("Loop", ["", "", "x"], ["y"], body=body)], {"x": FLOAT, "d": FLOAT})


def out_of_a_branch() -> onnx.ModelProto:
    branches = {
        f"{name}_branch": helper.make_graph(
            [helper.make_node("Identity", ["x"], [name])], name, [], [value(name, FLOAT)]
        )
        for name in ("then", "else")
    }
    nodes = [
        helper.make_node("Constant", [], ["sure"], value=helper.make_tensor("t", BOOL, [], [True])),
        helper.make_node("If", ["sure"], ["size"], **branches),
        helper.make_node("Cast", ["size"], ["whole"], to=INT64),
        helper.make_node("ConstantOfShape", ["whole"], ["y"]),
    ]
    return model_of(nodes, {"x": FLOAT, "d": FLOAT})


def second_round_of_a_scan() -> onnx.ModelProto:
    """The second state is the first one of the round before, and a size."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["a"], ["b_out"]),
            helper.make_node("Identity", ["b"], ["a_out"]),
            helper.make_node("Cast", ["b"], ["whole"], to=INT64),
            helper.make_node("Expand", ["row", "whole"], ["made"]),
        ],
        "body",
        [value("a", FLOAT), value("b", FLOAT), value("row", FLOAT)],
        [value("a_out", FLOAT), value("b_out", FLOAT), value("made", FLOAT)],
    )
    scan = helper.make_node("Scan", ["x", "one", "d"], ["", "", "y"], body=body, num_scan_inputs=1)
    return model_of([helper.make_node("Constant", [], ["one"], value_float=1.0), scan], {"x": FLOAT, "d": FLOAT})


def what_is_not_zero() -> onnx.ModelProto:
    nodes = [helper.make_node("Greater", ["x", "d"], ["found"]), helper.make_node("NonZero", ["found"], ["y"])]
    return model_of(nodes, {"x": FLOAT, "d": FLOAT})


def convolved() -> onnx.ModelProto:
    nodes = [
        helper.make_node("MatMul", ["x", "d"], ["h"]),
        helper.make_node("NonZero", ["h"], ["y"]),
        helper.make_node("Dropout", ["d"], ["z", ""]),  # an output that is left out has no name
        helper.make_node("Clip", ["z", "", ""], ["u"]),
    ]
    return model_of(nodes, {"x": FLOAT, "d": FLOAT})


STEERS: list[tuple[str, Callable[[], onnx.ModelProto], set[str]]] = [
    ("axes of a sum", reducing, {"x"}),
    ("in a function of the model in another", in_a_function, {"x"}),
    ("through a function of the model", through_a_function, {"x"}),
    ("function with the name of an operator", named_as_an_operator, set()),
    ("function that calls itself", calling_itself, set()),
    ("condition that ends a loop", while_above_a_threshold, {"x", "d"}),
    ("out of a branch", out_of_a_branch, {"x"}),
    ("later rounds of a scan", second_round_of_a_scan, {"x"}),
    ("how many are not zero", what_is_not_zero, {"x", "d"}),
    ("data of a product", convolved, set()),
]


@pytest.mark.parametrize(("build", "expected"), [row[1:] for row in STEERS], ids=[row[0] for row in STEERS])
def test_inputs_are_followed_to_what_they_steer(build: Callable[[], onnx.ModelProto], expected: set[str]) -> None:
    assert steering_inputs(build()) == expected
