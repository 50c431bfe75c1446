"""One step of training: Keras's own, with penalties on kernels, and in parts where a whole batch does not fit."""

from __future__ import annotations

from typing import Any

from compress.tensorflow import keras, tf


class Stepped(keras.Model):
    """A functional Keras model that is trained.

    `l1` and `l2` are times the sums of the kernels' absolute values and squares, added to what is minimized, not to the
    loss that is reported. With `parts` above 1 a batch is taken in so many parts whose gradients are added up:
    the same step, up to rounding and to batch normalization, which then sees a part at a time.
    """

    l1 = l2 = 0.0
    parts = 1

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None) -> Any:
        """Return the compiled loss and the penalties, one number."""
        loss = super().compute_loss(x, y, y_pred, sample_weight)
        if not (self.l1 or self.l2):
            return loss
        kernels = [variable for variable in self.trainable_variables if "kernel" in variable.name]
        penalty = sum(self.l1 * tf.reduce_sum(tf.abs(v)) + self.l2 * tf.reduce_sum(tf.square(v)) for v in kernels)
        return loss + penalty / tf.distribute.get_strategy().num_replicas_in_sync

    def train_step(self, data: Any) -> dict[str, Any]:
        """Take a step on a batch of (images, targets, weights); return the mean loss of the epoch so far."""
        if self.parts == 1:
            return super().train_step(data)
        images, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        size = tf.shape(images)[0]
        used = tf.minimum(self.parts, size)  # a part of no image would spoil batch normalization

        def gradients_of(part: int) -> list[Any]:
            rows = slice(size * part // used, size * (part + 1) // used)
            with tf.GradientTape() as tape:
                logits = self(images[rows], training=True)
                loss = self.compute_loss(images[rows], targets[rows], logits, weights[rows])
                loss *= tf.cast(rows.stop - rows.start, tf.float32) / tf.cast(size, tf.float32)
                scaled = self.optimizer.get_scaled_loss(loss) if self._scales_loss else loss
            return tape.gradient(scaled, self.trainable_variables)

        gradients = gradients_of(0)
        for part in range(1, self.parts):
            nothing = [tf.zeros_like(gradient) for gradient in gradients]
            more = tf.cond(part < used, lambda part=part: gradients_of(part), lambda nothing=nothing: nothing)
            gradients = [one + other for one, other in zip(gradients, more, strict=True)]
        if self._scales_loss:
            gradients = self.optimizer.get_unscaled_gradients(gradients)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {metric.name: metric.result() for metric in self.metrics}

    @property
    def _scales_loss(self) -> bool:
        return hasattr(self.optimizer, "get_scaled_loss")
