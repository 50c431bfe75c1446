"""Learning rates as functions of the step."""

from __future__ import annotations

import math
from typing import Any

from compress.tensorflow import keras, tf
from compress.training.fall import Fall, shortest
from compress.training.settings import Schedule

NO_PLATEAU = (1.0, math.inf, 0)  # the state before the first epoch, see `after_epoch`


class Rate(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that rises linearly from 0 to `peak` and then follows the schedule, for `epochs` epochs of `steps` steps.

    With w for the warm-up, d for the fraction of the steps that are done, and r for the rate as a fraction of the peak,
    r = d / w up to the peak; after it, with t = (d - w) / (1 - w) from 0 to 1:

    - constant and plateau: r = 1; `rescale` lowers plateau's between epochs;
    - step: r = factor ** floor(t / every);
    - exponential: r = final ** t;
    - polynomial: r = final + (1 - final) (1 - t) ** power;
    - cosine: r = final + (1 - final) (1 + cos(pi t)) / 2 (Loshchilov and Hutter, "SGDR", 2017, without restarts);
    - one_cycle: r = 1 - t (after Smith and Topin, "Super-Convergence", 2018, with the linear pieces of Page's
      DAWNBench entry);
    - wsd: r = 1 until the fall that `follow` states, in which r = 1 - sqrt(t), with t from 0 to 1 in its steps: better
      than a straight line (Haegele et al., see `fall`). The warm-up is a fraction of the shortest training, whose
      length does not depend on how many epochs there may be.
    """

    def __init__(self, peak: float, epochs: int, steps: int, schedule: Schedule) -> None:
        self.peak, self.epochs, self.steps, self.schedule = peak, epochs, steps, schedule
        self.scale = tf.Variable(1.0, trainable=False, name="scale") if schedule.shape == "plateau" else None
        never = [epochs * steps + 1.0, epochs * steps + 2.0]
        self.fall = tf.Variable(never, trainable=False, name="fall") if schedule.shape == "wsd" else None

    def __call__(self, step: Any) -> Any:
        """Return the rate at a step (a scalar tensor or number)."""
        if self.fall is not None:
            return self._until_fallen(step)
        schedule, warmup = self.schedule, self.schedule.warmup
        done = (tf.cast(step, tf.float32) + 1.0) / (self.epochs * self.steps + 1)
        rising = done / warmup if warmup else 1.0
        left = (1.0 - done) / (1.0 - warmup)
        down = {
            "constant": lambda: 1.0,
            "plateau": lambda: 1.0,
            "step": lambda: schedule.factor ** tf.floor(tf.maximum(0.0, 1.0 - left) / schedule.every),
            "exponential": lambda: schedule.final ** (1.0 - left),
            "polynomial": lambda: schedule.final + (1.0 - schedule.final) * left**schedule.power,
            "cosine": lambda: schedule.final + (1.0 - schedule.final) * (1.0 + tf.cos(math.pi * (1.0 - left))) / 2.0,
            "one_cycle": lambda: left,
        }[schedule.shape]()
        rate = self.peak * tf.where(done < warmup, rising, down)
        return rate if self.scale is None else rate * self.scale

    def _until_fallen(self, step: Any) -> Any:
        done = tf.cast(step, tf.float32) + 1.0
        warmup = self.schedule.warmup * shortest(self.schedule, self.epochs, self.steps) * self.steps
        rising = tf.minimum(1.0, done / warmup) if warmup else 1.0
        begin, end = tf.unstack(self.fall)
        return self.peak * rising * (1.0 - tf.sqrt(tf.maximum(0.0, done - begin) / (end - begin + 1.0)))

    def follow(self, plateau: tuple[float, float, int], fall: Fall | None) -> None:
        """Set what changes between epochs: what plateau multiplies the rate by, and the fall of wsd if it is known."""
        if self.scale is not None:
            self.scale.assign(plateau[0])
        if self.fall is not None and fall:
            self.fall.assign([float(epoch * self.steps) for epoch in fall])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, which Keras needs in order to save a model."""
        return {"peak": self.peak, "epochs": self.epochs, "steps": self.steps, "schedule": self.schedule.model_dump()}


def after_epoch(state: tuple[float, float, int], cross_entropy: float, schedule: Schedule) -> tuple[float, float, int]:
    """Return plateau's (scale of the rate, best cross-entropy, epochs since) after an epoch, given those before it."""
    scale, best, waited = state
    if cross_entropy < best:
        return scale, cross_entropy, 0
    if waited + 1 < schedule.patience:
        return scale, best, waited + 1
    return scale * schedule.factor, best, 0
