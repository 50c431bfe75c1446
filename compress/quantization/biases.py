"""Biases that make up for what rounding the weights adds to a layer's sums on average.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (2019), section 4.2, with the
means of the activations that the calibration images show.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import onnx

from compress.artifacts import OnnxModel
from compress.onnx_tools.canonical import write
from compress.quantization.layers import Graph
from compress.quantization.observation import Channels
from compress.quantization.rounding import rounded_weights


def corrected(
    model: OnnxModel, channels: Mapping[str, Channels], file: Path, in_float: Collection[str] = ()
) -> OnnxModel:
    """Write a float model whose sums, with rounded weights, are on average what they were; return it.

    `channels` is what the activations hold, by name. Products named by `in_float`, whose weights are not rounded, and
    those without a bias stay as they are.
    """
    graph = Graph(onnx.load(model.file))
    for product in graph.products:
        weights = product.outputs_first(graph.values(product.node, 1))
        means = channels[product.node.input[0]].means
        is_left = product.node.name in in_float or product.bias < 0 or not product.is_usual
        if not is_left and len(means) == weights.shape[1] * product.groups:
            error = rounded_weights(weights) - weights
            of_pairs = error.reshape(*error.shape[:2], -1).sum(axis=2)  # the borders see less, which is not counted
            added = (of_pairs * product.of_inputs(means, len(weights))).sum(axis=1)
            graph.replace(product.adder, product.bias, graph.values(product.adder, product.bias) - added)
    write(graph.model, file)
    return replace(model, file=file)
