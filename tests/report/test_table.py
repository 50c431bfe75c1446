from __future__ import annotations

import pytest

from compress.report import schema
from compress.report.table import balance_lines, comparison_lines, prediction_lines
from tests.report.examples import differing, report


@pytest.mark.parametrize(
    ("p", "text"), [(0.375, "p = 0.38"), (1.0, "p = 1"), (0.0123, "p = 0.012"), (0.0004, "p < 0.001")]
)
def test_a_line_says_how_the_deployed_model_differs_from_the_teacher(p: float, text: str) -> None:
    [line] = comparison_lines(report(student=differing(flips=0.011173, mcnemar_p=p)))

    assert line == f"student-fp32 against the teacher: 1.1 % of answers changed, McNemar {text}"
    assert len(line) <= 80


def test_a_deployed_teacher_is_compared_with_nothing() -> None:
    assert comparison_lines(report("teacher-fp32", student=differing(flips=0.011173, mcnemar_p=0.375))) == []


def test_lines_say_what_balance_did_for_the_rarest_classes_that_have_test_images() -> None:
    rows = [(f"class {train}", train, n) for train, n in ((50, 9), (4, 3), (9, 0), (7, 2))]
    recall = tuple(
        schema.BalancedClass(name=name, train=train, n=n, unbalanced=0.25 if n else None, balanced=0.5 if n else None)
        for name, train, n in rows
    )

    lines = balance_lines(report(balance=schema.Balance(method="smote", recall=recall)))

    assert lines == [
        f"smote: class {train} ({train} training images): the teacher's recall 0.2500 -> 0.5000 on {n} test images"
        for train, n in ((4, 3), (7, 2))
    ]


def test_a_predicted_time_is_told_with_the_measured_one() -> None:
    made = report()
    took = made.models[0].p50_ms()

    lines = prediction_lines(made.model_copy(update={"predicted_ms": {"teacher": took / 2, "other": 1.0}}))

    assert lines == [f"teacher-fp32: predicted {took / 2:.3g} ms, measured {took:.3g} ms, 2.00 times that"]
    assert prediction_lines(made) == []
