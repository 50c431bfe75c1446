"""Remove filters in several steps, or as many as accuracy allows; what is left is trained after each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from compress.artifacts import Trial
from compress.data.balance import Metric
from compress.pruning.filters import Removal
from compress.pruning.settings import SMALLER
from compress.training.evaluation import forward_of
from compress.training.settings import Schedule, TrainingSettings

if TYPE_CHECKING:
    from compress.training.fit import Fitted

Settings = TypeVar("Settings", bound=TrainingSettings)
Part = tuple[float, float]  # of a stage's progress
Train = Callable[[Any, Any, str, Part], "Fitted"]
"""Trains a model by settings and returns how it went; the text is the training's name."""


def in_steps(removal: Removal, settings: Any, train: Train) -> tuple[list[Fitted], Part]:
    """Remove filters in `settings.steps` steps down to the target, and train after all of them but the last.

    Each step leaves the same fraction of what the one before it has left. The rate rises once, in the first training,
    and then stays at its peak: rising anew after each step would only cost time. Returns these trainings, and the part
    of the progress that is left for the last one.
    """
    targets = [settings.fraction ** (step / settings.steps) for step in range(1, settings.steps + 1)]
    costs = [target * settings.step_epochs for target in targets[:-1]]
    whole = sum(costs) + targets[-1] * settings.epochs
    trained = list[Any]()
    for step, target in enumerate(targets[:-1], start=1):
        removal.to(target, step=f"-{step}")
        part = sum(costs[: step - 1]) / whole, sum(costs[:step]) / whole
        trained.append(
            train(removal.model, between(settings, settings.step_epochs, is_first=step == 1), f"step{step}", part)
        )
    removal.to(targets[-1])
    return trained, (sum(costs) / whole, 1.0)


def between(settings: Settings, epochs: int, *, is_first: bool) -> Settings:
    """Return the settings of a training between two steps: a constant rate, to which only the first one rises."""
    warmup = settings.schedule.warmup if is_first else 0.0
    schedule = Schedule(shape="constant", warmup=warmup)
    return settings.model_copy(update={"epochs": epochs, "schedule": schedule})


def as_before(settings: Settings) -> Settings:
    """Return the settings of the last training after others: the rate begins at its peak, where theirs has ended."""
    return settings.model_copy(update={"schedule": settings.schedule.model_copy(update={"warmup": 0.0})})


def searched(removal: Removal, settings: Any, metric: Metric, train: Train) -> tuple[list[Fitted], tuple[Trial, ...]]:
    """Remove filters and train, again and again, as long as `metric` on validation is not `max_drop` lower.

    Each try begins with what the last good one has left, and leaves 0.7 of it, as NetAdapt goes from one network to the
    next (Yang et al., 2018). After the first that costs too much, one is tried half way back. The removal is left as
    the last good try has it, untouched if there is none. Returns the trainings of good tries, and all tries.
    """
    context, trained, tries = removal.context, list[Any](), list[Trial]()
    before = removal.validation.score(forward_of(removal.model))

    def is_good_at(fraction: float) -> bool:
        state = removal.model, removal.kept
        removal.to(fraction, step=f"-{fraction:.3f}")
        begun = 1.0 - SMALLER ** len(tries)  # how many tries there will be is not known
        part = begun, 1.0 - SMALLER * (1.0 - begun)
        fitted = train(removal.model, settings, f"to-{fraction:.3f}", part)
        score = score_of(fitted, metric)
        lost = 100 * (before - score)
        is_good = lost <= settings.max_drop
        what = f"{removal.left:.1%} of the {removal.counted}"
        tries.append(Trial(what, score, float(removal.macs), is_good))
        context.note(
            f"{context.stage}: {what} left: validation {metric} {score:.4f}, {lost:+.2f} points lost of at most "
            f"{settings.max_drop:g}{'' if is_good else ': too much'}"
        )
        if is_good:
            trained.append(fitted)
        else:
            removal.model, removal.kept = state
        return is_good

    good, fraction = 1.0, SMALLER
    while fraction > removal.least and is_good_at(fraction):
        good, fraction = removal.left, SMALLER * removal.left
    if fraction > removal.least:
        is_good_at(math.sqrt(good * fraction))
    taken = max((i for i, trial in enumerate(tries) if trial.taken), default=-1)
    return trained, tuple(replace(trial, taken=i == taken) for i, trial in enumerate(tries))


def score_of(fitted: Fitted, metric: Metric) -> float:
    """Return how good the weights are that a training ends with, on validation."""
    return float(getattr(fitted.history[fitted.kept - 1], f"validation_{metric}"))
