"""Reading a bundle that may come from anywhere: nothing outside of its folder, and no more than a file may hold."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.errors import BadInputError

MODEL, MANIFEST, LABELS, GOLDEN, SUMS = "model.onnx", "manifest.json", "labels.txt", "golden.npz", "SHA256SUMS"
NAME = re.compile(r"(variants/)?[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")  # of a file in a bundle
MAX_BYTES = {MODEL: 2 << 30, GOLDEN: 1 << 30}  # protobuf has no larger messages
MAX_BYTES_ELSE = 64 << 20


def read_part(folder: Path, name: str) -> bytes:
    """Return the bytes of a bundle's file.

    Raises `BadInputError` for a name that leads elsewhere, a link, what is no regular file, and one that is too large.
    """
    path = folder / name
    max_bytes = MAX_BYTES.get(MODEL if name.startswith("variants/") else name, MAX_BYTES_ELSE)
    if not NAME.fullmatch(name):
        raise BadInputError(f"{folder}: names a file {name!r}; should be a file of the bundle itself")
    try:
        if path.resolve() != folder.resolve() / name:
            raise BadInputError(f"{path}: is a link; a bundle should hold its files itself")
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadInputError(f"{path}: is no regular file")
        if status.st_size > max_bytes:
            raise BadInputError(f"{path}: has {status.st_size:,} bytes; should have {max_bytes:,} at most")
        return path.read_bytes()
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, up to Python 3.12
        why = getattr(error, "strerror", None) or error
        raise BadInputError(f"{path}: {why}; {folder} should be a bundle, such as exported/NAME") from error


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Return a bundle's JSON file, an object; raises `BadInputError` as `read_part`, and for what is none."""
    try:
        value = json.loads(read_part(folder, name))
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{folder / name}: is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadInputError(f"{folder / name}: holds no object")
    return value


def read_labels(folder: Path) -> tuple[str, ...]:
    """Return the classes in order; raises `BadInputError` as `read_part`, and for what is no UTF-8."""
    try:
        return tuple(read_part(folder, LABELS).decode("utf-8").splitlines())
    except UnicodeDecodeError as error:
        raise BadInputError(f"{folder / LABELS}: is no UTF-8") from error


def sums(digests: Mapping[str, str]) -> str:
    """Return what `sha256sum -c` checks: a line for each file, of `{name: sha256}`."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
