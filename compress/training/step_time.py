"""How long a training step takes in a precision, measured on images made up for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from compress.data.batches import Batches
from compress.tensorflow import keras
from compress.training import optimizers, precision
from compress.training.schedules import Rate
from compress.training.settings import TrainingSettings
from compress.training.trained_model import TrainedModel

MIN_STEPS = 4  # the first of which traces the step and fills caches
MIN_SECONDS = 1.5  # for which steps are timed
MAX_STEPS = 1000


def compiled(
    model: Any, loss: Callable[[Any, Any], Any], settings: TrainingSettings, rate: Rate, dtype: precision.Dtype
) -> TrainedModel:
    """Return a model that shares `model`'s layers and is compiled for training with these settings."""
    optimizer = optimizers.build(settings, rate, model)
    trained = TrainedModel(model.inputs, model.outputs)
    trained.l1, trained.l2 = settings.l1, settings.l2
    scaled = keras.mixed_precision.LossScaleOptimizer(optimizer) if dtype == "float16" else optimizer
    trained.compile(scaled, loss, jit_compile=False)
    scaled.build(model.trainable_variables)
    return trained


def seconds_per_step(
    model: Any,
    loss: Callable[[Any, Any], Any],
    batches: Batches,
    settings: TrainingSettings,
    dtype: precision.Dtype,
) -> float:
    """Return the median seconds of a training step in a precision; the model is trained meanwhile.

    The steps are those of the first epoch, augmenting included.
    """
    trained = compiled(model, loss, settings, Rate(settings.learning_rate, 1, MAX_STEPS, settings.schedule), dtype)
    clock = _Clock()
    with precision.computing_in(dtype):
        trained.fit(batches.epoch(0).repeat().take(MAX_STEPS), verbose=0, callbacks=[clock])
    return float(np.median(np.diff(clock.ends)))


class _Clock(keras.callbacks.Callback):
    """Notes when each step ends, and ends the training once there are enough."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.ends.append(time.perf_counter())
        if len(self.ends) >= MIN_STEPS and self.ends[-1] - self.ends[0] >= MIN_SECONDS:
            self.model.stop_training = True
