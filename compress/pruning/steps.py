"""Remove filters in several steps, or as many as accuracy allows; what is left is trained after each."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from compress.artifacts import Trial
from compress.data.balance import Metric
from compress.errors import BadInputError
from compress.files import write_file
from compress.pruning.filters import Removal
from compress.pruning.sensitivity import Validation
from compress.pruning.settings import SMALLER
from compress.pruning.tuning import Part, Tuning
from compress.training.evaluation import forward_of
from compress.training.fit import Fitted
from compress.training.settings import Schedule
from compress.training.trainer import DivergedError


def in_steps(removal: Removal, settings: Any, tuning: Tuning, part: Part) -> Part:
    """Remove filters in `settings.steps` steps down to the target, and train after all of them but the last.

    Each step leaves the same fraction of what the one before it has left. The rate rises once, in the first training,
    and then stays at its peak: rising anew after each step would only cost time. Returns what is left of a part of the
    progress for the last training.
    """
    targets = [settings.fraction ** (step / settings.steps) for step in range(1, settings.steps + 1)]
    costs = [target * settings.step_epochs for target in targets[:-1]]
    whole = sum(costs) + targets[-1] * settings.epochs
    for step, target in enumerate(targets[:-1], start=1):
        removal.to(target, step=f"-{step}")
        warmup = settings.schedule.warmup if step == 1 else 0.0
        constant = {"epochs": settings.step_epochs, "schedule": Schedule(shape="constant", warmup=warmup)}
        done = _within(part, sum(costs[: step - 1]) / whole), _within(part, sum(costs[:step]) / whole)
        tuning.train(removal.model, settings.model_copy(update=constant), name=f"step{step}", part=done)
    removal.to(targets[-1])
    return _within(part, sum(costs) / whole), part[1]


def _within(part: Part, fraction: float) -> float:
    return part[0] + fraction * (part[1] - part[0])


def at_its_peak(settings: Any) -> Any:
    """Return the settings of a training whose rate begins at its peak, where those of steps before it have ended."""
    return settings.model_copy(update={"schedule": settings.schedule.model_copy(update={"warmup": 0.0})})


def searched(removal: Removal, settings: Any, tuning: Tuning, part: Part) -> tuple[Trial, ...]:
    """Remove filters and train, again and again, as long as validation does not get worse by more than `max_drop`.

    Each try begins with what the last good one has left, and leaves 0.7 of it, as NetAdapt goes from one network to the
    next (Yang et al., 2018). After the first that costs too much, one is tried half way back. The removal is left as
    the last good try has it, untouched if there is none. Returns all tries. Raises `BadInputError` if there is nothing
    to try.
    """
    context, validation, tries = removal.context, removal.validation, list[Trial]()
    if removal.least >= 1.0:
        raise BadInputError(f"{context.stage}.max_drop = {settings.max_drop:g}: no filter can go; should be none")
    write = partial(_write_score, removal.model, validation)
    before = json.loads(context.made(context.checkpoint / "before.json", write).read_bytes())
    seen = {removal.kept.tobytes()}

    def is_good_at(fraction: float) -> bool:
        state = removal.model, removal.kept
        removal.to(fraction, step=f"-{fraction:.3f}")
        if removal.kept.tobytes() in seen:  # no width lies between
            removal.model, removal.kept = state
            return False
        seen.add(removal.kept.tobytes())
        trained = len(tuning.trainings)
        begun = 1.0 - SMALLER ** len(tries)  # how many tries there will be is not known
        done = _within(part, begun), _within(part, 1.0 - SMALLER * (1.0 - begun))
        score = _trained(removal.model, settings, tuning, validation.metric, f"to-{fraction:.3f}", done)
        lost = round(100 * (before - score), 6)
        is_good = lost <= settings.max_drop
        tries.append(Trial(f"{removal.told} left", score, float(removal.macs), is_good))
        context.note(
            f"{context.stage}: {removal.told} left: validation {validation.metric} {score:.4f}, {lost:+.2f} points "
            f"lost of at most {settings.max_drop:g}{'' if is_good else ': too much'}"
        )
        if not is_good:
            removal.model, removal.kept = state
            del tuning.trainings[trained:]
        return is_good

    good, fraction = 1.0, max(removal.least, SMALLER)
    while good > removal.least and is_good_at(fraction):
        good, fraction = removal.left, max(removal.least, SMALLER * removal.left)
    if good > removal.least:
        is_good_at(math.sqrt(good * fraction))
    taken = max((i for i, trial in enumerate(tries) if trial.taken), default=-1)
    return tuple(replace(trial, taken=i == taken) for i, trial in enumerate(tries))


def _trained(model: Any, settings: Any, tuning: Tuning, metric: Metric, name: str, part: Part) -> float:
    """Train a model and return how good it is then; 0 if its training diverged."""
    try:
        return score_of(tuning.train(model, settings, name=name, part=part), metric)
    except DivergedError:
        if tuning.engine.strategy != "none":  # other processes would wait for this one
            raise
        return 0.0


def score_of(fitted: Fitted, metric: Metric) -> float:
    """Return how good the weights are that a training ends with, on validation."""
    return float(getattr(fitted.history[fitted.kept - 1], f"validation_{metric}"))


def _write_score(model: Any, validation: Validation, file: Path) -> None:
    """Write how good a network is; one process does for all, so that all take the same way."""
    write_file(file, json.dumps(validation.score(forward_of(model))).encode())
