"""Several processes that train together: a chief, which announces what it runs, and the processes that follow it."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from compress.context import POLL_SECONDS
from compress.errors import BadInputError, CompressError, MachineError
from compress.files import write_file
from compress.progress import Progress
from compress.runner import Step, context_of, inputs_of
from compress.store import Entry, Store


@contextmanager
def announced(steps: Sequence[Step], store: Store) -> Iterator[None]:
    """Announce to the followers what this process, the chief, runs; they read it once all processes are connected."""
    keys = {step.stage.name: step.key for step in steps}
    write_file(store.announcement, json.dumps(keys).encode())
    try:
        yield
    except CompressError as error:
        if not error.starts_again:
            store.announcement.unlink(missing_ok=True)
        raise
    else:
        store.announcement.unlink(missing_ok=True)


def follow(
    steps: Sequence[Step],
    config: Any,
    store: Store,
    progress: Progress,
    meet: Callable[[], None],
    check_chief: Callable[[], None],
) -> None:
    """Take part in all trainings of another process, the chief, which runs the same steps in the same workspace.

    Only the chief runs the other stages and writes results; a follower returns after the last training. Raises
    `BadInputError` if this process would train something else than the chief, `MachineError` if the chief has ended
    early or uses another workspace, and whatever `check_chief` raises if the chief cannot be reached.
    """
    try:
        keys = json.loads(store.announcement.read_bytes())
    except FileNotFoundError as error:
        if all(step.entry for step in _of_trainings(steps)):
            return  # there was nothing left to train, and the chief has ended
        raise MachineError(
            f"{store.announcement}: is not there: the chief has ended, or its workspace is another folder; should be "
            "one that all processes share"
        ) from error
    entries: dict[str, Entry] = {}
    progress.start([(step.stage.name, step.stage.share) for step in steps if step.stage.trains])
    for step in _of_trainings(steps):
        name, took_part = step.stage.name, False
        if keys.get(name) != step.key:
            machine = "machine, whose measured speed counts," if step.key_parts["machine"] else "kind of device"
            raise BadInputError(
                f"{name}: this process would make something else than the chief; settings, data, code, libraries and "
                f"{machine} should be the same for both"
            )
        made_from = {source: entries[source].output_digest for source in step.stage.sources}
        while name not in entries:
            chief_has_ended = not store.announcement.exists()  # before the store: the chief publishes, then ends
            entry, _ = store.find(name, step.key)
            if entry and entry.manifest["made_from"] == made_from:
                entries[name] = entry
            elif step.stage.trains and not took_part:
                start = time.perf_counter()
                progress.begin(name)
                meet()
                work = store.unfinished / f"{name}-{step.key}"
                context = context_of(step.stage, config.seed, work, store, progress, (), "")
                context = replace(context, is_chief=False, check_chief=check_chief)
                with tempfile.TemporaryDirectory() as out:
                    inputs = inputs_of(step.stage, entries)
                    step.stage.module.run(**step.settings, **inputs, out=Path(out), context=context)
                took_part = True
                progress.end(name, time.perf_counter() - start)
            elif chief_has_ended:
                raise MachineError(f"the chief has ended before {name} was finished; its own output says why")
            else:
                time.sleep(POLL_SECONDS)
                if store.announcement.exists():
                    check_chief()


def _of_trainings(steps: Sequence[Step]) -> list[Step]:
    """Return the steps that train and those whose results they use, directly or indirectly, in order."""
    needed: set[str] = set()
    for step in reversed(steps):
        if step.stage.trains or step.stage.name in needed:
            needed |= {step.stage.name, *step.stage.sources}
    return [step for step in steps if step.stage.name in needed]
