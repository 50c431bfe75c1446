"""Pixels that a quantized network takes as they are.

A network scales pixels to floats, and quantization turns these into integers again: the very pixels, where the range of
the floats is that of 0 to 255. Then both steps are left out. Of a small student, they took a sixth of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper

from compress.onnx_tools.signature import INPUT
from compress.quantization.observation import Range

PIXELS = np.arange(256)
MOVES = ("Identity", "Reshape", "Transpose")
SCALE: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "Add": np.add,
    "Div": np.divide,
    "Mul": np.multiply,
    "Sub": np.subtract,
}


class Step(NamedTuple):
    """A node that scales or moves pixels, and what it makes of 0 to 255, `(256,) float32`."""

    node: onnx.NodeProto
    values: np.ndarray


def spans_of_pixels(graph: onnx.GraphProto) -> dict[str, Range]:
    """Return the range of each tensor that holds scaled pixels, by name."""
    return {step.node.output[0]: (float(step.values.min()), float(step.values.max())) for step in _steps(graph)}


def take_as_they_are(graph: onnx.GraphProto) -> None:
    """Take out of a quantized graph what scales pixels to floats, if the integers made of these are the pixels."""
    steps = list(_steps(graph))
    takers = [node for node in graph.node if steps and steps[-1].node.output[0] in node.input]
    if [node.op_type for node in takers] != ["QuantizeLinear"]:
        return
    [quantize] = takers
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    scale, zero_point = (constants[name] for name in quantize.input[1:3])
    if zero_point.dtype != np.uint8 or not (np.rint(steps[-1].values / scale) + zero_point == PIXELS).all():
        return
    taken, floats = INPUT, {step.node.output[0] for step in steps}
    for node in (step.node for step in steps):
        if node.op_type in MOVES:
            node.input[0], taken = taken, node.output[0]
        else:
            graph.node.remove(node)
    for node in graph.node:
        node.input[:] = [taken if name == quantize.output[0] else name for name in node.input]
    graph.node.remove(quantize)
    kept = [value for value in graph.value_info if value.name not in floats]  # what is left of these holds integers
    del graph.value_info[:]
    graph.value_info.extend(kept)


def _steps(graph: onnx.GraphProto) -> Iterator[Step]:
    """Yield the nodes that scale and move pixels, from the input on, as far as each alone takes what is before it."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    name, values = INPUT, PIXELS.astype(np.float32)
    while True:
        takers = [node for node in graph.node if name in node.input]
        if len(takers) != 1:
            return
        [node] = takers
        if node.op_type in SCALE:
            pair = [values if taken == name else constants.get(taken, np.empty(0)) for taken in node.input]
            if any(array.size != 1 and array is not values for array in pair):
                return
            values = SCALE[node.op_type](*(array.astype(np.float32).ravel() for array in pair))
        elif node.op_type not in (*MOVES, "Cast"):
            return
        yield Step(node, values)
        name = node.output[0]
