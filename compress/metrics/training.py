"""Trainings that went wrong although all their numbers are finite, and trainings that were too short."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

from compress.artifacts import EpochResult

EPOCHS = 2  # in a row: a rise in one can be chance, or a pruning step
RISE = 1.1  # times the loss at the start of the rise
TREND = 4  # epochs at least that show one; four in a row that rise are chance in 1 of 24 cases


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


def still_rose(scores: Sequence[float], learning_rates: Sequence[float]) -> bool:
    """Tell whether a training was too short: validation scores, one per epoch, still rose before the rate fell.

    They rise during the fall of the rate whether the training was long enough or not. So the epochs at the highest rate
    count or, if these are too few to show a trend, those at half of it and more: the later half of them has to rise by
    Mann's test of a trend (1945), one-sided at 5 %. If these are too few as well, the last epoch of all has to be the
    best.
    """
    from scipy.stats import kendalltau

    peak = max(learning_rates)
    for share in (0.99, 0.5):
        chosen = [score for score, rate in zip(scores, learning_rates, strict=True) if rate >= share * peak]
        if len(chosen) >= TREND:
            late = chosen[-max(TREND, len(chosen) // 2) :]
            return bool(kendalltau(range(len(late)), late, alternative="greater").pvalue < 0.05)
    return scores[-1] > max(scores[:-1], default=scores[-1])


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
