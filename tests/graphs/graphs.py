"""Small Keras graphs for tests, made at random, and removed channels made zero in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from compress.graphs.coupling import Coupling
from compress.graphs.layers import output_axes
from compress.tensorflow import keras

L = keras.layers
IMAGE = (6, 6, 3)
MOST_LAYERS = 8


def graph(draw: Callable[[Any], Any]) -> Any:
    """Return a graph of convolutions, branches and pooling from images `(6, 6, 3)` to two logits, its weights drawn."""
    image = keras.Input(IMAGE)
    x = L.Conv2D(draw(st.integers(2, 5)), 3, padding="same")(image)
    for _ in range(draw(st.integers(1, MOST_LAYERS))):
        x = draw(st.sampled_from(STEPS))(x, draw)
    x = draw(st.sampled_from([L.GlobalAveragePooling2D, L.GlobalMaxPooling2D, L.Flatten]))()(x)
    if draw(st.booleans()):
        x = L.Dense(draw(st.integers(2, 5)), activation=draw(st.sampled_from([None, "relu"])))(x)
    model = keras.Model(image, L.Dense(2, name="logits")(x))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    model.set_weights(
        [random.uniform(0.2, 1.0, w.shape) * random.choice([-1, 1], w.shape) for w in model.get_weights()]
    )
    for layer in model.layers:
        if isinstance(layer, L.BatchNormalization):
            layer.moving_variance.assign(np.abs(layer.moving_variance))
    return model


def _convolution(x: Any, draw: Any) -> Any:
    filters, kernel = draw(st.integers(2, 5)), draw(st.sampled_from([1, 3]))
    return L.Conv2D(filters, kernel, padding="same", use_bias=draw(st.booleans()))(x)


def _normalization(x: Any, draw: Any) -> Any:
    return L.BatchNormalization(scale=draw(st.booleans()), center=draw(st.booleans()))(x)


def _plain(x: Any, draw: Any) -> Any:
    kinds = (L.ReLU, L.LeakyReLU, L.PReLU, lambda: L.PReLU(shared_axes=[1, 2]), lambda: L.Activation("tanh"))
    return draw(st.sampled_from([*kinds, lambda: L.Dropout(0.5), lambda: L.Permute((2, 1, 3))]))()(x)


def _pooling(x: Any, draw: Any) -> Any:
    return draw(st.sampled_from([L.MaxPooling2D, L.AveragePooling2D]))(2, padding="same")(x)


def _sizes(x: Any, draw: Any) -> Any:
    """Larger and smaller again, by what makes no channels and by what does."""
    if draw(st.booleans()):
        return L.Cropping2D(1)(L.ZeroPadding2D(1)(x))
    height, width = x.shape[1:3]
    larger = draw(st.sampled_from([L.UpSampling2D(), L.Conv2DTranspose(draw(st.integers(2, 4)), 2, strides=2)]))(x)
    return L.Resizing(height, width)(larger)


def _stacked(x: Any, draw: Any) -> Any:
    """Two branches, one below the other."""
    return L.MaxPooling2D((2, 1), padding="same")(L.Concatenate(axis=1)([x, L.Conv2D(x.shape[-1], 1)(x)]))


def _depthwise(x: Any, draw: Any) -> Any:
    kind = draw(st.sampled_from([L.DepthwiseConv2D, lambda *given, **named: L.SeparableConv2D(3, *given, **named)]))
    return kind(3, padding="same", depth_multiplier=draw(st.integers(1, 2)))(x)


def _residual(x: Any, draw: Any) -> Any:
    kinds = (L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum)
    branch = L.ReLU()(L.Conv2D(x.shape[-1], 3, padding="same")(x))
    return draw(st.sampled_from(kinds))()([x, branch])


def _concatenation(x: Any, draw: Any) -> Any:
    other = x if draw(st.booleans()) else L.Conv2D(draw(st.integers(2, 4)), 1)(x)
    return L.Concatenate()([x, other])


def _added_concatenation(x: Any, draw: Any) -> Any:
    """Each part of a concatenation is coupled to a part of another branch."""
    parts = L.Concatenate()([x, L.Conv2D(draw(st.integers(2, 4)), 1)(x)])
    return L.Add()([parts, L.Conv2D(parts.shape[-1], 1)(x)])


def _twice(x: Any, draw: Any) -> Any:
    """One convolution sees two branches."""
    shared = L.Conv2D(draw(st.integers(2, 5)), 1)
    return L.Add()([shared(x), shared(L.ReLU()(L.Conv2D(x.shape[-1], 1)(x)))])


def _squeeze(x: Any, draw: Any) -> Any:
    gates = L.Dense(x.shape[-1], activation="sigmoid")(L.GlobalAveragePooling2D()(x))
    return L.Multiply()([x, L.Reshape((1, 1, x.shape[-1]))(gates)])


STEPS = (
    *(_convolution, _normalization, _plain, _pooling, _depthwise, _residual),
    *(_concatenation, _added_concatenation, _twice, _squeeze, _sizes, _stacked),
)


def silence(model: Any, coupling: Coupling, kept: np.ndarray) -> None:
    """Make zero, in place, all that the channels which are not kept give."""
    for layer in model.layers:
        found = [] if isinstance(layer, L.PReLU) else output_axes(layer, coupling)
        if isinstance(layer, L.DepthwiseConv2D):
            found.append((layer.depthwise_kernel, 2, coupling.axes[layer.name][0][2]))
        for variable, axis, channels in found:
            if variable is not getattr(layer, "moving_variance", None):
                shape = [-1 if i == axis else 1 for i in range(len(variable.shape))]
                variable.assign(variable * kept[channels].reshape(shape).astype(np.float32))
