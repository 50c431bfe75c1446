"""What a stage is told about the run it is part of."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

POLL_SECONDS = 0.5


@dataclass(frozen=True)
class StageRecord:
    """How a stage went: its result's key, whether it was cached, and what making it took (then or now)."""

    name: str
    key: str
    cached: bool
    seconds: float
    peak_rss_bytes: int


@dataclass(frozen=True)
class Context:
    """Handed to every stage.

    `product` is what the table of stages calls the result; empty: the stage names it after its input. `run_seed` is the
    one in the settings, `seed` what the stage draws from: a function of it and of its section. `checkpoint` is a folder
    that survives a kill and is deleted when the stage is finished, `logs` one that stays, for what is no result.
    `progress` takes the fraction done (0 to 1) and a few words; `note` prints a line that stays. `finished` lists the
    stages before this one, `config_toml` is the whole effective configuration. Where several processes train together,
    one `is_chief`: it alone writes, into what the others read, who may ask whether it is still there.
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
    config_toml: str = ""
    is_chief: bool = True
    check_chief: Callable[[], None] = lambda: None

    def made(self, file: Path, make: Callable[[Path], None]) -> Path:
        """Return a file of the checkpoint folder once it is there: made by the chief, whole or not at all."""
        if self.is_chief and not file.exists():
            make(file)
        while not file.exists():
            time.sleep(POLL_SECONDS)
            self.check_chief()
        return file

    def part(self, begin: float, end: float) -> Context:
        """Return the context of a part of the stage's work, from one fraction of it to another."""
        progress = self.progress
        return replace(self, progress=lambda fraction, words: progress(begin + (end - begin) * fraction, words))
