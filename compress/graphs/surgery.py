"""Networks with fewer channels: built anew, with the weights of the channels that stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from compress.graphs.coupling import Coupling
from compress.tensorflow import keras


def rebuilt(model: Any, widths: Mapping[str, int]) -> Any:
    """Return the same functional graph, with fresh weights, whose layers have as many channels as `widths` say.

    Layers that are not named keep theirs, and layers that several places share stay shared. What follows of a layer's
    width, such as the shapes of batch normalization, follows by itself.
    """

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name in widths:
            config["units" if "units" in config else "filters"] = widths[layer.name]
        if isinstance(layer, keras.layers.Reshape):  # what is removed is always part of the last axis
            config["target_shape"] = (*layer.output_shape[1:-1], -1)
        return type(layer).from_config(config)

    return keras.models.clone_model(model, clone_function=clone)


def narrowed(model: Any, coupling: Coupling, kept: np.ndarray) -> Any:
    """Return a network without the channels for which `kept`, `(coupling.count,) bool`, is false.

    The weights of all others are those of the model. Where a removed channel was zero for every image, the network's
    outputs are the model's.
    """
    widths = widths_of(coupling, kept)
    network = rebuilt(model, widths)
    for layer in model.layers:
        arrays = layer.get_weights()
        for i, axes in enumerate(coupling.axes.get(layer.name, ())):
            for axis, channels in axes.items():
                arrays[i] = np.compress(kept[channels], arrays[i], axis)
        network.get_layer(layer.name).set_weights(arrays)
    return network


def widths_of(coupling: Coupling, kept: np.ndarray) -> dict[str, int]:
    """Return `{layer: channels}` for the layers that lose some."""
    left = {name: int(kept[channels].sum()) for name, channels in coupling.made.items()}
    return {name: count for name, count in left.items() if count < len(coupling.made[name])}
