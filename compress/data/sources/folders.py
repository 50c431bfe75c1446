"""A folder with one folder per class, or with train/, val/ and test/ folders of such."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from compress.artifacts import Split
from compress.data.preparation import MAX_BYTES
from compress.data.samples import Files, Samples, by_class_name, printable
from compress.data.sources import idx
from compress.digests import file_digests
from compress.errors import BadInputError
from compress.files import sha256_json

SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff")
NOT_IMAGES = ("thumbs.db", "desktop.ini", "__macosx")  # what operating systems leave behind, besides hidden files


def claims(spec: str) -> bool:
    """Tell whether `spec` is a folder, but not one of IDX files."""
    return Path(spec).is_dir() and not idx.claims(spec)


def fingerprint(spec: str, memo: Path) -> str:
    """Return the sha256 over the paths and the bytes of all files."""
    root = Path(spec)
    paths = [f"{folder}/{path}" for folder, path in _files(root)]
    digests = file_digests([os.path.join(root, path) for path in paths], memo, MAX_BYTES)  # noqa: PTH118  # there may be many
    return sha256_json(list(zip(paths, digests, strict=True)))


def load(spec: str, group: str) -> Samples:
    """Return the files, their classes and, if the folder has them, their splits.

    A file deeper within a class's folder is of that class. `group` is a regular expression that is searched for in each
    file's path below its class's folder; its first group, or the whole match without groups, names the person or scene.
    """
    root = Path(spec)
    files = list(_files(root))
    if not files:
        raise BadInputError(f"{spec}: has no folders with images; should hold one folder per class")
    splits = [SPLITS[folder.split("/")[0].lower()] for folder, _ in files] if _has_splits(root) else None
    classes, labels = by_class_name([folder.rpartition("/")[2] for folder, _ in files], spec)
    return Samples(
        classes=classes,
        labels=labels,
        images=Files(root, [f"{folder}/{path}" for folder, path in files]),
        splits=splits,
        groups=[_group(group, path) for _, path in files] if group else None,
    )


def _has_splits(root: Path) -> bool:
    """Tell whether there are split folders that hold folders; if they hold none, they are classes with such names."""
    return any(name.lower() in SPLITS and _folders(root / name) for name in _folders(root))


def _files(root: Path) -> Iterator[tuple[str, str]]:
    """Yield each file's class folder, relative to `root`, and its path within that folder, sorted by bytes.

    Raises `BadInputError` for a class without files, for images beside the class folders, for splits without train/ and
    for other folders beside train/.
    """
    folders = _folders(root)
    parents = [root]
    if _has_splits(root):
        _check_splits(root, folders)
        parents += [root / split for split in folders]
        folders = [f"{split}/{name}" for split in folders for name in _folders(root / split)]
    for parent in parents:
        _check_no_images(parent)
    for folder in folders:
        empty = True
        for path in _walk(root / folder, "", ()):
            empty = False
            yield folder, path
        if empty:
            raise BadInputError(f"{printable(str(root / folder))}: a class without files; should hold images")


def _check_splits(root: Path, folders: Sequence[str]) -> None:
    foreign = next((name for name in folders if name.lower() not in SPLITS), None)
    if foreign is not None:
        raise BadInputError(
            f"{printable(str(root / foreign))}: beside train/ there should be only val/ (or validation/) and test/; if "
            "these are classes, put them into a folder train"
        )
    if all(SPLITS[name.lower()] != "train" for name in folders):
        raise BadInputError(f"{printable(str(root))}: has {', '.join(folders)}, but no train; should have one")


def _check_no_images(folder: Path) -> None:
    """Raise `BadInputError` for an image beside the class folders: it has no label, and would be lost silently."""
    for entry in _entries(folder):
        if not _is_folder(entry) and Path(entry.name).suffix.lower() in IMAGE_SUFFIXES:
            where = printable(entry.path)
            raise BadInputError(f"{where}: an image beside the class folders; should be in one of them, or elsewhere")


def _walk(folder: Path, below: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    """Yield the paths of a folder's files, following links; `above` holds the identities of the folders around it."""
    try:
        status = folder.stat()
    except OSError as error:
        raise BadInputError(f"{printable(str(folder))}: {error.strerror}") from error
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        raise BadInputError(f"{printable(str(folder))}: a link that leads back to a folder around it; remove it")
    for entry in _entries(folder):
        path = f"{below}{entry.name}"
        if _is_folder(entry):
            yield from _walk(folder / entry.name, f"{path}/", (*above, identity))
        else:
            yield path


def _folders(folder: Path) -> list[str]:
    return [entry.name for entry in _entries(folder) if _is_folder(entry)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            found = [e for e in entries if not e.name.startswith(".") and e.name.lower() not in NOT_IMAGES]
    except OSError as error:
        raise BadInputError(f"{printable(str(folder))}: {error.strerror}") from error
    return sorted(found, key=lambda entry: os.fsencode(entry.name))


def _group(pattern: str, path: str) -> str:
    try:
        found = re.search(pattern, path)
    except re.error as error:
        raise BadInputError(f"data.group = {pattern!r}: is not a regular expression: {error}") from error
    if found is None:
        raise BadInputError(f"data.group = {pattern!r}: does not match {printable(path)}; should match every file name")
    return found.group(1) if found.re.groups and found.group(1) is not None else found.group(0)
