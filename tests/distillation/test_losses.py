from __future__ import annotations

import math

import numpy as np
import pytest

from compress.distillation.losses.hinton import loss
from compress.tensorflow import tf

STUDENT = tf.constant([[1.0, 0.0]])
TEACHER = tf.constant([[3.0, 1.0]])
LABEL = tf.constant([[0.0, 1.0]])


def by_hand(temperature: float, soft_weight: float) -> float:
    """The loss of the constants above, with two-class sigmoids instead of softmax."""
    p = 1 / (1 + math.exp(-2 / temperature))  # the teacher's first class: its logits differ by 2
    q = 1 / (1 + math.exp(-1 / temperature))  # the student's: by 1
    divergence = p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    hard = -math.log(1 - 1 / (1 + math.exp(-1)))
    return soft_weight * temperature**2 * divergence + (1 - soft_weight) * hard


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("soft_weight", [0.0, 0.5, 0.9, 1.0])
def test_hinton_equals_the_value_worked_by_hand(temperature: float, soft_weight: float) -> None:
    value = loss(STUDENT, TEACHER, LABEL, temperature=temperature, soft_weight=soft_weight)

    np.testing.assert_allclose(value, [by_hand(temperature, soft_weight)], rtol=1e-5)


def test_hinton_is_zero_where_student_and_teacher_agree() -> None:
    np.testing.assert_allclose(loss(TEACHER, TEACHER, LABEL, soft_weight=1.0), [0.0], atol=1e-6)


def test_the_soft_gradient_keeps_its_size_over_temperatures() -> None:
    """At high temperature it tends to (student - teacher) / classes, both centred (section 2.1 of the paper)."""
    student = tf.Variable(STUDENT)
    with tf.GradientTape() as tape:
        value = loss(student, TEACHER, LABEL, temperature=100.0, soft_weight=1.0)

    np.testing.assert_allclose(tape.gradient(value, student), [[-0.25, 0.25]], rtol=0.02)


def test_a_step_moves_the_student_towards_the_teacher() -> None:
    student = tf.Variable(STUDENT)
    with tf.GradientTape() as tape:
        before = loss(student, TEACHER, LABEL, soft_weight=1.0)
    student.assign_sub(0.1 * tape.gradient(before, student))

    assert float(loss(student, TEACHER, LABEL, soft_weight=1.0)[0]) < float(before[0])
