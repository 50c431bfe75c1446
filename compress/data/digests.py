"""Digests of many files, taken once: of a file whose size and time are as they were, the digest is remembered."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from compress.fingerprint import available_cores
from compress.store import sha256_file, write_file

# A file changed twice within one tick of its file system's clock keeps its time: what is that young is not remembered
YOUNG_NS = 2_000_000_000


def file_digests(files: Sequence[Path], memo: Path) -> list[str]:
    """Return the sha256 of each file, in hexadecimal; of what cannot be read, the reason why.

    `memo` is a file in which digests are kept from one call to the next. It may be absent, and is only an aid: one that
    cannot be read or written is done without.
    """
    known = _read(memo)
    with ThreadPoolExecutor(available_cores()) as pool:
        entries = list(pool.map(lambda file: _entry(file, known.get(os.fspath(file))), files, chunksize=256))
    now = time.time_ns()
    fresh = {
        os.fspath(file): [stamp, digest]
        for file, (stamp, digest) in zip(files, entries, strict=True)
        if stamp and now - max(stamp[1:]) > YOUNG_NS
    }
    if any(known.get(name) != entry for name, entry in fresh.items()):
        with suppress(OSError):
            memo.parent.mkdir(parents=True, exist_ok=True)
            write_file(memo, json.dumps(known | fresh).encode())
    return [digest for _, digest in entries]


def _entry(file: Path, known: list | None) -> tuple[list[int], str]:
    """Return size and times of the last change of content and of anything, in ns, and the digest.

    What cannot be read has no size and times: it is not to be remembered.
    """
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for its other end
            return [], "is no regular file"
        stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        return stamp, known[1] if known and known[0] == stamp else sha256_file(file)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        return [], str(error)


def _read(memo: Path) -> dict[str, list]:
    try:
        return json.loads(memo.read_bytes())
    except (OSError, ValueError):
        return {}
