"""Digests of many files. While the size and times of a file stay the same, its digest is not computed again."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from compress.files import sha256_file
from compress.machine import available_cores
from compress.memo import recalled, remember

# A second change within one tick of the file system's clock leaves a file's times as they are. Digests of files that
# changed so recently are therefore not remembered.
YOUNG_NS = 2_000_000_000
SHA256 = 64  # hexadecimal digits; a text of another length is the reason why there is no digest

Known = dict[str, tuple[list[int], str]]  # by the name of a file: its stamp and its digest


def file_digests(files: Sequence[str | Path], memo: Path, max_bytes: int = sys.maxsize) -> list[str]:
    """Return the sha256 of each file in hexadecimal, or why there is none: unreadable, or larger than `max_bytes`.

    `memo` is a file that keeps digests from one call to the next. If it does not exist or cannot be read or written,
    the digests are computed without it.
    """
    known, names = recalled(memo, Known), [os.fspath(file) for file in files]
    stamps: dict[str, list[int]] = {}
    digests: dict[str, str] = {}
    for name in names:
        try:
            stamps[name] = _stamp(name, max_bytes)
        except (OSError, ValueError) as error:  # ValueError: from `_stamp`, or for a null character in the name
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
            remember(memo, Known, known | lasting)
    digests |= fresh
    return [digests[name] for name in names]


def _stamp(name: str, max_bytes: int) -> list[int]:
    """Return a file's size in bytes and the times, in ns, at which its content and its metadata last changed."""
    status = os.stat(name)  # noqa: PTH116  # Path.stat takes twice as long
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would block until its other end is opened
        raise ValueError("is not a regular file")
    if status.st_size > max_bytes:
        raise ValueError(f"has {status.st_size} bytes")
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _digest(name: str) -> str:
    try:
        return sha256_file(Path(name))
    except OSError as error:
        return str(error)
