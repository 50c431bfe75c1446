"""Further limits that the gate checks on request: size, memory, first run, accuracy, 90th percentile."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from compress.errors import BadInputError
from compress.latency.cold_start import ColdStart, cold_starts
from compress.latency.gate import accuracy
from compress.latency.gate.check import Model, Settings
from compress.latency.gate.pairs import Samples
from compress.latency.gate.verdict import Outcome
from compress.latency.lock import machine_lock
from compress.latency.model_files import size_bytes
from compress.latency.processes import run_in_new_process
from compress.latency.statistics import percentile_ms

Kind = Literal["size", "memory", "first-run", "accuracy"]
KINDS: tuple[Kind, ...] = get_args(Kind)
GOLDEN = "golden.npz"  # in a bundle


@dataclass(frozen=True)
class Limit:
    """A figure of one model and the largest value allowed (for accuracy, the smallest); None where unknown."""

    name: str
    what: str
    value: float | None
    limit: float | None
    unit: str
    outcome: Outcome

    def __str__(self) -> str:
        value = "" if self.value is None else f" {self.value:.5g} {self.unit}"
        limit = (
            ": not measured before the budget ended" if self.limit is None else f" limit {self.limit:.5g} {self.unit}"
        )
        return f"{self.name} {self.what}{value}{limit}: {self.outcome}"


def check_limits(
    model: Model, kinds: Sequence[Kind], settings: Settings, golden: Path | None, seconds: float
) -> list[Limit]:
    """Return one limit per kind: the baseline's figure plus the margin; for accuracy, the baseline's figure itself.

    Accuracy is the number of images in the baseline's golden set, the file `golden`, for which the model finds the
    class that the set's logits state. What runs the model is inconclusive if not measured within `seconds`. Raises what
    `cold_starts` raises, and `BadInputError` if the golden set is missing or does not fit the model.
    """
    end = time.monotonic() + seconds
    limits = []
    if "size" in kinds:
        limits.append(_at_most(model, "size", lambda file: size_bytes(file) / 1e3, "kB", settings.margin))
    counted = [_accuracy(model, golden, settings, end)] if "accuracy" in kinds else []  # the shorter one first
    if "memory" in kinds or "first-run" in kinds:
        limits += _cold_starts(model, kinds, settings, end - time.monotonic())
    return limits + counted


def _cold_starts(model: Model, kinds: Sequence[Kind], settings: Settings, seconds: float) -> list[Limit]:
    with machine_lock():
        files: dict[Path, dict[str, str]] = {model.baseline: {}, model.candidate: {}}
        starts = cold_starts(files, settings.provider, settings.threads, model.given, seconds)
    figures: dict[Kind, tuple[Callable[[ColdStart], float], str]] = {
        "memory": (lambda start: start.peak_bytes / 1e6, "MB"),
        "first-run": (lambda start: start.first_run_ns / 1e6, "ms"),
    }
    limits = []
    for kind, (figure, unit) in figures.items():
        if kind in kinds and not starts[model.candidate]:
            limits.append(Limit(model.name, kind, None, None, unit, "inconclusive"))
        elif kind in kinds:
            # the best run of each counts: other load only makes runs slower, never faster
            best = {file: min(map(figure, runs)) for file, runs in starts.items()}
            limits.append(_at_most(model, kind, best.__getitem__, unit, settings.margin))
    return limits


def golden_set(baseline: Path) -> Path | None:
    """Return the golden set of a baseline that is a bundle, else None. By its own set a candidate always passes."""
    return baseline / GOLDEN if (baseline / GOLDEN).is_file() else None


def check_p90(name: str, samples: Sequence[Samples], limit_ms: float) -> Limit:
    """Return the limit on the 90th percentile of single calls."""
    calls = [ns for process in samples for ns in process.single]
    p90 = percentile_ms(calls, 90)
    outcome: Outcome = "inconclusive" if p90 is None else "pass" if p90 <= limit_ms else "regression"
    return Limit(name, "p90", p90, limit_ms, "ms", outcome)


def _at_most(model: Model, what: str, figure: Callable[[Path], float], unit: str, margin: float) -> Limit:
    value, limit = figure(model.candidate), figure(model.baseline) * (1 + margin)
    return Limit(model.name, what, value, limit, unit, "pass" if value <= limit else "regression")


def _accuracy(model: Model, golden: Path | None, settings: Settings, end: float) -> Limit:
    if golden is None:
        raise BadInputError(f"--also accuracy: needs --baseline to be a bundle with {GOLDEN}")
    correct = []
    for file in (model.baseline, model.candidate):
        request = accuracy.Request(str(file), str(golden), settings.provider, settings.threads)
        reply = run_in_new_process(accuracy.__name__, request, end - time.monotonic())
        if reply is None:
            return Limit(model.name, "accuracy", None, None, "", "inconclusive")
        correct.append(accuracy.Correct(**reply))
    limit, value = correct[0].images, correct[1].images
    outcome: Outcome = "pass" if value >= limit else "regression"
    return Limit(model.name, "accuracy", value, limit, f"of {correct[1].of}", outcome)
