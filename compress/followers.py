"""Several processes that train together: a chief, which says what it runs, and the processes that follow it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from compress.context import POLL_SECONDS, Decision, Settings
from compress.engines import settle
from compress.errors import BadInputError
from compress.pipeline import Stage
from compress.progress import Progress
from compress.recipe.settle import with_decisions
from compress.runner import Step, context_of, inputs_of, plan
from compress.store import Entry, Store
from compress.training.peers import Peers


def keys_of(steps: Sequence[Step]) -> dict[str, str]:
    """Return what a chief tells its followers that it runs, for `follow`."""
    return {step.stage.name: step.key for step in steps}


def will_train(steps: Sequence[Step]) -> bool:
    """Whether a run of these steps trains anything: a finished stage runs again if its inputs came out different."""
    digests: dict[str, str] = {}
    for step in _of_trainings(steps):
        made_from = {source: digests[source] for source in step.stage.sources}
        if not step.entry or step.entry.manifest["made_from"] != made_from:
            return True
        digests[step.stage.name] = step.entry.output_digest
    return False


def as_decided(config: Any, told: Sequence[Mapping[str, Any]]) -> Any:
    """Return a follower's settings with what the chief's recipe has told, if they leave that to a recipe."""
    return config if config.recipe == "none" else with_decisions(config, [Decision(**made) for made in told])


def take_part(pipeline: Sequence[Stage], config: Any, peers: Peers, console: Console) -> None:
    """Train together with the chief until the last training is finished; return at once if it trains nothing."""
    with console.status("waiting for the chief"):
        chief = peers.wait_for_chief()
    if not chief["trains"]:
        return
    config = as_decided(config, chief["decisions"])
    from compress.training import distribution

    strategy = config.train.strategy
    if strategy == "parameter_server":
        distribution.serve(peers)
    store = Store(config.workspace)
    settled = settle(pipeline, config, store.speeds, peers.cluster, console.print, chief["precisions"])
    steps = plan(pipeline, config, store, settled)
    shared = distribution.join(strategy, peers)

    def check_chief() -> None:
        peers.check_ended()
        shared.check_chief()

    with Progress(console) as progress:
        follow(steps, chief["keys"], config, store, progress, shared.wait_for_chief, check_chief)


def follow(
    steps: Sequence[Step],
    keys: Mapping[str, str],
    config: Any,
    store: Store,
    progress: Progress,
    meet: Callable[[], None],
    check_chief: Callable[[], None],
) -> None:
    """Take part in all trainings of another process, the chief, which runs the same steps in the same workspace.

    `keys` are those that the chief has told. Only the chief runs the other stages and writes results; a follower
    returns after the last training. Raises `BadInputError` if this process would train something else than the chief,
    and whatever `check_chief` raises if the chief has ended early or cannot be reached.
    """
    entries: dict[str, Entry] = {}
    for step in _of_trainings(steps):
        name, took_part = step.stage.name, False
        if keys.get(name) != step.key:
            raise BadInputError(
                f"{name}: this process would make something else than the chief; settings, data, code, libraries and "
                "kind of device should be the same for both, and the machine where its speed counts"
            )
        made_from = {source: entries[source].output_digest for source in step.stage.sources}
        while name not in entries:
            entry, _ = store.find(name, step.key)
            if entry and entry.manifest["made_from"] == made_from:
                entries[name] = entry
            elif step.stage.trains and not took_part:
                start = time.perf_counter()
                progress.begin(name)
                meet()
                work = store.unfinished / f"{name}-{step.key}"
                context = context_of(step.stage, config.seed, work, store, progress, (), Settings())
                context = replace(context, is_chief=False, check_chief=check_chief)
                with tempfile.TemporaryDirectory() as out:
                    inputs = inputs_of(step.stage, entries)
                    step.stage.module.run(**step.settings, **inputs, out=Path(out), context=context)
                took_part = True
                progress.end(name, time.perf_counter() - start)
            else:
                time.sleep(POLL_SECONDS)
                check_chief()


def _of_trainings(steps: Sequence[Step]) -> list[Step]:
    """Return the steps that train and those whose results they use, directly or indirectly, in order."""
    needed: set[str] = set()
    for step in reversed(steps):
        if step.stage.trains or step.stage.name in needed:
            needed |= {step.stage.name, *step.stage.sources}
    return [step for step in steps if step.stage.name in needed]
