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
from compress.data.balance import Metric
from compress.data.batches import Batches
from compress.data.images import Images
from compress.errors import CompressError, MachineError
from compress.metrics.classification import Result
from compress.tensorflow import seed_random_layers, tf
from compress.training import checkpoint, history, memory, precision
from compress.training.checkpoint import START, Groups, State, groups_of, restore
from compress.training.distribution import Distribution
from compress.training.epoch_progress import EpochProgress, Length
from compress.training.evaluation import evaluate, forward_of
from compress.training.fall import begins
from compress.training.normalization import estimator_of
from compress.training.schedules import Rate, after_epoch
from compress.training.settings import Engine, TrainingSettings
from compress.training.step_time import compiled

POLL_SECONDS = 0.1


class DivergedError(CompressError):
    """A loss is no longer finite."""


class Training:
    """A training in progress, in one of the processes that take part in it.

    The arguments are those of `fit`, and `shared` (the processes that take part). The chief's instance evaluates and
    writes; the others read what it has written.
    """

    def __init__(
        self,
        model: Any,
        loss: Callable[[Any, Any], Any],
        batches: Batches,
        validation: tuple[Images, np.ndarray],
        settings: TrainingSettings,
        engine: Engine,
        context: Context,
        shared: Distribution,
        name: str,
        callbacks: Sequence[Any],
        may_stop_from: int,
        metric: Metric,
    ) -> None:
        self.model, self.loss, self.batches, self.validation = model, loss, batches, validation
        self.settings, self.context, self.shared = settings, context, shared
        self.dtype = precision.checked(engine.precision)
        self.name, self.may_stop_from, self.metric = name, may_stop_from, metric
        self.path = context.checkpoint / f"{name}.npz"
        self.twin = shared.twin(model)
        with shared.scope():
            self.rate = Rate(settings.learning_rate, settings.epochs, batches.steps, settings.schedule)
            self.trained = compiled(self.twin, loss, settings, self.rate, self.dtype)
        self.optimizer = self.trained.optimizer
        inner: Any = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        self.take_average = inner.finalize_variable_values
        inner.finalize_variable_values = lambda variables: None  # Keras would overwrite the weights with it each epoch
        self.progress = EpochProgress(context, self._check_finite)
        self.callbacks = [*callbacks, self.progress]
        if shared.has_servers:
            # with servers, Keras refuses callbacks for single batches, unless late figures are good enough for them
            for callback in self.callbacks:
                callback._supports_tf_logs = True
        self.forward, self.estimate_statistics = forward_of(model), estimator_of(model)
        self.estimates_statistics = bool(settings.ema) or engine.norm_statistics == "images"
        self.state, self.groups = State(), groups_of(self.twin, self.optimizer)
        self._begin()
        self._let_fall()

    def _begin(self) -> None:
        """Go on from the checkpoint, if there is one; else evaluate the initial weights, if they may be the result."""
        context, is_chief, found = self.context, self.shared.is_chief, checkpoint.load(self.path)
        if found:
            self.groups, self.state = found
            restore(self.twin, self.optimizer, self.groups)
            context.note(f"{context.stage}: goes on after epoch {self.state.epoch}")
            context.progress(self.length.share(self.state.epoch), self.length.words(self.state.epoch))
        elif is_chief:
            shutil.rmtree(context.logs / self.name, ignore_errors=True)  # of an earlier training
        self.begun = self.state.epoch
        self.best_weights = self.groups.get("best", self.groups["model"])
        if self.may_stop_from == START and not found and is_chief:
            result = evaluate(self.forward, *self.validation)
            self.state.best_result = self._rank(result)
            context.progress(0.0, f"begins with {self.told(self.state.best_result[0])}")

    @property
    def goes_on(self) -> bool:
        """Whether there are epochs left, and patience has not run out, which with wsd makes the rate fall instead."""
        epoch, best = self.state.epoch, max(self.state.best, self.may_stop_from - 1)
        waits = self.settings.schedule.shape == "wsd" or epoch <= best + self.settings.patience
        return epoch < self.length.epochs and waits

    @property
    def length(self) -> Length:
        """How many epochs the training takes, or may take while that is not known."""
        epochs, fall = self.settings.epochs, self.state.fall
        return Length(fall[1] if fall else epochs, is_known=bool(fall) or self.settings.schedule.shape != "wsd")

    def epoch(self) -> float | None:
        """Train an epoch; return its mean loss, or None if memory was too small and it has to start again."""
        epoch, batches = self.state.epoch, self.batches
        self.progress.begin(epoch, self.length)
        self.trained.parts = self.state.parts
        self.rate.follow(self.state.plateau, self.state.fall)
        seed_random_layers(self.twin, batches.seed, epoch)
        try:
            with precision.computing_in(self.dtype), batches.being_read():
                make = partial(batches.epoch, epoch)
                loss = self.shared.fit_epoch(self.trained, make, batches.sizes, epoch, self.callbacks)
        except tf.errors.OpError as error:
            if not memory.ran_out(error):
                raise
            self._use_smaller_parts(error)
            return None
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
        if self.estimates_statistics:
            self.estimate_statistics(self.batches, state.epoch, state.parts)
            weights = self.model.get_weights()
        result = evaluate(self.forward, *self.validation)
        self._check_finite("validation cross-entropy", result.cross_entropy)
        rank = self._rank(result)
        if state.epoch >= self.may_stop_from and rank > tuple(state.best_result):
            state.best, state.best_result, self.best_weights = state.epoch, rank, weights
        state.epoch += 1
        state.plateau = after_epoch(state.plateau, result.cross_entropy, self.settings.schedule)
        state.rows.append(
            {
                "epoch": state.epoch,
                "learning_rate": float(self.rate(state.epoch * self.batches.steps - 1)),
                "loss": loss,
                "validation_accuracy": result.accuracy,
                "validation_recall": result.recall,
                "validation_cross_entropy": result.cross_entropy,
                "images_per_second": round(self.batches.size / seconds, 1),
            }
        )
        self._let_fall()

    def save(self) -> None:
        """Write history and checkpoint, if this is the chief; the other processes read them once they are there."""
        if not self.shared.is_chief:
            return
        history.write(self.context.logs / self.name, self.state.rows)
        if self.estimates_statistics or self.state.best != self.state.epoch - 1:
            self.groups["best"] = self.best_weights
        checkpoint.save(self.path, self.groups, self.state)

    def report(self, seconds: float) -> None:
        """Show how the last epoch went; `seconds` includes its evaluation and its checkpoint."""
        if self.shared.is_chief:
            row = self.state.rows[-1]
            self.context.progress(
                self.length.share(self.state.epoch),
                f"{self.length.words(self.state.epoch)}, loss {row['loss']:.4f}, "
                f"{self.told(row[f'validation_{self.metric}'])}, {seconds:.1f} s",  # type: ignore[literal-required]
            )

    def synchronize(self) -> None:
        """Wait for the other processes, if there are any; those that follow the chief read what it has written."""
        self.shared.wait_for_chief()
        if not self.shared.is_chief:
            self.groups, self.state = self._written_by_chief()
            self.best_weights = self.groups.get("best", self.groups["model"])
        self.shared.wait_for_chief()  # which deletes the checkpoint once the stage is finished
        self.twin.set_weights(self.groups["model"])

    def told(self, score: float) -> str:
        """Return in words how good the weights of an epoch are on validation."""
        return f"validation {'mean recall' if self.metric == 'recall' else self.metric} {score:.4f}"

    def _rank(self, result: Result) -> tuple[float, float]:
        """Return what is larger for a better epoch: the metric and, among equals, minus the cross-entropy."""
        return (result.recall if self.metric == "recall" else result.accuracy), -result.cross_entropy

    def _let_fall(self) -> None:
        """Let the rate of wsd fall from the next epoch on, if it is time."""
        steps, labels, rows = self.batches.steps, self.validation[1], self.state.rows
        found = begins(self.settings, steps, rows, labels, self.metric, self.may_stop_from)
        if found and not self.state.fall:
            self.state.fall, why = found
            if self.shared.is_chief:
                self.context.note(f"{self.context.stage}: {why}")

    def _check_finite(self, name: str, value: float, where: str = "") -> None:
        if not math.isfinite(value):
            where += f"epoch {self.state.epoch + 1}"
            raise DivergedError(
                f"{self.context.stage}: the {name} is {value} in {where}: training diverged; the learning rate, "
                f"{self.settings.learning_rate}, should be lower"
            )

    def _use_smaller_parts(self, error: Exception) -> None:
        """Process half as many images at a time from now on; raises `MachineError` if that is impossible."""
        stage, size = self.context.stage, self.batches.sizes[0]
        at_once = math.ceil(size / self.state.parts)
        if self.shared.strategy:
            raise MachineError(
                f"{stage}: out of memory; {stage}.batch_size = {self.batches.batch_size} should be smaller"
            ) from error
        if at_once == 1:
            raise MachineError(
                f"{stage}: out of memory even with one image at a time; image.size should be smaller"
            ) from error
        fewer = memory.half(at_once)
        self.context.note(
            f"{stage}: out of memory with {at_once} images at a time; goes on with {fewer}, "
            f"gradients added up to batches of {size}"
        )
        self.state.parts = math.ceil(size / fewer)
        restore(self.twin, self.optimizer, self.groups)
        self.trained.compile(self.optimizer, self.loss, jit_compile=False)  # so that the step is traced again

    def _written_by_chief(self) -> tuple[Groups, State]:
        """Return the checkpoint of the epoch that has just ended; on a shared disk it may appear with a delay."""
        while True:
            found = checkpoint.load(self.path)
            if found and found[1].epoch == self.state.epoch + 1:
                return found
            time.sleep(POLL_SECONDS)
