"""The course of a run: first the data, by which one knows what the rest will take, then stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from compress import runner
from compress.context import Settings
from compress.forecast import facts_of, forecast
from compress.progress import Progress
from compress.store import Entry, Store


def run(
    steps: Sequence[runner.Step],
    config: Any,
    settled: Mapping[str, Mapping[str, BaseModel]],
    stated: Settings,
    store: Store,
    progress: Progress,
    meet: Callable[[], None] | None = None,
) -> list[Entry]:
    """Run the unfinished stages and tell how much time is left; arguments and result as `runner.execute`'s."""
    pipeline, finished = [step.stage for step in steps], runner.Finished()
    [first] = runner.execute(steps[:1], config, stated, store, progress, meet, finished)
    to_run = [step.stage.name for step in steps[1:] if not step.entry]
    if to_run:
        facts = facts_of(config, pipeline[0], first)
        estimates = forecast(pipeline, config, settled, facts, to_run, store.speeds)
        progress.expect({name: estimates[name].seconds for name in to_run})
    return runner.execute(steps, config, stated, store, progress, meet, finished)
