"""The streams that commands print to: encodings that lack a character, and readers that stop reading."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast


class ClosedPipeError(BaseException):
    """Raised when nobody reads what is printed any more, as after `| head -1`.

    It is no `OSError`, because libraries end the program with exit code 1 for a broken pipe, whichever it is.
    """

    exit_code = 141  # what a shell gives for a program that SIGPIPE ended


class _Stream:
    """A text stream whose broken pipe is a `ClosedPipeError`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError as error:
            raise ClosedPipeError from error

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError as error:
            raise ClosedPipeError from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def guarded_output() -> Iterator[None]:
    """Print what an output's encoding lacks as backslashes, and raise `ClosedPipeError` if the output is closed."""
    streams = sys.stdout, sys.stderr
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Either is None if its file descriptor is closed; print() leaves it at that
    sys.stdout, sys.stderr = (cast(TextIO, _Stream(stream)) if stream else stream for stream in streams)
    try:
        try:
            yield
        finally:
            for stream in (sys.stdout, sys.stderr):
                if stream:
                    stream.flush()
    except ClosedPipeError:
        _discard(streams)
        raise
    finally:
        sys.stdout, sys.stderr = streams


def _discard(streams: tuple[TextIO | None, ...]) -> None:
    """Send what is still buffered nowhere, so that Python's own flush at its end does not fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        if stream:
            try:
                os.dup2(nowhere, stream.fileno())
            except (OSError, ValueError):  # it has no file descriptor, or is closed
                continue
    os.close(nowhere)
