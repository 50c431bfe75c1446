"""Walks the pipeline: which stages are finished, and running those that are not. Knows no stage by name."""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import BaseModel

from compress import artifacts, fingerprint
from compress.context import POLL_SECONDS, Context, StageRecord
from compress.errors import BadInputError, CompressError, LockedError, MachineError, cannot_write
from compress.pipeline import Stage
from compress.progress import Progress
from compress.store import Entry, Store, sha256_json, write_file

SAMPLE_SECONDS = 0.1
KEPT_EVERY = 10  # samples


@dataclass(frozen=True)
class Step:
    """A stage in this run: its settings by parameter, its key and what that is made of, its entry or why to run."""

    stage: Stage
    settings: dict[str, BaseModel]
    key: str
    key_parts: dict[str, Any]
    entry: Entry | None
    why: str


def plan(pipeline: Sequence[Stage], config: Any, store: Store) -> list[Step]:
    """Return a step for each stage: hit where a verified entry with its key is in the store, else miss and why."""
    steps: dict[str, Step] = {}
    for stage in pipeline:
        settings = {parameter: getattr(config, section) for parameter, section in stage.sections.items()}
        input_keys = {parameter: steps[source].key for parameter, source in stage.inputs.items()}
        parts = _key_parts(stage, settings, config.seed, input_keys, store)
        key = sha256_json(parts)
        entry, damage = store.find(stage.name, key)
        why = "" if entry else damage or _what_changed(parts, store.newest_key_parts(stage.name))
        steps[stage.name] = Step(stage, settings, key, parts, entry, why)
    return list(steps.values())


def execute(
    steps: Sequence[Step],
    config: Any,
    config_toml: str,
    store: Store,
    progress: Progress,
    meet: Callable[[], None] | None = None,
) -> list[Entry]:
    """Run what is not finished, in order; return every stage's entry. A stage that fails leaves the earlier ones.

    A finished stage is run again where an input was made again and came out different, as latencies do. `meet` is
    called before each stage that trains, to wait for the processes that take part.
    """
    records: list[StageRecord] = []
    entries: dict[str, Entry] = {}
    progress.start([(step.stage.name, step.stage.share) for step in steps if not step.entry])
    for step in steps:
        name = step.stage.name
        made_from = {source: entries[source].output_digest for source in step.stage.inputs.values()}
        cached = step.entry is not None and step.entry.manifest["made_from"] == made_from
        if step.entry and cached:
            entries[name] = step.entry
        else:
            if step.why.endswith("does not verify"):
                progress.note(f"{name}: {step.why}; made again")
            progress.begin(name)
            work = store.work_folder(name, step.key, made_from)
            context = _context(step.stage, config.seed, work, store, progress, tuple(records), config_toml)
            entries[name] = _run(step, store, context, work, entries, made_from, meet)
            progress.end(name, entries[name].manifest["seconds"])
        manifest = entries[name].manifest
        records.append(StageRecord(name, step.key, cached, manifest["seconds"], manifest["peak_rss_bytes"]))
    return list(entries.values())


@contextmanager
def announced(steps: Sequence[Step], store: Store) -> Iterator[None]:
    """Let other processes know what this one, the chief, runs; they read it once they have met."""
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

    The other stages are the chief's; this returns with the last training. No result is written. Raises `BadInputError`
    where this process would train something else, `MachineError` where the chief has given up or has another workspace,
    and what `check_chief` raises where it is gone.
    """
    try:
        keys = json.loads(store.announcement.read_bytes())
    except FileNotFoundError as error:
        if all(step.entry for step in _of_trainings(steps)):
            return  # nothing was left to train, and the chief has ended
        raise MachineError(
            f"{store.announcement}: is not there: the chief has ended, or its workspace is another folder; should be "
            "one that all processes share"
        ) from error
    entries: dict[str, Entry] = {}
    progress.start([(step.stage.name, step.stage.share) for step in steps if step.stage.trains])
    for step in _of_trainings(steps):
        name, took_part = step.stage.name, False
        if keys.get(name) != step.key:
            raise BadInputError(
                f"{name}: this process would make something else than the chief: settings, data, code, libraries and "
                "kind of device should be the same"
            )
        made_from = {source: entries[source].output_digest for source in step.stage.inputs.values()}
        while name not in entries:
            chief_has_ended = not store.announcement.exists()  # asked first: it publishes before it ends
            entry, _ = store.find(name, step.key)
            if entry and entry.manifest["made_from"] == made_from:
                entries[name] = entry
            elif step.stage.trains and not took_part:
                start = time.perf_counter()
                progress.begin(name)
                meet()
                work = store.unfinished / f"{name}-{step.key}"
                context = _context(step.stage, config.seed, work, store, progress, (), "")
                context = replace(context, is_chief=False, check_chief=check_chief)
                with tempfile.TemporaryDirectory() as out:
                    inputs = _inputs(step.stage, entries)
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
    """Return the stages that train and those whose results these take, directly or not, in order."""
    needed: set[str] = set()
    for step in reversed(steps):
        if step.stage.trains or step.stage.name in needed:
            needed |= {step.stage.name, *step.stage.inputs.values()}
    return [step for step in steps if step.stage.name in needed]


def load_artifact(stage: Stage, entry: Entry) -> Any:
    """Return the artifact that a finished stage made."""
    return artifacts.from_json(stage.output_type, entry.manifest["artifact"], entry.folder)


@contextmanager
def locked(workspace: Path) -> Iterator[None]:
    """Hold the workspace; raises `LockedError` naming who has it, `BadInputError` if it is not writable."""
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


def _key_parts(
    stage: Stage, settings: dict[str, BaseModel], seed: int, input_keys: dict[str, str], store: Store
) -> dict[str, Any]:
    config = settings["config"]
    modules = [stage.module.__name__, *getattr(config, "plugin_modules", list)()]
    shared = {
        parameter: getattr(section, "key_settings", lambda section=section: section.model_dump(mode="json"))()
        for parameter, section in settings.items()
    }
    return {
        "inputs": input_keys,
        "config": shared.pop("config"),
        **shared,
        "code": fingerprint.code_digest(modules),
        "versions": fingerprint.library_versions(modules),
        "seed": seed,
        "device": fingerprint.device_class(),
        "outside": stage.fingerprint(config, store.memo) if stage.fingerprint else "",
    }


def _what_changed(parts: dict[str, Any], before: dict[str, Any] | None) -> str:
    """Return in words which parts of a key differ from those of the stage's newest entry."""
    if before is None:
        return "never made"
    changes = []
    for part, value in parts.items():
        old = before.get(part)
        if old == value:
            continue
        if isinstance(value, dict) and isinstance(old, dict) and part != "inputs":
            names = sorted(set(value) | set(old))
            changes += [f"{n} {old.get(n)} -> {value.get(n)}" for n in names if old.get(n) != value.get(n)]
        elif part == "inputs":
            changed = [n for n in value if not isinstance(old, dict) or old.get(n) != value[n]]
            changes.append(f"input {', '.join(changed)}")
        else:
            changes.append({"outside": "data or machine"}.get(part, part))
    return "changed: " + ", ".join(changes)


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
    with _measured(work / "taken.json") as taken:
        artifact = stage.module.run(**step.settings, **_inputs(stage, entries), out=work / "files", context=context)
    outside = step.key_parts["outside"]
    if stage.fingerprint and stage.fingerprint(step.settings["config"], store.memo) != outside:
        raise BadInputError(f"{stage.name}: what it reads has changed while it was read; start the run again")
    facts = {
        "key_parts": step.key_parts,
        "made_from": made_from,
        "artifact": artifacts.to_json(artifact, work / "files"),
        **taken,
    }
    return store.publish(stage.name, step.key, facts)


def _inputs(stage: Stage, entries: dict[str, Entry]) -> dict[str, Any]:
    return {
        parameter: artifacts.from_json(
            stage.input_type(parameter), entries[source].manifest["artifact"], entries[source].folder
        )
        for parameter, source in stage.inputs.items()
    }


def _context(
    stage: Stage,
    seed: int,
    work: Path,
    store: Store,
    progress: Progress,
    finished: tuple[StageRecord, ...],
    config_toml: str,
) -> Context:
    return Context(
        stage=stage.name,
        run_seed=seed,
        seed=_stage_seed(seed, stage.section),
        checkpoint=work / "checkpoint",
        logs=store.logs / work.name,
        progress=progress.update,
        note=progress.note,
        finished=finished,
        config_toml=config_toml,
    )


def _stage_seed(seed: int, section: str) -> int:
    """Return a seed of the section's own: stages draw the same batches only where they share their settings."""
    return int(sha256_json([seed, section])[:7], 16)


@contextmanager
def _measured(path: Path) -> Iterator[dict[str, Any]]:
    """Measure what runs inside: `seconds`, and `peak_rss_bytes`, the most memory that this process held meanwhile,
    with those that it has started.

    Both are kept in a file while it runs, so that a stage which was killed and goes on counts all its time. Memory is
    sampled, since the system's own high-water mark cannot be set back between two stages of one process.
    """
    import psutil

    try:
        before = json.loads(path.read_bytes())
    except (OSError, ValueError):
        before = {"seconds": 0.0, "peak_rss_bytes": 0}
    process, done, start = psutil.Process(), threading.Event(), time.perf_counter()
    gc.collect()
    taken = dict(before)
    children: list[psutil.Process] = []

    def sample() -> None:
        taken["seconds"] = round(before["seconds"] + time.perf_counter() - start, 3)
        held = process.memory_info().rss
        for child in children:
            with contextlib.suppress(psutil.Error):  # it has ended since
                held += child.memory_info().rss
        taken["peak_rss_bytes"] = max(taken["peak_rss_bytes"], held)

    def keep_sampling() -> None:
        for n in itertools.count():
            sample()
            if n % KEPT_EVERY == 0:
                children[:] = process.children(recursive=True)  # slow: asks for all processes of the machine
                with contextlib.suppress(OSError):  # a full disk is the stage's own to report
                    path.write_text(json.dumps(taken))
            if done.wait(SAMPLE_SECONDS):
                return

    thread = threading.Thread(target=keep_sampling, daemon=True)
    thread.start()
    try:
        yield taken
    finally:
        done.set()
        thread.join()
        sample()
