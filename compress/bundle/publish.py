"""Publishing a finished bundle to exported/NAME."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from compress.artifacts import Bundle
from compress.errors import BadInputError, cannot_write
from compress.files import MANIFEST, list_files, put_in_place


def check_writable(exported: Path, name: str) -> None:
    """Raise `BadInputError` if a bundle could not be written to `exported/NAME`, so that this shows before training.

    Whatever is there and is not a bundle is never replaced: it belongs to somebody. Raises `MachineError` if the disk
    is full.
    """
    target = exported / name
    if target.exists() and not all((target / name).is_file() for name in ("model.onnx", MANIFEST)):
        raise BadInputError(
            f"{target}: is there already and is not a bundle; deploy.name should be another, or move it away"
        )
    try:
        exported.mkdir(parents=True, exist_ok=True)
        probe = exported / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise cannot_write(f"exported {exported}", error) from error


def publish(bundle: Bundle, exported: Path) -> Path:
    """Copy a bundle to `exported/NAME` and return that folder; if the same bundle is there already, change nothing.

    The new folder is written beside the old one and takes its place in one step, so that no reader sees half a bundle.
    Raises what `check_writable` raises.
    """
    check_writable(exported, bundle.name)
    target = exported / bundle.name
    if _is_whole(target, bundle):
        return target
    new = exported / f".{bundle.name}.new"
    shutil.rmtree(new, ignore_errors=True)
    for name in [*list_files(bundle.folder), MANIFEST]:
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle.folder / name, new / name)
    put_in_place(new, target)
    return target


def _is_whole(target: Path, bundle: Bundle) -> bool:
    if not target.exists() or (target / MANIFEST).read_bytes() != (bundle.folder / MANIFEST).read_bytes():
        return False
    listed = json.loads((bundle.folder / MANIFEST).read_bytes())["files"]
    return list_files(target).items() >= listed.items()  # files that a user has added do no harm
