"""Files and folders: their digests, and writing them so that a reader sees the old content or the new, never half."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

MANIFEST = "manifest.json"  # lists the files of a folder, itself left out
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # fcntl.h and stdio.h of Linux


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256_json(value: Any) -> str:
    """Return the sha256 of a JSON value, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def list_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Return `{relative path: {"size": bytes, "sha256": hex}}` of every file below a folder, manifest left out."""
    return {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": sha256_file(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / MANIFEST
    }


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing so that a reader sees the old content or the new, never half."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as stream:
        stream.write(data)


def put_in_place(new: Path, target: Path) -> None:
    """Let a folder take the place of the one at `target`, if there is one, which is deleted.

    On Linux the two change places in one step (renameat2, Linux 3.15, 2014), so that at any moment one of them is
    there. Where the system or its file system cannot do that, two renames leave a moment in which none is.
    """
    old = target.with_name(f".{target.name}.old")
    _delete(old)  # of a call that was killed
    if not os.path.lexists(target):
        new.rename(target)
    elif _exchanged(new, target):
        new.rename(old)
    else:
        target.rename(old)
        new.rename(target)
    _delete(old)


def _delete(path: Path) -> None:
    if path.is_symlink():  # and not what it leads to
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def _exchanged(one: Path, other: Path) -> bool:
    """Try to let two paths change places in one step; return whether they have."""
    if sys.platform != "linux":
        return False
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)  # in glibc since 2.28
    return (
        renameat2 is not None
        and renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0
    )
