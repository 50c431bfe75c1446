"""Statistics of batch normalization estimated anew, against those computed with numpy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from compress.data.batches import Batches, Epoch
from compress.pruning import masks
from compress.pruning.settings import ZeroSettings
from compress.tensorflow import keras, start_afresh
from compress.training.normalization import estimator_of
from students import plain

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (40, 6, 6, 1), np.uint8)
BATCH = 16  # there are three, which have 14, 13 and 13


def batches() -> Batches:
    def choose(epoch: int) -> Epoch:
        return Epoch(np.arange(len(IMAGES)), np.zeros(len(IMAGES), np.int64), np.arange(len(IMAGES)))

    return Batches(IMAGES, lambda indices, views: np.zeros((len(indices), 2), np.float32), choose, BATCH, seed=0)


def batches_of(values: np.ndarray) -> list[np.ndarray]:
    """Return the rows of `values`, one for each image, in the batches that the epoch deals them into."""
    order = np.random.default_rng([0, 0]).permutation(len(values))
    return [values[part] for part in np.array_split(order, math.ceil(len(values) / BATCH))]


def statistics(values: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    axes = tuple(range(values[0].ndim - 1))
    mean = np.average([v.mean(axis=axes) for v in values], axis=0, weights=list(map(len, values)))
    square = np.average(
        [v.var(axis=axes) + v.mean(axis=axes) ** 2 for v in values], axis=0, weights=list(map(len, values))
    )
    return mean, square - mean**2


def test_each_layers_statistics_are_those_of_what_the_layers_before_make_of_each_batch() -> None:
    start_afresh(0)
    layers = keras.layers
    image = keras.Input((6, 6, 1))
    first, second = layers.BatchNormalization(momentum=0.5), layers.BatchNormalization(momentum=0.7)
    x = layers.Dropout(0.5)(layers.ReLU()(first(layers.Flatten()(image))))
    model = keras.Model(image, layers.Dense(2)(second(x)))
    expected = batches_of(IMAGES.reshape(len(IMAGES), -1).astype(np.float64))
    mean, variance = statistics(expected)

    estimator_of(model)(batches(), 0, 1)

    np.testing.assert_allclose(first.moving_mean, mean, rtol=1e-5)
    np.testing.assert_allclose(first.moving_variance, variance, rtol=1e-4)
    normalized = [np.maximum(0, (v - v.mean(axis=0)) / np.sqrt(v.var(axis=0) + 1e-3)) for v in expected]
    mean, variance = statistics(normalized)
    np.testing.assert_allclose(second.moving_mean, mean, rtol=1e-4)
    np.testing.assert_allclose(second.moving_variance, variance, rtol=1e-3)
    assert (first.momentum, second.momentum) == (0.5, 0.7)
    before = first.moving_mean.numpy()
    model(IMAGES[:4].astype(np.float32), training=False)
    np.testing.assert_array_equal(first.moving_mean, before)  # by which it normalizes again


@pytest.mark.parametrize("parts", [2, 3, 100])
def test_a_batch_in_parts_gives_the_same_mean(parts: int) -> None:
    start_afresh(0)
    image = keras.Input((6, 6, 1))
    norm = keras.layers.BatchNormalization()
    model = keras.Model(image, norm(image))

    estimator_of(model)(batches(), 0, parts)

    np.testing.assert_allclose(norm.moving_mean, [IMAGES.mean()], rtol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, [IMAGES.var()], rtol=0.03)


def test_what_is_frozen_and_the_masks_stay_as_they_are() -> None:
    start_afresh(0)
    model = masks.with_masks(
        plain.build((8, 8, 1), 3, width=3, blocks=2), ZeroSettings(sparsity=0.8, initial_sparsity=0.5, updates=6), 0, 6
    )
    norms: list[Any] = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    norms[0].trainable = False
    for layer in model.layers:
        if hasattr(layer, "pruning_step"):
            layer.pruning_step.assign(2)  # the next step would compute masks
    before = [variable.numpy() for variable in model.variables]
    images = RANDOM.integers(0, 256, (40, 8, 8, 1), np.uint8)

    def choose(epoch: int) -> Epoch:
        return Epoch(np.arange(40), np.zeros(40, np.int64), np.arange(40))

    data = Batches(images, lambda indices, views: np.zeros((len(indices), 3), np.float32), choose, BATCH, seed=0)
    estimator_of(model)(data, 0, 1)

    changed = {
        id(variable)
        for variable, value in zip(model.variables, before, strict=True)
        if not np.array_equal(variable.numpy(), value)
    }
    assert changed == {id(v) for norm in norms[1:] for v in (norm.moving_mean, norm.moving_variance)}
