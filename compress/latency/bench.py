"""`python -m compress bench MODEL...`: from options to tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.live import Live

from compress import machine
from compress.errors import BadInputError
from compress.latency import baselines, figures, reports
from compress.latency.check import check_threads, provider_named
from compress.latency.host import conditions
from compress.latency.peers import PEERS
from compress.latency.sweep import Settings, sweep
from compress.onnx_tools.providers import CPU
from compress.terminal import terminal

MOST_SECONDS = 3600
LARGEST_BATCH = 4096


def run(models: Sequence[Path], settings: Settings, json: Path | None) -> None:
    """Measure models, print what was found, and write it where asked."""
    console, host = terminal(), conditions()  # the load before that of measuring
    files = named(models)
    settings = replace(settings, spinning=len(files) == 1 and not settings.peers)
    # A display that refreshes itself would do so from a thread, in the middle of calls
    with Live(console=console, auto_refresh=False, transient=True) as live:
        measured, skipped = sweep(files, settings, lambda words: live.update(words, refresh=True))
    console.print(figures.latency_table(measured))
    console.print(figures.model_table(measured))
    for line in (
        figures.NOTE,
        *figures.difference_lines(measured),
        *figures.skip_lines(skipped),
        figures.host_line(host),
    ):
        console.print(line, highlight=False, soft_wrap=True)
    if json:
        reports.write("--json", json, reports.to_bytes(figures.as_json(measured, skipped, settings, host)))


def settings_of(batches: str, threads: str | None, provider: str, seconds: float, compare: str | None) -> Settings:
    """Return the settings that the options state; raises `BadInputError` for one that is out of bounds."""
    full = provider_named(provider)
    cores = machine.available_cores() if full == CPU else 1
    counts = _numbers("--threads", threads) if threads else tuple(sorted({1, cores}))
    for count in counts:
        check_threads(count)
    sizes = _numbers("--batches", batches)
    if not 1 <= min(sizes) <= max(sizes) <= LARGEST_BATCH:
        raise BadInputError(f"--batches {batches}: should be 1 to {LARGEST_BATCH}, such as 1,8,32")
    if not 0 < seconds <= MOST_SECONDS:
        raise BadInputError(f"--seconds {seconds:g}: should be above 0 and at most {MOST_SECONDS}")
    return Settings(sizes, counts, full, seconds, _peers(compare, full) if compare else ())


def named(models: Sequence[Path]) -> dict[str, Path]:
    """Return the models' files by name: that of the file or bundle, or its path where two have the same.

    Raises `BadInputError` where there is no such file, and for one that is given twice.
    """
    found = [baselines.name_and_file(model) for model in models]
    names = [name for name, _ in found]
    files = {
        name if names.count(name) == 1 else str(model): file for model, (name, file) in zip(models, found, strict=True)
    }
    if len(files) < len(models):
        twice = next(model for model in models if models.count(model) > 1)
        raise BadInputError(f"{twice}: is given twice; each model should be another file")
    return files


def _peers(compare: str, provider: str) -> tuple[str, ...]:
    if provider != CPU:
        raise BadInputError(f"--compare {compare}: peers run on the CPU; should be without --provider")
    unknown = [peer for peer in compare.split(",") if peer not in PEERS]
    if unknown:
        raise BadInputError(f"--compare {unknown[0]}: should be of {', '.join(PEERS)}")
    return tuple(dict.fromkeys(compare.split(",")))


def _numbers(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as error:
        raise BadInputError(f"{option} {text}: should be whole numbers, such as 1,2") from error
