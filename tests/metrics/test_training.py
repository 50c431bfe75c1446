from __future__ import annotations

from collections.abc import Sequence

import pytest

from compress.artifacts import EpochResult
from compress.metrics.training import warnings


def history(losses: Sequence[float], rates: Sequence[float], training: str = "training") -> list[EpochResult]:
    pairs = enumerate(zip(losses, rates, strict=True), start=1)
    return [EpochResult(training, epoch, rate, loss, 0.9, 0.9, 0.3) for epoch, (loss, rate) in pairs]


def test_a_loss_that_rises_while_the_rate_falls_is_named_with_its_epochs() -> None:
    losses, rates = (0.52, 0.21, 0.19, 0.28, 0.9, 1.92), (0.05, 0.1, 0.08, 0.06, 0.04, 0.02)

    (line,) = warnings(history(losses, rates))

    assert line.startswith(
        "training: the loss rose from 0.19 after epoch 3 to 1.92 after epoch 6 while the learning rate fell"
    )


@pytest.mark.parametrize(
    ("losses", "rates"),
    [
        ((), ()),
        ((0.5,), (0.1,)),
        ((0.5, 0.4, 0.3, 0.2), (0.1, 0.08, 0.06, 0.04)),
        ((0.2, 0.3, 0.5, 0.9), (0.02, 0.04, 0.06, 0.08)),  # the rate rises
        ((0.2, 0.3, 0.5, 0.9), (0.1, 0.1, 0.1, 0.1)),
        ((0.5, 0.2, 0.6, 0.3), (0.1, 0.08, 0.06, 0.04)),  # one epoch, as masks are computed
        ((0.2, 0.201, 0.202, 0.203), (0.1, 0.08, 0.06, 0.04)),  # by next to nothing
    ],
)
def test_what_a_sound_training_does_is_no_warning(losses: Sequence[float], rates: Sequence[float]) -> None:
    assert warnings(history(losses, rates)) == []


def test_trainings_are_looked_at_one_by_one() -> None:
    falling = (0.1, 0.08, 0.06)
    phases = history((0.9, 0.5, 0.1), falling, "phase1") + history((0.2, 0.3, 0.4), falling, "training")

    (line,) = warnings(phases)

    assert line.startswith("training: the loss rose from 0.2 after epoch 1")
