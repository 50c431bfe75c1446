"""Reading files that somebody else wrote: regular ones only, up to a limit of size, and not what stands in for them."""

from __future__ import annotations

import stat
from pathlib import Path

from compress.errors import BadInputError

GIT_LFS = b"version https://git-lfs.github.com/spec/"
POINTER = "is a Git LFS pointer, not the file itself; `git lfs pull` fetches the file"


def read_file(path: Path, max_bytes: int, should: str) -> bytes:
    """Return a file's bytes.

    Raises `BadInputError` if it cannot be read, is not a regular file, has more than `max_bytes`, or is a pointer of
    Git LFS; `should` ends the message with what would be right.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadInputError(f"{path}: is not a regular file; {should}")
        if status.st_size > max_bytes:
            raise BadInputError(f"{path}: has {status.st_size:,} bytes, more than {max_bytes:,}; {should}")
        content = path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}; {should}") from error
    check_fetched(content, str(path))
    return content


def check_fetched(data: bytes, what: str) -> None:
    """Raise `BadInputError` if a file's bytes, or the first of them, are only Git LFS's pointer to it."""
    if data.startswith(GIT_LFS):
        raise BadInputError(f"{what}: {POINTER}")
