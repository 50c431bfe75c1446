"""One training, epoch by epoch: what is trained, how far it has come, and the best weights so far."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from compress.context import Context
from compress.data.batches import Batches
from compress.data.images import Images
from compress.errors import CompressError, MachineError
from compress.tensorflow import keras, seed_random_layers, tf
from compress.training import checkpoint, history, precision
from compress.training.checkpoint import START, Groups, State, groups_of, restore
from compress.training.distribution import Distribution
from compress.training.evaluation import evaluate, forward_of
from compress.training.schedules import Rate, after_epoch
from compress.training.settings import TrainingSettings
from compress.training.step_time import compiled

POLL_SECONDS = 0.1


class Training:
    """A training in progress, in one of the processes that take part in it.

    The arguments are those of `fit`, `dtype` (the precision to compute in) and `shared` (the processes that
    take part). The chief's instance evaluates and writes; the others read what it has written.
    """

    def __init__(
        self,
        model: Any,
        loss: Callable[[Any, Any], Any],
        batches: Batches,
        validation: tuple[Images, np.ndarray],
        settings: TrainingSettings,
        dtype: precision.Dtype,
        context: Context,
        shared: Distribution,
        name: str,
        callbacks: Sequence[Any],
        may_stop_from: int,
    ) -> None:
        self.model, self.loss, self.batches, self.validation = model, loss, batches, validation
        self.settings, self.dtype, self.context, self.shared = settings, dtype, context, shared
        self.name, self.may_stop_from = name, may_stop_from
        self.path = context.checkpoint / f"{name}.npz"
        self.twin = shared.twin(model)
        with shared.scope():
            self.rate = Rate(settings.learning_rate, settings.epochs * batches.steps, settings.schedule)
            self.trained = compiled(self.twin, loss, settings, self.rate, dtype)
        self.optimizer = self.trained.optimizer
        inner: Any = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        self.take_average = inner.finalize_variable_values
        inner.finalize_variable_values = lambda variables: None  # Keras would overwrite the weights with it each epoch
        self.progress = _Progress(context, settings.epochs)
        self.callbacks = [*callbacks, self.progress]
        if shared.has_servers:
            # with servers, Keras refuses callbacks for single batches, unless late figures are good enough for them
            for callback in self.callbacks:
                callback._supports_tf_logs = True
        self.forward = forward_of(model)
        self.state, self.groups = State(), groups_of(self.twin, self.optimizer)
        self._begin()

    def _begin(self) -> None:
        """Go on from the checkpoint, if there is one; else evaluate the initial weights, if they may be the result."""
        context, is_chief, found = self.context, self.shared.is_chief, checkpoint.load(self.path)
        if found:
            self.groups, self.state = found
            restore(self.twin, self.optimizer, self.groups)
            context.note(f"{context.stage}: goes on after epoch {self.state.epoch}")
            context.progress(self._done, f"epoch {self.state.epoch}/{self.settings.epochs}")
        elif is_chief:
            shutil.rmtree(context.logs / self.name, ignore_errors=True)  # of an earlier training
        self.begun = self.state.epoch
        self.best_weights = self.groups.get("best", self.groups["model"])
        if self.may_stop_from == START and not found and is_chief:
            accuracy, cross_entropy = evaluate(self.forward, *self.validation)
            self.state.best_result = accuracy, -cross_entropy
            context.progress(0.0, f"begins with validation accuracy {accuracy:.4f}")

    @property
    def goes_on(self) -> bool:
        """Whether there are epochs left, and patience has not run out."""
        epoch, best = self.state.epoch, max(self.state.best, self.may_stop_from - 1)
        return epoch < self.settings.epochs and epoch <= best + self.settings.patience

    def epoch(self) -> float | None:
        """Train an epoch; return its mean loss, or None if memory was too small and it has to start again."""
        epoch, batches = self.state.epoch, self.batches
        self.progress.epoch = epoch
        self.trained.parts = self.state.parts
        self.rate.rescale(self.state.plateau)
        seed_random_layers(self.twin, batches.seed, epoch)
        try:
            with precision.computing_in(self.dtype), batches.being_read():
                fitted = self.trained.fit(
                    **self.shared.feed(partial(batches.epoch, epoch), batches.steps),
                    epochs=epoch + 1,
                    initial_epoch=epoch,
                    verbose=0,
                    callbacks=self.callbacks,
                )
        except tf.errors.ResourceExhaustedError as error:
            self._use_smaller_parts(error)
            return None
        loss: float = fitted.history["loss"][0]
        self._check_finite("loss", loss)
        return loss

    def judge(self, loss: float, seconds: float) -> None:
        """Keep the weights after an epoch of that loss and duration; the chief evaluates them on validation."""
        self.groups = groups_of(self.twin, self.optimizer)  # in all processes: they average batch normalization
        weights = self.groups["model"]
        if self.settings.ema:
            self.take_average(self.twin.trainable_variables)
            weights = self.twin.get_weights()
        if not self.shared.is_chief:
            return
        state = self.state
        self.model.set_weights(weights)
        accuracy, cross_entropy = evaluate(self.forward, *self.validation)
        self._check_finite("validation cross-entropy", cross_entropy)
        result = accuracy, -cross_entropy
        if state.epoch >= self.may_stop_from and result > tuple(state.best_result):
            state.best, state.best_result, self.best_weights = state.epoch, result, weights
        state.epoch += 1
        state.plateau = after_epoch(state.plateau, cross_entropy, self.settings.schedule)
        state.rows.append(
            {
                "epoch": state.epoch,
                "learning_rate": float(self.rate(state.epoch * self.batches.steps - 1)),
                "loss": loss,
                "validation_accuracy": accuracy,
                "validation_cross_entropy": cross_entropy,
                "images_per_second": round(self.batches.size / seconds, 1),
            }
        )

    def save(self) -> None:
        """Write history and checkpoint, if this is the chief; the other processes read them once they are there."""
        if not self.shared.is_chief:
            return
        history.write(self.context.logs / self.name, self.state.rows)
        if self.settings.ema or self.state.best != self.state.epoch - 1:
            self.groups["best"] = self.best_weights
        checkpoint.save(self.path, self.groups, self.state)

    def report(self, seconds: float) -> None:
        """Show how the last epoch went; `seconds` includes its evaluation and its checkpoint."""
        if self.shared.is_chief:
            row = self.state.rows[-1]
            self.context.progress(
                self._done,
                f"epoch {row['epoch']}/{self.settings.epochs}, loss {row['loss']:.4f}, "
                f"validation accuracy {row['validation_accuracy']:.4f}, {seconds:.1f} s",
            )

    def synchronize(self) -> None:
        """Wait for the other processes, if there are any; those that follow the chief read what it has written."""
        self.shared.wait_for_chief()
        if not self.shared.is_chief:
            self.groups, self.state = self._written_by_chief()
            self.best_weights = self.groups.get("best", self.groups["model"])
        self.shared.wait_for_chief()  # which deletes the checkpoint once the stage is finished
        self.twin.set_weights(self.groups["model"])

    @property
    def _done(self) -> float:
        return self.state.epoch / self.settings.epochs

    def _check_finite(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            raise CompressError(
                f"{self.context.stage}: the {name} is {value} in epoch {self.state.epoch + 1}: training diverged; "
                f"the learning rate, {self.settings.learning_rate}, should be lower"
            )

    def _use_smaller_parts(self, error: Exception) -> None:
        """Process batches in twice as many parts from now on; raises `MachineError` if that is impossible."""
        stage, size, parts = self.context.stage, self.batches.batch_size, self.state.parts
        if self.shared.strategy:
            raise MachineError(f"{stage}: out of memory; {stage}.batch_size = {size} should be smaller") from error
        if 2 * parts > size:
            raise MachineError(
                f"{stage}: out of memory even with one image at a time; image.size should be smaller"
            ) from error
        self.context.note(
            f"{stage}: out of memory with {size // parts} images at a time; goes on with {size // (2 * parts)}, "
            f"gradients added up to batches of {size}"
        )
        self.state.parts = 2 * parts
        restore(self.twin, self.optimizer, self.groups)
        self.trained.compile(self.optimizer, self.loss, jit_compile=False)  # so that the step is traced again

    def _written_by_chief(self) -> tuple[Groups, State]:
        """Return the checkpoint of the epoch that has just ended; on a shared disk it may appear with a delay."""
        while True:
            found = checkpoint.load(self.path)
            if found and found[1].epoch == self.state.epoch + 1:
                return found
            time.sleep(POLL_SECONDS)


class _Progress(keras.callbacks.Callback):
    """Reports how far an epoch has come."""

    def __init__(self, context: Context, epochs: int) -> None:
        super().__init__()
        self.context, self.epoch, self.epochs = context, 0, epochs

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        done = (self.epoch + (batch + 1) / self.params["steps"]) / self.epochs
        loss = f", loss {logs['loss']:.4f}" if isinstance(logs, dict) and logs else ""
        self.context.progress(done, f"epoch {self.epoch + 1}/{self.epochs}{loss}")
