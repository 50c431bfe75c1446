"""Biases that make up for what rounding the weights adds to a layer's sums on average.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (2019), section 4.2, with the
means of the activations that the calibration images show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import onnx

from compress.artifacts import OnnxModel
from compress.onnx_tools.canonical import write
from compress.quantization.layers import Graph, stored_weights
from compress.quantization.observation import Channels


def corrected(model: OnnxModel, channels: Mapping[str, Channels], int8: OnnxModel, file: Path) -> OnnxModel:
    """Write a float model whose sums, with the weights that its int8 version has, are on average what they were.

    `channels` is what the activations hold, by name. Products that int8 leaves in float, and those without a bias, stay
    as they are. Returns the model.
    """
    graph, stored = Graph(onnx.load(model.file)), stored_weights(onnx.load(int8.file).graph)
    for product in graph.products:
        weights = product.outputs_first(graph.values(product.node, 1))
        taken = channels[product.node.input[0]]
        can_be = product.node.name in stored and product.bias >= 0 and product.is_usual
        if can_be and product.reads(taken, weights):
            error = product.outputs_first(stored[product.node.name]) - weights
            of_pairs = error.reshape(*error.shape[:2], -1).sum(axis=2)  # the borders see less, which is not counted
            added = (of_pairs * product.of_inputs(taken.means, len(weights))).sum(axis=1)
            graph.replace(product.adder, product.bias, graph.values(product.adder, product.bias) - added)
    write(graph.model, file)
    return replace(model, file=file)
