"""Learning rates as functions of the step."""

from __future__ import annotations

from typing import Any

from compress.training.tensorflow import keras, tf


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Linear from 0 to `peak` over the first `warmup` part of `steps`, then linear to 0.

    After Smith and Topin, "Super-Convergence" (2018), with the straight lines of Page's DAWNBench entry.
    """

    def __init__(self, peak: float, steps: int, warmup: float) -> None:
        self.peak, self.steps, self.warmup = peak, steps, warmup

    def __call__(self, step: Any) -> Any:
        """Return the rate at a step (a scalar tensor or number)."""
        done = (tf.cast(step, tf.float32) + 1.0) / (self.steps + 1)
        rising = done / self.warmup if self.warmup else 1.0
        return self.peak * tf.minimum(rising, (1.0 - done) / (1.0 - self.warmup))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, which Keras wants in order to save a model."""
        return {"peak": self.peak, "steps": self.steps, "warmup": self.warmup}
