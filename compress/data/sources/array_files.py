"""A folder of arrays, one a file: x_train.npy, y_train.npy and so on, or, as KMNIST has, .npz of one array each."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from compress.arrays import array_size, open_npz, read_member, read_npy
from compress.data.array_names import NAME, layout
from compress.data.array_samples import Part, array_samples, check_memory, checked_names, refuse_groups
from compress.data.samples import Samples
from compress.data.sources import idx
from compress.digests import file_digests
from compress.errors import BadInputError
from compress.files import sha256_json

NPY, NPZ = ".npy", ".npz"
OF_A_SET = re.compile(rf".+?[-_.](?P<name>{NAME.pattern})")  # such as kmnist-train-imgs


def claims(spec: str) -> bool:
    """Tell whether `spec` is a folder without folders, but with arrays of images and of labels by their names."""
    matches = [match for name in _named(Path(spec)) if (match := NAME.fullmatch(name.lower()))]
    return len({match["images"] is None for match in matches}) == 2 and not idx.claims(spec)


def fingerprint(spec: str, memo: Path) -> str:
    """Return the sha256 of the names and bytes of all arrays."""
    files = sorted(file for files in _named(Path(spec)).values() for file in files)
    return sha256_json(list(zip(files, file_digests([Path(spec) / file for file in files], memo), strict=True)))


def load(spec: str, group: str) -> Samples:
    """Return the images, their classes and, if the names of files state splits, their splits, as from one .npz."""
    refuse_groups(group)
    files = _named(Path(spec))
    for name, several in files.items():
        if len(several) > 1:
            raise BadInputError(f"{spec}: {' and '.join(several[:2])} are both {name!r}; should be one file")
    try:
        names = layout(files)
    except ValueError as error:
        raise BadInputError(f"{spec}: {error}") from error

    def array(name: str) -> np.ndarray:
        return _read(Path(spec) / files[name][0])

    parts = {split: Part(array(x), array(y), files[x][0], files[y][0]) for split, (x, y) in names.pairs.items()}
    classes = checked_names(array(names.classes), f"{spec}: {files[names.classes][0]}") if names.classes else ()
    samples = array_samples(spec, parts, classes)
    return replace(samples, notes=[*names.notes, *samples.notes])


def _named(folder: Path) -> dict[str, list[str]]:
    """Return the files of arrays in a folder by the names of the arrays; none if there are folders in it."""
    found: dict[str, list[str]] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_dir() and not entry.name.startswith("."):
                    return {}
                path = Path(entry.name)
                if path.suffix.lower() in (NPY, NPZ) and not entry.name.startswith("."):
                    of_a_set = None if NAME.fullmatch(path.stem.lower()) else OF_A_SET.fullmatch(path.stem.lower())
                    found.setdefault(of_a_set["name"] if of_a_set else path.stem, []).append(entry.name)
    except OSError:
        return {}
    return found


def _read(file: Path) -> np.ndarray:
    """Return the one array in a file; raises `BadInputError` for another number, and as `array_size` does."""
    if file.suffix.lower() == NPY:
        return read_npy(file, str(file), partial(check_memory, what=str(file)))
    with open_npz(file, str(file)) as archive:
        names = [name.removesuffix(NPY) for name in archive.namelist() if name.endswith(NPY)]
        if len(names) != 1:
            raise BadInputError(f"{file}: holds {len(names)} arrays; should hold one, as it is one of several files")
        check_memory(array_size(archive, names[0], file.stat().st_size, str(file)), str(file))
        return read_member(archive, names[0], str(file))
