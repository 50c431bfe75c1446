"""What a model is compared with: an ONNX file, a bundle, or a folder of baselines.

A folder of baselines holds the ONNX files, each named by its sha256, and an index of which one belongs to which model.
A model with external data has a folder of its own:

    baselines.json         {"NAME": "SHA256"}
    SHA256.onnx
    SHA256/SHA256.onnx     and beside it the external data, under the names that the model states
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compress.errors import BadInputError, cannot_write
from compress.files import write_file
from compress.latency.model_files import MODEL, data_of, digest, name_and_file

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
    if digest(file) != index[name]:
        raise BadInputError(f"{file}: its sha256 is another; restore the file, or replace it with --update")
    return file


def update(folder: Path, name: str, file: Path) -> str:
    """Make a file the baseline of `name` in a folder of baselines; return its sha256.

    External data are copied too. The previous baseline is deleted unless it is still another model's. Raises
    `BadInputError` if `folder` is a file or a bundle, and if `file` is not an ONNX model.
    """
    from compress.onnx_tools.check import parse  # imports onnx, which only an update needs

    parse(file.read_bytes(), str(file))
    if folder.is_file() or (folder / MODEL).exists():
        raise BadInputError(f"--update: --baseline {folder} should be a folder of baselines")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        index = _read(folder) if (folder / INDEX).exists() or any(folder.glob("*.onnx")) else {}
        before, after = index.get(name), digest(file)
        if not _is_intact(folder, after):
            _copy(file, folder, after)
        index[name] = after
        write_file(folder / INDEX, (json.dumps(dict(sorted(index.items())), indent=2) + "\n").encode())
        if before and before not in index.values():
            (folder / f"{before}.onnx").unlink(missing_ok=True)
            shutil.rmtree(folder / before, ignore_errors=True)
    except OSError as error:
        raise cannot_write(f"--baseline {folder}", error) from error
    return after


def _file(folder: Path, sha256: str) -> Path:
    alone, with_data = folder / f"{sha256}.onnx", folder / sha256 / f"{sha256}.onnx"
    return with_data if with_data.is_file() else alone


def _is_intact(folder: Path, sha256: str) -> bool:
    try:
        return digest(_file(folder, sha256)) == sha256
    except BadInputError:  # it is missing, or its external data are
        return False


def _copy(file: Path, folder: Path, sha256: str) -> None:
    """Copy a model, and before it its external data."""
    locations = data_of(file)
    target = folder / sha256 if locations else folder
    for location in locations:
        (target / location).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file.parent / location, target / location)
    shutil.copyfile(file, target / f"{sha256}.onnx")


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
