"""A finished bundle's way to exported/NAME."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from compress.artifacts import Bundle
from compress.errors import cannot_write
from compress.store import MANIFEST, list_files


def publish(bundle: Bundle, exported: Path) -> Path:
    """Bring a bundle to `exported/NAME` and return that folder; one that is there already and whole is left alone.

    The new folder takes the old one's place by renaming, so that a reader sees the one or the other.
    """
    target = exported / bundle.name
    if _is_whole(target, bundle):
        return target
    new, old = exported / f".{bundle.name}.new", exported / f".{bundle.name}.old"
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(bundle.folder, new)
    if target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    return target


def check_writable(exported: Path) -> None:
    """Raise `BadInputError` where bundles cannot be written (`MachineError` for a full disk): known before training."""
    try:
        exported.mkdir(parents=True, exist_ok=True)
        probe = exported / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise cannot_write(f"exported {exported}", error) from error


def _is_whole(target: Path, bundle: Bundle) -> bool:
    try:
        manifest = (target / MANIFEST).read_bytes()
        return manifest == (bundle.folder / MANIFEST).read_bytes() and json.loads(manifest)["files"] == list_files(
            target
        )
    except (OSError, ValueError, KeyError):
        return False
