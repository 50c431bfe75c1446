from __future__ import annotations

import json

import numpy as np
import pytest

from compress.report.schema import ClassMetrics, Comparison
from compress.report.scores import split_metrics, versus_teacher
from tests.report.examples import certain

LABELS = np.array([0] * 10 + [1] * 10)


def wrong_at(*images: int) -> np.ndarray:
    return certain(np.where(np.isin(np.arange(20), images), 1 - LABELS, LABELS))


def test_metrics_of_a_split_worked_by_hand() -> None:
    metrics = split_metrics(LABELS, wrong_at(0, 1, 10), ["a", "b"])

    assert metrics.n == 20
    assert metrics.accuracy == 0.85
    assert metrics.confusion == ((8, 2), (1, 9))
    assert metrics.class_recall == {"a": 0.8, "b": 0.9}
    a = metrics.classes["a"]
    assert (a.n, a.precision, a.recall, a.f1) == (10, 0.888889, 0.8, 0.842105)
    assert a.recall_ci95 == pytest.approx((0.4902, 0.9433), abs=5e-5)  # Wilson, 8 of 10
    assert metrics.recall == 0.85
    for name in ("precision", "recall", "f1"):
        low, high = getattr(metrics, f"{name}_ci95")
        assert 0.6 < low < getattr(metrics, name) < high <= 1
    assert metrics.calibration_error == pytest.approx(0.05)
    assert metrics.log_loss == pytest.approx(-(17 * np.log(0.9) + 3 * np.log(0.1)) / 20, abs=1e-6)
    assert metrics.top5_accuracy is metrics.top5_accuracy_ci95 is None


def test_a_perfect_model() -> None:
    metrics = split_metrics(LABELS, np.eye(2, dtype=np.float32)[LABELS], ["a", "b"])

    assert {metrics.accuracy, metrics.precision, metrics.recall, metrics.f1, metrics.auc} == {1.0}
    assert metrics.accuracy_ci95 == (0.838875, 1.0)
    assert metrics.calibration_error == metrics.log_loss == 0


@pytest.mark.parametrize("predicted", [0, 1])
def test_a_split_of_one_class_and_a_class_without_images_give_no_nan(predicted: int) -> None:
    metrics = split_metrics(np.zeros(3, int), certain(np.full(3, predicted), 3), ["a", "b", "c"])

    json.dumps(metrics.model_dump(), allow_nan=False)
    assert metrics.auc is None
    assert metrics.accuracy == metrics.recall == metrics.class_recall["a"] == 1 - predicted
    empty = ClassMetrics(n=0, precision=None, recall=None, f1=None, recall_ci95=None)
    assert metrics.classes["b"] == metrics.classes["c"] == empty


def test_a_split_of_one_image_gives_no_nan() -> None:
    probabilities = certain(np.array([1]))

    metrics = split_metrics(np.array([0]), probabilities, ["a", "b"])
    compared = versus_teacher(np.array([0]), certain(np.array([0])), probabilities)

    json.dumps([metrics.model_dump(), compared.model_dump()], allow_nan=False)


@pytest.mark.parametrize(("classes", "top_5", "confusion"), [(9, False, True), (10, True, True), (101, True, False)])
def test_many_classes_have_top_5_accuracy_and_too_many_no_confusion_matrix(
    classes: int, top_5: bool, confusion: bool
) -> None:
    probabilities = np.tile(np.arange(classes, dtype=np.float32), (classes, 1))
    probabilities /= probabilities.sum(axis=1, keepdims=True)

    metrics = split_metrics(np.arange(classes), probabilities, [str(label) for label in range(classes)])

    assert metrics.top5_accuracy == (round(5 / classes, 6) if top_5 else None)
    assert (metrics.top5_accuracy_ci95 is not None) == top_5
    assert (metrics.confusion is not None) == confusion


def test_a_model_is_compared_with_the_teacher_image_by_image() -> None:
    compared = versus_teacher(LABELS, wrong_at(0, 1, 2, 3), wrong_at(0, 19))

    assert compared.drop_vs_teacher == 10
    assert compared.flips_vs_teacher == 0.2
    assert compared.vs_teacher is not None
    assert compared.vs_teacher.only_teacher_right == 3
    assert compared.vs_teacher.only_model_right == 1
    assert compared.vs_teacher.mcnemar_p == 0.625  # twice the chance of at most 1 of 4: 10/16
    low, high = compared.vs_teacher.drop_ci95
    half = 1.959964 * np.sqrt(5 - 4 / 22) / 22  # 3.5 and 1.5 of 22 images
    assert (low, high) == pytest.approx((100 * (2 / 22 - half), 100 * (2 / 22 + half)), abs=1e-4)


def test_the_teacher_is_not_compared_with_itself() -> None:
    teacher = wrong_at(0)

    expected = Comparison(drop_vs_teacher=0, flips_vs_teacher=0, vs_teacher=None)
    assert versus_teacher(LABELS, teacher, teacher) == expected
