from __future__ import annotations

import pytest

from compress.report.choice import choose
from compress.report.schema import Measured
from tests.report.examples import latency, model


def measured(name: str, validation: float, p50_ms: float, recall: float = 0.0) -> Measured:
    some = model(name)
    return some.model_copy(
        update={
            "validation": some.validation.model_copy(update={"accuracy": validation, "recall": recall}),
            "latency": (latency(0.001, threads=2), latency(p50_ms)),
        }
    )


TEACHER = measured("teacher", 0.990, 5.0)


@pytest.mark.parametrize(
    ("others", "deployed"),
    [
        ([measured("slow", 0.99, 2.0), measured("fast", 0.985, 1.0)], "fast"),  # exactly at the limit of 0.5 points
        ([measured("slow", 0.99, 2.0), measured("fast", 0.9849, 1.0)], "slow"),
        ([measured("slower", 0.999, 6.0)], "teacher"),
        ([measured("worse", 0.5, 0.1)], "teacher"),
    ],
)
def test_the_fastest_model_within_the_drop_is_deployed(others: list[Measured], deployed: str) -> None:
    assert choose([TEACHER, *others], max_drop=0.5, metric="accuracy") == deployed


def test_with_classes_balanced_the_fastest_within_the_drop_of_mean_recall_is_deployed() -> None:
    """It is right less often than the teacher, but on rare classes as often."""
    teacher = measured("teacher", 0.99, 5.0, recall=0.80)
    models = [teacher, measured("frequent", 0.99, 1.0, recall=0.60), measured("rare", 0.95, 2.0, recall=0.81)]

    assert choose(models, max_drop=0.5, metric="recall") == "rare"
    assert choose(models, max_drop=0.5, metric="accuracy") == "frequent"
