"""If classes are balanced, train the teacher once more without balancing, to show its effect."""

from __future__ import annotations

from pathlib import Path

from compress.artifacts import Dataset, Score, Unbalanced
from compress.context import Context
from compress.data.balance import Balance
from compress.stages import teacher
from compress.training.settings import Engine

Config = teacher.Config
fingerprint = teacher.fingerprint


def run(config: Config, balance: Balance, train: Engine, data: Dataset, out: Path, context: Context) -> Unbalanced:
    """Return the test scores, for each class, of a teacher trained in the same way but without balancing.

    There are none if nothing is balanced, or nothing trained.
    """
    if balance.method == "none" or not config.trains:
        return Unbalanced(None)
    from compress.data.images import images_of
    from compress.metrics.classification import class_counts
    from compress.training.evaluation import forward_of, logits_of

    model, _ = teacher.fit_teacher(config, Balance(), train, data, context)
    counts = class_counts(data.labels("test"), logits_of(forward_of(model), images_of(data, "test")))
    return Unbalanced(tuple(Score("test", correct, n) for correct, n in counts))
