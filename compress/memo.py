"""What a workspace remembers: a JSON file of what took long to find out, and can be found out again without it."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from compress.files import write_file

T = TypeVar("T")


def recalled(file: Path, kind: type[T]) -> T:
    """Return what the file holds, a value of type `kind`; an empty one if it cannot be read as such."""
    try:
        return TypeAdapter(kind).validate_json(file.read_bytes())
    except (OSError, ValueError):
        return kind()


def remember(file: Path, kind: type[T], value: T) -> None:
    """Write a value of type `kind` in place of what the file holds, completely or not at all; raises `OSError`.

    A text that UTF-8 cannot encode, such as the name of a file in another encoding, is not recalled as it was.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    write_file(file, TypeAdapter(kind).dump_json(value))
