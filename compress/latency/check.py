"""`python -m compress check`: from options to lines and an exit code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compress import machine
from compress.errors import BadInputError
from compress.latency import baselines, reports
from compress.latency.gate import Model, Settings, check
from compress.latency.limits import GOLDEN, KINDS, Kind, Limit, check_limits, check_p90
from compress.onnx_tools.providers import by_short_name, short

EXIT_CODES = {"pass": 0, "regression": 1, "inconclusive": 3}
DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|min)?")


@dataclass(frozen=True)
class Reports:
    """Files to write, where asked."""

    junit: Path | None = None
    json: Path | None = None


def run(
    candidates: Sequence[Path],
    baseline: Path,
    settings: Settings,
    also: Sequence[Kind],
    max_p90_ms: float | None,
    files: Reports,
) -> int:
    """Check models, print a line for each limit and each model, write the reports; return the exit code."""
    models = models_of(candidates, baseline)
    limits: dict[str, list[Limit]] = {
        model.name: check_limits(model, also, settings, _golden(baseline)) for model in models
    }
    checked = check(models, settings)
    for one in checked:
        if max_p90_ms is not None:
            limits[one.model.name].append(check_p90(one.model.name, one.first, max_p90_ms))
    for one in checked:
        for limit in limits[one.model.name]:
            print(limit)
        if one.verdict.why:
            print(f"{one.model.name}: {one.verdict.why}")
        print(one.verdict)
    if files.json:
        reports.write("--json", files.json, reports.to_bytes(reports.as_json(checked, limits, settings)))
    if files.junit:
        reports.write("--junit", files.junit, reports.as_junit(checked, limits))
    outcomes = {one.verdict.outcome for one in checked} | {limit.outcome for of in limits.values() for limit in of}
    return EXIT_CODES[next(worst for worst in ("regression", "inconclusive", "pass") if worst in outcomes)]


def update(candidates: Sequence[Path], folder: Path) -> None:
    """Make models the baselines in a folder, each under its name."""
    for name, file in _named(candidates):
        print(f"{folder}: {name} is {baselines.update(folder, name, file)}")


def models_of(candidates: Sequence[Path], baseline: Path) -> list[Model]:
    """Return each candidate with what it is compared with; raises `BadInputError` where there is none."""
    return [Model(name, file, baselines.find(baseline, name)) for name, file in _named(candidates)]


def settings_of(margin: float, budget: str, threads: int, provider: str, single_calls: bool) -> Settings:
    """Return the settings that the options state; raises `BadInputError` for one that is out of bounds."""
    duration = DURATION.fullmatch(budget)
    seconds = float(duration[1]) * (60 if (duration[2] or "s") != "s" else 1) if duration else 0.0
    if not 0 < margin < 10:
        raise BadInputError(f"--margin {margin:g}: should be above 0 and below 10, such as 0.05 for 5 %")
    if not seconds:
        raise BadInputError(f"--budget {budget}: should be a time above 0, such as 120s or 2m")
    check_threads(threads)
    return Settings(margin, seconds, threads, provider_named(provider), single_calls)


def check_threads(threads: int) -> None:
    """Raise `BadInputError` for a number of threads that this machine does not have."""
    cores = machine.available_cores()
    if not 1 <= threads <= cores:
        raise BadInputError(f"--threads {threads}: should be 1 to {cores}, the cores that this process may use")


def provider_named(name: str) -> str:
    """Return ONNX Runtime's name of a provider, given in part (`cuda`); raises `BadInputError` where there is none."""
    known = by_short_name()
    full = known.get(short(name).lower())
    if not full:
        raise BadInputError(f"--provider {name}: should be one of {', '.join(known)}")
    return full


def kinds_of(also: Sequence[str]) -> list[Kind]:
    """Return what else to check; raises `BadInputError` for anything that is unknown."""
    for kind in also:
        if kind not in KINDS:
            raise BadInputError(f"--also {kind}: should be one of {', '.join(KINDS)}")
    return [kind for kind in KINDS if kind in also]


def _named(candidates: Sequence[Path]) -> list[tuple[str, Path]]:
    named = [baselines.name_and_file(candidate) for candidate in candidates]
    names = [name for name, _ in named]
    for name in names:
        if names.count(name) > 1:
            raise BadInputError(f"{name}: two models have this name; each should have its own")
    return named


def _golden(baseline: Path) -> Path | None:
    """Return the golden set of a baseline that is a bundle; by its own, a candidate would always pass."""
    return baseline / GOLDEN if (baseline / GOLDEN).is_file() else None
