"""The gate: is a model slower than its baseline by more than the margin?

It never compares stored numbers: it runs both models now, side by side, on the same machine.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from compress.latency.gate import baselines, pairs
from compress.latency.gate.pairs import BASELINE, CANDIDATE, CONTROL, Request, Samples
from compress.latency.gate.verdict import (
    BLOCKS,
    LATER_PROCESSES,
    Verdict,
    block_log_ratios,
    far_slower,
    first_look,
    is_far_slower,
    later_look,
    never_ended,
)
from compress.latency.given import NOTHING, Given
from compress.latency.graph_inputs import check_known
from compress.latency.lock import machine_lock
from compress.latency.processes import run_in_new_process
from compress.onnx_tools.providers import CPU
from compress.plural import counted

FIRST_PROCESSES = 2
SINGLE_CALLS = 40  # per process, so that the first look has enough for a 90th percentile


@dataclass(frozen=True)
class Model:
    """A model to check and what it is compared with, both ONNX files, and what is known about the inputs of both."""

    name: str
    candidate: Path
    baseline: Path
    given: Given = NOTHING


@dataclass(frozen=True)
class Settings:
    """How to check: `margin` is the slowdown allowed, as a fraction; `budget_s` the time in s to measure all models.

    With `single_calls`, each process also times calls of the candidate one by one, for a percentile.
    """

    margin: float = 0.05
    budget_s: float = 120.0
    threads: int = 1
    provider: str = CPU
    single_calls: bool = False
    given: Given = NOTHING


@dataclass(frozen=True)
class Checked:
    """A model's verdict and the samples of each process behind it; `second` is empty if the first look was enough."""

    model: Model
    verdict: Verdict
    first: tuple[Samples, ...]
    second: tuple[Samples, ...]


def models_of(candidates: Sequence[Path], baseline: Path, given: Given = NOTHING) -> list[Model]:
    """Return each candidate with its baseline, and with `given`; what one of the two fixes, the other is fed.

    Raises `BadInputError` if one of the files does not exist, or if more has to be `given` about its inputs.
    """
    models = [Model(name, file, baselines.find(baseline, name)) for name, file in baselines.named(candidates)]
    known = check_known([(model.baseline, model.candidate) for model in models], given)
    return [replace(model, given=both) for model, both in zip(models, known, strict=True)]


def check(models: Sequence[Model], settings: Settings, spent_s: float = 0.0) -> list[Checked]:
    """Return a verdict on each model, whose meaning `verdict` describes; `spent_s` of the budget are spent already.

    Raises `BadInputError` or `MachineError` if a model cannot be measured, and `LockedError` if another process on this
    machine is measuring.
    """
    end = time.monotonic() + settings.budget_s - spent_s
    with machine_lock():
        looks = {model.name: _first_look(model, settings, end) for model in models}
        verdicts = {name: verdict for name, (verdict, _) in looks.items()}
        suspects = [m for m in models if verdicts[m.name].p is not None and verdicts[m.name].outcome == "inconclusive"]
        later = _later_looks(suspects, verdicts, settings, end)
    return [Checked(m, verdicts[m.name], looks[m.name][1], later.get(m.name, ())) for m in models]


def _first_look(model: Model, settings: Settings, end: float) -> tuple[Verdict, tuple[Samples, ...]]:
    """Return the verdict of the first look, and its samples.

    The first process may take half of the time that is left. If it does not end by then, the other half is for another
    that compares the baseline with itself: how long that takes tells whether it is the candidate that is slow.
    """
    verdict, request = Verdict(model.name, 1 + settings.margin), _request(model, settings, control=False)
    seconds = (end - time.monotonic()) / 2
    first = measure_in_new_process(request, seconds)
    if first is None:
        start = time.monotonic()
        alone = replace(request, files={arm: str(model.baseline) for arm in request.files})
        ended = measure_in_new_process(alone, end - start)
        baseline_seconds = time.monotonic() - start
        if ended and seconds >= far_slower(settings.margin) * baseline_seconds:
            return never_ended(verdict, seconds, baseline_seconds), ()
        return _out_of_time(verdict, 0, FIRST_PROCESSES, settings), ()
    samples = (first, *_processes(model, FIRST_PROCESSES - 1, settings, end, control=False))
    log_ratios = _log_ratios(samples, CANDIDATE)
    if len(samples) == FIRST_PROCESSES or is_far_slower(log_ratios, settings.margin):
        return first_look({model.name: log_ratios}, settings.margin)[model.name], samples
    return _out_of_time(verdict, len(samples), FIRST_PROCESSES, settings), samples


def _later_looks(
    suspects: Sequence[Model], verdicts: dict[str, Verdict], settings: Settings, end: float
) -> dict[str, tuple[Samples, ...]]:
    """Measure all suspects in more and more new processes until there is a verdict on each, or the time is over.

    Replaces the suspects' `verdicts`; returns their samples.
    """
    samples: dict[str, tuple[Samples, ...]] = {model.name: () for model in suspects}
    undecided = list(suspects)
    for planned in LATER_PROCESSES:
        for model in undecided:
            missing = planned - len(samples[model.name])
            samples[model.name] += _processes(model, missing, settings, end, control=True)
        late = [model for model in undecided if len(samples[model.name]) < planned]
        for model in late:
            verdicts[model.name] = _out_of_time(verdicts[model.name], len(samples[model.name]), planned, settings)
        undecided = [model for model in undecided if model not in late]
        measured = {name: look for name, look in samples.items() if look}
        ratios, controls = ({n: _log_ratios(s, arm) for n, s in measured.items()} for arm in (CANDIDATE, CONTROL))
        looked = later_look(ratios, controls, settings.margin)
        verdicts |= {model.name: looked[model.name] for model in undecided}
        undecided = [model for model in undecided if verdicts[model.name].outcome == "inconclusive"]
    return samples


def _request(model: Model, settings: Settings, *, control: bool) -> Request:
    files = {BASELINE: str(model.baseline), CANDIDATE: str(model.candidate)}
    if control:
        files[CONTROL] = str(model.baseline)
    single = SINGLE_CALLS if settings.single_calls else 0
    seed = random.randrange(2**32)
    return Request(files, settings.provider, settings.threads, BLOCKS, seed, single, model.given)


def _processes(model: Model, n: int, settings: Settings, end: float, *, control: bool) -> tuple[Samples, ...]:
    """Return the samples of `n` new processes, run one after the other; fewer if `end` comes first."""
    samples: list[Samples] = []
    for _ in range(n):
        measured = measure_in_new_process(_request(model, settings, control=control), end - time.monotonic())
        if measured is None:
            break
        samples.append(measured)
    return tuple(samples)


def _out_of_time(verdict: Verdict, done: int, planned: int, settings: Settings) -> Verdict:
    before = f"{verdict.why}; " if verdict.why else ""
    of = counted(planned, "process", "processes")
    why = f"{before}the budget of {settings.budget_s:g} s ended after {done} of {of}"
    return replace(verdict, outcome="inconclusive", why=why)


def measure_in_new_process(request: Request, seconds: float) -> Samples | None:
    """Return what a new process measures, or None if it takes longer than `seconds`; raises what it raises."""
    measured = run_in_new_process(pairs.__name__, request, seconds)
    return None if measured is None else Samples(**measured)


def _log_ratios(look: Sequence[Samples], arm: str) -> np.ndarray:
    """Return the log ratios of an arm to the baseline, `(blocks,)`."""
    return np.concatenate(
        [block_log_ratios(np.array(samples.blocks[arm]), np.array(samples.blocks[BASELINE])) for samples in look]
    )
