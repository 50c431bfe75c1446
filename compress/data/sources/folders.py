"""A folder with one folder per class, or with train/, val/ and test/ folders of such."""

from __future__ import annotations

import os
import re
from pathlib import Path

from compress.data import class_folders
from compress.data.decoding import MAX_BYTES
from compress.data.names import canonical
from compress.data.samples import Files, Samples, by_class_name, printable
from compress.data.sources import array_files, idx
from compress.digests import file_digests
from compress.errors import BadInputError
from compress.files import sha256_json


def claims(spec: str) -> bool:
    """Tell whether `spec` is a folder, but not one of IDX files or of arrays."""
    return Path(spec).is_dir() and not idx.claims(spec) and not array_files.claims(spec)


def fingerprint(spec: str, memo: Path) -> str:
    """Return the sha256 over the paths and the bytes of all files."""
    root = Path(spec)
    paths = [f"{folder}/{path}" for folder, path in class_folders.find(root).files]
    digests = file_digests([os.path.join(root, path) for path in paths], memo, MAX_BYTES)  # noqa: PTH118  # there may be many
    return sha256_json(list(zip(paths, digests, strict=True)))


def load(spec: str, group: str) -> Samples:
    """Return the files, their classes and, if the folder has them, their splits.

    A file deeper within a class's folder is of that class. `group` is a regular expression that is searched for in each
    file's path below its class's folder; its first group, or the whole match without groups, names the person or scene.
    """
    root = Path(spec)
    found = class_folders.find(root)
    files, splits = found.files, found.splits
    classes, labels = by_class_name([folder.rpartition("/")[2] for folder, _ in files], spec)
    return Samples(
        classes=classes,
        labels=labels,
        images=Files(root, [f"{folder}/{path}" for folder, path in files]),
        splits=[splits[folder.partition("/")[0]] for folder, _ in files] if splits else None,
        groups=[_group(group, path) for _, path in files] if group else None,
        notes=found.notes,
    )


def _group(pattern: str, path: str) -> str:
    try:
        found = re.search(pattern, canonical(path))
    except re.error as error:
        raise BadInputError(f"data.group = {pattern!r}: is not a regular expression: {error}") from error
    if found is None:
        raise BadInputError(f"data.group = {pattern!r}: does not match {printable(path)}; should match every file name")
    return canonical(found.group(1) if found.re.groups and found.group(1) is not None else found.group(0))
