"""The layers of a float ONNX network: products with stored weights, and what is computed on their sums."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization.quant_utils import load_model_with_shape_infer

from compress.artifacts import OnnxModel
from compress.metrics.cost import layer_name
from compress.quantization.observation import Channels

PRODUCTS = ("Conv", "Gemm", "MatMul")
ALONG = ("Clip", "MaxPool", "Relu")  # quantized together with the product before them
USUAL = {"alpha": 1.0, "beta": 1.0, "transA": 0}  # of Gemm


@dataclass(frozen=True)
class Layer:
    """A product by the name of its node, the nodes that are quantized with it, and its multiply-accumulates.

    `label` is the name of the layer in a Keras network, where that is the only one of its name.
    """

    name: str
    label: str
    nodes: tuple[str, ...]
    macs: int


@dataclass(frozen=True)
class Product:
    """A product whose second factor, its weights, is stored; the outputs are along the given axis of these.

    The bias is what `adder` takes as its input of that number: the product's node, or an Add behind a MatMul. -1 stands
    for none.
    """

    node: onnx.NodeProto
    output_axis: int
    adder: onnx.NodeProto
    bias: int

    @property
    def groups(self) -> int:
        """In how many parts a Conv's channels are computed apart."""
        return int(attributes_of(self.node).get("group", 1))

    def reads(self, channels: Channels, weights: np.ndarray) -> bool:
        """Whether these are the channels of its input: `weights` has its outputs first."""
        dimensions = 4 if self.node.op_type == "Conv" else 2
        return channels.dimensions == dimensions and len(channels.peaks) == weights.shape[1] * self.groups

    def outputs_first(self, weights: np.ndarray) -> np.ndarray:
        """Return weights as `(outputs, inputs of a group, ...)`."""
        return np.moveaxis(weights, self.output_axis, 0)

    def as_stored(self, weights: np.ndarray) -> np.ndarray:
        """Return weights that have their outputs first as the file has them."""
        return np.moveaxis(weights, 0, self.output_axis)

    def of_inputs(self, values: np.ndarray, outputs: int) -> np.ndarray:
        """Return values of all inputs as each output sees those of its group, `(outputs, inputs of a group)`."""
        return np.repeat(values.reshape(self.groups, -1), outputs // self.groups, axis=0)

    @property
    def is_usual(self) -> bool:
        """Whether its sums are those of the weights' products with the input and a constant bias, or none."""
        has_other_bias = self.bias < 0 and len(self.node.input) > 2 and self.node.input[2] != ""
        attributes = attributes_of(self.node)
        return not has_other_bias and all(attributes.get(name, value) == value for name, value in USUAL.items())


class Graph:
    """A network's nodes by what they take and give; constants are replaced, as several nodes may share one."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self._outputs = {output.name for output in model.graph.output}
        self._takers: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self._takers.setdefault(name, []).append(node)

    @property
    def products(self) -> list[Product]:
        """The products with stored weights, in order."""
        nodes = (node for node in self.model.graph.node if node.op_type in PRODUCTS)
        stored = (node for node in nodes if node.input[1] in self._constants)
        matrices = (node for node in stored if node.op_type == "Conv" or len(self._constants[node.input[1]].dims) == 2)
        return [self._product(node) for node in matrices]

    def after(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """Yield the chain of nodes behind a node, as far as each alone takes what the one before it gives."""
        taker = self._only_taker(node)
        while taker is not None:
            yield taker
            taker = self._only_taker(taker)

    def values(self, node: onnx.NodeProto, number: int) -> np.ndarray:
        """Return the values of a constant that a node takes as its input of that number."""
        return numpy_helper.to_array(self._constants[node.input[number]])

    def replace(self, node: onnx.NodeProto, number: int, values: np.ndarray) -> None:
        """Let a node take other values as its input of that number."""
        name = f"{node.name}/{number}"
        while name in self._constants:
            name += "_"
        self._constants[name] = numpy_helper.from_array(values.astype(np.float32), name)
        self.model.graph.initializer.append(self._constants[name])
        node.input[number] = name

    def _only_taker(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        takers = self._takers.get(node.output[0], [])
        return takers[0] if len(takers) == 1 and not self._outputs & set(node.output) else None

    def _product(self, node: onnx.NodeProto) -> Product:
        if node.op_type == "MatMul":
            taker = self._only_taker(node)
            bias = self._constant_of(taker, range(2)) if taker is not None and taker.op_type == "Add" else -1
            return Product(node, output_axis(node), node if taker is None or bias < 0 else taker, bias)
        return Product(node, output_axis(node), node, self._constant_of(node, range(2, len(node.input))))

    def _constant_of(self, node: onnx.NodeProto, numbers: Iterable[int]) -> int:
        return next((number for number in numbers if node.input[number] in self._constants), -1)


def layers_of(model: OnnxModel) -> list[Layer]:
    """Return a float model's layers, in order."""
    graph = Graph(load_model_with_shape_infer(model.file))
    values = (*graph.model.graph.value_info, *graph.model.graph.output)
    sizes = {value.name: math.prod(dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim) for value in values}
    products, found = graph.products, []
    labels = Counter(layer_name(product.node.name) for product in products)
    for product in products:
        node, weights = product.node, graph.values(product.node, 1)
        along = [node.name]
        for taker in graph.after(node):
            if taker.op_type in ALONG:
                along.append(taker.name)
            elif taker is not product.adder:
                break
        label = layer_name(node.name)
        macs = sizes[node.output[0]] * weights.size // weights.shape[product.output_axis]
        found.append(Layer(node.name, label if labels[label] == 1 else node.name, tuple(along), macs))
    return found


def stored_weights(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """Return the weights of a quantized graph's products as floats, by the names of their nodes."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    dequantized = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    found = {}
    for node in graph.node:
        if node.op_type in PRODUCTS and node.input[1] in dequantized:
            stored = dequantized[node.input[1]]
            integers, scale, zero_point = (constants[name] for name in stored.input)
            axis = attributes_of(stored).get("axis", 1)
            along = [-1 if i == axis else 1 for i in range(integers.ndim)]
            steps = integers.astype(np.int32) - zero_point.astype(np.int32).reshape(along)
            found[node.name] = steps * scale.reshape(along)
    return found


def output_axis(node: onnx.NodeProto) -> int:
    """Return the axis of a product's weights along which its outputs, or output channels, are."""
    return 0 if node.op_type == "Conv" or attributes_of(node).get("transB", 0) else 1


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Return a node's attributes by name."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
