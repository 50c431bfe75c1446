"""Digests of many files, taken once: of a file whose size and time are as they were, the digest is remembered."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from pydantic import TypeAdapter

from compress.files import sha256_file, write_file
from compress.machine import available_cores

# A file changed twice within one tick of its file system's clock keeps its time: what is that young is not remembered
YOUNG_NS = 2_000_000_000
SHA256 = 64  # digits; anything else is a reason


def file_digests(files: Sequence[str | Path], memo: Path, max_bytes: int = sys.maxsize) -> list[str]:
    """Return the sha256 of each file, in hexadecimal; of what cannot be read or is larger than `max_bytes`, why not.

    `memo` is a file in which digests are kept from one call to the next. It may be absent, and is only an aid: one that
    cannot be read or written is done without.
    """
    known, names = _read(memo), [os.fspath(file) for file in files]
    stamps: dict[str, list[int]] = {}
    digests: dict[str, str] = {}
    for name in names:
        try:
            stamps[name] = _stamp(name, max_bytes)
        except (OSError, ValueError) as error:  # ValueError: ours, and for a null character in the name
            digests[name] = str(error)
    digests |= {name: known[name][1] for name, stamp in stamps.items() if name in known and known[name][0] == stamp}
    unknown = [name for name in stamps if name not in digests]
    with ThreadPoolExecutor(available_cores()) as pool:
        fresh = dict(zip(unknown, pool.map(_digest, unknown), strict=True))
    now = time.time_ns()
    lasting = {
        name: (stamps[name], digest)
        for name, digest in fresh.items()
        if len(digest) == SHA256 and now - max(stamps[name][1:]) > YOUNG_NS
    }
    if lasting:
        with suppress(OSError):
            memo.parent.mkdir(parents=True, exist_ok=True)
            write_file(memo, json.dumps(known | lasting).encode())
    digests |= fresh
    return [digests[name] for name in names]


def _stamp(name: str, max_bytes: int) -> list[int]:
    """Return a file's size and the times of the last change of its content and of anything, in ns."""
    status = os.stat(name)  # noqa: PTH116  # a Path would take as long again
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for its other end
        raise ValueError("is no regular file")
    if status.st_size > max_bytes:
        raise ValueError(f"has {status.st_size} bytes")
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _digest(name: str) -> str:
    try:
        return sha256_file(Path(name))
    except OSError as error:
        return str(error)


def _read(memo: Path) -> dict[str, tuple[list[int], str]]:
    try:
        return TypeAdapter(dict[str, tuple[list[int], str]]).validate_json(memo.read_bytes())
    except (OSError, ValueError):
        return {}
