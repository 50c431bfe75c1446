"""Pixels that a quantized network takes as they are.

A network turns pixels into floats, and quantization turns these into integers again: the very pixels, where the range
of the floats is that of 0 to 255. Then both steps are left out, which took a good part of a small network's time.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from compress.onnx_tools.pixels import MOVES, PIXELS, steps_of, takers_of
from compress.onnx_tools.signature import INPUT
from compress.quantization.observation import Range


def spans_of_pixels(graph: onnx.GraphProto) -> dict[str, Range]:
    """Return the range of each tensor that holds pixels as floats, by name."""
    return {step.node.output[0]: (float(step.values.min()), float(step.values.max())) for step in steps_of(graph)}


def take_as_they_are(graph: onnx.GraphProto) -> None:
    """Take out of a quantized graph what turns pixels into floats, if the integers made of these are the pixels."""
    steps = list(steps_of(graph))
    takers = takers_of(steps[-1].node.output[0], graph) if steps else []
    if [node.op_type for node in takers] != ["QuantizeLinear"]:
        return
    [quantize] = takers
    constants = {tensor.name: tensor for tensor in graph.initializer}
    scale, zero_point = (numpy_helper.to_array(constants[name]) for name in quantize.input[1:3])
    if zero_point.dtype != np.uint8 or not (np.rint(steps[-1].values / scale) + zero_point == PIXELS).all():
        return
    taken, floats = INPUT, {step.node.output[0] for step in steps}
    for node in (step.node for step in steps):
        if node.op_type in MOVES:
            node.input[0], taken = taken, node.output[0]
        else:
            graph.node.remove(node)
    for node in takers_of(quantize.output[0], graph):
        node.input[:] = [taken if name == quantize.output[0] else name for name in node.input]
    graph.node.remove(quantize)
    kept = [value for value in graph.value_info if value.name not in floats]  # what is left of these holds integers
    del graph.value_info[:]
    graph.value_info.extend(kept)
