"""What a network costs: its weights, how many of them are zero, and its multiplications."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from compress.errors import BadInputError

WEIGHTED = ("Conv", "Gemm", "MatMul")
KERAS_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


@dataclass(frozen=True)
class Layer:
    """A convolution or dense layer: the channels that it gives, its kernel's weights, and how many of them are zero."""

    name: str
    width: int
    weights: int
    zeros: int


@dataclass(frozen=True)
class Cost:
    """Weights and multiply-accumulates (MACs) of one image's forward pass.

    `params` counts kernels and biases as they stand in the file; quantization's scales are not weights. `sparsity` is
    the fraction of kernel weights that are zero, without biases, which are not pruned. `layers` are those with kernels,
    in order.
    """

    params: int
    nonzero_params: int
    sparsity: float
    macs: int
    layers: tuple[Layer, ...] = ()


def cost_of_onnx(file: Path) -> Cost:
    """Return the cost of an ONNX classifier, float or QDQ, from its graph; raises `BadInputError` for external data."""
    model = onnx.load_model(file, load_external_data=False)
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise BadInputError(f"{file}: has weights in another file; it should hold all of them")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    model = onnx.shape_inference.infer_shapes(model)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    stored = {
        node.output[0]: node.input[0]
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in constants
    }
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.value_info, *model.graph.output)
    }
    kernels: dict[str, np.ndarray] = {}
    biases: dict[str, np.ndarray] = {}
    layers: list[Layer] = []
    macs = 0
    for node in model.graph.node:
        names = [stored.get(name, name) for name in node.input]
        weights = {name: onnx.numpy_helper.to_array(constants[name]) for name in names if name in constants}
        if node.op_type == "Add":  # a dense layer's bias is added to its product; scalars are part of the scaling
            biases |= {name: array for name, array in weights.items() if array.size > 1}
        elif node.op_type in WEIGHTED and names[1] in weights:
            kernel = kernels[names[1]] = weights[names[1]]
            biases |= {name: weights[name] for name in names[2:3] if name in weights}
            macs += math.prod(shapes[node.output[0]]) * _macs_each(node, kernel)
            zeros = kernel.size - int(np.count_nonzero(kernel))
            layers.append(Layer(layer_name(node.name), _width(node, kernel), kernel.size, zeros))
    params = sum(array.size for group in (kernels, biases) for array in group.values())
    nonzero = sum(int(np.count_nonzero(array)) for group in (kernels, biases) for array in group.values())
    kernel_params = sum(array.size for array in kernels.values())
    kernel_nonzero = sum(int(np.count_nonzero(array)) for array in kernels.values())
    return Cost(params, nonzero, 1 - kernel_nonzero / max(1, kernel_params), macs, tuple(layers))


def cost_of_keras(model: Any) -> tuple[int, int]:
    """Return how many weights a Keras model has, and the MACs of its convolutions and dense layers for one image."""
    macs = sum(
        math.prod(layer.output_shape[1:-1]) * math.prod(getattr(layer, kernel).shape)
        for layer in model.layers
        for kernel in KERAS_KERNELS
        if hasattr(layer, kernel)
    )
    return model.count_params(), macs


def _macs_each(node: onnx.NodeProto, kernel: np.ndarray) -> int:
    """Return the multiplications per output value."""
    if node.op_type == "Conv":
        return math.prod(kernel.shape[1:])  # (out, in / groups, height, width)
    return kernel.shape[1] if _is_transposed(node) else kernel.shape[0]


def _is_transposed(node: onnx.NodeProto) -> bool:
    return any(a.name == "transB" and a.i for a in node.attribute)


def _width(node: onnx.NodeProto, kernel: np.ndarray) -> int:
    if node.op_type == "Conv":
        return kernel.shape[0]
    return kernel.shape[0] if _is_transposed(node) else kernel.shape[-1]


def layer_name(node: str) -> str:
    """Return the name of a Keras layer from that of its node, network/layer/operation; that of others as it is."""
    parts = node.split("/")
    return parts[-2] if len(parts) > 2 else node
