"""One folder in the place of another, at once."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from pathlib import Path

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # fcntl.h and stdio.h of Linux


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
