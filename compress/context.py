"""The context that the runner gives to each stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from compress.files import sha256_json

POLL_SECONDS = 0.5


@dataclass(frozen=True)
class StageRecord:
    """A finished stage: its result's key, whether that was cached, and the time and memory of making it."""

    name: str
    key: str
    cached: bool
    seconds: float
    peak_rss_bytes: int


@dataclass(frozen=True)
class Decision:
    """A setting that nobody gave, which the recipe has decided from the data; `value` is a JSON value."""

    key: str
    value: Any
    reason: str


@dataclass(frozen=True)
class Settings:
    """A run's whole effective configuration as TOML, and which of it the recipe has decided.

    `given` are those that the user has changed from their defaults, by dotted key, as JSON values; none that is a path.
    """

    toml: str = ""
    decisions: tuple[Decision, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """What every stage is given.

    `product` is the result's name in the table of stages; if it is empty, the stage names it after its input.
    `run_seed` is the seed in the settings; `seed`, for the stage's own draws, is derived from it and the stage's
    section. `checkpoint` is a folder that survives a kill and is deleted when the stage is finished; `logs` is one that
    stays, for files that are not results. `progress` takes the fraction done (0 to 1) and a few words; `note` prints a
    line that stays. `finished` lists the stages before this one, `settings` is the run's configuration. If
    several processes train together, only the chief (`is_chief`) writes files that the others read; with
    `check_chief` these check that it is still alive.
    """

    stage: str
    run_seed: int
    seed: int
    checkpoint: Path
    logs: Path
    progress: Callable[[float, str], None]
    note: Callable[[str], None]
    product: str = ""
    finished: tuple[StageRecord, ...] = ()
    settings: Settings = Settings()
    is_chief: bool = True
    check_chief: Callable[[], None] = lambda: None

    def made(self, file: Path, make: Callable[[Path], None]) -> Path:
        """Return a file once it exists: `make` writes it, completely or not at all, in the chief only."""
        if self.is_chief and not file.exists():
            make(file)
        while not file.exists():
            time.sleep(POLL_SECONDS)
            self.check_chief()
        return file

    def part(self, begin: float, end: float) -> Context:
        """Return the context for a part of the stage's work, between two fractions of its progress."""
        progress = self.progress
        return replace(self, progress=lambda fraction, words: progress(begin + (end - begin) * fraction, words))


def stage_seed(seed: int, section: str) -> int:
    """Return the seed of a section's stages: they draw the same batches only if they share their settings."""
    return int(sha256_json([seed, section])[:7], 16)
