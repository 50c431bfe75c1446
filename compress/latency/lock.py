"""A lock that allows one measurement at a time on a machine: two would disturb each other."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from compress.errors import LockedError, MachineError


@contextmanager
def machine_lock() -> Iterator[None]:
    """Hold the machine's measuring lock; raises `LockedError` if another process holds it."""
    file = Path(tempfile.gettempdir()) / "compress-latency.lock"
    lock = FileLock(file, mode=0o666)  # shared by all users, whose measurements would disturb each other too
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise LockedError(f"{file}: another check or bench is measuring on this machine; wait for it") from error
    except OSError as error:
        raise MachineError(f"{file}: cannot be locked: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()
