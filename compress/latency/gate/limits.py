"""Further limits that the gate checks on request: size, memory, first run, accuracy, 90th percentile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from compress.arrays import read_members
from compress.errors import BadInputError, first_line
from compress.latency.cold_start import ColdStart, cold_starts
from compress.latency.gate.check import Model, Settings
from compress.latency.gate.pairs import Samples
from compress.latency.gate.verdict import Outcome
from compress.latency.lock import machine_lock
from compress.latency.model_files import open_model, size_bytes
from compress.latency.statistics import percentile_ms
from compress.onnx_tools import scoring

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
    class that the set's logits state. Memory and first run are inconclusive if not measured within `seconds`. Raises
    what `cold_starts` raises, and `BadInputError` if the golden set is missing or does not fit the model.
    """
    limits = []
    if "size" in kinds:
        limits.append(_at_most(model, "size", lambda file: size_bytes(file) / 1e3, "kB", settings.margin))
    if "memory" in kinds or "first-run" in kinds:
        limits += _cold_starts(model, kinds, settings, seconds)
    if "accuracy" in kinds:
        limits.append(_accuracy(model, golden, settings))
    return limits


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


def _accuracy(model: Model, golden: Path | None, settings: Settings) -> Limit:
    if golden is None:
        raise BadInputError(f"--also accuracy: needs --baseline to be a bundle with {GOLDEN}")
    arrays = read_members(golden, golden.stat().st_size, ("images", "logits"), str(golden))
    images, logits = arrays["images"], arrays["logits"]
    if logits.ndim != 2 or not logits.size or images.shape[:1] != logits.shape[:1]:
        raise BadInputError(f"{golden}: has logits of shape {logits.shape}; should be (images, classes)")
    answers = logits.argmax(axis=1)
    correct = {file: _correct(file, golden, images, answers, settings) for file in (model.baseline, model.candidate)}
    value, limit = correct[model.candidate], correct[model.baseline]
    return Limit(model.name, "accuracy", value, limit, f"of {len(images)}", "pass" if value >= limit else "regression")


def _correct(file: Path, golden: Path, images: np.ndarray, answers: np.ndarray, settings: Settings) -> int:
    session = open_model(file, threads=settings.threads, provider=settings.provider)
    try:
        return int((scoring.run(session, images).argmax(axis=1) == answers).sum())
    except Exception as error:  # onnxruntime raises many types if images do not fit the model
        raise BadInputError(f"{file}: fails to run on {golden}: {first_line(error)}") from error
