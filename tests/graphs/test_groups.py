from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from compress.graphs.groups import coupling_of
from compress.graphs.surgery import narrowed
from compress.tensorflow import keras

L = keras.layers


def convolution(filters: int, name: str, **settings: Any) -> Any:
    return L.Conv2D(filters, 1, name=name, **settings)


def names(model: Any) -> dict[str, int]:
    return {group.name: len(group.channels) for group in coupling_of(model).groups}


def without(model: Any, layer: str, *places: int) -> Any:
    """Remove the channels of a layer at these places."""
    coupling = coupling_of(model)
    kept = np.ones(coupling.count, bool)
    kept[coupling.made[layer][list(places)]] = False
    return narrowed(model, coupling, kept)


def test_a_dense_layer_behind_flatten_loses_a_row_per_pixel() -> None:
    image = keras.Input((2, 2, 3))
    model = keras.Model(image, L.Dense(2, name="logits")(L.Flatten()(convolution(3, "conv")(image))))
    rows = np.arange(24.0).reshape(12, 2)
    model.get_layer("logits").kernel.assign(rows)

    kernel = without(model, "conv", 1).get_layer("logits").kernel.numpy()

    np.testing.assert_array_equal(kernel, np.delete(rows, [1, 4, 7, 10], axis=0))


def test_a_channel_that_is_concatenated_twice_goes_twice() -> None:
    image = keras.Input((2, 2, 3))
    x = convolution(4, "conv")(image)
    taker = convolution(2, "taker", use_bias=False)
    model = keras.Model(image, L.Flatten()(taker(L.Concatenate()([x, x]))))
    kernel = taker.kernel.numpy()

    narrow = without(model, "conv", 1).get_layer("taker").kernel.numpy()

    np.testing.assert_array_equal(narrow, kernel[:, :, [0, 2, 3, 4, 6, 7]])


def test_branches_that_are_added_are_one_group_and_the_logits_none() -> None:
    image = keras.Input((4, 4, 3))
    x = convolution(4, "one")(image)
    x = L.Add()([x, convolution(4, "three")(L.ReLU()(convolution(5, "two")(x)))])
    model = keras.Model(image, L.Dense(2, name="logits")(L.GlobalAveragePooling2D()(x)))

    assert names(model) == {"one + three": 4, "two": 5}
    assert not coupling_of(model).whole


def test_each_part_of_a_concatenation_is_a_group_with_its_part_of_what_is_added() -> None:
    image = keras.Input((4, 4, 3))
    parts = L.Concatenate()([convolution(2, "a")(image), convolution(3, "b")(image)])
    x = L.Add()([parts, convolution(5, "c")(image)])
    model = keras.Model(image, L.Dense(2, name="logits")(L.GlobalAveragePooling2D()(x)))

    assert names(model) == {"a + c": 2, "b + c": 3}


def test_one_layer_at_two_widths_or_twice_is_no_obstacle() -> None:
    image = keras.Input((4, 4, 3))
    relu, dropout = L.ReLU(), L.Dropout(0.5)
    x = relu(dropout(convolution(4, "one")(image)))
    x = relu(dropout(convolution(6, "two")(x)))
    model = keras.Model(image, L.Dense(2, name="logits")(L.GlobalAveragePooling2D()(x)))

    network = without(model, "one", 0, 3)

    assert names(model) == {"one": 4, "two": 6}
    assert network.get_layer("two").kernel.shape == (1, 1, 2, 6)


def test_a_convolution_of_two_inputs_couples_them_and_is_cut_once() -> None:
    image = keras.Input((4, 4, 3))
    shared = convolution(5, "shared")
    branches = [shared(convolution(4, name)(image)) for name in ("left", "right")]
    model = keras.Model(image, L.Dense(2, name="logits")(L.Flatten()(L.Concatenate()(branches))))

    network = without(without(model, "left", 2), "shared", 0)

    assert names(model) == {"right + left": 4, "shared": 5}
    assert network.get_layer("shared").kernel.shape == (1, 1, 3, 4)
    assert network.get_layer("logits").kernel.shape == (4 * 4 * 8, 2)


class Mystery(keras.layers.Layer):
    def call(self, inputs: Any) -> Any:
        return inputs[..., ::-1]


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (lambda: Mystery(name="odd"), r"odd \(Mystery\) is of a kind whose channels cannot be followed"),
        (lambda: L.LayerNormalization(name="odd"), r"odd \(LayerNormalization\) is of a kind"),
        (lambda: L.Softmax(name="odd"), r"odd \(Softmax\) is of a kind"),
        (lambda: L.Activation("softmax", name="odd"), r"odd \(Activation\) is of a kind"),
        (lambda: L.Dense(4, activation="softmax", name="odd"), r"odd \(Dense\) has an activation over all channels"),
        (lambda: L.Conv2D(4, 1, groups=2, name="odd"), r"odd \(Conv2D\) works on groups of channels"),
        (lambda: L.BatchNormalization(axis=1, name="odd"), r"odd \(BatchNormalization\) normalizes over another axis"),
        (lambda: L.Permute((3, 2, 1), name="odd"), r"odd \(Permute\) takes channels apart"),
        (lambda: L.Reshape((4, 8, 2), name="odd"), r"odd \(Reshape\) takes channels apart"),
        (lambda: L.Rescaling(1.0, [1.0, 2.0, 3.0, 4.0], name="odd"), r"odd \(Rescaling\) is of a kind"),
    ],
)
def test_what_cannot_be_followed_is_left_whole_and_said(layer: Any, why: str) -> None:
    image = keras.Input((4, 4, 3))
    x = layer()(convolution(4, "before")(image))
    model = keras.Model(image, L.Dense(2, name="logits")(L.Flatten()(convolution(5, "after")(x))))

    coupling = coupling_of(model)

    assert names(model) == {"after": 5}
    assert coupling.whole.keys() - {"odd"} == {"before"}
    assert re.match(why, coupling.whole["before"])


def test_one_channel_spread_over_many_stays() -> None:
    image = keras.Input((4, 4, 3))
    x = L.Multiply(name="odd")([convolution(4, "many")(image), convolution(1, "one")(image)])
    model = keras.Model(image, L.Dense(2, name="logits")(L.Flatten()(x)))

    assert names(model) == {}
    assert coupling_of(model).whole == dict.fromkeys(("many", "one"), "odd (Multiply) spreads one channel over many")


def test_what_is_added_to_the_image_stays_with_it() -> None:
    image = keras.Input((4, 4, 3))
    x = L.Add()([image, convolution(3, "conv")(image)])
    model = keras.Model(image, L.Dense(2, name="logits")(L.Flatten()(x)))

    assert coupling_of(model).whole == {"conv": "the images' channels stay"}
