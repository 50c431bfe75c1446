"""When the rate of a `wsd` schedule falls: once validation no longer gets better, not at an epoch set beforehand.

Warm-up, a constant rate for as long as it helps, and a short fall to zero end where a schedule planned for that length
would have ended: Haegele et al., "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations" (2024).

At a constant rate, results on a small validation split go up and down from epoch to epoch, and one of them can look no
better by chance. So two are asked: the share of mistakes, which stays equal for epochs where few images are held out,
and the cross-entropy, which rises with a network's confidence while its mistakes still get fewer. As long as either is
lower than ever within `patience` epochs, the rate stays. They are not smoothed: that would tell the same some epochs
later, as a larger patience does. Lower means by a hundredth: a cross-entropy creeps down for as long as one trains.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from compress.data.balance import Metric
from compress.plural import counted
from compress.training.history import Row
from compress.training.settings import Schedule, TrainingSettings

Fall = tuple[int, int]
"""The epoch, from 0, from which on the rate falls, and the number of epochs after which it has fallen."""

GAIN = 0.01  # of a result, that counts as better
STEPS_TO_TELL = 20  # per epoch of patience: in epochs of a few steps nothing can get better


def shortest(schedule: Schedule, epochs: int, steps: int) -> int:
    """Return the fewest epochs of `steps` steps that a training of at most `epochs` takes; with other shapes all."""
    if schedule.shape != "wsd":
        return epochs
    first = min(math.ceil(schedule.least / steps), _latest(schedule, epochs))
    return first + _length(schedule, epochs, first)


def begins(
    settings: TrainingSettings, steps: int, rows: Sequence[Row], metric: Metric, may_stop_from: int
) -> tuple[Fall, str] | None:
    """Return the fall, if it begins after the epochs in `rows`, and why it does.

    Parameters
    ----------
    steps
        Number of steps per epoch.
    metric
        What tells the mistakes: 1 minus `accuracy` or `recall`.
    may_stop_from
        The first epoch, from 0, whose weights may be the result. Earlier ones do not count, and see no fall.
    """
    schedule, epochs, done = settings.schedule, settings.epochs, len(rows)
    if schedule.shape != "wsd":
        return None
    if done >= max(_latest(schedule, epochs), may_stop_from):
        return (done, epochs), f"{epochs} epochs are the most there may be"
    usable = rows[max(0, may_stop_from) :]
    mistakes = (1.0 - row[f"validation_{metric}"] for row in usable)  # type: ignore[literal-required]
    waited = _epochs_since_better(list(zip(mistakes, (row["validation_cross_entropy"] for row in usable), strict=True)))
    if waited * min(1.0, steps / STEPS_TO_TELL) < settings.patience or done * steps < schedule.least:
        return None
    return (done, done + _length(schedule, epochs, done)), f"validation no better for {counted(waited, 'epoch')}"


def _latest(schedule: Schedule, epochs: int) -> int:
    """Return after how many epochs the fall begins at the latest, to end within `epochs`."""
    return min(math.floor(round(epochs * (1.0 - schedule.fall), 6)), epochs - 1)


def _length(schedule: Schedule, epochs: int, done: int) -> int:
    """Return how many epochs a fall takes that begins after `done` of them."""
    return min(max(1, math.ceil(round(done * schedule.fall / (1.0 - schedule.fall), 6))), epochs - done)


def _epochs_since_better(results: Sequence[tuple[float, float]]) -> int:
    """Return how many epochs ago one of their two results, each of which is better if it is less, was better."""
    best, since = [math.inf, math.inf], 0
    for result in results:
        since += 1
        for i, value in enumerate(result):
            if value < (1.0 - GAIN) * best[i]:
                best[i], since = value, 0
    return since
