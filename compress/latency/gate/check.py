"""The gate: is a model slower than its baseline by more than the margin?

It never compares stored numbers: it runs both models now, side by side, on the same machine.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from compress.latency.gate import baselines, pairs
from compress.latency.gate.pairs import BASELINE, CANDIDATE, CONTROL, Request, Samples
from compress.latency.gate.verdict import Verdict, block_log_ratios, first_look, second_look
from compress.latency.lock import machine_lock
from compress.latency.processes import run_in_new_process
from compress.onnx_tools.providers import CPU

BLOCKS = 10  # per process
FIRST_PROCESSES, SECOND_PROCESSES = 2, 4
SINGLE_CALLS = 40  # per process, so that the first look has enough for a 90th percentile


@dataclass(frozen=True)
class Model:
    """A model to check and what it is compared with, both ONNX files."""

    name: str
    candidate: Path
    baseline: Path


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


@dataclass(frozen=True)
class Checked:
    """A model's verdict and the samples of each process behind it; `second` is empty if one look was enough."""

    model: Model
    verdict: Verdict
    first: tuple[Samples, ...]
    second: tuple[Samples, ...]


def models_of(candidates: Sequence[Path], baseline: Path) -> list[Model]:
    """Return each candidate with its baseline; raises `BadInputError` if one of the files does not exist."""
    return [Model(name, file, baselines.find(baseline, name)) for name, file in baselines.named(candidates)]


def check(models: Sequence[Model], settings: Settings) -> list[Checked]:
    """Return a verdict on each model, whose meaning `verdict` describes.

    Raises `BadInputError` or `MachineError` if a model cannot be measured, and `LockedError` if another process on this
    machine is measuring.
    """
    end = time.monotonic() + settings.budget_s
    with machine_lock():
        first = {model.name: _look(model, FIRST_PROCESSES, settings, end) for model in models}
        verdicts = {model.name: Verdict(model.name, 1 + settings.margin) for model in models}
        verdicts |= first_look(_log_ratios(first, FIRST_PROCESSES, CANDIDATE), settings.margin)
        suspects = [m for m in models if verdicts[m.name].p is not None and verdicts[m.name].outcome != "pass"]
        second = {model.name: _look(model, SECOND_PROCESSES, settings, end) for model in suspects}
    ratios, controls = (_log_ratios(second, SECOND_PROCESSES, arm) for arm in (CANDIDATE, CONTROL))
    verdicts |= second_look(ratios, controls, settings.margin)
    for name, verdict in verdicts.items():
        if verdict.outcome == "inconclusive" and not verdict.why:
            done, planned = len(second.get(name, first[name])), SECOND_PROCESSES if name in second else FIRST_PROCESSES
            why = f"the budget of {settings.budget_s:g} s ended after {done} of {planned} processes"
            verdicts[name] = replace(verdict, why=why)
    return [Checked(model, verdicts[model.name], first[model.name], second.get(model.name, ())) for model in models]


def _look(model: Model, processes: int, settings: Settings, end: float) -> tuple[Samples, ...]:
    """Return the samples of new processes, run one after the other; fewer than `processes` if `end` comes first."""
    files = {BASELINE: str(model.baseline), CANDIDATE: str(model.candidate)}
    if processes == SECOND_PROCESSES:
        files[CONTROL] = str(model.baseline)
    single = SINGLE_CALLS if settings.single_calls else 0
    samples: list[Samples] = []
    for _ in range(processes):
        request = Request(files, settings.provider, settings.threads, BLOCKS, random.randrange(2**32), single)
        measured = measure_in_new_process(request, end - time.monotonic())
        if measured is None:
            break
        samples.append(measured)
    return tuple(samples)


def measure_in_new_process(request: Request, seconds: float) -> Samples | None:
    """Return what a new process measures, or None if it takes longer than `seconds`; raises what it raises."""
    measured = run_in_new_process(pairs.__name__, request, seconds)
    return None if measured is None else Samples(**measured)


def _log_ratios(looks: Mapping[str, Sequence[Samples]], processes: int, arm: str) -> dict[str, np.ndarray]:
    """Return the log ratios of an arm to the baseline, `(blocks,)`, for each model that all processes have measured."""
    return {
        name: np.concatenate(
            [block_log_ratios(np.array(samples.blocks[arm]), np.array(samples.blocks[BASELINE])) for samples in look]
        )
        for name, look in looks.items()
        if len(look) == processes
    }
