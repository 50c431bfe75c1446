"""When the rate of a `wsd` schedule falls: once validation no longer gets better, not at an epoch set beforehand.

Warm-up, a constant rate for as long as it helps, and a short fall to zero end where a schedule planned for that length
would have ended: Haegele et al., "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations" (2024).

At a constant rate, results on a small validation split go up and down from epoch to epoch, and one of them can look no
better by chance. So two are asked: the share of mistakes, which stays equal for epochs where few images are held out,
and the cross-entropy, which rises with a network's confidence while its mistakes still get fewer. As long as either is
lower than ever within `patience` epochs, the rate stays. They are not smoothed: that would tell the same some epochs
later, as a larger patience does. Lower means by a hundredth: a cross-entropy creeps down for as long as one trains.

Where hardly an image is still misclassified, one more or less is chance, and nothing that could be waited for would
show: then the rate falls as soon as it may.

Soon after the warm-up, batch normalization can keep means and variances that a high rate has left behind: deep networks
without residuals, which tell the images of a batch well, then guess for some epochs where single images are asked for.
Such epochs say nothing of what is still to be learned, and are not counted among those that were no better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from compress.data.balance import Metric
from compress.plural import counted
from compress.training.settings import Schedule, TrainingSettings

if TYPE_CHECKING:  # estimates need this module, but not TensorFlow
    from compress.training.history import Row

Fall = tuple[int, int]
"""The epoch, from 0, from which on the rate falls, and the number of epochs after which it has fallen."""

GAIN = 0.01  # of a result, that counts as better
FEW_MISTAKES, FEW = 5, 0.02  # images misclassified, and their share, below both of which differences are chance
FEW_OF_GUESSED = 0.1  # of what guessing gets wrong, which is little where one class has nearly all images
TELLING = 50  # images, of fewer of which all may be right by chance
GUESSES = 0.1  # of what guessing gets wrong: a network that gets no more of it right hardly does better
MAY_GUESS = 5.0  # times the least steps: for how long guessing is not counted, since some data cannot be learned


def shortest(schedule: Schedule, epochs: int, steps: int) -> int:
    """Return the fewest epochs of `steps` steps that a training of at most `epochs` takes; with other shapes all."""
    if schedule.shape != "wsd":
        return epochs
    first = min(math.ceil(schedule.least / steps), _latest(schedule, epochs))
    return first + _length(schedule, epochs, first)


def begins(
    settings: TrainingSettings, steps: int, rows: Sequence[Row], labels: np.ndarray, metric: Metric, may_stop_from: int
) -> tuple[Fall, str] | None:
    """Return the fall, if it begins after the epochs in `rows`, and a line that says so, with the reason.

    Parameters
    ----------
    steps
        Number of steps per epoch.
    labels
        Those of the validation images, `(n,) int64`.
    metric
        What tells the mistakes: 1 minus `accuracy` or `recall`.
    may_stop_from
        The first epoch, from 0, whose weights may be the result. Earlier ones do not count, and see no fall.
    """
    schedule, epochs, done = settings.schedule, settings.epochs, len(rows)
    if schedule.shape != "wsd":
        return None
    if done >= max(_latest(schedule, epochs), may_stop_from):
        return _told(f"{epochs} epochs are the most there may be", (done, epochs))
    if done * steps < schedule.least or done <= may_stop_from:
        return None
    fall = done, done + _length(schedule, epochs, done)
    guessed = 1.0 - _of_guessing(labels, metric)
    mistakes = [1.0 - row[f"validation_{metric}"] for row in rows]  # type: ignore[literal-required]
    wrong = round((1.0 - rows[-1]["validation_accuracy"]) * len(labels))
    few = wrong < FEW_MISTAKES and mistakes[-1] < min(FEW, FEW_OF_GUESSED * guessed)
    if few and len(labels) >= TELLING:
        reason = f"{counted(wrong, 'mistake')} on {len(labels):,} validation images, too few to compare epochs by"
        return _told(reason, fall)
    results = list(zip(mistakes, (row["validation_cross_entropy"] for row in rows), strict=True))
    may_guess = done * steps < MAY_GUESS * schedule.least
    guesses_from = (1.0 - GUESSES) * guessed if may_guess else math.inf
    waited = _epochs_since_better(results[max(0, may_stop_from) :], guesses_from)
    if waited < settings.patience:
        return None
    return _told(f"validation no better for {counted(waited, 'epoch')}", fall)


def _told(reason: str, fall: Fall) -> tuple[Fall, str]:
    begin, end = fall
    return fall, f"{reason}: the rate falls from epoch {begin + 1} on, {counted(end - begin, 'more epoch')}"


def _latest(schedule: Schedule, epochs: int) -> int:
    """Return after how many epochs the fall begins at the latest, to end within `epochs`."""
    return min(math.floor(round(epochs * (1.0 - schedule.fall), 6)), epochs - 1)


def _length(schedule: Schedule, epochs: int, done: int) -> int:
    """Return how many epochs a fall takes that begins after `done` of them."""
    return min(max(1, math.ceil(round(done * schedule.fall / (1.0 - schedule.fall), 6))), epochs - done)


def _epochs_since_better(results: Sequence[tuple[float, float]], guessing: float) -> int:
    """Return how many epochs have passed since one of their two results, each better if it is less, was better.

    Epochs whose first result, the share of mistakes, is `guessing` or more are not counted.
    """
    best, since = [math.inf, math.inf], 0
    for result in results:
        since += result[0] < guessing
        for i, value in enumerate(result):
            if value < (1.0 - GAIN) * best[i]:
                best[i], since = value, 0
    return since


def _of_guessing(labels: np.ndarray, metric: Metric) -> float:
    """Return the score of naming the most frequent class for every image."""
    counts = np.unique(labels, return_counts=True)[1]
    return float(1.0 / len(counts) if metric == "recall" else counts.max() / counts.sum())
