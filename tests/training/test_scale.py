"""Published weights for a new head: features of a mean square of 1, a first loss that is that of guessing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.context import Context
from compress.tensorflow import keras, start_afresh
from compress.training.evaluation import evaluate, forward_of
from compress.training.scale import IMAGES, bring_to_scale
from teachers import vgg11

CLASSES = 4
PIXELS = np.random.default_rng(0).integers(0, 256, (IMAGES, 32, 32, 3), np.uint8)


def context(folder: Path, notes: list[str]) -> Context:
    return Context("teacher", 0, 0, folder, folder, lambda *_: None, notes.append)


def published(**options: Any) -> Any:
    """A narrow network whose features are far from scale."""
    start_afresh(0)
    random = np.random.default_rng(1)
    model = vgg11.build((32, 32, 3), CLASSES, width=0.05, batch_norm=False, scaling="caffe", **options)
    for layer in model.layers:
        if "conv" in layer.name:
            kernel, bias = layer.get_weights()
            layer.set_weights([1.5 * kernel, bias + random.normal(size=bias.shape).astype(np.float32)])
    return model


@pytest.mark.parametrize("options", [{}, {"pooling": "flatten", "dense": [3]}, {"dropout": 0.2}])
def test_scales_fall_evenly_to_1_and_the_head_first_guesses(options: dict[str, Any], tmp_path: Path) -> None:
    model = published(**options)
    notes: list[str] = []
    name = "flatten" if "pooling" in options else "pool"
    end = keras.Model(model.input, model.get_layer(name).output)
    before = forward_of(end)(PIXELS)
    assert np.square(before).mean() > 100

    bring_to_scale(model, vgg11.BLOCKS, PIXELS, context(tmp_path, notes))

    after = forward_of(end)(PIXELS)
    assert np.square(after).mean() == pytest.approx(1.0, rel=1e-4)
    np.testing.assert_allclose(after * np.sqrt(np.square(before).mean()), before, rtol=1e-3, atol=1e-2)
    layers = [layer for layer in model.layers if "conv" in layer.name]
    tensors = [layers[0].input, *(layer.output for layer in layers[:-1]), model.get_layer(name).output]
    roots = [np.sqrt(np.square(forward_of(keras.Model(model.input, tensor))(PIXELS)).mean()) for tensor in tensors]
    np.testing.assert_allclose(np.divide(roots[:-1], roots[1:]), roots[0] ** (1 / len(layers)), rtol=1e-3)
    loss = evaluate(forward_of(model), PIXELS, np.arange(IMAGES) % CLASSES).cross_entropy
    assert loss == pytest.approx(math.log(CLASSES))
    assert model.get_config() == published(**options).get_config(), "nothing to fold when it is exported"
    assert notes == []


def test_a_trunk_that_does_not_let_factors_through_is_left_as_it_is_and_that_is_said(tmp_path: Path) -> None:
    start_afresh(0)
    image = keras.Input((32, 32, 3))
    x = keras.layers.GlobalAveragePooling2D(name="pool")(
        keras.layers.Conv2D(4, 3, activation="tanh", name="block1_conv1")(image)
    )
    model = keras.Model(image, keras.layers.Dense(CLASSES)(x))
    before = model.layers[1].get_weights()
    notes: list[str] = []

    bring_to_scale(model, ("block1",), PIXELS, context(tmp_path, notes))

    for one, other in zip(before, model.layers[1].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert notes == ["teacher: features are not brought to scale: the trunk does not let factors through"]


def test_scales_are_measured_once(tmp_path: Path) -> None:
    """All processes of a cluster begin with the same weights, and so does a run that was killed."""
    first, second = published(), published()
    bring_to_scale(first, vgg11.BLOCKS, PIXELS, context(tmp_path, []))

    bring_to_scale(second, vgg11.BLOCKS, PIXELS // 2, context(tmp_path, []))

    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
