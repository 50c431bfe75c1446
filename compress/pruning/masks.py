"""Magnitude pruning: the smallest weights of each kernel are set to zero during training.

Zhu and Gupta, "To prune, or not to prune" (2017), through TensorFlow Model Optimization.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from functools import partial
from typing import Any

from compress.pruning.settings import Pattern
from compress.tensorflow import keras, tf

import tensorflow_model_optimization as tfmot  # isort: skip  # after Keras 2 is chosen

PRUNED_LAYERS = (keras.layers.Conv2D, keras.layers.Dense)
TWO_OF_FOUR = (2, 4)  # zeros, of so many weights in a row


def with_masks(
    model: Any,
    sparsity: float,
    initial_sparsity: float,
    end_step: int,
    updates: int,
    *,
    dense_ends: bool = False,
    pattern: Pattern = "any",
    whole: Collection[str] = (),
) -> Any:
    """Return a model that shares `model`'s layers and masks each kernel, up to `sparsity` zeros at `end_step`.

    The masks are computed `updates` times, evenly spread; each update sorts every weight, which costs as much as
    several steps. With `dense_ends`, the first and the last kernel stay unmasked, as those of the layers `whole` do.
    With the pattern 2:4, two of each four weights in a row along the input channels are zero from the first update on,
    whatever the sparsity. Train the model with `callback()`.
    """
    frequency = max(1, end_step // updates)
    pruned = [layer.name for layer in model.layers if isinstance(layer, PRUNED_LAYERS)]
    if dense_ends:
        pruned = pruned[1:-1]
    pruned = [name for name in pruned if name not in whole]

    def masked(layer: Any) -> Any:
        if layer.name not in pruned:
            return layer
        schedule = tfmot.sparsity.keras.PolynomialDecay(
            initial_sparsity=initial_sparsity,
            final_sparsity=_not_below(sparsity, math.prod(layer.kernel.shape)),
            begin_step=0,
            end_step=end_step // frequency * frequency,  # a multiple, so that the last update takes place
            frequency=frequency,
        )
        m_by_n = TWO_OF_FOUR if pattern == "2:4" else None
        return tfmot.sparsity.keras.prune_low_magnitude(layer, pruning_schedule=schedule, sparsity_m_by_n=m_by_n)

    cloned = keras.models.clone_model(model, clone_function=masked)
    for layer in cloned.layers:
        if hasattr(layer, "pruning_obj"):
            layer.pruning_obj._update_mask = partial(_mask_of_largest, layer.pruning_obj)
    return cloned


def _mask_of_largest(pruning: Any, weights: Any) -> tuple[Any, Any]:
    """Return the threshold and the mask of as many weights as the schedule leaves, the first of those that are equal.

    The library's own mask has all weights that are equal to the smallest one kept: too many where many are.
    """
    sizes = tf.reshape(tf.abs(weights), [-1])
    sparsity = pruning._pruning_schedule(pruning._step_fn())[1]
    kept = tf.cast(tf.maximum(tf.round(tf.cast(tf.size(sizes), tf.float32) * (1 - sparsity)), 1), tf.int32)
    values, order = tf.math.top_k(sizes, tf.size(sizes))  # of equal values, the first comes first
    mask = tf.scatter_nd(order[:kept, tf.newaxis], tf.ones([kept], weights.dtype), [tf.size(sizes)])
    return values[kept - 1], tf.reshape(mask, tf.shape(weights))


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
        return any(step % schedule.frequency == 0 and step <= schedule.end_step for schedule in schedules)

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
