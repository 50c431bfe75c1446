"""Magnitude pruning: the smallest weights of each kernel are set to zero during training.

Zhu and Gupta, "To prune, or not to prune" (2017), through TensorFlow Model Optimization.
"""

from __future__ import annotations

import math
from typing import Any

from compress.tensorflow import keras

import tensorflow_model_optimization as tfmot  # isort: skip  # after Keras 2 is chosen

PRUNED_LAYERS = (keras.layers.Conv2D, keras.layers.Dense)


def with_masks(
    model: Any, sparsity: float, initial_sparsity: float, end_step: int, updates: int, dense_ends: bool = False
) -> Any:
    """Return a model that shares `model`'s layers and masks each kernel, up to `sparsity` zeros at `end_step`.

    The masks are computed `updates` times, evenly spread; each update sorts every weight, which costs as much as
    several steps. With `dense_ends`, the first and the last kernel stay unmasked. Train the model with `callback()`.
    """
    frequency = max(1, end_step // updates)
    pruned = [layer.name for layer in model.layers if isinstance(layer, PRUNED_LAYERS)]
    if dense_ends:
        pruned = pruned[1:-1]

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
        return tfmot.sparsity.keras.prune_low_magnitude(layer, pruning_schedule=schedule)

    return keras.models.clone_model(model, clone_function=masked)


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
