"""What criteria look at: training images, and what a network's weights contribute to its outputs for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress.artifacts import Dataset
from compress.data.images import images_of
from compress.errors import BadInputError
from compress.graphs.coupling import Coupling
from compress.pruning.settings import FilterSettings

BATCH = 32  # images whose contributions are summed before they are squared


@dataclass(frozen=True)
class Sample:
    """Training images `(n, height, width, channels) uint8`, their labels `(n,) int64`, and a seed for what is drawn."""

    images: np.ndarray
    labels: np.ndarray
    seed: int


def sample_of(data: Dataset, count: int, seed: int) -> Sample:
    """Return at most so many of the training images: the splits are shuffled."""
    images = images_of(data, "train")[:count]
    return Sample(images, data.labels("train")[: len(images)], seed)


def judged(model: Any, coupling: Coupling, settings: FilterSettings, sample: Sample, section: str) -> np.ndarray:
    """Return what each channel is worth by the criterion that is set, `(count,) float64`, 0 or more.

    Raises `BadInputError` if the criterion gives anything else; `section` is that of the settings.
    """
    from compress.training import memory

    with memory.named(section):
        values = np.asarray(settings.importance.function(model, coupling, sample), np.float64)
    if values.shape != (coupling.count,) or not (np.isfinite(values).all() and (values >= 0).all()):
        right = f"should give {coupling.count} finite values of 0 or more"
        raise BadInputError(f"{section}.importance = {settings.importance.name!r}: {right}")
    return values


def norms(model: Any, coupling: Coupling, norm: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return for each channel the sum of the norms of its filters; `norm` of `(weights, filters)` is `(filters,)`.

    Layers are of different scales, which says nothing of how much they are needed: each filter's norm is taken as a
    share of those of its layer.
    """
    from compress.graphs.layers import output_axes

    total = np.zeros(coupling.count)
    for name in coupling.made:
        for variable, axis, channels in output_axes(model.get_layer(name), coupling):
            if len(variable.shape) > 1:
                filters = np.moveaxis(variable.numpy().astype(np.float64), axis, -1)
                values = norm(filters.reshape(-1, len(channels)))
                np.add.at(total, channels, shares(values))
    return total


def shares(values: np.ndarray) -> np.ndarray:
    """Return values as shares of their sum."""
    return values / max(values.sum(), np.finfo(float).tiny)


def contributions(
    model: Any, coupling: Coupling, sample: Sample, loss: Callable[[Any, Any, Any], Any]
) -> Iterator[np.ndarray]:
    """Yield for each batch of images what removing each channel would change of a loss, to first order, `(count,)`.

    This is the gradient times the weight, summed over all weights that give the channel: the scale and shift of batch
    normalization where that follows, else the filter and its bias. `loss` is of logits, labels and the batch's number.
    """
    from compress.tensorflow import tf

    givers = _givers(model, coupling)
    variables = [variable for variable, _, _ in givers]

    @tf.function(reduce_retracing=True)
    def summed(images: Any, labels: Any, batch: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            value = loss(model(tf.cast(images, tf.float32), training=False), labels, batch)
        gradients = tape.gradient(value, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [
            tf.reduce_sum(variable * gradient, [i for i in range(len(variable.shape)) if i != axis])
            for (variable, axis, _), gradient in zip(givers, gradients, strict=True)
        ]

    for batch, start in enumerate(range(0, len(sample.images), BATCH)):
        part = slice(start, start + BATCH)
        total = np.zeros(coupling.count)
        values = summed(tf.constant(sample.images[part]), tf.constant(sample.labels[part]), tf.constant(batch))
        for value, (_, _, channels) in zip(values, givers, strict=True):
            np.add.at(total, channels, value.numpy().astype(np.float64))
        yield total


def _givers(model: Any, coupling: Coupling) -> list[tuple[Any, int, np.ndarray]]:
    """Return the weights that give channels last, each with its axis of channels, and which these are."""
    from compress.graphs.layers import output_axes
    from compress.tensorflow import keras

    layers = [model.get_layer(name) for name in coupling.axes]
    normalizing = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization) and layer.scale]
    scales = [
        found
        for layer in normalizing
        for found in output_axes(layer, coupling)
        if any(found[0] is variable for variable in (layer.gamma, layer.beta))
    ]
    normalized = {number for _, _, channels in scales for number in channels.tolist()}
    filters = [
        found
        for layer in layers
        if layer.name in coupling.made
        for found in output_axes(layer, coupling)
        if normalized.isdisjoint(found[2].tolist())
    ]
    return [*scales, *filters]
