"""The streams that commands print to: encodings that lack a character, and readers that stop reading."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

STANDARD_OUTPUT, STANDARD_ERROR = "standard output", "standard error"


class ClosedPipeError(BaseException):
    """Raised when nobody reads what is printed any more, as after `| head -1`.

    It is no `OSError`, because libraries end the program with exit code 1 for a broken pipe, whichever it is.
    """

    exit_code = 141  # what a shell gives for a program that SIGPIPE ended


class _Stream:
    """A text stream whose broken pipe is a `ClosedPipeError`, and that goes nowhere once it cannot be written to.

    The error of a write names the stream, and is raised again by the next flush: argparse catches the first. Of
    standard error's errors nobody could be told.
    """

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self._error: OSError | None = None

    def write(self, text: str) -> int:
        try:
            with self._failing():
                return self._stream.write(text)
        except OSError as error:
            self._error = error
            raise
        return len(text)

    def flush(self) -> None:
        error, self._error = self._error, None
        if error:
            raise error
        with self._failing():
            self._stream.flush()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError as error:
            raise ClosedPipeError from error
        except OSError as error:  # a full disk
            _discard((self._stream,))
            if self._name != STANDARD_ERROR:
                error.filename = self._name
                raise

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
    sys.stdout, sys.stderr = (
        cast(TextIO, _Stream(stream, name)) if stream else stream
        for stream, name in zip(streams, (STANDARD_OUTPUT, STANDARD_ERROR), strict=True)
    )
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
