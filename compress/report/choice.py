"""Which model to deploy, from what was measured of each."""

from __future__ import annotations

from collections.abc import Sequence

from compress.report.schema import Measured


def choose(models: Sequence[Measured], max_drop: float) -> str:
    """Return the id of the fastest model among those within `max_drop` points of the first on validation.

    The fastest is that with the lowest p50 on the CPU at batch 1 with 1 thread. The test split has no say in it.
    """
    floor = models[0].validation.accuracy - max_drop / 100
    good = [model for model in models if model.validation.accuracy >= floor - 1e-9]
    return min(good, key=lambda model: model.p50_ms()).id
