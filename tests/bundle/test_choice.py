from __future__ import annotations

from typing import Any

import pytest

from compress.bundle.choice import choose
from compress.onnx_tools.sessions import CPU


def row(name: str, validation: float, p50_ms: float) -> dict[str, Any]:
    other = {"provider": CPU, "threads": 2, "batch": 1, "p50_ms": 0.0}
    one = {"provider": CPU, "threads": 1, "batch": 1, "p50_ms": p50_ms}
    return {"id": name, "validation": {"accuracy": validation}, "latency": [other, one]}


TEACHER = row("teacher", 0.990, 5.0)


@pytest.mark.parametrize(
    ("others", "deployed"),
    [
        ([row("slow", 0.99, 2.0), row("fast", 0.985, 1.0)], "fast"),  # exactly at the limit of 0.5 points
        ([row("slow", 0.99, 2.0), row("fast", 0.9849, 1.0)], "slow"),
        ([row("slower", 0.999, 6.0)], "teacher"),
        ([row("worse", 0.5, 0.1)], "teacher"),
    ],
)
def test_the_fastest_model_within_the_drop_is_deployed(others: list[dict[str, Any]], deployed: str) -> None:
    assert choose([TEACHER, *others], max_drop=0.5) == deployed
