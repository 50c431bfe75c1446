"""Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field


def loss(
    student_logits: Any,
    teacher_logits: Any,
    labels: Any,
    *,
    temperature: Annotated[float, Field(ge=1, le=100)] = 4.0,
    soft_weight: Annotated[float, Field(ge=0, le=1)] = 0.9,
) -> Any:
    """Return `soft_weight * T^2 * KL(teacher_T || student_T) + (1 - soft_weight) * cross-entropy`, one value per image.

    All three arguments are `(batch, classes)`: logits, logits, one-hot labels. T is the temperature, by which both
    logits are divided in the first term; T^2 scales its gradients back to the size of the second's.
    """
    from compress.tensorflow import tf

    teacher = tf.nn.softmax(teacher_logits / temperature)
    difference = tf.nn.log_softmax(teacher_logits / temperature) - tf.nn.log_softmax(student_logits / temperature)
    soft = temperature**2 * tf.reduce_sum(teacher * difference, axis=-1)
    hard = -tf.reduce_sum(labels * tf.nn.log_softmax(student_logits), axis=-1)
    return soft_weight * soft + (1.0 - soft_weight) * hard
