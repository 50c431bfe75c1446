"""Published weights brought to scale for a new head.

The features of a network without normalization are as large as its training happened to leave them: those of VGG16
have a root mean square of 5 to 10, with which the first loss of a new head is 11 in place of the logarithm of the
number of classes, and its first steps are as much too large.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from compress.context import Context
from compress.data.images import Images
from compress.files import write_file
from compress.tensorflow import keras
from compress.training.evaluation import forward_of, logits_of
from compress.training.transfer import cut

IMAGES = 256  # training images that the scale is measured on
COMPARED = 8  # images on which it is checked


def bring_to_scale(model: Any, blocks: Sequence[str], images: Images, context: Context) -> None:
    """Give the features that the head sees a mean square of 1 on training images, and let the head answer 0.

    The last layer of the trunk is divided by the root of the features' mean square (Mishkin and Matas, "All You Need Is
    a Good Init", 2016), so that the network stays what it is built as. All channels are divided by the same: with
    each one brought to scale by itself, heads were worse, since rare features drown the others. The logits begin at 0
    (Kolesnikov et al., "Big Transfer", 2020), the loss at the logarithm of the number of classes.

    `blocks` are the prefixes of the trunk's layer names, `images` the training images. The trunk is left as it is, and
    a line says so, if its output does not follow its last layer's weights in proportion.
    """
    trunk = tuple(f"{block}_" for block in blocks)
    last = [layer for layer in model.layers if layer.weights and layer.name.startswith(trunk)][-1]
    measure = partial(_measure, model, trunk, last, images[:IMAGES], context)
    scale = float(context.made(context.checkpoint / "scale", measure).read_text())
    last.set_weights([weight / scale for weight in last.get_weights()])
    kernel, *bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([np.zeros_like(kernel), *bias])


def _measure(model: Any, trunk: tuple[str, ...], last: Any, images: np.ndarray, context: Context, file: Path) -> None:
    """Write what to divide the last layer's weights by; once, so that all processes do the same."""
    context.progress(0.0, "scale of the features")
    end, weights, scale = cut(model, trunk), last.get_weights(), 0.0
    if end is not None:
        forward = forward_of(keras.Model(model.input, end.output))
        features = logits_of(forward, images)
        scale = math.sqrt(np.square(features, dtype=np.float64).mean())
    if scale:
        last.set_weights([weight / scale for weight in weights])
        if not np.allclose(forward(images[:COMPARED]) * scale, features[:COMPARED], rtol=1e-3, atol=1e-3 * scale):
            scale = 0.0
        last.set_weights(weights)
    if not scale:
        why = f"they are not in proportion to the weights of {last.name}"
        context.note(f"{context.stage}: features are not brought to scale: {why}")
    write_file(file, repr(scale or 1.0).encode())
