from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from compress.report import making, schema
from compress.report.advice import advice
from compress.report.scores import split_metrics, versus_teacher
from tests.report import examples

N = 400
LABELS = np.arange(N) % 4
CLASSES = ("a", "b", "c", "d")
RISING = (0.3, 0.4, 0.5, 0.55, 0.6, 0.65)
ONE_CYCLE = (0.067, 0.089, 0.067, 0.044, 0.022, 0.0)
HOLDING = (0.05, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.06, 0.04, 0.02, 0.0)  # a fall that began late
STILL_RISING = (0.2, 0.4, 0.5, 0.55, 0.58, 0.61, 0.6, 0.63, 0.64, 0.66, 0.7, 0.71, 0.72, 0.73)
LEVEL = (0.2, 0.5, 0.6, 0.63, 0.61, 0.64, 0.62, 0.64, 0.61, 0.63, 0.68, 0.7, 0.71, 0.72)


def answers(mistakes: range) -> np.ndarray:
    """Return probabilities that are wrong for some images, each for its next class."""
    predicted = LABELS.copy()
    predicted[mistakes] = (predicted[mistakes] + 1) % 4
    return examples.certain(predicted, 4)


def model(name: str, stage: str, validation: np.ndarray, teacher: np.ndarray) -> schema.Model:
    """Return a model of these answers on validation, which is perfect on test."""

    def held_out(probabilities: np.ndarray) -> schema.HeldOut:
        metrics = split_metrics(LABELS, probabilities, CLASSES)
        return schema.HeldOut(**dict(metrics), **dict(versus_teacher(LABELS, probabilities, teacher)))

    scores = {"validation": held_out(validation), "test": held_out(answers(range(0)))}
    return examples.model(name).model_copy(update={"stage": stage, **scores})


def training(
    scores: Sequence[float], rates: Sequence[float], limit: int | None = None, name: str = "training"
) -> making.Training:
    rows = enumerate(zip(scores, rates, strict=True), start=1)
    history = tuple(
        making.Epoch(
            epoch=number,
            learning_rate=rate,
            loss=1.0,
            validation_accuracy=score,
            validation_cross_entropy=1.0,
            validation_recall=score / 2,
        )
        for number, (score, rate) in rows
    )
    return making.Training(
        name=name, precision="float32", limit=len(history) if limit is None else limit, history=history, warnings=()
    )


def report(
    teacher: range = range(100), student: range = range(100), /, balance: str = "none", **trainings: Any
) -> schema.Report:
    """Return the report of networks with these mistakes on validation, and of their trainings."""
    expected = answers(teacher)
    models = (
        model("teacher-fp32", "teacher", expected, expected),
        model("student-fp32", "distill", answers(student), expected),
    )
    whole = examples.report(classes=CLASSES, balance=schema.Balance(method=balance, recall=()))
    return whole.model_copy(update={"models": models, "training": trainings})


def test_a_run_that_went_well_gets_no_advice() -> None:
    short = training((0.6, 0.8, 0.9, 0.95, 0.97, 0.98), ONE_CYCLE)  # 8 mistakes are left, the best epoch is the last

    assert advice(report(range(8), range(9), teacher=(short,), student=(short,))) == ()


@pytest.mark.parametrize(
    ("scores", "rates", "limit", "epochs"),
    [
        (RISING, ONE_CYCLE, 6, 12),
        (STILL_RISING, HOLDING, 14, 28),
        (STILL_RISING[:10], HOLDING[:10], 10, 20),  # at a constant rate to the end
    ],
)
def test_a_teacher_that_still_got_better_at_its_last_epoch_is_told_to_train_longer(
    scores: Sequence[float], rates: Sequence[float], limit: int, epochs: int
) -> None:
    [line] = advice(report(teacher=(training(scores, rates, limit),)))

    assert line.startswith(f"teacher: validation accuracy still rose when the {limit} epochs were over")
    assert f"--set teacher.epochs={epochs}" in line


@pytest.mark.parametrize(
    ("scores", "rates", "limit"),
    [
        (LEVEL, HOLDING, 14),  # the fall helps any training, however long
        (STILL_RISING, HOLDING, 30),  # it could have been longer, and was not: validation had stopped getting better
        ((0.3, 0.4, 0.6, 0.5, 0.55, 0.58), ONE_CYCLE, 6),
        ((0.6,) * 6, ONE_CYCLE, 6),
        ((0.6,) * 14, HOLDING, 14),
        ((0.5, 0.6, 0.8, 0.9, 0.93, 0.95), ONE_CYCLE, 6),  # 20 mistakes: that there are fewer could be chance
        (RISING, ONE_CYCLE, 0),  # a report from before the limit was kept
        ((0.3,), (0.1,), 1),  # a single epoch shows no rise
        ((), (), 0),
    ],
)
def test_a_training_that_was_long_enough_is_not_told_to_be_longer(
    scores: Sequence[float], rates: Sequence[float], limit: int
) -> None:
    assert advice(report(teacher=(training(scores, rates, limit),))) == ()


def test_a_phase_is_named_with_the_setting_for_it() -> None:
    phases = (training(RISING, ONE_CYCLE, name="phase1"), training((0.6, 0.7, 0.7), (0.1, 0.05, 0.0)))

    [line] = advice(report(teacher=phases))

    assert line.startswith("teacher, phase1: validation accuracy still rose")
    assert "epochs = 12 for phase1 in teacher.phases" in line


def test_a_student_is_told_to_train_longer_only_if_it_falls_short_of_its_teacher() -> None:
    short = (training(RISING, ONE_CYCLE),)

    assert advice(report(range(100), range(101), student=short)) == ()
    [line] = advice(report(range(100), range(140), student=short))

    assert line.startswith("distill: validation accuracy still rose")
    assert "--set distill.epochs=12" in line


def test_where_classes_are_balanced_their_mean_recall_has_to_rise() -> None:
    falling = training(RISING, ONE_CYCLE)
    rows = [row.model_copy(update={"validation_recall": 0.5}) for row in falling.history]

    [line] = advice(report(balance="oversample", teacher=(falling,)))

    assert line.startswith("teacher: validation mean recall still rose")
    level = falling.model_copy(update={"history": tuple(rows)})
    assert advice(report(balance="oversample", teacher=(level,))) == ()


def test_a_student_that_is_better_than_its_teacher_by_more_than_chance_is_told_of() -> None:
    level = (training((0.5, 0.75, 0.75), (0.1, 0.05, 0.0), limit=8),)

    [line] = advice(report(range(100), range(80), teacher=level))

    assert line.startswith("student-fp32 is better than its teacher: validation accuracy 0.8000 against 0.7500")
    assert "--set teacher.epochs=16" in line
    assert advice(report(range(100), range(97))) == ()  # McNemar's p is 0.25
    [line] = advice(report(range(100), range(80)))  # weights were given, and nothing trained
    assert "so that more teacher.epochs or teacher.weights may help" in line


def test_a_balanced_teacher_may_have_less_accuracy_than_a_student_with_less_recall() -> None:
    """The teacher knows the rare class and is often wrong about the others; the student is the other way round."""
    labels = np.where(np.arange(N) < 380, 0, 1)
    always_first = examples.certain(np.zeros(N, np.int64), 2)
    careful = examples.certain(np.where(np.arange(N) < 60, 1, labels), 2)
    models = tuple(
        examples.model(name).model_copy(
            update={
                "validation": schema.HeldOut(
                    **dict(split_metrics(labels, scores, ("a", "b"))), **dict(versus_teacher(labels, scores, careful))
                )
            }
        )
        for name, scores in (("teacher-fp32", careful), ("student-fp32", always_first))
    )
    whole = examples.report(balance=schema.Balance(method="smote", recall=())).model_copy(update={"models": models})

    [line] = advice(whole)
    assert line.startswith("class a has 10 test images")
    lines = advice(whole.model_copy(update={"balance": schema.Balance(method="none", recall=())}))
    assert any("better than its teacher" in line for line in lines)


@pytest.mark.parametrize("balance", ["none", "oversample"])
def test_a_teacher_that_may_only_guess_is_told_of(balance: str) -> None:
    [line] = advice(report(range(300), range(300), balance=balance))  # 100 of 400 are right

    what = "accuracy" if balance == "none" else "mean recall"
    assert line.startswith(
        f"the teacher is hardly better than guessing: validation {what} 0.2500, and 0.2500 by always"
    )
    assert advice(report(range(260), range(260), balance=balance)) == ()  # 140 of 400, and 100 are guessed


@pytest.mark.parametrize(
    ("mistakes", "settings", "said"),
    [(60, {}, True), (60, {"quantize.max_drop": 0.5}, False), (12, {}, False), (8, {}, False), (0, {}, False)],
)
def test_a_network_that_int8_makes_clearly_worse_is_told_of(
    mistakes: int, settings: dict[str, Any], said: bool
) -> None:
    whole = report(range(8), range(8))
    int8 = model("student-int8", "distill", answers(range(mistakes)), answers(range(8)))
    int8 = int8.model_copy(update={"precision": "int8", "latency": (examples.latency(0.5),)})

    lines = advice(whole.model_copy(update={"models": (*whole.models, int8), "settings": settings}))

    assert [line.partition(":")[0] for line in lines] == [
        "student-int8 loses 13.0 points of validation accuracy against fp32"
    ] * said


@pytest.mark.parametrize(("p50_ms", "said"), [(1.2, True), (1.04, True), (1.02, False), (0.5, False)])
def test_a_network_that_is_slower_in_int8_is_told_of(p50_ms: float, said: bool) -> None:
    whole = report(range(8), range(8))
    int8 = whole.models[1].model_copy(
        update={"id": "student-int8", "precision": "int8", "latency": (examples.latency(p50_ms),)}
    )

    lines = advice(whole.model_copy(update={"models": (*whole.models, int8)}))

    assert [line.partition(":")[0] for line in lines] == ["student-int8 is slower than fp32 here"] * said
    assert all(f"{p50_ms:.3f} against 1.000 ms" in line for line in lines)


def test_why_a_network_is_slower_in_int8_is_told_where_its_kernels_are_known() -> None:
    whole = report(range(8), range(8))
    conv, quantize = (examples.kernel(name, "int8", us, is_product=True) for name, us in (("Conv", 80.0), ("Q", 90.0)))
    fp32 = whole.models[1].model_copy(update={"kernels": examples.kernels(conv)})
    changes = {"id": "student-int8", "precision": "int8", "latency": (examples.latency(2.0),)}
    int8 = fp32.model_copy(update={**changes, "kernels": examples.kernels(quantize)})

    [line] = advice(whole.model_copy(update={"models": (whole.models[0], fp32, int8)}))

    assert line == (
        "student-int8 is slower than fp32 here: 2.000 against 1.000 ms: products take 90 us against 80; another "
        "processor may differ (bench)"
    )


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ((12, 188, 100, 100), "class a has 12 test images: its recall is known to +-12 points: more"),
        ((12, 188, 10, 190), "class c has 10 test images: its recall is known to +-14 points, and that of 1 other"),
        ((100, 100, 100, 100), ""),
    ],
)
def test_a_class_of_few_test_images_is_told_of(counts: tuple[int, ...], told: str) -> None:
    whole = report(range(8), range(8))
    labels = np.repeat(np.arange(4), counts)
    metrics = split_metrics(labels, examples.certain(labels, 4), CLASSES)
    student = whole.models[1]
    test = student.test.model_copy(update=dict(metrics))
    models = (whole.models[0], student.model_copy(update={"test": test}))

    lines = advice(whole.model_copy(update={"models": models}))

    assert len(lines) == bool(told)
    assert all(line.startswith(told) for line in lines)


@pytest.mark.parametrize(("mistakes", "said"), [(40, True), (10, False), (0, False)])
def test_a_model_that_is_better_on_validation_than_on_test_is_told_of(mistakes: int, said: bool) -> None:
    whole = report(range(8), range(8))
    student = model("student-fp32", "distill", answers(range(mistakes)), answers(range(8)))
    worse = whole.models[1].model_copy(update={"test": student.validation})

    lines = advice(whole.model_copy(update={"models": (whole.models[0], worse)}))

    assert len(lines) == said
    assert all("student-fp32 is 8.0 points above that on test" in line for line in lines)
