"""External data: tensors of an ONNX model that are stored in other files, in the model's folder or below it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

from compress.errors import BadInputError

KEY = b"location"  # names a tensor's file


def may_have_external_data(model: bytes) -> bool:
    """Return False if a model's bytes surely hold all its tensors; these bytes can also be part of a name or weight."""
    return KEY in model


def external_locations(model: bytes, file: Path) -> list[str]:
    """Return where the external data of a model's bytes are, each file once, as paths relative to the folder of `file`.

    Raises `BadInputError` if a path is absolute or leads out of that folder, if there is no such file, or if a tensor
    would begin before or end after it. A file that links lead to counts as beside the model if it is in the folder of
    the file that a link to the model leads to, as in the cache of the Hugging Face Hub.
    """
    if not may_have_external_data(model):
        return []
    from compress.onnx_tools.check import is_external, parse, stored_bytes, tensors

    found: dict[str, int] = {}
    for tensor in tensors(parse(model, str(file))):
        if is_external(tensor):
            entries = {entry.key: entry.value for entry in tensor.external_data}
            location = entries.get("location", "")
            shown = f"{file}: the data of {tensor.name[:80]!r}"
            if location not in found:
                found[location] = _size(file, location, shown)
            declared = stored_bytes(tensor, str(file))
            _check_range(entries, declared, found[location], f"{shown} in {location[:80]!r}", list(tensor.dims))
    return list(found)


def _size(file: Path, location: str, shown: str) -> int:
    """Return the size in bytes of a file with external data."""
    outside = PureWindowsPath(location).drive or PurePosixPath(location).is_absolute()
    if outside or ".." in PureWindowsPath(location).parts or not location.strip("./"):
        raise BadInputError(f"{shown} is at {location[:80]!r}; it should be a file in the model's folder")
    data = file.parent / location
    try:
        real = data.resolve(strict=True)
        if not real.is_file() or real == file.resolve():
            raise BadInputError(f"{shown} is at {data}, which is no data file")
        if not any(real.is_relative_to(folder) for folder in (file.parent.resolve(), file.resolve().parent)):
            raise BadInputError(f"{shown} is at {data}, a link that leads out of the model's folder")
        return real.stat().st_size
    except (OSError, RuntimeError, ValueError) as error:  # links in a loop; a null byte in a name
        why = getattr(error, "strerror", None) or error
        raise BadInputError(f"{shown} is at {data}: {why}; keep it beside the model") from error


def _check_range(entries: Mapping[str, str], declared: int, size: int, shown: str, shape: list[int]) -> None:
    """Raise `BadInputError` unless a tensor of `declared` bytes lies within a file of `size` bytes."""
    try:
        offset, length = int(entries.get("offset") or 0), int(entries.get("length") or declared)
    except ValueError as error:
        raise BadInputError(f"{shown} has an offset or a length that is not a number") from error
    if length != declared:
        raise BadInputError(f"{shown} has {length:,} bytes, but its shape {shape} needs {declared:,}")
    if offset < 0 or offset + length > size:
        raise BadInputError(f"{shown} would be bytes {offset:,} to {offset + length:,}; the file has {size:,}")
