from __future__ import annotations

import pkgutil
from typing import Any

import numpy as np
import pytest

import compress.pruning.importance
from compress import plugins
from compress.errors import BadInputError
from compress.graphs.groups import coupling_of
from compress.pruning.sample import Sample
from compress.tensorflow import keras, start_afresh, tf

L = keras.layers
CRITERIA = [module.name for module in pkgutil.iter_modules(compress.pruning.importance.__path__)]
IMAGES = np.random.default_rng(0).integers(0, 256, (64, 6, 6, 2), np.uint8)
SAMPLE = Sample(IMAGES, np.arange(64) % 3, seed=7)


def network(batch_norm: bool = True) -> Any:
    """Return a small residual network whose second branch has a channel, number 2, that is worth nothing."""
    start_afresh(3)
    image = keras.Input((6, 6, 2))
    x = L.Conv2D(4, 3, padding="same", name="one")(L.Rescaling(1 / 255)(image))
    if batch_norm:
        x = L.BatchNormalization(name="norm1")(x)
    y = L.Conv2D(5, 3, padding="same", name="two")(L.ReLU()(x))
    if batch_norm:
        y = L.BatchNormalization(name="norm2")(y)
    y = L.Conv2D(4, 3, padding="same", name="three")(L.ReLU()(y))
    if batch_norm:
        y = L.BatchNormalization(name="norm3")(y)
    x = L.GlobalAveragePooling2D()(L.ReLU()(L.Add()([x, y])))
    model = keras.Model(image, L.Dense(3, name="logits")(x))
    kernel, bias = model.get_layer("two").get_weights()
    kernel[..., 2] = bias[2] = 0
    model.get_layer("two").set_weights([kernel, bias])
    if batch_norm:
        gamma, *others = model.get_layer("norm2").get_weights()
        gamma[2] = 0
        model.get_layer("norm2").set_weights([gamma, *others])
    return model


def values(name: str, model: Any, sample: Sample = SAMPLE) -> dict[str, np.ndarray]:
    coupling = coupling_of(model)
    found = plugins.find("compress.pruning.importance", name).importance(model, coupling, sample)
    assert found.shape == (coupling.count,)
    return {group.name: found[group.channels] for group in coupling.groups}


@pytest.mark.parametrize("name", CRITERIA)
@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_criterion_tells_the_same_twice_and_what_is_worth_nothing(name: str, batch_norm: bool) -> None:
    model = network(batch_norm)
    if name == "bn_scale" and not batch_norm:
        with pytest.raises(BadInputError, match="bn_scale: one \\+ three has no batch normalization"):
            values(name, model)
        return
    before = model.get_weights()

    found = values(name, model)

    assert {group: len(channels) for group, channels in found.items()} == {"one + three": 4, "two": 5}
    for group, channels in values(name, model).items():
        np.testing.assert_array_equal(channels, found[group])
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert all(np.isfinite(channels).all() and (channels >= 0).all() for channels in found.values())
    assert name == "random" or (found["two"][2] == 0 and found["two"].argmin() == 2)


def test_norms_of_coupled_filters_add_up_and_are_shares_in_their_layers() -> None:
    model = network(batch_norm=False)
    for layer, scale in (("one", 1.0), ("three", 100.0)):
        kernel, bias = model.get_layer(layer).get_weights()
        model.get_layer(layer).set_weights([np.ones_like(kernel) * scale * np.arange(1, 5), bias])

    for name in ("l1", "l2"):
        np.testing.assert_allclose(values(name, model)["one + three"], 2 * np.arange(1, 5) / 10)


def test_taylor_is_the_squared_change_of_the_loss_to_first_order() -> None:
    """With one batch: against the derivative of the loss by a factor on the channel."""
    model, sample = network(), Sample(IMAGES[:32], SAMPLE.labels[:32], 0)
    norm = model.get_layer("norm2")

    def loss(factor: float) -> float:
        gamma, beta, *others = weights
        scale = np.where(np.arange(5) == 1, factor, 1.0)
        norm.set_weights([gamma * scale, beta * scale, *others])
        logits = model(tf.cast(sample.images, tf.float32), training=False)
        norm.set_weights(weights)
        return float(tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(sample.labels, logits)))

    weights = [array * factor for array, factor in zip(norm.get_weights(), (50, 1, 1, 1), strict=True)]
    norm.set_weights(weights)
    derivative = (loss(1.05) - loss(0.95)) / 0.1

    assert values("taylor", model, sample)["two"][1] == pytest.approx(derivative**2, rel=0.05)


def test_hessian_is_the_mean_square_of_what_the_logits_change_to_first_order() -> None:
    """Of a linear network, for which it is the exact change of the logits without the channel."""
    start_afresh(0)
    image = keras.Input((6, 6, 2))
    x = L.Conv2D(3, 1, use_bias=False, name="conv")(L.Rescaling(1 / 255)(image))
    model = keras.Model(image, L.Dense(4, name="logits")(L.GlobalAveragePooling2D()(x)))
    many = Sample(np.random.default_rng(1).integers(0, 256, (4096, 6, 6, 2), np.uint8), np.zeros(4096, int), 5)
    kernel, taker = model.get_layer("conv").kernel.numpy()[0, 0], model.get_layer("logits").kernel.numpy()
    features = many.images.mean(axis=(1, 2)) / 255 @ kernel

    expected = (features**2).mean(axis=0) * (taker**2).sum(axis=1)

    np.testing.assert_allclose(values("hessian", model, many)["conv"], expected, rtol=0.3)


def test_random_differs_from_seed_to_seed() -> None:
    model = network()

    one, other = (values("random", model, Sample(IMAGES, SAMPLE.labels, seed))["two"] for seed in (1, 2))

    assert not np.array_equal(one, other)
