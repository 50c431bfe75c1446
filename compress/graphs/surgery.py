"""Networks with fewer channels, with the weights of those that stay."""

from __future__ import annotations

from typing import Any

import numpy as np

from compress.graphs.coupling import Coupling
from compress.graphs.rebuilding import rebuilt


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
