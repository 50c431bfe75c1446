"""Files and folders: digests, and atomic writes, after which a reader sees either the old content or the new."""

from __future__ import annotations

import codecs
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

MANIFEST = "manifest.json"  # lists the other files of its folder
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # fcntl.h and stdio.h of Linux


BYTE_ORDER_MARKS = {  # the encoding that each says; UTF-32's begins as UTF-16's does
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def decoded(data: bytes) -> str:
    """Return a file's text in the encoding that its byte order mark says, else UTF-8; raises `UnicodeDecodeError`."""
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding)
    return data.decode("utf-8")


def home_expanded(path: str) -> str:
    """Return a path of the settings with `~` as the home folder, which no shell has expanded there.

    Raises `ValueError` for the home of a user that there is not, and for an environment variable.
    """
    found = os.path.expanduser(path)  # noqa: PTH111  # pathlib would change the path, and `x/` is not `x` everywhere
    if found.startswith("~"):
        raise ValueError(f"there is no user {found.partition('/')[0][1:]!r}; a file of that name is ./{path}")
    if found.startswith("$"):
        raise ValueError(f"environment variables are not expanded; a file of that name is ./{path}")
    return found


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
    """Return `{relative path: {"size": bytes, "sha256": hex}}` of every file below a folder except its manifest."""
    return {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": sha256_file(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / MANIFEST
    }


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing; the new content takes the place of the old in one step, once it is complete."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def write_file(path: Path, data: bytes) -> None:
    """Write a file completely or not at all."""
    with replacing(path) as stream:
        stream.write(data)


def put_in_place(new: Path, target: Path) -> None:
    """Move a folder to `target`; a folder that is already there is replaced and deleted.

    On Linux the two folders are swapped in one step (renameat2, Linux 3.15, 2014), so that `target` exists at any
    moment. If the system or file system does not support that, `target` is missing for a moment between two renames.
    """
    old = target.with_name(f".{target.name}.old")
    _delete(old)  # left over if an earlier call was killed
    if not os.path.lexists(target):
        new.rename(target)
    elif _exchanged(new, target):
        new.rename(old)
    else:
        target.rename(old)
        new.rename(target)
    _delete(old)


def _delete(path: Path) -> None:
    if path.is_symlink():  # delete the link, not its target
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def _exchanged(first: Path, second: Path) -> bool:
    """Try to swap two paths in one step; return whether that worked."""
    if sys.platform != "linux":
        return False
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)  # in glibc since 2.28
    return (
        renameat2 is not None
        and renameat2(AT_FDCWD, os.fsencode(first), AT_FDCWD, os.fsencode(second), RENAME_EXCHANGE) == 0
    )
