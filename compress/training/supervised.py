"""Training on labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from compress.artifacts import Dataset
from compress.context import Context
from compress.data.balance import Balance, Metric, epoch_indices, image_weights, with_synthetic
from compress.data.batches import Batches, Epoch
from compress.data.images import images_of
from compress.tensorflow import keras
from compress.training.fit import Fitted, fit
from compress.training.settings import Engine, LabelSettings


def smoothed_one_hot(labels: np.ndarray, classes: int, smoothing: float) -> np.ndarray:
    """Return targets `(n, classes) float32`: 1 for the label, less `smoothing`, which is spread over all classes.

    Szegedy et al., "Rethinking the Inception Architecture" (2016), section 7.
    """
    return np.eye(classes, dtype=np.float32)[labels] * (1 - smoothing) + np.float32(smoothing / classes)


def label_batches(data: Dataset, settings: LabelSettings, balance: Balance, seed: int) -> Batches:
    """Return the training images with their labels as targets, augmented, mixed and balanced as set."""
    images, labels = with_synthetic(images_of(data, "train"), data.labels("train"), balance.method, seed)

    def choose(epoch: int) -> Epoch:
        chosen = epoch_indices(labels, balance.method, seed, epoch)
        # an image that is repeated has several draw ids, so that it looks different every time
        return Epoch(chosen, np.full(len(chosen), epoch + 1), np.arange(len(chosen)))

    return Batches(
        images,
        lambda indices, views: smoothed_one_hot(labels[indices], len(data.classes), settings.label_smoothing),
        choose,
        settings.batch_size,
        seed,
        settings.augmentation,
        settings.mixing,
        image_weights(labels, balance.method),
    )


def fit_to_labels(
    model: Any,
    batches: Batches,
    data: Dataset,
    settings: LabelSettings,
    engine: Engine,
    context: Context,
    *,
    may_stop_from: int = 0,
    metric: Metric = "accuracy",
) -> Fitted:
    """Train a Keras model in place, stopped by the validation split; arguments and result as `fit`'s."""
    return fit(
        model,
        keras.losses.CategoricalCrossentropy(from_logits=True),
        batches,
        (images_of(data, "validation"), data.labels("validation")),
        settings,
        engine,
        context,
        may_stop_from=may_stop_from,
        metric=metric,
    )
