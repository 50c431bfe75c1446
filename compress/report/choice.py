"""The choice of the model to deploy."""

from __future__ import annotations

from collections.abc import Sequence

from compress.data.balance import Metric
from compress.report.schema import Measured


def choose(models: Sequence[Measured], max_drop: float, metric: Metric) -> str:
    """Return the id of the fastest model whose validation accuracy is within `max_drop` points of the first model's.

    Where classes are balanced, `metric` is recall: the mean of the classes' recalls takes the place of accuracy. The
    fastest is the one with the lowest p50 on the CPU at batch 1 with 1 thread. The test split is not used.
    """

    def score(model: Measured) -> float:
        return model.validation.recall if metric == "recall" else model.validation.accuracy

    floor = score(models[0]) - max_drop / 100
    eligible = [model for model in models if score(model) >= floor - 1e-9]
    return min(eligible, key=lambda model: model.p50_ms()).id
