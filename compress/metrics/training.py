"""Trainings that went wrong although all their numbers are finite."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

from compress.artifacts import EpochResult

EPOCHS = 2  # in a row: a rise in one can be chance, or a pruning step
RISE = 1.1  # times the loss at the start of the rise


def warnings(history: Sequence[EpochResult]) -> list[str]:
    """Return one line for each training whose loss rose from epoch to epoch while its learning rate fell."""
    lines = []
    for training, epochs in groupby(history, key=lambda epoch: epoch.training):
        rise = _largest_rise(list(epochs))
        if rise:
            first, last = rise
            lines.append(
                f"{training}: the loss rose from {first.loss:.4g} after epoch {first.epoch} to {last.loss:.4g} after "
                f"epoch {last.epoch} while the learning rate fell: a lower learning_rate, or train.precision = "
                "'float32', may help"
            )
    return lines


def _largest_rise(epochs: Sequence[EpochResult]) -> tuple[EpochResult, EpochResult] | None:
    """Return the first and last of the consecutive epochs over which the loss rose by the largest factor."""
    rises = []
    start = 0
    for i, (before, epoch) in enumerate(pairwise(epochs), start=1):
        if not (epoch.loss > before.loss and epoch.learning_rate < before.learning_rate):
            start = i
        elif i - start >= EPOCHS and epoch.loss > RISE * epochs[start].loss:
            rises.append((epochs[start], epoch))
    return max(rises, key=lambda rise: rise[1].loss / rise[0].loss, default=None)
