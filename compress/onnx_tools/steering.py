"""Inputs of an ONNX model that steer its work: shapes, sizes, indices and counts of rounds rather than data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

# Operators of opset 1 to 26, and the positions of their inputs that decide how much is computed, and where
STEERED = {
    "AffineGrid": {1},
    "Attention": {6},
    "BlackmanWindow": {0},
    "CenterCropPad": {1},
    "Col2Im": {1, 2},
    "Compress": {1},
    "ConstantOfShape": {0},
    "CumProd": {1},
    "CumSum": {1},
    "DFT": {1, 2},
    "Dropout": {2},
    "Expand": {1},
    "GRU": {4},
    "Gather": {1},
    "GatherElements": {1},
    "GatherND": {1},
    "HammingWindow": {0},
    "HannWindow": {0},
    "If": {0},
    "LSTM": {4},
    "Loop": {0, 1},
    "MaxUnpool": {1, 2},
    "MelWeightMatrix": {0, 1},
    "NonMaxSuppression": {0, 1, 2, 3, 4},
    "NonZero": {0},
    "OneHot": {0, 1},
    "Pad": {1, 3},
    "RNN": {4},
    "Range": {0, 1, 2},
    "ReduceL1": {1},
    "ReduceL2": {1},
    "ReduceLogSum": {1},
    "ReduceLogSumExp": {1},
    "ReduceMax": {1},
    "ReduceMean": {1},
    "ReduceMin": {1},
    "ReduceProd": {1},
    "ReduceSum": {1},
    "ReduceSumSquare": {1},
    "Reshape": {1},
    "Resize": {1, 2, 3},
    "ReverseSequence": {1},
    "RoiAlign": {1, 2},
    "RotaryEmbedding": {3},
    "STFT": {1, 3},
    "Scatter": {1},
    "ScatterElements": {1},
    "ScatterND": {1},
    "SequenceAt": {1},
    "SequenceErase": {1},
    "SequenceInsert": {2},
    "Slice": {1, 2, 3, 4},
    "Split": {1},
    "SplitToSequence": {1},
    "Squeeze": {1},
    "TensorScatter": {2},
    "Tile": {1, 2},
    "TopK": {1},
    "Trilu": {1},
    "Unique": {0},
    "Unsqueeze": {1},
    "Upsample": {1},
}
# Operators that sizes and counts go through on their way; what a convolution returns is data
# fmt: off
PASSED_ON = {
    "Abs", "Add", "And", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "Cast", "CastLike", "Ceil",
    "Clip", "Concat", "ConcatFromSequence", "Div", "Equal", "Exp", "Expand", "Flatten", "Floor", "Gather",
    "GatherElements", "GatherND", "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Log", "Max", "Mean",
    "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pow", "Reciprocal", "ReduceL1", "ReduceMax", "ReduceMean", "ReduceMin",
    "ReduceProd", "ReduceSum", "Reshape", "Round", "SequenceAt", "SequenceConstruct", "SequenceInsert", "Sign", "Slice",
    "Split", "SplitToSequence", "Sqrt", "Squeeze", "Sub", "Sum", "Tile", "Transpose", "Unsqueeze", "Where", "Xor",
}
# fmt: on
# Operators that run a body on their own inputs, in order
WITH_INPUTS = ("Loop", "Scan", "SequenceMap")

Call = tuple[str, str, str, int]  # domain, name and overload of a function, and the position of an argument


def read_model(file: Path) -> onnx.ModelProto | None:
    """Return an ONNX file's model without its external data; None if the file is not ONNX."""
    try:
        return onnx.load(file, format="protobuf", load_external_data=False)
    except DecodeError:
        return None


def steering_inputs(model: onnx.ModelProto) -> set[str]:
    """Return the names of the model's inputs whose values decide how much is computed.

    An input is followed through casts, arithmetic and the like to the inputs of operators in `STEERED`, through the
    model's own functions and the bodies of loops and branches as well, and to the condition that ends a loop.
    """
    model_paths = _Paths(model.functions)
    return {value.name for value in model.graph.input if model_paths.reached(value.name, model.graph.node) is None}


class _Paths:
    """The ways of values through a model's nodes; each of its functions is followed once, however often it is used."""

    def __init__(self, functions: Iterable[onnx.FunctionProto]) -> None:
        self._functions = {(function.domain, function.name, function.overload): function for function in functions}
        self._outputs: dict[Call, set[int] | None] = {}

    def reached(self, name: str, graph: Iterable[onnx.NodeProto]) -> set[str] | None:
        """Return the names of all values that sizes can go on to from a value; None if one of them steers the work."""
        reached, nodes = {name}, list(_nodes(graph))
        while True:
            before = len(reached)
            for node in nodes:
                found = self._from(node, reached)
                if found is None:
                    return None
                reached |= found - {""}  # the name of an output that is left out
            if len(reached) == before:
                return reached

    def _from(self, node: onnx.NodeProto, reached: set[str]) -> set[str] | None:
        """Return the values that a node passes sizes on to; None if they steer its work."""
        positions = {i for i, value in enumerate(node.input) if value in reached}
        if (node.domain, node.op_type, node.overload) in self._functions:
            found: set[str] = set()
            for position in positions:
                outputs = self._through(node, position)
                if outputs is None:
                    return None
                found |= {node.output[i] for i in outputs if i < len(node.output)}
            return found
        bodies = _bodies(node)
        ends = node.op_type == "Loop" and any(value.name in reached for body in bodies for value in body.output[:1])
        if ends or positions & STEERED.get(node.op_type, set()):
            return None
        found = set(node.output) if positions and node.op_type in PASSED_ON else set()
        for body in bodies:
            found |= _of_body(node, body, positions, reached)
        return found

    def _through(self, node: onnx.NodeProto, position: int) -> set[int] | None:
        """Return to which outputs of a function an argument goes on, by position; None if it steers the work."""
        call = (node.domain, node.op_type, node.overload, position)
        function = self._functions[call[:3]]
        if call not in self._outputs and position < len(function.input):
            self._outputs[call] = set()  # for a function that calls itself, which ONNX does not allow
            reached = self.reached(function.input[position], function.node)
            outputs = None if reached is None else {i for i, name in enumerate(function.output) if name in reached}
            self._outputs[call] = outputs
        return self._outputs.get(call, set())


def _of_body(node: onnx.NodeProto, body: onnx.GraphProto, positions: set[int], reached: set[str]) -> set[str]:
    """Return the values that a node with a body passes sizes on to: into the body, out of it, and round by round."""
    outputs = [value.name for value in body.output][1 if node.op_type == "Loop" else 0 :]  # after the condition
    found = {name for value, name in zip(outputs, node.output, strict=False) if value in reached}
    if node.op_type in WITH_INPUTS:
        found |= {body.input[i].name for i in positions if i < len(body.input)}
        carried = [value.name for value in body.input][
            2 if node.op_type == "Loop" else 0 :
        ]  # after round and condition
        if node.op_type == "Scan":
            read = next((attribute.i for attribute in node.attribute if attribute.name == "num_scan_inputs"), 0)
            carried = carried[: max(len(carried) - read, 0)]
        if node.op_type != "SequenceMap":
            found |= {name for value, name in zip(outputs, carried, strict=False) if value in reached}
    return found


def _nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Yield nodes, and those in their bodies."""
    for node in nodes:
        yield node
        for body in _bodies(node):
            yield from _nodes(body.node)


def _bodies(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH]
