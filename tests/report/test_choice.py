from __future__ import annotations

import pytest

from compress.report.choice import choose
from compress.report.schema import Measured
from tests.report.examples import latency, model


def measured(name: str, validation: float, p50_ms: float) -> Measured:
    some = model(name)
    return some.model_copy(
        update={
            "validation": some.validation.model_copy(update={"accuracy": validation}),
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
    assert choose([TEACHER, *others], max_drop=0.5) == deployed
