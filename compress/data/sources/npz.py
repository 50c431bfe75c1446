"""One .npz file of arrays: images and labels, or x_train, y_train, x_test and y_test, or whatever these are called.

The format is NumPy's (NEP 1, 2007): a zip whose members are .npy files, a header with type and shape before the bytes.
Nothing is unpickled, and no size in a header is trusted before it has been compared with the file's.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from compress.arrays import array_size, open_npz, read_member
from compress.data.array_names import layout
from compress.data.array_samples import Part, array_samples, check_memory, checked_names, refuse_groups
from compress.data.samples import Samples
from compress.data.sources import array_files
from compress.digests import file_digests
from compress.errors import BadInputError
from compress.files import sha256_json


def claims(spec: str) -> bool:
    """Tell whether `spec` ends in .npz."""
    return Path(spec).suffix.lower() == ".npz" and not Path(spec).is_dir()


def fingerprint(spec: str, memo: Path) -> str:
    """Return the sha256 of the file."""
    return sha256_json(file_digests([_existing(spec)], memo))


def load(spec: str, group: str) -> Samples:
    """Return the images, their classes and, if there are x_train, x_test and perhaps x_val, their splits.

    Images may be whatever `checked_images` accepts. Labels are integers, one-hot rows or text; if an array `classes`
    holds names, labels are indices into it. `layout` tells which array is what.
    """
    refuse_groups(group)
    file = _existing(spec)
    with open_npz(file, spec) as archive:
        held = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
        try:
            names = layout(held)
        except ValueError as error:
            folder = file.parent
            hint = f"; or give the folder {folder}, which holds more" if array_files.claims(str(folder)) else ""
            raise BadInputError(f"{spec}: {error}{hint}") from error
        wanted = [name for pair in names.pairs.values() for name in pair] + ([names.classes] if names.classes else [])
        check_memory(sum(array_size(archive, name, file.stat().st_size, f"{file}: {name}") for name in wanted), spec)
        arrays = {name: read_member(archive, name, f"{spec}: {name}") for name in wanted}
    parts = {split: Part(arrays[x], arrays[y], x, y) for split, (x, y) in names.pairs.items()}
    classes = checked_names(arrays[names.classes], f"{spec}: {names.classes}") if names.classes else ()
    samples = array_samples(spec, parts, classes)
    return replace(samples, notes=[*names.notes, *samples.notes])


def _existing(spec: str) -> Path:
    if not Path(spec).is_file():
        raise BadInputError(f"{spec}: no such file")
    return Path(spec)
