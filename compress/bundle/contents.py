"""Reading untrusted bundles: never a file outside the bundle's folder, and none beyond a limit of size.

A link counts as the bundle's own file if the manifest has the sha256 of what it leads to: caches of hubs and mounted
volumes consist of links.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.errors import BadInputError
from compress.onnx_tools.kinds import check_kind
from compress.untrusted import read_file

MODEL, MANIFEST, LABELS, GOLDEN, SUMS = "model.onnx", "manifest.json", "labels.txt", "golden.npz", "SHA256SUMS"
TEACHER = "teacher.npz"  # what only training needs: a copy to serve from may leave it out
ANSWERS = "answers.npz"
GIT_ATTRIBUTES = ".gitattributes"
NAME = re.compile(r"((variants|plots)/)?[A-Za-z0-9_][A-Za-z0-9._-]{0,199}|\.gitattributes")  # of files in a bundle
MAX_BYTES = {MODEL: 2 << 30, GOLDEN: 1 << 30, TEACHER: 2 << 30}  # protobuf has no larger messages
MAX_BYTES_ELSE = 64 << 20


def read_part(folder: Path, name: str) -> bytes:
    """Return the bytes of a bundle's file.

    Raises `BadInputError` if `name` leads out of the folder, is not a regular file, too large a file or, clearly, a
    file of another kind, or is a link to other content than the manifest states. Nothing states the content of the
    manifest and of SHA256SUMS.
    """
    path = folder / name
    max_bytes = MAX_BYTES.get(MODEL if name.startswith("variants/") else name, MAX_BYTES_ELSE)
    if not NAME.fullmatch(name):
        raise BadInputError(f"{folder}: names a file {name!r}; should be a file of the bundle itself")
    content = read_file(path, max_bytes, f"{folder} should be a bundle, such as exported/NAME")
    is_linked = path.resolve() != folder.resolve() / name
    if is_linked and name not in (MANIFEST, SUMS) and not _is_listed(folder, name, content):
        raise BadInputError(f"{path}: is a link to content of another sha256 than {MANIFEST} states")
    if name.endswith(".onnx"):
        check_kind(content, str(path))
    return content


def _is_listed(folder: Path, name: str, content: bytes) -> bool:
    files = read_json(folder, MANIFEST).get("files")
    file = files.get(name) if isinstance(files, dict) else None
    return isinstance(file, dict) and file.get("sha256") == hashlib.sha256(content).hexdigest()


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
        return tuple(line.decode("utf-8") for line in read_part(folder, LABELS).splitlines())
    except UnicodeDecodeError as error:
        raise BadInputError(f"{folder / LABELS}: is not UTF-8") from error


def sums(digests: Mapping[str, str]) -> str:
    """Return the text that `sha256sum -c` reads, one line per file; `digests` is `{name: sha256}`."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
