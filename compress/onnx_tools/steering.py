"""Inputs of an ONNX model that steer its work: shapes, sizes, indices and counts of rounds rather than data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

# Operators of opset 1 to 23, and the positions of their inputs that decide how much is computed, and where
STEERED = {
    "AffineGrid": {1},
    "CenterCropPad": {1},
    "Compress": {1},
    "ConstantOfShape": {0},
    "CumSum": {1},
    "DFT": {1, 2},
    "Expand": {1},
    "Gather": {1},
    "GatherElements": {1},
    "GatherND": {1},
    "If": {0},
    "Loop": {0, 1},
    "MaxUnpool": {1, 2},
    "NonMaxSuppression": {2, 3, 4},
    "OneHot": {0, 1},
    "Pad": {1, 3},
    "Range": {0, 1, 2},
    "Reshape": {1},
    "Resize": {1, 2, 3},
    "ReverseSequence": {1},
    "RoiAlign": {1, 2},
    "Scatter": {1},
    "ScatterElements": {1},
    "ScatterND": {1},
    "SequenceAt": {1},
    "Slice": {1, 2, 3, 4},
    "Split": {1},
    "Squeeze": {1},
    "STFT": {1, 3},
    "Tile": {1, 2},
    "TopK": {1},
    "Trilu": {1},
    "Unsqueeze": {1},
    "Upsample": {1},
}
# Operators that sizes and counts go through on their way; what a convolution returns is data
# fmt: off
PASSED_ON = {
    "Abs", "Add", "And", "Cast", "CastLike", "Ceil", "Clip", "Concat", "Div", "Equal", "Flatten", "Floor",
    "Gather", "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Max", "Min", "Mod", "Mul", "Neg",
    "Not", "Or", "Reshape", "Round", "Slice", "Split", "Squeeze", "Sub", "Unsqueeze", "Where",
}
# fmt: on


def read_model(file: Path) -> onnx.ModelProto | None:
    """Return an ONNX file's model without its external data; None if the file is not ONNX."""
    try:
        return onnx.load(file, format="protobuf", load_external_data=False)
    except DecodeError:
        return None


def steering_inputs(model: onnx.ModelProto) -> set[str]:
    """Return the names of the model's inputs whose values decide how much is computed.

    An input is followed through casts, arithmetic and the like to the inputs of operators in `STEERED`, into the bodies
    of loops and branches as well.
    """
    return {value.name for value in model.graph.input if _steers(value.name, model.graph)}


def _steers(name: str, graph: onnx.GraphProto) -> bool:
    reached, nodes = {name}, list(_nodes(graph))
    while True:
        before = len(reached)
        for node in nodes:
            positions = {i for i, value in enumerate(node.input) if value in reached}
            if positions & STEERED.get(node.op_type, set()):
                return True
            if positions and node.op_type in PASSED_ON:
                reached.update(node.output)
            for body in _bodies(node) if node.op_type in ("Loop", "Scan") else ():
                reached.update(body.input[i].name for i in positions if i < len(body.input))
        if len(reached) == before:
            return False


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a graph and of the bodies in it."""
    for node in graph.node:
        yield node
        for body in _bodies(node):
            yield from _nodes(body)


def _bodies(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH]
