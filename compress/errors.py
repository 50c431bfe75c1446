"""The errors that a user sees as one line. Each knows its exit code."""

from __future__ import annotations

import errno


class CompressError(Exception):
    """A run that ends for a known reason; its text is the one line that the user reads."""

    exit_code = 1
    starts_again = False  # whether the same command, run again, goes on once others are there


class BadInputError(CompressError):
    """A user's mistake: the text names what is wrong, where, and what would be right."""

    exit_code = 2


class MachineError(CompressError):
    """The machine cannot do it: disk full, no such provider."""

    exit_code = 4


class LockedError(CompressError):
    """Another run holds the workspace."""

    exit_code = 5


def cannot_write(what: str, error: OSError) -> CompressError:
    """Return the error for what could not be written: `MachineError` where the disk is full, else `BadInputError`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return MachineError(f"{what}: the disk is full; free some space and run the same command again")
    return BadInputError(f"{what}: cannot be written: {error.strerror}")


def first_line(error: BaseException) -> str:
    """Return what another library's error says, cut to a line; the name of its kind where it says nothing."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
