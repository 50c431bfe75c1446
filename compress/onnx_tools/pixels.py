"""What a graph does to pixels before its first layer: it scales them, and moves them to where the layer wants them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper

from compress.onnx_tools.signature import INPUT

PIXELS = np.arange(256)
MOVES = ("Identity", "Reshape", "Transpose")
SCALE: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "Add": np.add,
    "Div": np.divide,
    "Mul": np.multiply,
    "Sub": np.subtract,
}


class Step(NamedTuple):
    """A node that casts, scales or moves pixels, and what it makes of 0 to 255, `(256,) float32`."""

    node: onnx.NodeProto
    values: np.ndarray


def steps_of(graph: onnx.GraphProto) -> Iterator[Step]:
    """Yield what is done to pixels, in order, as far as each node alone takes what the one before it gives."""
    scalars = (tensor for tensor in graph.initializer if math.prod(tensor.dims) == 1)  # the others are large to read
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in scalars}
    name, values = INPUT, PIXELS.astype(np.float32)
    while True:
        takers = takers_of(name, graph)
        if len(takers) != 1:
            return
        [node] = takers
        if node.op_type in SCALE:
            others = [constants[taken] for taken in node.input if taken in constants]
            if len(others) != 1:
                return
            pair = (values if taken == name else others[0].astype(np.float32).ravel() for taken in node.input)
            values = SCALE[node.op_type](*pair)
        elif node.op_type not in MOVES and not (name == INPUT and _is_cast_to_float(node)):
            return
        yield Step(node, values)
        name = node.output[0]


def _is_cast_to_float(node: onnx.NodeProto) -> bool:
    return node.op_type == "Cast" and node.attribute[0].i == onnx.TensorProto.FLOAT


def takers_of(name: str, graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes that take a tensor."""
    return [node for node in graph.node if name in node.input]


def fold_scaling(graph: onnx.GraphProto) -> None:
    """Multiply the first convolution's weights in place of the pixels, if nothing is added to these.

    That leaves out a pass or two over the image, which matters in a small network.
    """
    steps = list(steps_of(graph))
    scales = [step.node for step in steps if step.node.op_type in SCALE]
    takers = takers_of(steps[-1].node.output[0], graph) if scales else []
    constants = {tensor.name: tensor for tensor in graph.initializer}
    if [node.op_type for node in takers] != ["Conv"] or takers[0].input[1] not in constants or steps[-1].values[0] != 0:
        return
    [conv] = takers
    weights = numpy_helper.to_array(constants[conv.input[1]]).astype(np.float64) * (steps[-1].values[-1] / PIXELS[-1])
    name = f"{conv.input[1]}/scaled"
    graph.initializer.append(numpy_helper.from_array(weights.astype(np.float32), name))
    conv.input[1] = name
    for node in scales:
        [before] = [taken for taken in node.input if taken not in constants]
        for taker in takers_of(node.output[0], graph):
            taker.input[:] = [before if taken == node.output[0] else taken for taken in taker.input]
        graph.node.remove(node)
