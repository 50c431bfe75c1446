"""The errors that a user sees as one line, each with its exit code."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

CRASHED = 70  # the exit code of an error that nobody foresaw: EX_SOFTWARE of sysexits.h


class CompressError(Exception):
    """A run that ends for a known reason; its text is the one line that the user reads."""

    exit_code = 1
    starts_again = False  # whether the command restarts by itself and continues once the other processes are back


class BadInputError(CompressError):
    """A user's mistake: the text names what is wrong, where, and what would be right."""

    exit_code = 2


class MachineError(CompressError):
    """The machine cannot do what the command needs: the disk is full, an execution provider is missing."""

    exit_code = 4


class LockedError(CompressError):
    """Another run holds the workspace."""

    exit_code = 5


@contextmanager
def naming(key: str) -> Iterator[None]:
    """Let the text of a `BadInputError` begin with the key of the setting that it is about."""
    try:
        yield
    except BadInputError as error:
        raise BadInputError(f"{key}: {error}") from error


def cannot_write(what: str, error: OSError) -> CompressError:
    """Return the error for a failed write of `what`: `MachineError` if the disk is full, otherwise `BadInputError`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return MachineError(f"{what}: the disk is full; free some space and run the same command again")
    return BadInputError(f"{what}: cannot be written: {error.strerror}")


def first_line(error: BaseException) -> str:
    """Return the first line of another library's error message; the name of the error's type if it has no message."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
