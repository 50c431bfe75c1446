"""What conversion takes, and what it makes of layers that this project's own networks do not have."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from compress import networks
from compress.artifacts import Network
from compress.onnx_tools import convert, scoring, sessions
from compress.tensorflow import keras, start_afresh
from compress.training.evaluation import forward_of, logits_of
from compress.usage import measured

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 1), np.uint8)


def test_conversion_takes_no_more_than_ten_times_the_memory_of_the_weights(tmp_path: Path) -> None:
    """Each pass of tf2onnx copied all weights: 58 bytes a byte. The 37 MB here are the least that stands out."""
    weights = tmp_path / "weights.npz"
    start_afresh(0)
    networks.save(networks.build("teachers", "vgg11", {}, (32, 32, 1), 10), weights)
    network = Network("teacher", "teacher", "teachers", "vgg11", {}, (32, 32, 1), 10, weights)
    gc.collect()
    with measured(tmp_path / "usage.json") as before:
        pass
    with measured(tmp_path / "usage.json") as usage:
        convert.to_onnx(network, tmp_path / "model.onnx")

    assert usage["peak_rss_bytes"] - before["peak_rss_bytes"] < 10 * weights.stat().st_size


def build() -> keras.Model:
    """Return a network with constants that are no weights, and with weights that are large and used twice."""
    layers = keras.layers
    image = keras.Input((32, 32, 1))
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Normalization(mean=[0.5], variance=[0.1])(x)
    x = layers.Conv2D(48, 3, padding="same", activation="swish")(x)
    shared = layers.Conv2D(48, 3, padding="same")  # 83 kB of weights
    x = layers.BatchNormalization()(shared(x))
    x = layers.ReLU()(shared(x))
    return keras.Model(image, layers.Dense(10)(layers.Flatten()(layers.MaxPooling2D(4)(x))))


def test_constants_and_shared_weights_of_other_networks_are_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_afresh(0)
    values = build().get_weights()

    def load(network: Network) -> keras.Model:
        model = build()
        model.set_weights(values)
        return model

    monkeypatch.setattr(networks, "load", load)
    network = Network("student", "distill", "students", "plain", {}, (32, 32, 1), 10, Path())
    exported = convert.to_onnx(network, tmp_path / "model.onnx")
    expected = logits_of(forward_of(load(network)), IMAGES)

    assert [value.name for value in onnx.load(exported.file).graph.input] == ["image"]
    logits = scoring.run(sessions.open_session(exported.file), IMAGES)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("channels", "scaled", "is_folded"),
    [
        (1, lambda x: keras.layers.Rescaling(1 / 255)(x), True),
        (3, lambda x: keras.layers.Rescaling(1 / 255)(x), True),
        (1, lambda x: keras.layers.Rescaling(0.5)(keras.layers.Rescaling(-2.0)(x)), True),
        (1, lambda x: keras.layers.Rescaling(1 / 127.5, -1.0)(x), False),  # what is added stops at the border
        (3, lambda x: keras.layers.Rescaling(1.0, [-3.0, -2.0, -1.0])(x), False),
        (1, lambda x: keras.layers.Concatenate()([keras.layers.Rescaling(1 / 255)(x), x]), False),  # taken twice
    ],
)
def test_the_first_kernel_scales_pixels_where_that_is_the_same(
    channels: int, scaled: Any, is_folded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(network: Network) -> keras.Model:
        start_afresh(0)
        image = keras.Input((32, 32, channels))
        x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(scaled(image))
        return keras.Model(image, keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(x)))

    monkeypatch.setattr(networks, "load", load)
    network = Network("student", "distill", "students", "plain", {}, (32, 32, channels), 10, Path())
    exported = convert.to_onnx(network, tmp_path / "model.onnx")
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, channels), np.uint8)
    expected = logits_of(forward_of(load(network)), images)

    operators = [node.op_type for node in onnx.load(exported.file).graph.node]
    before = set(operators[: operators.index("Conv")])
    assert before.isdisjoint({"Mul", "Add"}) == is_folded
    logits = scoring.run(sessions.open_session(exported.file), images)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
