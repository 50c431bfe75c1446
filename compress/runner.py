"""Planning and running the pipeline: finds the finished stages and runs the others. Knows no stage by name."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from filelock import FileLock, Timeout
from pydantic import BaseModel

from compress import artifacts, keys
from compress.context import Context, Settings, StageRecord, stage_seed
from compress.errors import BadInputError, LockedError, cannot_write
from compress.files import sha256_json, write_file
from compress.pipeline import Stage
from compress.progress import Progress
from compress.store import Entry, Store
from compress.usage import measured

NOTHING: Mapping[str, Mapping[str, BaseModel]] = MappingProxyType({})


@dataclass(frozen=True)
class Step:
    """A stage in this run: its settings by parameter, its key and the key's parts, its entry or why it must run."""

    stage: Stage
    settings: dict[str, BaseModel]
    key: str
    key_parts: dict[str, Any]
    entry: Entry | None
    why: str


@dataclass
class Finished:
    """What a run has finished so far: the entries by stage, and for the report a record of each."""

    entries: dict[str, Entry] = field(default_factory=dict)
    records: list[StageRecord] = field(default_factory=list)


def plan(
    pipeline: Sequence[Stage], config: Any, store: Store, settled: Mapping[str, Mapping[str, BaseModel]] = NOTHING
) -> list[Step]:
    """Return a step for each stage, with its entry if the store has a verified one, otherwise with a reason to run.

    `settled` are settings of single stages, by parameter, in place of those of the config.
    """
    steps: dict[str, Step] = {}
    for stage in pipeline:
        settings = stage.settings(config, settled.get(stage.name, {}))
        input_keys = {name: [[source, steps[source].key] for source in made] for name, made in stage.inputs.items()}
        parts = keys.parts_of(stage, settings, config.seed, input_keys, store)
        key = sha256_json(parts)
        entry, damage = store.find(stage.name, key)
        why = "" if entry else damage or keys.what_changed(parts, store.newest_key_parts(stage.name))
        steps[stage.name] = Step(stage, settings, key, parts, entry, why)
    return list(steps.values())


def execute(
    steps: Sequence[Step],
    config: Any,
    settings: Settings,
    store: Store,
    progress: Progress,
    meet: Callable[[], None] | None = None,
    finished: Finished | None = None,
) -> list[Entry]:
    """Run the unfinished stages in order; return every stage's entry. If a stage fails, the earlier ones stay finished.

    A finished stage is run again if one of its inputs was made again and came out different, as latencies do. `meet` is
    called before each stage that trains, to wait for the other processes that take part. `finished` is what an earlier
    call of the same run has done; it is brought up to date.
    """
    finished = finished or Finished()
    entries, records = finished.entries, finished.records
    for step in steps:
        name = step.stage.name
        if name in entries:
            continue
        made_from = {source: entries[source].output_digest for source in step.stage.sources}
        cached = step.entry is not None and step.entry.manifest["made_from"] == made_from
        if step.entry and cached:
            entries[name] = step.entry
        else:
            if step.why.endswith("does not verify"):
                progress.note(f"{name}: {step.why}; made again")
            progress.begin(name)
            work = store.work_folder(name, step.key, made_from)
            context = context_of(step.stage, config.seed, work, store, progress, tuple(records), settings)
            entries[name] = _run(step, store, context, work, entries, made_from, meet)
            progress.end(name, entries[name].manifest["seconds"])
        manifest = entries[name].manifest
        records.append(StageRecord(name, step.key, cached, manifest["seconds"], manifest["peak_rss_bytes"]))
    return list(entries.values())


def load_artifact(stage: Stage, entry: Entry) -> Any:
    """Return the artifact that a finished stage made."""
    return artifacts.from_json(stage.output_type, entry.manifest["artifact"], entry.folder)


@contextmanager
def locked(workspace: Path) -> Iterator[None]:
    """Hold the workspace's lock.

    Raises `LockedError`, which names the process that holds it, and `BadInputError` if the workspace is not writable.
    """
    holder = workspace / "lock.json"
    lock = FileLock(workspace / "lock")
    try:
        workspace.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise LockedError(f"{workspace}: another run holds this workspace: process {_holder(holder)}") from error
    except OSError as error:
        raise cannot_write(f"workspace {workspace}", error) from error
    try:
        write_file(holder, json.dumps({"pid": os.getpid()}).encode())
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _holder(path: Path) -> str:
    try:
        return str(json.loads(path.read_bytes())["pid"])
    except (OSError, ValueError, KeyError):
        return "unknown (it has only just started)"


def _run(
    step: Step,
    store: Store,
    context: Context,
    work: Path,
    entries: dict[str, Entry],
    made_from: dict[str, str],
    meet: Callable[[], None] | None,
) -> Entry:
    stage = step.stage
    if meet and stage.trains:
        meet()
    with measured(work / "taken.json") as usage:
        artifact = stage.module.run(**step.settings, **inputs_of(stage, entries), out=work / "files", context=context)
    outside = step.key_parts["outside"]
    if stage.fingerprint and stage.fingerprint(step.settings.get("config"), store.memo) != outside:
        raise BadInputError(f"{stage.name}: what it reads has changed while it was read; start the run again")
    facts = {
        "key_parts": step.key_parts,
        "made_from": made_from,
        "artifact": artifacts.to_json(artifact, work / "files"),
        **usage,
    }
    return store.publish(stage.name, step.key, facts)


def inputs_of(stage: Stage, entries: dict[str, Entry]) -> dict[str, Any]:
    """Return the artifacts that a stage takes, by parameter; `entries` are the finished stages by name."""
    inputs: dict[str, Any] = {}
    for parameter, sources in stage.inputs.items():
        kind = stage.input_type(parameter)
        made = [artifacts.from_json(kind, entries[name].manifest["artifact"], entries[name].folder) for name in sources]
        inputs[parameter] = tuple(made) if stage.gathers(parameter) else made[0]
    return inputs


def context_of(
    stage: Stage,
    seed: int,
    work: Path,
    store: Store,
    progress: Progress,
    finished: tuple[StageRecord, ...],
    settings: Settings,
) -> Context:
    """Return the context of a stage that works in the folder `work`, after the stages in `finished`."""
    return Context(
        stage=stage.name,
        run_seed=seed,
        seed=stage_seed(seed, stage.section),
        checkpoint=work / "checkpoint",
        logs=store.logs / work.name,
        progress=progress.update,
        note=progress.note,
        product=stage.product,
        finished=finished,
        settings=settings,
    )
