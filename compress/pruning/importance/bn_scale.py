"""The scale that batch normalization gives a channel.

Liu et al., "Learning Efficient Convolutional Networks through Network Slimming" (2017).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from compress.errors import BadInputError
from compress.graphs.coupling import Coupling
from compress.pruning.sample import Sample, shares


def importance(model: Any, coupling: Coupling, sample: Sample) -> np.ndarray:
    """Return each channel's absolute scale as a share in its layer; of several layers, the sum.

    Raises `BadInputError` if channels that can be removed have none.
    """
    from compress.tensorflow import keras

    total, has_scale = np.zeros(coupling.count), np.zeros(coupling.count, bool)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization) and layer.scale and layer.name in coupling.axes:
            channels = coupling.axes[layer.name][0][0]
            np.add.at(total, channels, shares(np.abs(layer.gamma.numpy().astype(np.float64))))
            has_scale[channels] = True
    for group in coupling.groups:
        if not has_scale[group.channels].all():
            raise BadInputError(
                f"importance = bn_scale: {group.name} has no batch normalization; should be another criterion"
            )
    return total
