"""The fit loop: epochs of Keras's `Model.fit`, a checkpoint after each, early stopping, the best weights at the end.

An epoch's batches are a function of seed and epoch, and a checkpoint holds weights and optimizer. So a run that was
killed goes on from its last finished epoch and ends with the same bytes as a run that was not, if the network has no
random layers such as dropout.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from compress.context import Context
from compress.data.batches import Batches
from compress.data.images import Images, in_batches
from compress.errors import CompressError
from compress.training import checkpoint
from compress.training.schedules import OneCycle
from compress.training.settings import TrainingSettings
from compress.training.tensorflow import keras, tf


def fit(
    model: Any,
    loss: Callable[[Any, Any], Any],
    batches: Batches,
    validation: tuple[Images, np.ndarray],
    settings: TrainingSettings,
    context: Context,
    *,
    callbacks: Sequence[Any] = (),
    may_stop_from: int = 0,
) -> None:
    """Train `model` in place and leave it with the weights of its best epoch.

    Parameters
    ----------
    model
        Keras model from images `(batch, height, width, channels)` to logits `(batch, classes)`; built, not compiled.
    loss
        Keras loss of (targets, logits).
    batches
        What each epoch trains on.
    validation
        Images `(n, height, width, channels) uint8` and labels `(n,) int64`. The best epoch is the one with the
        highest accuracy on them, the lowest cross-entropy among equals.
    callbacks
        Keras callbacks of every epoch.
    may_stop_from
        The first epoch (from 0) whose weights may be the result, such as the first one with the final sparsity.
    """
    steps = settings.epochs * batches.steps
    optimizer = keras.optimizers.SGD(
        OneCycle(settings.learning_rate, steps, settings.warmup),
        momentum=settings.momentum,
        nesterov=True,
        weight_decay=settings.weight_decay or None,
        jit_compile=False,
    )
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    model.compile(optimizer, loss, jit_compile=False)
    optimizer.build(model.trainable_variables)

    path = context.checkpoint / "training.npz"
    epoch, best_epoch, best_result = 0, -1, (-1.0, 0.0)
    best_weights: list[np.ndarray] = []
    if found := checkpoint.load(path):
        groups, state = found
        model.set_weights(groups["model"])
        for variable, value in zip(optimizer.variables, groups["optimizer"], strict=True):
            variable.assign(value)
        epoch, best_epoch, best_result = state["epoch"], state["best_epoch"], tuple(state["best_result"])
        best_weights = groups.get("best", groups["model"])
        context.note(f"{context.stage}: goes on after epoch {epoch}")
        context.progress(epoch / settings.epochs, f"epoch {epoch}/{settings.epochs}")

    while epoch < settings.epochs and epoch <= max(best_epoch, may_stop_from - 1) + settings.patience:
        start = time.perf_counter()
        on_batch = _Report(context, epoch, settings.epochs)
        try:
            history = model.fit(
                batches.epoch(epoch),
                epochs=epoch + 1,
                initial_epoch=epoch,
                verbose=0,
                callbacks=[*callbacks, on_batch],
            )
        except tf.errors.OpError as error:
            raise batches.failure or error from None
        loss_value = history.history["loss"][0]
        if not math.isfinite(loss_value):
            raise CompressError(
                f"{context.stage}: the loss is {loss_value} in epoch {epoch + 1}: training diverged; "
                f"{context.stage}.learning_rate = {settings.learning_rate} should be lower"
            )
        accuracy, cross_entropy = evaluate(model, *validation)
        if epoch >= may_stop_from and (accuracy, -cross_entropy) > best_result:
            best_epoch, best_result, best_weights = epoch, (accuracy, -cross_entropy), model.get_weights()
        epoch += 1
        groups = {"model": model.get_weights(), "optimizer": [v.numpy() for v in optimizer.variables]}
        if best_epoch not in (epoch - 1, -1):
            groups["best"] = best_weights
        state = {"epoch": epoch, "best_epoch": best_epoch, "best_result": best_result}
        checkpoint.save(path, groups, state)
        context.progress(
            epoch / settings.epochs,
            f"epoch {epoch}/{settings.epochs}, loss {loss_value:.4f}, "
            f"validation accuracy {accuracy:.4f}, {time.perf_counter() - start:.1f} s",
        )
    model.set_weights(best_weights)


def logits_of(model: Any, images: Images) -> np.ndarray:
    """Return the model's logits `(n, classes) float32` of images `(n, height, width, channels) uint8`."""
    forward = tf.function(lambda batch: model(tf.cast(batch, tf.float32), training=False))
    return np.concatenate([forward(tf.constant(batch)).numpy() for batch in in_batches(images)])


def evaluate(model: Any, images: Images, labels: np.ndarray) -> tuple[float, float]:
    """Return accuracy (a fraction) and mean cross-entropy (nats) of a model that gives logits."""
    logits = logits_of(model, images).astype(np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    cross_entropy = -log_probabilities[np.arange(len(labels)), labels].mean()
    return float((logits.argmax(axis=1) == labels).mean()), float(cross_entropy)


class _Report(keras.callbacks.Callback):
    """Tells the run how far an epoch is."""

    def __init__(self, context: Context, epoch: int, epochs: int) -> None:
        super().__init__()
        self.context, self.epoch, self.epochs = context, epoch, epochs

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        done = (self.epoch + (batch + 1) / self.params["steps"]) / self.epochs
        loss = f", loss {logs['loss']:.4f}" if logs else ""
        self.context.progress(done, f"epoch {self.epoch + 1}/{self.epochs}{loss}")
