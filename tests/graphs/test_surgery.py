from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compress import plugins
from compress.graphs.coupling import Coupling
from compress.graphs.groups import coupling_of
from compress.graphs.rebuilding import rebuilt
from compress.graphs.surgery import narrowed
from compress.tensorflow import keras, start_afresh
from tests.graphs.graphs import IMAGE, graph, silence

L = keras.layers
CLOSE = 1e-5


def some_kept(coupling: Coupling, random: np.random.Generator) -> np.ndarray:
    """Remove about half of the channels of each group, and never all."""
    kept = np.ones(coupling.count, bool)
    for group in coupling.groups:
        gone = random.random(len(group.channels)) < 0.5
        gone[random.integers(len(gone))] = False
        kept[group.channels[gone]] = False
    return kept


def outputs(model: Any, images: np.ndarray) -> np.ndarray:
    return model(images, training=False).numpy()


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data(), st.integers(0, 2**32 - 1))
def test_removing_channels_that_are_zero_changes_no_output(data: Any, seed: int) -> None:
    model = graph(data.draw)
    random = np.random.default_rng(seed)
    images = random.uniform(-1, 1, (4, *IMAGE)).astype(np.float32)
    coupling = coupling_of(model)
    kept = some_kept(coupling, random)
    silence(model, coupling, kept)
    before = outputs(model, images)

    network = narrowed(model, coupling, kept)

    assert not coupling.whole
    assert network.count_params() < model.count_params() or kept.all()
    np.testing.assert_allclose(outputs(network, images), before, rtol=0, atol=CLOSE * max(1.0, np.abs(before).max()))
    keras.backend.clear_session()


@pytest.mark.parametrize(
    ("family", "name", "options"),
    [
        ("teachers", "vgg11", {"width": 1 / 16}),
        ("teachers", "vgg16", {"width": 1 / 16}),
        ("teachers", "vgg16", {"width": 1 / 16, "batch_norm": False, "scaling": "caffe", "dropout": 0.5}),
        ("teachers", "vgg16", {"width": 1 / 16, "pooling": "flatten", "dense": [6, 5], "dropout": 0.5}),
        ("teachers", "vgg16", {"width": 1 / 16, "pooling": "flatten", "dense": [6], "head_norm": True}),
        ("students", "plain", {"width": 4}),
    ],
)
@pytest.mark.parametrize("shape", [(32, 32, 1), (32, 64, 3)])
def test_removing_channels_that_are_zero_changes_no_logit_of_our_networks(
    family: Any, name: str, options: dict[str, Any], shape: tuple[int, int, int]
) -> None:
    start_afresh(0)
    random = np.random.default_rng(0)
    model = plugins.find(family, name).build(shape, 3, **options)
    images = random.uniform(0, 255, (4, *shape)).astype(np.float32)
    coupling = coupling_of(model)
    kept = some_kept(coupling, random)
    silence(model, coupling, kept)

    network = narrowed(model, coupling, kept)

    kernels = [layer.name for layer in model.layers if hasattr(layer, "kernel")]
    assert [name for group in coupling.groups for name in group.layers] == kernels[:-1]
    assert network.count_params() < 0.5 * model.count_params()
    np.testing.assert_allclose(outputs(network, images), outputs(model, images), rtol=0, atol=CLOSE)


def test_a_network_rebuilt_whole_is_the_same_in_every_number() -> None:
    image = keras.Input(IMAGE)
    shared = L.Conv2D(3, 1, name="shared")
    normalization = L.BatchNormalization(axis=-1, momentum=0.7, epsilon=0.25, name="norm")
    x = normalization(L.Add()([shared(image), shared(L.ReLU()(image))]))
    model = keras.Model(image, L.Dense(2)(L.Flatten()(x)))
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.5, 1.5, w.shape) for w in model.get_weights()])
    coupling = coupling_of(model)

    network = narrowed(model, coupling, np.ones(coupling.count, bool))

    images = random.uniform(-1, 1, (4, *IMAGE)).astype(np.float32)
    np.testing.assert_array_equal(outputs(network, images), outputs(model, images))
    assert network.count_params() == model.count_params(), "what was shared is shared still"
    assert network.get_layer("norm").get_config() == normalization.get_config()
    for one, other in zip(network.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_zero_filter_that_batch_normalization_shifts_is_not_without_effect() -> None:
    """Gamma 1, beta 0.7, mean 0.2 and variance 1 make 0.5 of it: removing it is exact only without gamma and beta."""
    image = keras.Input(IMAGE)
    x = L.BatchNormalization(epsilon=0.0, name="norm")(L.Conv2D(2, 1, use_bias=False, name="conv")(image))
    model = keras.Model(image, L.Dense(1, kernel_initializer="ones", name="logits")(L.GlobalAveragePooling2D()(x)))
    model.get_layer("conv").kernel.assign(np.zeros((1, 1, 3, 2)))
    model.get_layer("norm").set_weights([np.ones(2), np.full(2, 0.7), np.full(2, 0.2), np.ones(2)])
    coupling = coupling_of(model)
    kept = np.ones(coupling.count, bool)
    kept[coupling.made["conv"][1]] = False

    network = narrowed(model, coupling, kept)

    images = np.zeros((1, *IMAGE), np.float32)
    np.testing.assert_allclose(outputs(model, images) - outputs(network, images), 0.5, atol=1e-6)
    silence(model, coupling, kept)
    np.testing.assert_allclose(outputs(model, images), outputs(network, images), atol=1e-6)


def test_widths_alone_rebuild_what_was_narrowed() -> None:
    image = keras.Input((2, 2, 3))
    x = L.Conv2D(4, 1, name="conv")(image)
    gates = L.Reshape((1, 1, 4))(L.Dense(4, name="gates")(L.GlobalAveragePooling2D()(x)))
    model = keras.Model(image, L.Dense(2)(L.Reshape((16,))(L.Multiply()([x, gates]))))

    network = rebuilt(model, {"conv": 3, "gates": 3})

    assert network.layers[-1].kernel.shape == (12, 2)
