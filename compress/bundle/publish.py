"""Publishing a finished bundle to exported/NAME."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from compress.artifacts import Bundle
from compress.bundle.contents import SUMS, TEACHER
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


def check_stays(weights: Path, exported: Path, name: str) -> None:
    """Raise `BadInputError` if `weights` are the teacher's in exported/NAME, where a bundle without them would go."""
    kept = exported / name / TEACHER
    if weights.resolve() == kept.resolve():
        raise BadInputError(
            f"deploy.keep_teacher = false: the new bundle would take the place of {kept}, which teacher.weights names; "
            "should be true, or deploy.name another"
        )


def publish(bundle: Bundle, exported: Path) -> Path:
    """Copy a bundle to `exported/NAME` and return that folder; if the same bundle is there already, change nothing.

    The new folder is written beside the old one and takes its place in one step, so that no reader sees half a bundle.
    Files in the old folder that its manifest does not list are a user's own, and move along. Raises what
    `check_writable` raises, and `BadInputError` if the new bundle has a file of the same name.
    """
    check_writable(exported, bundle.name)
    target = exported / bundle.name
    if _is_whole(target, bundle):
        return target
    new = exported / f".{bundle.name}.new"
    shutil.rmtree(new, ignore_errors=True)  # left over if an earlier call was stopped
    for name in [*list_files(bundle.folder), MANIFEST]:
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle.folder / name, new / name)
    _keep_what_users_added(target, new)
    put_in_place(new, target)
    return target


def _keep_what_users_added(old: Path, new: Path) -> None:
    """Copy into `new` whatever in `old` its manifest does not list, links as links, empty folders too."""
    try:
        listed = {*json.loads((old / MANIFEST).read_bytes())["files"], MANIFEST, SUMS}
    except (OSError, ValueError, KeyError, TypeError):  # a damaged manifest tells nothing: only our own names go
        listed = {*list_files(new), MANIFEST}
    for path in sorted(old.rglob("*")):
        name = path.relative_to(old)
        is_folder = path.is_dir() and not path.is_symlink()
        if name.as_posix() in listed or (is_folder and (new / name).is_dir()):
            continue
        if os.path.lexists(new / name):
            raise BadInputError(f"{path}: is not of the bundle and would be overwritten; move it away")
        if is_folder:
            (new / name).mkdir()
        else:
            shutil.copy2(path, new / name, follow_symlinks=False)


def _is_whole(target: Path, bundle: Bundle) -> bool:
    if not target.exists() or (target / MANIFEST).read_bytes() != (bundle.folder / MANIFEST).read_bytes():
        return False
    listed = json.loads((bundle.folder / MANIFEST).read_bytes())["files"]
    return list_files(target).items() >= listed.items()  # files that a user has added do no harm
