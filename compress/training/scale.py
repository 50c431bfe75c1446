"""Published weights brought to scale for a new head.

The activations of a network without normalization are as large as its training left them: those of VGG16 have a root
mean square of 1,000 in the middle, of 5 to 12 where the head sees them. With these the first loss of a new head is 11
in place of the logarithm of the number of classes, and no rate suits all layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from compress.arrays import load_arrays, save_arrays
from compress.context import Context
from compress.data.images import Images, in_batches
from compress.tensorflow import keras, tf
from compress.training.transfer import cut

IMAGES = 256  # training images that scales are measured on
COMPARED = 8  # images on which the result is checked


def bring_to_scale(model: Any, blocks: Sequence[str], images: Images, context: Context) -> None:
    """Give the features that the head sees a mean square of 1, and let the head answer 0.

    On the way from the pixels to the features, the root of the mean square becomes less by the same factor in each
    layer, so that one rate changes all layers by the same part of their weights. For this each layer's weights are
    multiplied by a number (after Mishkin and Matas, "All You Need Is a Good Init", 2016). The network stays what it is
    built as and, since ReLU and pooling let factors through, computes what it did, times a factor (Nagel et al.,
    "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019). All channels of a layer are
    multiplied by the same: with each feature brought to scale by itself, heads were worse, since rare ones drown the
    others. The logits begin at 0 (Kolesnikov et al., "Big Transfer", 2020), the loss at the logarithm of the number of
    classes.

    `blocks` are the prefixes of the trunk's layer names, `images` the training images. The trunk is left as it is, and
    a line says so, if its layers are no chain that lets factors through.
    """
    prefixes = tuple(f"{block}_" for block in blocks)
    trunk = [layer for layer in model.layers if layer.weights and layer.name.startswith(prefixes)]
    measured = context.made(
        context.checkpoint / "scales.npz", partial(_measure, model, prefixes, trunk, images, context)
    )
    _divide(trunk, load_arrays(measured)["scales"])
    kernel, *bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([np.zeros_like(kernel), *bias])


def _divide(trunk: Sequence[Any], scales: np.ndarray) -> None:
    """Divide the output of each layer by a number."""
    before = 1.0
    for layer, scale in zip(trunk, scales, strict=True):
        kernel, *bias = layer.get_weights()
        layer.set_weights([kernel * (before / scale), *(values / scale for values in bias)])
        before = scale


def _measure(
    model: Any, prefixes: tuple[str, ...], trunk: Sequence[Any], images: Images, context: Context, file: Path
) -> None:
    """Write what to divide each layer's output by: once, so that all processes do the same."""
    context.progress(0.0, "scales of the features")
    scales, end = np.zeros(len(trunk)), cut(model, prefixes)
    if end is not None:
        outputs = [trunk[0].input, *(layer.output for layer in trunk[:-1]), end.output]
        roots = _roots(keras.Model(model.input, outputs), images[:IMAGES])
        scales = roots[1:] / roots[0] ** np.linspace(1.0, 0.0, len(roots))[1:]
    usable = np.all((scales > 0) & (scales < np.inf))
    if not usable or not _let_through(trunk, scales, keras.Model(model.input, end.output), images[:COMPARED]):
        context.note(f"{context.stage}: features are not brought to scale: the trunk does not let factors through")
        scales = np.ones(len(trunk))
    save_arrays(file, {"scales": scales})


def _let_through(trunk: Sequence[Any], scales: np.ndarray, features: Any, images: np.ndarray) -> bool:
    """Tell whether features are divided by the last scale if each layer is divided by its own; the trunk stays."""
    weights = [layer.get_weights() for layer in trunk]
    before = features(images.astype(np.float32)).numpy() / scales[-1]
    _divide(trunk, scales)
    after = features(images.astype(np.float32)).numpy()
    for layer, kept in zip(trunk, weights, strict=True):
        layer.set_weights(kept)
    return np.allclose(after, before, rtol=1e-3, atol=1e-3)


def _roots(outputs: Any, images: np.ndarray) -> np.ndarray:
    """Return the root of the mean square of each output of a model, `(outputs,) float64`."""

    @tf.function
    def squares(batch: Any) -> list[Any]:
        return [tf.reduce_mean(tf.square(output)) for output in outputs(tf.cast(batch, tf.float32))]

    sums = [len(batch) * np.array(squares(batch), np.float64) for batch in in_batches(images, COMPARED)]
    return np.sqrt(np.sum(sums, axis=0) / len(images))
