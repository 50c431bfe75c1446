"""What a model is compared with: an ONNX file, a bundle, or a folder of baselines.

A folder of baselines holds the ONNX files, each named by its sha256, and an index of which one belongs to which model:

    baselines.json   {"NAME": "SHA256"}
    SHA256.onnx
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compress.errors import BadInputError, cannot_write
from compress.files import sha256_file, write_file
from compress.latency.model_files import MODEL, name_and_file

INDEX = "baselines.json"


def named(candidates: Sequence[Path]) -> list[tuple[str, Path]]:
    """Return the name and the file of each candidate; raises `BadInputError` if two have the same name."""
    found = [name_and_file(candidate) for candidate in candidates]
    names = [name for name, _ in found]
    for name in names:
        if names.count(name) > 1:
            raise BadInputError(f"{name}: two models have this name; each should have its own")
    return found


def find(baseline: Path, name: str) -> Path:
    """Return the file that the model `name` is compared with.

    Raises `BadInputError` if there is no such file, or if its sha256 is not the one in the folder's index.
    """
    if not baseline.is_dir() or (baseline / MODEL).exists():
        return name_and_file(baseline)[1]
    index = _read(baseline)
    if name not in index:
        known = ", ".join(index) or "nothing"
        raise BadInputError(f"{baseline / INDEX}: has no {name}, only {known}; --update adds the model as it is now")
    file = _file(baseline, index[name])
    if not file.is_file():
        raise BadInputError(f"{file}: no such file, the baseline of {name}; restore it, or replace it with --update")
    if sha256_file(file) != index[name]:
        raise BadInputError(f"{file}: its sha256 is another; restore the file, or replace it with --update")
    return file


def update(folder: Path, name: str, file: Path) -> str:
    """Make a file the baseline of `name` in a folder of baselines; return its sha256.

    The previous file is deleted unless it is still another model's baseline. Raises `BadInputError` if `folder` is a
    file or a bundle.
    """
    if folder.is_file() or (folder / MODEL).exists():
        raise BadInputError(f"--update: --baseline {folder} should be a folder of baselines")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        index = _read(folder) if (folder / INDEX).exists() or any(folder.glob("*.onnx")) else {}
        before, digest = index.get(name), sha256_file(file)
        if before != digest or not _file(folder, digest).exists():
            shutil.copyfile(file, _file(folder, digest))
        index[name] = digest
        write_file(folder / INDEX, (json.dumps(dict(sorted(index.items())), indent=2) + "\n").encode())
        if before and before not in index.values():
            _file(folder, before).unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(f"--baseline {folder}", error) from error
    return digest


def _file(folder: Path, digest: str) -> Path:
    return folder / f"{digest}.onnx"


def _read(folder: Path) -> dict[str, str]:
    try:
        index: Any = json.loads((folder / INDEX).read_bytes())
    except OSError as error:
        raise BadInputError(
            f"{folder}: holds neither {MODEL} nor {INDEX}; it should be a bundle or a folder that --update made"
        ) from error
    except ValueError as error:
        raise BadInputError(f"{folder / INDEX}: not JSON: {error}") from error
    if not isinstance(index, dict) or not all(_is_digest(value) for value in index.values()):
        raise BadInputError(f'{folder / INDEX}: should be {{"NAME": "SHA256"}}')
    return index


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")
