"""Batch normalization for weights that no training step has seen, such as an average of those of many steps.

The statistics that training keeps are those of other weights. They are estimated anew: Izmailov et al., "Averaging
Weights Leads to Wider Optima and Better Generalization" (2018), section 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from compress.data.batches import Batches
from compress.tensorflow import keras, tf

IMAGES = 4096  # at most; 1,000 to 10,000 are enough (Wu and Johnson, "Rethinking 'Batch' in BatchNorm", 2021)


def estimator_of(model: Any) -> Callable[[Batches, int, int], None]:
    """Return a function that sets a model's means and variances to those of its present weights.

    Its arguments are the training batches, the epoch whose images to take, and in how many parts to take a batch. Each
    batch is normalized by itself, as in training, but nothing else is as in training: no unit is dropped, no mask
    changes. The mean over all images is that of the batches' means; the variance is the mean of their squares and
    variances, less its square (Wu and Johnson, 2021, section 3). Layers that are not trained keep theirs.
    """
    forward = tf.function(lambda images: model(images, training=False))

    def estimate(batches: Batches, epoch: int, parts: int) -> None:
        layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        layers = [layer for layer in layers if layer.trainable]
        if not layers:
            return
        steps = math.ceil(min(IMAGES, batches.size) / batches.batch_size)
        seen = 0
        sums = [[0.0, 0.0] for _ in layers]
        with _by_batch(layers), batches.being_read():
            for batch in _in_parts(batches.epoch(epoch).take(steps), parts):
                forward(batch)
                seen += len(batch)
                for layer, total in zip(layers, sums, strict=True):
                    mean, variance = (
                        value.numpy().astype(np.float64) for value in (layer.moving_mean, layer.moving_variance)
                    )
                    total[0] += len(batch) * mean
                    total[1] += len(batch) * (variance + mean**2)
        for layer, (mean, square) in zip(layers, sums, strict=True):
            layer.moving_mean.assign(mean / seen)
            layer.moving_variance.assign(square / seen - (mean / seen) ** 2)

    return estimate


def _in_parts(batches: Any, parts: int) -> Iterator[Any]:
    for images, _, _ in batches:
        size, used = len(images), min(parts, len(images))
        yield from (images[size * part // used : size * (part + 1) // used] for part in range(used))


@contextmanager
def _by_batch(layers: Sequence[Any]) -> Iterator[None]:
    """Let layers normalize by the batch itself, however they are called, and keep the last batch's statistics."""
    with ExitStack() as stack:
        for layer in layers:
            stack.callback(setattr, layer, "momentum", layer.momentum)
            stack.callback(delattr, layer, "call")
            layer.momentum, layer.call = 0.0, _in_training(layer.call)
        yield


def _in_training(call: Callable[..., Any]) -> Callable[..., Any]:
    def in_training(inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        return call(inputs, training=True, mask=mask)

    return in_training
