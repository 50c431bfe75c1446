"""What a graph costs with some of its channels: weights, and multiply-accumulates (MACs) per image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from compress.graphs.coupling import Coupling
from compress.metrics.cost import KERAS_KERNELS
from compress.tensorflow import keras


class Cost(NamedTuple):
    """Weights of kernels and biases, and multiply-accumulates of the kernels for one image."""

    weights: int
    macs: int


class _Array(NamedTuple):
    fixed: int  # values per combination of channels
    axes: tuple[np.ndarray, ...]
    places: int  # of the image at which a kernel is multiplied; 0 for others


class CostOf:
    """Tells what a model costs if only some of its channels are kept, without building it."""

    def __init__(self, model: Any, coupling: Coupling) -> None:
        self._layers = {layer.name: _arrays(layer, coupling) for layer in model.layers}

    def __call__(self, kept: np.ndarray) -> Cost:
        """Return the cost with the channels for which `kept`, `(coupling.count,) bool`, is true."""
        return Cost(*(sum(values) for values in zip(*self.by_layer(kept).values(), strict=True)))

    def by_layer(self, kept: np.ndarray) -> dict[str, Cost]:
        """Return the cost of each layer."""
        return {name: _cost(arrays, kept) for name, arrays in self._layers.items()}


def _cost(arrays: Sequence[_Array], kept: np.ndarray) -> Cost:
    sizes = [array.fixed * math.prod(int(kept[channels].sum()) for channels in array.axes) for array in arrays]
    return Cost(sum(sizes), sum(array.places * size for array, size in zip(arrays, sizes, strict=True)))


def _arrays(layer: Any, coupling: Coupling) -> list[_Array]:
    if isinstance(layer, keras.layers.BatchNormalization):  # becomes part of the convolution before it
        return []
    kernels = [getattr(layer, name) for name in KERAS_KERNELS if hasattr(layer, name)]
    found = []
    for i, variable in enumerate(layer.weights):
        axes = coupling.axes.get(layer.name, ({},) * len(layer.weights))[i]
        fixed = math.prod(size for axis, size in enumerate(variable.shape) if axis not in axes)
        places = coupling.places[layer.name] if any(variable is kernel for kernel in kernels) else 0
        found.append(_Array(fixed, tuple(axes.values()), places))
    return found
