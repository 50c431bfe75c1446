"""Which layers of an int8 model answer otherwise on x86 processors without VNNI, and by how much.

There, ONNX Runtime multiplies activations from 0 to 255 by weights from -128 to 127 with an instruction that adds each
product to its neighbour's in 16 bits, and clips the sum (PMADDUBSW, Intel Software Developer's Manual, volume 2B). int8
activations are moved to 0..255 first, so that theirs are clipped alike. VNNI and ARM add in 32 bits, where all fit.
Neighbours follow each other in a window that is read row by row, from left to right, all channels of a pixel together.
Depthwise convolutions have a kernel of their own, which adds in 32 bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from compress.quantization.layers import PRODUCTS, attributes_of, output_axis

LEAST, MOST = -(2**15), 2**15 - 1
LARGEST_ACTIVATION = 255
WINDOW_BYTES = 2**25  # of windows that are held at once


@dataclass(frozen=True)
class IntegerProduct:
    """A convolution or matrix product of 8-bit activations, a tensor of this name, and constant int8 weights.

    `weights` is `(groups, outputs, values) int8`, the values in the order in which they are added; `scales` is what one
    unit of an output's integer sum is worth, for one output or each, `kernel` a convolution's rows and columns. Of a
    depthwise convolution, nothing is added in pairs.
    """

    node: onnx.NodeProto
    activations: str
    zero_point: np.ndarray
    weights: np.ndarray
    scales: np.ndarray
    kernel: tuple[int, ...]
    is_depthwise: bool

    @cached_property
    def exceeding(self) -> np.ndarray:
        """Whether there are activations whose products exceed 16 bits together, `(groups, outputs, pairs) bool`."""
        exceeding = _exceeding(self.weights)
        return exceeding & (not self.is_depthwise)

    @property
    def has_seven_bits(self) -> bool:
        """Whether all weights are from -64 to 64."""
        return bool(np.all((self.weights >= -64) & (self.weights <= 64)))

    def saturation(self, activations: np.ndarray) -> np.ndarray:
        """Return what clipping adds to the output, `float32` of its shape, for 8-bit activations, images first."""
        values = _unsigned(activations)
        if self.node.op_type != "Conv":
            columns = values.reshape(-1, values.shape[-1]).T
            sums = clipped_off(columns, self.weights[0], self.exceeding[0]).T
            return sums.reshape(*values.shape[:-1], -1) * self.scales
        windows = _windows(values, self.node, self.kernel, int(_unsigned(self.zero_point)))
        images = max(1, WINDOW_BYTES // windows[:1].size)
        parts = [self._in_windows(windows[i : i + images]) for i in range(0, len(windows), images)]
        return np.concatenate(parts) * self.scales.reshape(-1, 1, 1)

    def _in_windows(self, windows: np.ndarray) -> np.ndarray:
        """Return sums `(images, outputs, height, width)` for `(images, channels, height, width, rows, columns)`."""
        images, _, height, width = windows.shape[:4]
        sums = []
        for part, weights, exceeding in zip(
            np.split(windows, len(self.weights), axis=1), self.weights, self.exceeding, strict=True
        ):
            columns = part.transpose(4, 5, 1, 0, 2, 3).reshape(weights.shape[1], -1)
            sums.append(clipped_off(columns, weights, exceeding))
        return np.concatenate(sums).reshape(-1, images, height, width).swapaxes(0, 1)


def saturating(graph: onnx.GraphProto) -> list[IntegerProduct]:
    """Return the products of a QDQ graph in which sums of two can exceed 16 bits, in the graph's order."""
    return [product for product in products_of(graph) if product.exceeding.any()]


def products_of(graph: onnx.GraphProto) -> list[IntegerProduct]:
    """Return the products that ONNX Runtime computes with integers, in the graph's order.

    A MatMul to whose sums a constant is added in float is none: it becomes a Gemm in float.
    """
    constants = {tensor.name: tensor for tensor in graph.initializer}
    dequantized = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    biased = {
        name for node in graph.node if node.op_type == "Add" and constants.keys() & node.input for name in node.input
    }
    found = []
    for node in graph.node:
        if node.op_type in PRODUCTS and node.output[0] not in biased and all(i in dequantized for i in node.input[:2]):
            left, right = (dequantized[name] for name in node.input[:2])
            names = (*left.input[1:3], *right.input[:2])
            if all(name in constants for name in names):
                found.append(_product(node, left.input[0], *(numpy_helper.to_array(constants[name]) for name in names)))
    return found


def clipped_off(columns: np.ndarray, weights: np.ndarray, exceeding: np.ndarray) -> np.ndarray:
    """Return what clipping sums of two products to 16 bits adds to the sums of all, `(outputs, n) int32`.

    `columns` are activations `(values, n) uint8`, `weights` `(outputs, values) int8`, `exceeding` `(outputs, pairs)`
    the pairs that can exceed 16 bits. They do so only where two activations are large together: few are looked at.
    """
    clipped = np.zeros((len(weights), columns.shape[1]), np.int32)
    for pair in np.flatnonzero(exceeding.any(axis=0)):
        first, second = columns[2 * pair], columns[2 * pair + 1]
        [large] = np.nonzero(first + second < first)  # their sum is over 255, beyond uint8: no weight exceeds 128
        if len(large):
            [outputs] = np.nonzero(exceeding[:, pair])
            sums = weights[outputs, 2 * pair : 2 * pair + 2].astype(np.int32) @ np.stack([first[large], second[large]])
            clipped[np.ix_(outputs, large)] += np.clip(sums, LEAST, MOST) - sums
    return clipped


def _exceeding(weights: np.ndarray) -> np.ndarray:
    even = weights[..., : weights.shape[-1] // 2 * 2].astype(np.int32)  # the last of an odd number is added alone
    highest, lowest = (
        (signed[..., ::2] + signed[..., 1::2]) * LARGEST_ACTIVATION
        for signed in (np.maximum(even, 0), np.minimum(even, 0))
    )
    exceeding: np.ndarray = (highest > MOST) | (lowest < LEAST)
    return exceeding


def _product(
    node: onnx.NodeProto,
    activations: str,
    scale: np.ndarray,
    zero_point: np.ndarray,
    weights: np.ndarray,
    weight_scale: np.ndarray,
) -> IntegerProduct:
    outputs_first = np.moveaxis(weights, output_axis(node), 0)
    groups, kernel = attributes_of(node).get("group", 1), weights.shape[2:]
    if node.op_type == "Conv":
        outputs_first = outputs_first.transpose(0, 2, 3, 1)
    by_group = outputs_first.reshape(groups, len(outputs_first) // groups, -1)
    is_depthwise = node.op_type == "Conv" and by_group.shape[1] == weights.shape[1] == 1
    return IntegerProduct(node, activations, zero_point, by_group, scale * weight_scale, kernel, is_depthwise)


def _windows(activations: np.ndarray, node: onnx.NodeProto, kernel: Sequence[int], zero_point: int) -> np.ndarray:
    """Return what a kernel sees at each place of its output, `(images, channels, height, width, rows, columns)`.

    `activations` is `(images, channels, height, width)`; the border is the zero point.
    """
    attributes = attributes_of(node)
    strides, dilations = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    spans = tuple((size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True))
    borders = _borders(attributes, activations.shape[2:], spans, strides)
    padded = np.pad(activations, ((0, 0), (0, 0), *borders), constant_values=zero_point)
    seen = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=(2, 3))
    return seen[:, :, :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]


def _borders(
    attributes: Mapping[str, Any], sizes: Sequence[int], spans: Sequence[int], strides: Sequence[int]
) -> list[tuple[int, int]]:
    """Return how many rows and columns a convolution adds before and behind, as ONNX defines `pads` and `auto_pad`."""
    automatic = attributes.get("auto_pad", b"NOTSET")
    if not automatic.startswith(b"SAME"):
        top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
        return [(top, bottom), (left, right)]
    borders = []
    for size, span, stride in zip(sizes, spans, strides, strict=True):
        whole = max(0, (-(-size // stride) - 1) * stride + span - size)
        less, more = whole // 2, whole - whole // 2
        borders.append((less, more) if automatic == b"SAME_UPPER" else (more, less))
    return borders


def _unsigned(values: np.ndarray) -> np.ndarray:
    """Return 8-bit values as the kernels multiply them: int8 plus 128."""
    return values if values.dtype == np.uint8 else values.view(np.uint8) ^ np.uint8(128)
