"""Magnitude pruning: the smallest weights of each kernel are set to zero during training.

Zhu and Gupta, "To prune, or not to prune" (2017), through TensorFlow Model Optimization.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from functools import partial
from typing import Any

import numpy as np

from compress.pruning.settings import MOST, Pattern, ZeroSettings
from compress.tensorflow import keras, tf

import tensorflow_model_optimization as tfmot  # isort: skip  # after Keras 2 is chosen
from tensorflow_model_optimization.python.core.sparsity.keras.pruning_wrapper import (  # isort: skip
    PruneLowMagnitude,  # which the public function wraps layers in, but does not name
)

PRUNED_LAYERS = (keras.layers.Conv2D, keras.layers.Dense)
TWO_OF_FOUR = (2, 4)  # zeros, of so many weights in a row
BLOCK = 4  # filters that are zero at the same places


def with_masks(model: Any, settings: ZeroSettings, begin_step: int, end_step: int, whole: Collection[str] = ()) -> Any:
    """Return a model that shares `model`'s layers and masks each kernel.

    The ramp lies between two steps. The masks are computed `settings.updates` times, evenly spread; each update sorts
    every weight, which costs as much as several steps. With `settings.dense_ends`, the first and the last kernel stay
    unmasked, as those of the layers `whole` do. With the pattern 2:4, two of each four weights in a row along the input
    channels are zero from the first update on, whatever the sparsity. Train the model with `callback()`.
    """
    if settings.ramp_shape == "constant":
        begin_step = max(1, begin_step)  # steps are counted from 1; the ramp begins with an update
    frequency = max(1, (end_step - begin_step) // settings.updates)
    end_step = begin_step + (end_step - begin_step) // frequency * frequency  # so that the last update takes place
    shares = shares_of(model, settings, whole)

    def masked(layer: Any) -> Any:
        if layer.name not in shares:
            return layer
        final = _not_below(shares[layer.name], math.prod(_units(layer.kernel, settings.pattern).shape))
        steps = {"begin_step": begin_step, "end_step": end_step, "frequency": frequency}
        if settings.ramp_shape == "constant":
            schedule = tfmot.sparsity.keras.ConstantSparsity(final, **steps)
        else:
            initial = min(settings.initial_sparsity, final)
            schedule = tfmot.sparsity.keras.PolynomialDecay(initial, final, **steps)
        return _Masked(layer, settings.pattern, pruning_schedule=schedule)

    return keras.models.clone_model(model, clone_function=masked)


class _Masked(PruneLowMagnitude):
    """A layer whose kernel has a mask of a pattern, and so has a clone of it, which trains on another device.

    The library's own layer loses 2:4 when it is cloned.
    """

    def __init__(self, layer: Any, pattern: Pattern, **options: Any) -> None:
        super().__init__(layer, sparsity_m_by_n=TWO_OF_FOUR if pattern == "2:4" else None, **options)
        self.pattern = pattern

    def build(self, input_shape: Any) -> None:
        """Create mask and counter."""
        super().build(input_shape)
        self.pruning_obj._update_mask = partial(_mask_of_largest, self.pruning_obj, self.pattern)

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made of."""
        return {**super().get_config(), "pattern": self.pattern}


def shares_of(model: Any, settings: ZeroSettings, whole: Collection[str] = ()) -> dict[str, float]:
    """Return the fraction of each kernel that becomes zero, by the layer's name, for layers that are masked.

    With the spread global it follows from the sizes that the weights have now, but is at most `MOST` in any of them.
    """
    layers = [layer for layer in model.layers if isinstance(layer, PRUNED_LAYERS)]
    layers = [layer for layer in (layers[1:-1] if settings.dense_ends else layers) if layer.name not in whole]
    if settings.spread == "layer" or not layers:
        return {layer.name: settings.sparsity for layer in layers}
    sizes = {layer.name: np.sort(np.abs(layer.kernel.numpy()), axis=None) for layer in layers}
    may_go = {name: values[: math.floor(MOST * len(values))] for name, values in sizes.items()}
    smallest_first = np.sort(np.concatenate(list(may_go.values())))
    count = min(round(settings.sparsity * sum(map(len, sizes.values()))), len(smallest_first))
    threshold = smallest_first[count - 1] if count else -1.0
    return {name: int((may_go[name] <= threshold).sum()) / len(values) for name, values in sizes.items()}


def _units(kernel: Any, pattern: Pattern) -> Any:
    """Return the sizes of what becomes zero together: of each weight, or the mean of each block of filters."""
    sizes = tf.abs(kernel)
    if pattern != "blocks":
        return sizes
    missing = -kernel.shape[-1] % BLOCK
    padded = tf.pad(sizes, [[0, 0]] * (len(kernel.shape) - 1) + [[0, missing]])
    total = tf.reduce_sum(tf.reshape(padded, [*kernel.shape[:-1], -1, BLOCK]), -1)
    filters = [BLOCK] * (kernel.shape[-1] // BLOCK) + ([BLOCK - missing] if missing else [])
    return total / tf.constant(filters, total.dtype)


def _mask_of_largest(pruning: Any, pattern: Pattern, weights: Any) -> tuple[Any, Any]:
    """Return the threshold and the mask of as many weights as the schedule leaves, the first of those that are equal.

    The library's own mask has all weights that are equal to the smallest one kept: too many where many are.
    """
    units = _units(weights, pattern)
    sizes = tf.reshape(units, [-1])
    sparsity = pruning._pruning_schedule(pruning._step_fn())[1]
    kept = tf.cast(tf.maximum(tf.round(tf.cast(tf.size(sizes), tf.float32) * (1 - sparsity)), 1), tf.int32)
    values, order = tf.math.top_k(sizes, tf.size(sizes))  # of equal values, the first comes first
    mask = tf.scatter_nd(order[:kept, tf.newaxis], tf.ones([kept], weights.dtype), [tf.size(sizes)])
    mask = tf.reshape(mask, tf.shape(units))
    if pattern == "blocks":
        mask = tf.repeat(mask, BLOCK, axis=-1)[..., : weights.shape[-1]]
    return values[kept - 1], mask


def callback() -> Any:
    """Return the Keras callback with which a model with masks has to be trained."""
    return _MaskUpdates()


class _MaskUpdates(tfmot.sparsity.keras.UpdatePruningStep):
    """Has parameter_server take each step that updates masks alone, and tells the layers which step it is.

    Each layer counts steps by itself. Where workers train at the same time, counts get lost, and with them updates, and
    a mask would be made of weights that others are changing.
    """

    def is_due(self, step: int) -> bool:
        """Whether masks are updated in a step, counted from 1."""
        schedules = [layer.pruning_obj._pruning_schedule for layer in self.prunable_layers]
        return any(
            schedule.begin_step <= step <= schedule.end_step and (step - schedule.begin_step) % schedule.frequency == 0
            for schedule in schedules
        )

    def begin_alone(self, step: int) -> None:
        """Tell all layers which step comes next."""
        for layer in self.prunable_layers:
            layer.pruning_step.assign(step - 1)


def without_masks(model: Any) -> Any:
    """Return the model without its masks; pruned weights are zero even if averaging had made them non-zero."""
    for layer in model.layers:
        for weight, mask, _ in getattr(layer, "pruning_vars", []):
            weight.assign(weight * mask)
    return tfmot.sparsity.keras.strip_pruning(model)


def _not_below(sparsity: float, weights: int) -> float:
    """Return the smallest sparsity, at or above `sparsity`, at which a kernel keeps a whole number of weights.

    The library rounds to the nearest number, which can leave a network slightly less sparse than the setting says.
    """
    return 1.0 - max(1, math.floor(round(weights * (1.0 - sparsity), 6))) / weights
