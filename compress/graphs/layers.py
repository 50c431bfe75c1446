"""Layers with weights: which axes of their weights run over channels, and over which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from compress.graphs.coupling import Axes, Coupling
from compress.tensorflow import keras

L = keras.layers


class UnknownLayerError(Exception):
    """A layer whose channels cannot be followed; its text says why."""


def _product(layer: Any, channels: np.ndarray, new: np.ndarray) -> tuple[Axes, np.ndarray]:
    """Convolution or dense layer: a kernel `(..., in, out)` and a bias `(out,)`."""
    if getattr(layer, "groups", 1) != 1:
        raise UnknownLayerError("works on groups of channels")
    rank = len(layer.kernel.shape)
    return ({rank - 2: channels, rank - 1: new}, {0: new})[: len(layer.weights)], new


def _transposed(layer: Any, channels: np.ndarray, new: np.ndarray) -> tuple[Axes, np.ndarray]:
    return ({2: new, 3: channels}, {0: new})[: len(layer.weights)], new


def _depthwise(layer: Any, channels: np.ndarray, new: None) -> tuple[Axes, np.ndarray]:
    given = np.repeat(channels, layer.depth_multiplier)
    return ({2: channels}, {0: given})[: len(layer.weights)], given


def _separable(layer: Any, channels: np.ndarray, new: np.ndarray) -> tuple[Axes, np.ndarray]:
    between = np.repeat(channels, layer.depth_multiplier)
    return ({2: channels}, {2: between, 3: new}, {0: new})[: len(layer.weights)], new


def _normalization(layer: Any, channels: np.ndarray, new: None) -> tuple[Axes, np.ndarray]:
    if list(layer.axis) != [layer.input_spec.ndim - 1]:
        raise UnknownLayerError("normalizes over another axis")
    return tuple({0: channels} for _ in layer.weights), channels


def _slopes(layer: Any, channels: np.ndarray, new: None) -> tuple[Axes, np.ndarray]:
    rank = len(layer.alpha.shape)
    return ({rank - 1: channels} if layer.alpha.shape[-1] == len(channels) else {},), channels


MAKERS: Mapping[type, Callable[..., tuple[Axes, np.ndarray]]] = {
    L.Dense: _product,
    L.Conv1D: _product,
    L.Conv2D: _product,
    L.Conv2DTranspose: _transposed,
    L.SeparableConv2D: _separable,
}
"""Layers that make channels of their own, with the axes of their weights."""

WEIGHTED: Mapping[type, Callable[..., tuple[Axes, np.ndarray]]] = {
    **MAKERS,
    L.DepthwiseConv2D: _depthwise,
    L.BatchNormalization: _normalization,
    L.PReLU: _slopes,
}


def output_axes(layer: Any, coupling: Coupling) -> list[tuple[Any, int, np.ndarray]]:
    """Return a layer's weights with a value or a filter per channel that it gives: weight, axis, channels."""
    found = []
    for variable, axes in zip(layer.weights, coupling.axes.get(layer.name, ()), strict=False):
        rank = len(variable.shape)
        axis = 2 if type(layer) is L.Conv2DTranspose and rank == 4 else rank - 1
        if axis in axes:
            found.append((variable, axis, axes[axis]))
    return found
