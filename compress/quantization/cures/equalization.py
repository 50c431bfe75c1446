"""Channels of one scale: what a layer's channels are divided by, the weights of the next layer are multiplied by.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (2019), section 4.1. Here the
first layer's weights do not need it, having a scale per output channel: one scale is shared by the activations between
the layers and, for each output, by the next layer's weights. Between these two the ranges are evened out, as Xiao et
al. do in "SmoothQuant" (2023): a channel is divided by the root of its largest activation over its largest weight.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnx

from compress.onnx_tools.canonical import write
from compress.quantization.candidates import Candidate, Workbench
from compress.quantization.cures import calibration
from compress.quantization.layers import Graph, Product

KEEP_CHANNELS = ("Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "Squeeze", "Flatten", "Reshape")


def cured(candidate: Candidate, workbench: Workbench) -> Iterator[Candidate]:
    """Yield the candidate with channels of one scale, if any layers follow each other without a branch.

    Then with each other calibrator: which one suits the channels as they were says little of them now.
    """
    if candidate.is_equalized:
        return
    graph, seen = Graph(onnx.load(candidate.model.file)), workbench.observed(candidate.model).channels
    found = list(pairs(graph))
    for first, second in found:
        channels, outputs = seen[second.node.input[0]], graph.values(first.node, 1).shape[first.output_axis]
        weights = second.outputs_first(graph.values(second.node, 1))
        if second.reads(channels, weights) and len(channels.peaks) == outputs:
            divide(graph, first, second, _scales(channels.peaks, _largest(graph, second)))
    if found:
        file = workbench.folder / f"{candidate.model.file.stem}-equalized.onnx"
        write(graph.model, file)
        made = replace(candidate, model=replace(candidate.model, file=file), is_equalized=True)
        yield made
        yield from calibration.cured(made, workbench)


def pairs(graph: Graph) -> Iterator[tuple[Product, Product]]:
    """Yield products that follow each other, with nothing between them to which the size of a channel matters."""
    products = {product.node.name: product for product in graph.products if product.is_usual}
    for first in products.values():
        for node in graph.after(first.node):
            if node.name in products:
                yield first, products[node.name]
            if node is not first.adder and node.op_type not in KEEP_CHANNELS:
                break


def _largest(graph: Graph, product: Product) -> np.ndarray:
    """Return the largest weight of each input channel, as a fraction of the largest of the output that it goes to."""
    weights = np.abs(product.outputs_first(graph.values(product.node, 1)))
    of_pairs = weights.reshape(*weights.shape[:2], -1).max(axis=2)
    fractions = of_pairs / np.maximum(of_pairs.max(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return np.asarray(fractions.reshape(product.groups, -1, fractions.shape[1]).max(axis=1).ravel())


def _scales(peaks: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return what each channel is divided by.

    One that is always 0, or that no weight reads, takes a scale at which it does not widen the others' range.
    """
    scales = np.ones(len(peaks))
    used = (peaks > 0) & (weights > 0)
    if used.any():
        scales[used] = np.sqrt(peaks[used] / weights[used])
        unread, silent = (weights == 0) & (peaks > 0), (peaks == 0) & (weights > 0)
        scales[unread] = peaks[unread] / (peaks[used] / scales[used]).max()
        scales[silent] = (weights[used] * scales[used]).max() / weights[silent]
    return scales


def divide(graph: Graph, first: Product, second: Product, scales: np.ndarray) -> None:
    """Divide the outputs of one product by scales, and multiply the weights of the next one by them."""
    weights = first.outputs_first(graph.values(first.node, 1))
    graph.replace(first.node, 1, first.as_stored(weights / _along(scales[:, np.newaxis], weights)))
    if first.bias >= 0:
        graph.replace(first.adder, first.bias, graph.values(first.adder, first.bias) / scales)
    weights = second.outputs_first(graph.values(second.node, 1))
    graph.replace(second.node, 1, second.as_stored(weights * _along(second.of_inputs(scales, len(weights)), weights)))


def _along(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return `values`, of outputs and inputs, as an array that all of each pair's weights are multiplied by."""
    return values.reshape(*values.shape, *[1] * (weights.ndim - 2))
