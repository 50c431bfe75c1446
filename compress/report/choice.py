"""The choice of the model to deploy."""

from __future__ import annotations

from collections.abc import Sequence

from compress.report.schema import Measured


def choose(models: Sequence[Measured], max_drop: float) -> str:
    """Return the id of the fastest model whose validation accuracy is within `max_drop` points of the first model's.

    The fastest is the one with the lowest p50 on the CPU at batch 1 with 1 thread. The test split is not used.
    """
    floor = models[0].validation.accuracy - max_drop / 100
    eligible = [model for model in models if model.validation.accuracy >= floor - 1e-9]
    return min(eligible, key=lambda model: model.p50_ms()).id
