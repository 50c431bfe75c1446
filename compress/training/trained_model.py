"""One training step: Keras's own, with penalties on kernels, and in parts if a whole batch does not fit into memory.

Products and convolutions may be computed in a lower precision; the loss, the penalties, and all operations on gradients
are computed in float32.
"""

from __future__ import annotations

from typing import Any

from compress.tensorflow import keras, tf


@tf.custom_gradient
def in_float32(values: Any) -> tuple[Any, Any]:
    """Return `values` (float32) unchanged, out of the reach of TensorFlow's mixed precision; their gradient likewise.

    The graph optimizer that moves products to a lower precision also moves what lies between two of them, such as a
    loss written in plain operations, and what follows one, such as a sum of gradients. A bitcast is not in its lists
    of operations, so that what comes after one stays in float32. It copies nothing.
    """

    def unchanged(tensor: Any) -> Any:
        return tf.bitcast(tf.bitcast(tensor, tf.int32), tf.float32)

    return unchanged(values), unchanged


class TrainedModel(keras.Model):
    """A functional Keras model that is trained.

    `l1` and `l2` are the weights of the sums of the kernels' absolute values and squares, which are added to what is
    minimized, not to the loss that is reported. With `parts` above 1, a batch is processed in that many parts and
    gradients are added up: the same step, except for rounding and batch normalization, which sees one part at a time.
    """

    l1 = l2 = 0.0
    parts = 1
    is_padded = False  # whether replicas are dealt rows with weight 0, so that all have as many

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None) -> Any:
        """Return the compiled loss, computed in float32 in every precision."""
        return super().compute_loss(x, y, in_float32(y_pred), sample_weight)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Take a step on a batch of (images, targets, weights); return the mean loss of the epoch so far."""
        images, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        if self.parts == 1:
            gradients = self._gradients(images, targets, weights, self._rows_per_image(weights))
        else:
            gradients = self._gradients_of_parts(images, targets, weights)
        if self._scales_loss:
            gradients = self.optimizer.get_unscaled_gradients(gradients)
        if self.l1 or self.l2:
            gradients = self._with_penalties(gradients)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {metric.name: metric.result() for metric in self.metrics}

    def _gradients(self, images: Any, targets: Any, weights: Any, share: Any) -> list[Any]:
        """Return the gradients of `share` times the loss of some images, and times the loss scale, if there is one."""
        with tf.GradientTape() as tape:
            loss = share * self.compute_loss(images, targets, self(images, training=True), weights)
            scaled = self.optimizer.get_scaled_loss(loss) if self._scales_loss else loss
        found = tape.gradient(scaled, self.trainable_variables)
        return [in_float32(tf.convert_to_tensor(gradient)) for gradient in found]  # that of a lookup is in slices

    def _rows_per_image(self, weights: Any) -> Any:
        """Return how many rows, by which Keras divides the loss, all replicas together have for each image."""
        if not self.is_padded:
            return 1.0
        counts = tf.stack([tf.size(weights), tf.math.count_nonzero(weights, dtype=tf.int32)])
        rows, images = tf.unstack(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, counts))
        return tf.cast(rows, tf.float32) / tf.cast(images, tf.float32)

    def _gradients_of_parts(self, images: Any, targets: Any, weights: Any) -> list[Any]:
        """Return the gradients of the loss of a batch, computed part by part: in memory there is one at a time."""
        size = tf.shape(images)[0]
        parts = tf.minimum(self.parts, size)  # an empty part would spoil batch normalization
        steps = [layer.pruning_step for layer in self.layers if hasattr(layer, "pruning_step")]
        before = [step.read_value() for step in steps]

        def add(part: Any, totals: list[Any]) -> tuple[Any, list[Any]]:
            for step, value in zip(steps, before, strict=True):
                step.assign(value)  # which each call advances: the parts are one step of the pruning schedule
            rows = slice(size * part // parts, size * (part + 1) // parts)
            share = tf.cast(rows.stop - rows.start, tf.float32) / tf.cast(size, tf.float32)
            gradients = self._gradients(images[rows], targets[rows], weights[rows], share)
            return part + 1, [total + gradient for total, gradient in zip(totals, gradients, strict=True)]

        start = tf.constant(0), [tf.zeros_like(variable) for variable in self.trainable_variables]
        _, gradients = tf.while_loop(lambda part, _: part < parts, add, start, parallel_iterations=1)
        return gradients

    def _with_penalties(self, gradients: list[Any]) -> list[Any]:
        """Return the gradients plus those of the penalties, scaled so that all replicas together add them once."""
        replicas = tf.distribute.get_strategy().num_replicas_in_sync

        def penalized(gradient: Any, variable: Any) -> Any:
            if "kernel" not in variable.name:
                return gradient
            return gradient + (self.l1 * tf.sign(variable) + 2.0 * self.l2 * variable) / replicas

        return [penalized(*pair) for pair in zip(gradients, self.trainable_variables, strict=True)]

    @property
    def _scales_loss(self) -> bool:
        return hasattr(self.optimizer, "get_scaled_loss")
