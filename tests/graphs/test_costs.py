from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from compress.graphs.costs import CostOf
from compress.graphs.groups import coupling_of
from compress.graphs.surgery import narrowed
from compress.metrics.cost import cost_of_keras
from compress.tensorflow import keras
from students import plain
from teachers import vgg16

L = keras.layers


def mobile() -> Any:
    image = keras.Input((8, 8, 3))
    x = L.Conv2D(6, 3, strides=2, padding="same", name="first")(image)
    x = L.Conv2D(7, 1)(L.DepthwiseConv2D(3, padding="same")(x))
    x = L.SeparableConv2D(8, 3, depth_multiplier=2)(x)
    return keras.Model(image, L.Dense(3)(L.Flatten()(x)))


@pytest.mark.parametrize(
    "model",
    [
        plain.build((16, 16, 1), 3, width=4),
        vgg16.build((32, 64, 3), 5, width=1 / 16, pooling="flatten", dense=[6]),
        mobile(),
    ],
    ids=["plain", "vgg16", "mobile"],
)
def test_the_cost_of_what_is_kept_is_that_of_the_narrower_network(model: Any) -> None:
    coupling = coupling_of(model)
    cost = CostOf(model, coupling)
    kept = np.random.default_rng(0).random(coupling.count) < 0.6
    for group in coupling.groups:
        kept[group.channels[0]] = True
    fixed = np.ones(coupling.count, bool)
    fixed[np.concatenate([group.channels for group in coupling.groups])] = False
    kept |= fixed

    network = narrowed(model, coupling, kept)

    normalization = sum(layer.count_params() for layer in network.layers if isinstance(layer, L.BatchNormalization))
    params, macs = cost_of_keras(network)
    assert cost(kept).macs == macs
    assert cost(kept).weights == params - normalization
    assert cost(kept).macs < 0.7 * cost(np.ones(coupling.count, bool)).macs


def test_a_layer_that_is_called_twice_multiplies_twice() -> None:
    image = keras.Input((4, 4, 3))
    shared = L.Conv2D(3, 1, use_bias=False)
    model = keras.Model(image, shared(shared(image)))
    coupling = coupling_of(model)

    assert CostOf(model, coupling)(np.ones(coupling.count, bool)) == (9, 2 * 16 * 9)
