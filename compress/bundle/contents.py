"""Reading untrusted bundles: never a file outside the bundle's folder, and none beyond a limit of size."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.errors import BadInputError
from compress.onnx_tools.kinds import check_fetched, check_kind

MODEL, MANIFEST, LABELS, GOLDEN, SUMS = "model.onnx", "manifest.json", "labels.txt", "golden.npz", "SHA256SUMS"
NAME = re.compile(r"(variants/)?[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")  # of files in a bundle
MAX_BYTES = {MODEL: 2 << 30, GOLDEN: 1 << 30}  # protobuf has no larger messages
MAX_BYTES_ELSE = 64 << 20


def read_part(folder: Path, name: str) -> bytes:
    """Return the bytes of a bundle's file.

    Raises `BadInputError` if `name` leads out of the folder or is a link, not a regular file, too large a file or,
    clearly, a file of another kind.
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
            raise BadInputError(f"{path}: is not a regular file")
        if status.st_size > max_bytes:
            raise BadInputError(f"{path}: has {status.st_size:,} bytes; should have {max_bytes:,} at most")
        content = path.read_bytes()
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a loop, up to Python 3.12
        why = getattr(error, "strerror", None) or error
        raise BadInputError(f"{path}: {why}; {folder} should be a bundle, such as exported/NAME") from error
    check = check_kind if name.endswith(".onnx") else check_fetched
    check(content, str(path))
    return content


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Return the object in a bundle's JSON file.

    Raises `BadInputError` like `read_part`, and if the file does not hold a JSON object.
    """
    try:
        value = json.loads(read_part(folder, name))
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{folder / name}: is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadInputError(f"{folder / name}: is not a JSON object")
    return value


def read_labels(folder: Path) -> tuple[str, ...]:
    """Return the classes in order; raises `BadInputError` like `read_part`, and if the file is not UTF-8."""
    try:
        return tuple(read_part(folder, LABELS).decode("utf-8").splitlines())
    except UnicodeDecodeError as error:
        raise BadInputError(f"{folder / LABELS}: is not UTF-8") from error


def sums(digests: Mapping[str, str]) -> str:
    """Return the text that `sha256sum -c` reads, one line per file; `digests` is `{name: sha256}`."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
