"""Training on labels, which teacher and pruning share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from compress.artifacts import Dataset
from compress.context import Context
from compress.data.batches import epoch_batches
from compress.training.fit import fit
from compress.training.settings import TrainingSettings
from compress.training.tensorflow import keras


def smoothed_one_hot(labels: np.ndarray, classes: int, smoothing: float) -> np.ndarray:
    """Return targets `(n, classes) float32`: 1 for the label, less `smoothing` spread over all classes.

    Szegedy et al., "Rethinking the Inception Architecture" (2016), section 7.
    """
    return np.eye(classes, dtype=np.float32)[labels] * (1 - smoothing) + np.float32(smoothing / classes)


def fit_to_labels(
    model: Any,
    data: Dataset,
    settings: TrainingSettings,
    context: Context,
    *,
    callbacks: Sequence[Any] = (),
    may_stop_from: int = 0,
) -> None:
    """Train a Keras model in place on the training split, stopped by the validation split; arguments as `fit`'s."""
    images = np.asarray(data.images("train"))
    targets = smoothed_one_hot(data.labels("train"), len(data.classes), settings.label_smoothing)
    fit(
        model,
        keras.losses.CategoricalCrossentropy(from_logits=True),
        lambda epoch: epoch_batches(images, targets, settings.batch_size, context.seed, epoch, settings.augmentation),
        (data.images("validation"), data.labels("validation")),
        settings,
        context,
        callbacks=callbacks,
        may_stop_from=may_stop_from,
    )
