"""What a float graph needs before ONNX Runtime's quantizer, so that all products run as integers and all are right."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import onnx
from onnx import helper, numpy_helper

from compress.onnx_tools.pixels import takers_of
from compress.quantization.layers import output_axis

FLOAT = onnx.TensorProto.FLOAT


def prepare(graph: onnx.GraphProto) -> None:
    """Write products of matrices and the addition of their biases as one Gemm, with a bias of one value per output.

    A MatMul and an Add are one for ONNX Runtime too, but with a bias in float, for which it has no integer kernel. Of
    another shape, its quantizer takes no bias.
    """
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in (*graph.value_info, *graph.input)}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in list(graph.node):
        weights = constants.get(node.input[1]) if node.op_type == "MatMul" else None
        if weights is not None and ranks.get(node.input[0]) == len(weights.dims) == 2:
            _add_bias(node, graph, constants)
        if node.op_type == "Gemm" and len(node.input) > 2 and {node.input[1], node.input[2]} <= set(constants):
            _make_vector(node, graph, constants)


def unfit(graph: onnx.GraphProto) -> Iterator[str]:
    """Yield the names of nodes that integers cannot stand for.

    These are a Clip whose bounds are not known, or leave out 0, which integers always have in their range; and a
    product with weights of more than two dimensions, for which there are no scales per output.
    """
    constants = {tensor.name: tensor for tensor in graph.initializer}
    scalars = {name: tensor for name, tensor in constants.items() if not tensor.dims and tensor.data_type == FLOAT}
    bounds = {name: float(numpy_helper.to_array(tensor)) for name, tensor in scalars.items()}
    bounds[""] = 0.0  # an optional input that is not given: no bound
    for node in graph.node:
        if node.op_type == "Clip":
            low, high = (bounds.get(name, math.nan) for name in [*node.input[1:], "", ""][:2])
            if not low <= 0 <= high:
                yield node.name
        if node.op_type == "MatMul" and any(len(constants[name].dims) > 2 for name in node.input if name in constants):
            yield node.name


def _add_bias(node: onnx.NodeProto, graph: onnx.GraphProto, constants: dict[str, onnx.TensorProto]) -> None:
    """Make a Gemm of a MatMul whose result only an Add takes that adds a constant to each row."""
    takers = takers_of(node.output[0], graph)
    is_output = node.output[0] in {output.name for output in graph.output}
    added = [name for other in takers for name in other.input if name in constants]
    if is_output or [other.op_type for other in takers] != ["Add"] or not added or not _is_row(constants[added[0]]):
        return
    gemm = helper.make_node("Gemm", [*node.input, added[0]], takers[0].output, name=node.name)
    graph.node.remove(takers[0])
    node.CopyFrom(gemm)


def _is_row(tensor: onnx.TensorProto) -> bool:
    return all(size == 1 for size in tensor.dims[:-1]) and len(tensor.dims) <= 2


def _make_vector(node: onnx.NodeProto, graph: onnx.GraphProto, constants: dict[str, onnx.TensorProto]) -> None:
    """Give a Gemm a bias with a value per output, if it has another shape that means the same."""
    outputs = constants[node.input[1]].dims[output_axis(node)]
    bias = numpy_helper.to_array(constants[node.input[2]])
    if bias.shape != (outputs,) and _is_row(constants[node.input[2]]):
        vector = np.ascontiguousarray(np.broadcast_to(bias, (1, outputs)).ravel())
        graph.initializer.append(numpy_helper.from_array(vector, f"{node.name}/bias"))
        node.input[2] = f"{node.name}/bias"
