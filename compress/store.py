"""Content-addressed stage results on disk.

A finished stage is the folder `STAGE/KEY/`. Its manifest, written last, lists every file with size and sha256 and is
itself sealed by a digest. The folder is published by one rename, so that a reader sees all of it or nothing.

    WORKSPACE/store/STAGE/KEY/   finished: files and manifest.json
    WORKSPACE/work/STAGE-KEY/    unfinished: files/ (becomes the above), checkpoint/ (survives a kill), made_from.json
    WORKSPACE/logs/STAGE-KEY/    the course of a training: history.csv, TensorBoard's event files; not a result
    WORKSPACE/cluster/           what processes that train together tell one another
    WORKSPACE/recipes.json       what the recipe has seen and decided, by data and settings; may be deleted
    WORKSPACE/speeds.json        how long training steps take, by network and kind of machine; may be deleted
    WORKSPACE/budgets.json       what budgets of time have decided, by data and settings; may be deleted
    WORKSPACE/digests.json       digests of files that have not changed since; may be deleted
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.files import MANIFEST, list_files, sha256_file, sha256_json, write_file

INPUTS = "made_from.json"
KEY = re.compile(r"(.*-)?[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """A finished stage: its folder and the content of its manifest."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def output_digest(self) -> str:
        """The sha256 over what the stage made, artifact and files, without the time and memory that this took."""
        return sha256_json([self.manifest["artifact"], self.manifest["files"]])


class Store:
    """The finished and unfinished stages of one workspace."""

    def __init__(self, workspace: Path) -> None:
        self.finished = workspace / "store"
        self.unfinished = workspace / "work"
        self.logs = workspace / "logs"
        self.speeds = workspace / "speeds.json"
        self.recipes = workspace / "recipes.json"
        self.budgets = workspace / "budgets.json"
        self.memo = workspace / "digests.json"

    def find(self, stage: str, key: str) -> tuple[Entry | None, str]:
        """Return the verified entry, or None and a text that says what does not verify.

        The text is empty if there is no such entry.
        """
        folder = self.finished / stage / key
        if not folder.is_dir():
            return None, ""
        try:
            manifest = _read_manifest(folder)
            damaged = _first_damaged(folder, manifest["files"])
        except (OSError, ValueError, KeyError, TypeError):
            return None, f"{folder / MANIFEST} does not verify"
        if damaged:
            return None, f"{folder / damaged} does not verify"
        return Entry(folder, manifest), ""

    def newest_key_parts(self, stage: str) -> dict[str, Any] | None:
        """Return the parts of the key of the stage's newest entry, to see what has changed since; None without one."""
        folders = self.finished / stage
        if not folders.is_dir():
            return None
        for folder in sorted(folders.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True):
            try:
                return _read_manifest(folder)["key_parts"]
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return None

    def work_folder(self, stage: str, key: str, made_from: dict[str, str]) -> Path:
        """Return the folder in which a stage works until it is finished.

        Its `files/` is empty; its `checkpoint/` may hold that of an interrupted run. `made_from` holds the digests of
        the stage's inputs: if they have been made again with other content, the checkpoint is deleted.
        """
        folder = self.unfinished / f"{stage}-{key}"
        inputs = json.dumps(made_from, sort_keys=True).encode()
        try:
            same = (folder / INPUTS).read_bytes() == inputs
        except OSError:
            same = False
        shutil.rmtree(folder / "files" if same else folder, ignore_errors=True)
        (folder / "files").mkdir(parents=True)
        (folder / "checkpoint").mkdir(exist_ok=True)
        write_file(folder / INPUTS, inputs)
        return folder

    def publish(self, stage: str, key: str, facts: dict[str, Any]) -> Entry:
        """Seal the stage's `files/` with a manifest of `facts` and move it into place by one rename."""
        work = self.unfinished / f"{stage}-{key}"
        manifest = {**facts, "stage": stage, "key": key, "files": list_files(work / "files")}
        manifest["digest"] = sha256_json(manifest)
        write_file(work / "files" / MANIFEST, json.dumps(manifest, indent=1).encode())
        folder = self.finished / stage / key
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():  # an entry that did not verify
            shutil.rmtree(folder)
        (work / "files").rename(folder)
        shutil.rmtree(work)
        return Entry(folder, manifest)

    def clean(self, keep: set[tuple[str, str]]) -> int:
        """Delete every entry, finished or not, that is not in `keep` (stage, key); return the bytes freed.

        Of a kept key everything stays: beside a finished result, a checkpoint is of one that is being made again.
        """
        kept = {self.finished / stage / key for stage, key in keep}
        kept |= {folder / f"{stage}-{key}" for stage, key in keep for folder in (self.unfinished, self.logs)}
        found = {*self.finished.glob("*/*"), *self.unfinished.glob("*"), *self.logs.glob("*")}
        doomed = {folder for folder in found - kept if folder.is_dir() and KEY.fullmatch(folder.name)}
        freed = sum(path.stat().st_size for folder in doomed for path in folder.rglob("*") if path.is_file())
        for folder in doomed:
            shutil.rmtree(folder)
        return freed


def _read_manifest(folder: Path) -> dict[str, Any]:
    manifest = json.loads((folder / MANIFEST).read_bytes())
    digest = manifest.pop("digest")
    if digest != sha256_json(manifest):
        raise ValueError("digest")
    return manifest


def _first_damaged(folder: Path, files: dict[str, dict[str, Any]]) -> str | None:
    for name, facts in files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != facts["size"] or sha256_file(path) != facts["sha256"]:
            return name
    return None
