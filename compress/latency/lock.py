"""One measurement at a time on a machine: two would disturb each other."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from compress.errors import LockedError, MachineError


@contextmanager
def machine_lock() -> Iterator[None]:
    """Be the only process on this machine that measures; raises `LockedError` if another one does."""
    file = Path(tempfile.gettempdir()) / "compress-latency.lock"
    lock = FileLock(file, mode=0o666)  # of all users: two users disturb each other as well
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
