"""The fit loop: epochs of Keras's `Model.fit`, a checkpoint after each, early stopping, the best weights at the end.

An epoch's batches, and what its random layers such as dropout draw, are a function of seed and epoch, and a checkpoint
holds weights and optimizer. So a run that was killed goes on from its last finished epoch and ends with the same bytes
as a run that was not.
"""

from __future__ import annotations

import dataclasses
import math
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from compress.context import Context
from compress.data.batches import Batches
from compress.data.images import Images, in_batches
from compress.errors import CompressError, MachineError
from compress.tensorflow import keras, seed_random_layers, tf
from compress.training import checkpoint, distribution, history, optimizers, precision
from compress.training.schedules import NO_PLATEAU, Rate, after_epoch
from compress.training.settings import Engine, TrainingSettings
from compress.training.step import Stepped

SEEN_SECONDS = 0.1
START = -1  # the epoch before the first


def fit(
    model: Any,
    loss: Callable[[Any, Any], Any],
    batches: Batches,
    validation: tuple[Images, np.ndarray],
    settings: TrainingSettings,
    engine: Engine,
    context: Context,
    *,
    name: str = "training",
    callbacks: Sequence[Any] = (),
    may_stop_from: int = 0,
) -> int:
    """Train `model` in place, leave it with the weights of its best epoch; return how many epochs this process trained.

    Parameters
    ----------
    model
        Keras model from images `(batch, height, width, channels)` to logits `(batch, classes)`; built, not compiled.
    loss
        Keras loss of (targets, logits).
    batches
        What each epoch trains on.
    validation
        Images `(n, height, width, channels)` and labels `(n,) int64`. The best epoch is the one with the
        highest accuracy on them, the lowest cross-entropy among equals.
    name
        Of the checkpoint and the logs, where a stage trains more than once.
    callbacks
        Keras callbacks of every epoch.
    may_stop_from
        The first epoch (from 0) whose weights may be the result, such as the first one with the final sparsity; `START`
        where those that the training begins with may be, since they are trained already.
    """
    shared = distribution.of(engine.strategy)
    with precision.computing_in(precision.resolve(engine.precision)), shared.losing_peers():
        return _fit(model, loss, batches, validation, settings, engine, context, shared, name, callbacks, may_stop_from)


def _fit(
    model: Any,
    loss: Callable[[Any, Any], Any],
    batches: Batches,
    validation: tuple[Images, np.ndarray],
    settings: TrainingSettings,
    engine: Engine,
    context: Context,
    shared: distribution.Distribution,
    name: str,
    callbacks: Sequence[Any],
    may_stop_from: int,
) -> int:
    twin = shared.twin(model)
    with shared.scope():
        rate = Rate(settings.learning_rate, settings.epochs * batches.steps, settings.schedule)
        optimizer = optimizers.build(settings, rate)
        trained = Stepped(twin.inputs, twin.outputs)
        trained.l1, trained.l2 = settings.l1, settings.l2
        scales = precision.resolve(engine.precision) == "float16"
        minimizer = keras.mixed_precision.LossScaleOptimizer(optimizer) if scales else optimizer
        trained.compile(minimizer, loss, jit_compile=False)
        minimizer.build(twin.trainable_variables)
    take_average = optimizer.finalize_variable_values
    optimizer.finalize_variable_values = lambda variables: None  # Keras would put it in the weights' place each epoch

    path = context.checkpoint / f"{name}.npz"
    state = _State()
    groups = _groups(twin, minimizer)
    if found := checkpoint.load(path):
        groups, kept = found
        state = _State(**kept)
        _restore(twin, minimizer, groups)
        context.note(f"{context.stage}: goes on after epoch {state.epoch}")
        context.progress(state.epoch / settings.epochs, f"epoch {state.epoch}/{settings.epochs}")
    elif shared.is_chief:
        shutil.rmtree(context.logs / name, ignore_errors=True)  # of a training that is begun anew
    begun = state.epoch
    best_weights = groups.get("best", groups["model"])
    forward = forward_of(model)
    if may_stop_from == START and not found and shared.is_chief:
        accuracy, cross_entropy = evaluate(forward, *validation)
        state.best_result = accuracy, -cross_entropy
        context.progress(0.0, f"begins with validation accuracy {accuracy:.4f}")
    callbacks = [*callbacks, report := _Report(context, settings.epochs)]
    if shared.has_servers:
        # Keras refuses there what looks at single batches, unless it can do with figures that are late
        for callback in callbacks:
            callback._supports_tf_logs = True

    while _goes_on(state, settings, may_stop_from):
        start = time.perf_counter()
        report.epoch = state.epoch
        trained.parts = state.parts
        rate.rescale(state.plateau)
        seed_random_layers(twin, batches.seed, state.epoch)
        try:
            fitted = trained.fit(
                **shared.feed(partial(batches.epoch, state.epoch), batches.steps),
                epochs=state.epoch + 1,
                initial_epoch=state.epoch,
                verbose=0,
                callbacks=callbacks,
            )
        except tf.errors.ResourceExhaustedError as error:
            if shared.strategy:
                raise MachineError(
                    f"{context.stage}: out of memory; {context.stage}.batch_size = {batches.batch_size} should be "
                    "smaller"
                ) from error
            state.parts = _more_parts(state.parts, batches.batch_size, context, error)
            _restore(twin, minimizer, groups)
            trained.compile(minimizer, loss, jit_compile=False)  # the step is traced anew
            continue
        except tf.errors.OpError:
            if batches.failure:
                raise batches.failure from None
            raise
        seconds = time.perf_counter() - start
        loss_value = fitted.history["loss"][0]
        if not math.isfinite(loss_value):
            raise CompressError(
                f"{context.stage}: the loss is {loss_value} in epoch {state.epoch + 1}: training diverged; "
                f"the learning rate, {settings.learning_rate}, should be lower"
            )
        groups = _groups(twin, minimizer)  # by all processes: what each one's batch normalization saw is averaged
        weights = groups["model"]
        if settings.ema:
            take_average(twin.trainable_variables)
            weights = twin.get_weights()
        if shared.is_chief:
            model.set_weights(weights)
            accuracy, cross_entropy = evaluate(forward, *validation)
            if state.epoch >= may_stop_from and (accuracy, -cross_entropy) > tuple(state.best_result):
                state.best, state.best_result, best_weights = state.epoch, (accuracy, -cross_entropy), weights
            state.epoch += 1
            state.plateau = after_epoch(state.plateau, cross_entropy, settings.schedule)
            state.rows.append(
                {
                    "epoch": state.epoch,
                    "learning_rate": float(rate(state.epoch * batches.steps - 1)),
                    "loss": loss_value,
                    "validation_accuracy": accuracy,
                    "validation_cross_entropy": cross_entropy,
                    "images_per_second": round(batches.size / seconds, 1),
                }
            )
            history.write(context.logs / name, state.rows)
            if settings.ema or state.best != state.epoch - 1:
                groups["best"] = best_weights
            checkpoint.save(path, groups, dataclasses.asdict(state))
            context.progress(
                state.epoch / settings.epochs,
                f"epoch {state.epoch}/{settings.epochs}, loss {loss_value:.4f}, "
                f"validation accuracy {accuracy:.4f}, {time.perf_counter() - start:.1f} s",
            )
        shared.wait_for_chief()
        if not shared.is_chief:
            groups, state = _after_epoch(path, state.epoch + 1)
            best_weights = groups.get("best", groups["model"])
        shared.wait_for_chief()  # who deletes what was read once the stage is finished
        twin.set_weights(groups["model"])
    model.set_weights(best_weights)
    if shared.is_chief:
        which = "as it began" if state.best == START else f"after epoch {state.best + 1} of {settings.epochs}"
        context.note(f"{context.stage}: validation accuracy {state.best_result[0]:.4f}, {which}")
    return state.epoch - begun


def _after_epoch(path: Path, epoch: int) -> tuple[dict[str, list[np.ndarray]], _State]:
    """Return the checkpoint that the chief wrote after an epoch; on a shared disk it may take a while to be seen."""
    while True:
        found = checkpoint.load(path)
        if found and found[1]["epoch"] == epoch:
            return found[0], _State(**found[1])
        time.sleep(SEEN_SECONDS)


def _goes_on(state: _State, settings: TrainingSettings, may_stop_from: int) -> bool:
    return state.epoch < settings.epochs and state.epoch <= max(state.best, may_stop_from - 1) + settings.patience


Forward = Callable[[np.ndarray], np.ndarray]


def forward_of(model: Any) -> Forward:
    """Return a function from a batch of images to what a model, not training, makes of it, such as logits.

    Where a batch is too large for memory it is taken in parts, as are all after it. Raises `MachineError` where one
    image is too large.
    """
    run = tf.function(lambda batch: model(tf.cast(batch, tf.float32), training=False))
    most = sys.maxsize  # images that fit

    def forward(batch: np.ndarray) -> np.ndarray:
        nonlocal most
        size = min(most, len(batch))
        try:
            parts = [run(tf.constant(batch[i : i + size])).numpy() for i in range(0, len(batch), size)]
        except tf.errors.ResourceExhaustedError as error:
            if size == 1:
                raise MachineError("out of memory even with one image; image.size should be smaller") from error
            most = size // 2
            return forward(batch)
        return np.concatenate(parts)

    return forward


def logits_of(forward: Forward, images: Images) -> np.ndarray:
    """Return the logits `(n, classes) float32` of images `(n, height, width, channels)`."""
    return np.concatenate([forward(batch) for batch in in_batches(images)])


def evaluate(forward: Forward, images: Images, labels: np.ndarray) -> tuple[float, float]:
    """Return accuracy (a fraction) and mean cross-entropy (nats) of a function that gives logits."""
    logits = logits_of(forward, images).astype(np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    cross_entropy = -log_probabilities[np.arange(len(labels)), labels].mean()
    return float((logits.argmax(axis=1) == labels).mean()), float(cross_entropy)


@dataclass
class _State:
    """How far a training is: all that a checkpoint holds besides weights and optimizer."""

    epoch: int = 0
    best: int = START
    best_result: tuple[float, float] = (-1.0, 0.0)
    parts: int = 1
    plateau: tuple[float, float, int] = NO_PLATEAU
    rows: list[history.Row] = field(default_factory=list)


def _groups(model: Any, optimizer: Any) -> dict[str, list[np.ndarray]]:
    return {"model": model.get_weights(), "optimizer": [variable.numpy() for variable in _variables(optimizer)]}


def _restore(model: Any, optimizer: Any, groups: dict[str, list[np.ndarray]]) -> None:
    model.set_weights(groups["model"])
    for variable, value in zip(_variables(optimizer), groups["optimizer"], strict=True):
        variable.assign(value)


def _variables(optimizer: Any) -> list[Any]:
    """Return all that an optimizer remembers; where it scales the loss also the scale, which Keras does not list."""
    scale = getattr(optimizer, "_loss_scale", None)
    return [*optimizer.variables, *([scale.current_loss_scale, scale.counter] if scale else [])]


def _more_parts(parts: int, batch_size: int, context: Context, error: Exception) -> int:
    """Return twice as many parts of a batch and say so; raises `MachineError` where a part would hold no image."""
    if 2 * parts > batch_size:
        raise MachineError(
            f"{context.stage}: out of memory even with one image at a time; image.size should be smaller"
        ) from error
    context.note(
        f"{context.stage}: out of memory with {batch_size // parts} images at a time; goes on with "
        f"{batch_size // (2 * parts)}, gradients added up to batches of {batch_size}"
    )
    return 2 * parts


class _Report(keras.callbacks.Callback):
    """Tells the run how far an epoch is."""

    def __init__(self, context: Context, epochs: int) -> None:
        super().__init__()
        self.context, self.epoch, self.epochs = context, 0, epochs

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        done = (self.epoch + (batch + 1) / self.params["steps"]) / self.epochs
        loss = f", loss {logs['loss']:.4f}" if isinstance(logs, dict) and logs else ""
        self.context.progress(done, f"epoch {self.epoch + 1}/{self.epochs}{loss}")
