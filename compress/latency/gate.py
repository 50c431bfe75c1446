"""The gate: is a model slower than its baseline by more than the margin? Both run now, side by side, on one machine."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from compress.errors import LockedError, MachineError
from compress.latency import arms
from compress.latency.arms import BASELINE, CANDIDATE, CONTROL, Request, Samples
from compress.latency.fresh import ask
from compress.latency.verdict import Verdict, block_log_ratios, first_look, second_look
from compress.onnx_tools.providers import CPU

BLOCKS = 10  # a process
FIRST_PROCESSES, SECOND_PROCESSES = 2, 4
SINGLE_CALLS = 40  # a process: those of the first look carry a 90th percentile


@dataclass(frozen=True)
class Model:
    """A model to check and what it is compared with, both ONNX files."""

    name: str
    candidate: Path
    baseline: Path


@dataclass(frozen=True)
class Settings:
    """How to check: `margin` is the slowdown allowed, `budget_s` the seconds that measuring all models may take.

    With `single_calls` each process also times calls of the candidate one by one, for a percentile.
    """

    margin: float = 0.05
    budget_s: float = 120.0
    threads: int = 1
    provider: str = CPU
    single_calls: bool = False


@dataclass(frozen=True)
class Checked:
    """A model's verdict and all samples behind it, a process each; `second` is empty where one look was enough."""

    model: Model
    verdict: Verdict
    first: tuple[Samples, ...]
    second: tuple[Samples, ...]


def check(models: Sequence[Model], settings: Settings) -> list[Checked]:
    """Return a verdict on each model.

    Raises `BadInputError` or `MachineError` where a model cannot be measured, and `LockedError` where something else on
    this machine is measuring.
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


@contextmanager
def machine_lock() -> Iterator[None]:
    """Be the only process on this machine that measures; raises `LockedError` where another one does."""
    file = Path(tempfile.gettempdir()) / "compress-latency.lock"
    lock = FileLock(file, mode=0o666)  # whoever runs it: two users disturb each other as well
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise LockedError(f"{file}: another check or bench is measuring on this machine; wait for it") from error
    except OSError as error:
        raise MachineError(f"{file}: cannot be locked: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def _look(model: Model, processes: int, settings: Settings, end: float) -> tuple[Samples, ...]:
    """Return the samples of so many fresh processes, one after the other; fewer where `end` comes before."""
    files = {BASELINE: str(model.baseline), CANDIDATE: str(model.candidate)}
    if processes == SECOND_PROCESSES:
        files[CONTROL] = str(model.baseline)
    single = SINGLE_CALLS if settings.single_calls else 0
    samples: list[Samples] = []
    for _ in range(processes):
        request = Request(files, settings.provider, settings.threads, BLOCKS, random.randrange(2**32), single)
        measured = in_fresh_process(request, end - time.monotonic())
        if measured is None:
            break
        samples.append(measured)
    return tuple(samples)


def in_fresh_process(request: Request, seconds: float) -> Samples | None:
    """Return what a new process measures, None where it would take longer than `seconds`; raises what it raises."""
    measured = ask(arms.__name__, request, seconds)
    return None if measured is None else Samples(**measured)


def _log_ratios(looks: Mapping[str, Sequence[Samples]], processes: int, arm: str) -> dict[str, np.ndarray]:
    """Return an arm's blocks against the baseline's, `(blocks,)`, for each model that all processes have measured."""
    return {
        name: np.concatenate(
            [block_log_ratios(np.array(one.blocks[arm]), np.array(one.blocks[BASELINE])) for one in look]
        )
        for name, look in looks.items()
        if len(look) == processes
    }
