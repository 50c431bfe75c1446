"""Which folders are classes, which are splits, and which files are in them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compress.artifacts import Split
from compress.data.leftovers import is_left_behind, left_out, sidecar_suffix
from compress.data.names import name_splits, spellings, split_of
from compress.data.samples import printable
from compress.data.splits import SPLITS
from compress.errors import BadInputError
from compress.plural import counted

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff")
FILES_OF_DATA = (".csv", ".tsv", ".parquet", ".npz")
PLAIN = ("train", "training", "val", "valid", "validation", "test", "testing")  # names of splits that need no word
NAMED = 5  # folders in a message


@dataclass(frozen=True)
class ClassFolders:
    """What a folder holds.

    `files` has each file's class folder, relative to the root, and its path within that folder, sorted by bytes.
    `splits` has the split of each folder around class folders; it is empty if the root holds these itself. `notes` are
    lines on what was taken for what, and on what was left out.
    """

    files: Sequence[tuple[str, str]]
    splits: Mapping[str, Split]
    notes: tuple[str, ...]


def find(root: Path) -> ClassFolders:
    """Return the files of all classes, with those of systems and notes left out.

    Raises `BadInputError` for a class without images, for images beside the class folders, for
    other folders beside those of splits, and where it cannot be told which folders are the classes.
    """
    top = _folders(root)
    if not top:
        raise BadInputError(
            f"{_shown(root)}: has no folders with images; should hold one folder per class{_or_file_in(root)}"
        )
    splits = _splits(root, top)
    for parent in [root, *(root / split for split in splits)]:
        _check_no_images(parent)
    folders = [f"{split}/{name}" for split in splits for name in _folders(root / split)] if splits else top
    files: list[tuple[str, str]] = []
    sidecars: Counter[str] = Counter()
    for folder in folders:
        found = list(_walk(root / folder, "", ()))
        suffixes = [sidecar_suffix(path) for path in found]
        images = [path for path, suffix in zip(found, suffixes, strict=True) if not suffix]
        sidecars.update(filter(None, suffixes))
        if not images:
            held = f", but holds {counted(len(found), 'other file')}" if found else ""
            raise BadInputError(f"{_shown(root / folder)}: a class without images{held}; should hold some")
        files += [(folder, path) for path in images]
    _check_levels(root, files, splits)
    notes = [
        *_taken(splits),
        *_empty(splits, folders),
        *left_out(sidecars),
        *spellings(folder.rpartition("/")[2] for folder in folders),
    ]
    return ClassFolders(files, splits, tuple(notes))


def _splits(root: Path, folders: Sequence[str]) -> dict[str, Split]:
    """Return the split of each folder, or nothing if none is a split that holds folders of classes."""
    found = {name: split for name in folders if (split := split_of(name))}
    if not any(_folders(root / name) for name in found):
        if len(found) == len(folders) > 1 or name_splits(folders):
            raise BadInputError(
                f"{_shown(root)}: {_listed(folders)} hold no folders of classes; should be train/ and test/ with one "
                "folder per class in each"
            )
        return {}
    foreign = next((name for name in folders if name not in found), None)
    if foreign is not None:
        raise BadInputError(
            f"{_shown(root / foreign)}: beside train/ there should be only val/ (or validation/) and test/; if these "
            "are classes, put them into a folder train"
        )
    for split in SPLITS:
        of_split = [name for name, it in found.items() if it == split]
        if len(of_split) > 1:
            raise BadInputError(f"{_shown(root)}: {_listed(of_split)} all mean {split}; should be one folder")
    return found


def _check_levels(root: Path, files: Sequence[tuple[str, str]], splits: Mapping[str, Split]) -> None:
    """Raise `BadInputError` if the classes seem to be one level deeper than they were looked for."""
    inner: dict[str, set[str]] = {}
    for folder, path in files:
        if folder.partition("/")[0] not in splits or splits[folder.partition("/")[0]] == "train":
            first, slash, _ = path.partition("/")
            inner.setdefault(folder, set()).add(first if slash else "")
    shared = sorted(set.intersection(*inner.values())) if inner else []
    if len(shared) < 2 or any("" in names for names in inner.values()):  # one cannot be classes
        return
    if len(inner) == 1:
        [only] = inner
        where = f"give {_shown(root / only)}" if not splits else "classes should be directly in the folders of splits"
        raise BadInputError(f"{_shown(root / only)}: is the only class, and holds folders {_listed(shared)}; {where}")
    if splits:
        return
    outer = f"{_shown(root)}: {_listed(list(inner))} all hold the folders {_listed(shared)}"
    if all(split_of(name) for name in shared):
        raise BadInputError(f"{outer}; folders of splits should be outside those of classes")
    raise BadInputError(
        f"{outer}; which are the classes? If the outer ones are, put them into a folder train; if they are splits, "
        f"name them train, val and test; or give one of them, such as {_shown(root / next(iter(inner)))}"
    )


def _empty(splits: Mapping[str, Split], folders: Sequence[str]) -> list[str]:
    """Return a line for each folder of a split that holds no classes: its images are taken from train instead."""
    return [
        f"{_shown(name)}/ holds no folders of classes: {split} is taken from train"
        for name, split in splits.items()
        if not any(folder.startswith(f"{name}/") for folder in folders)
    ]


def _taken(splits: Mapping[str, Split]) -> list[str]:
    """Return a line if folders are taken for splits that have other names than the usual ones."""
    if all(name.lower() in PLAIN for name in splits):
        return []
    taken = [f"{_shown(name)} for {split}" for split in SPLITS for name in splits if splits[name] == split]
    return [f"folders taken for splits: {', '.join(taken)}"]


def _check_no_images(folder: Path) -> None:
    """Raise `BadInputError` for an image beside the class folders: it has no label, and would be lost silently."""
    for entry in _entries(folder):
        if not _is_folder(entry) and Path(entry.name).suffix.lower() in IMAGE_SUFFIXES:
            raise BadInputError(
                f"{_shown(entry.path)}: an image beside the class folders; should be in one of them, or elsewhere"
                f"{_or_file_in(folder)}"
            )


def _or_file_in(folder: Path) -> str:
    """Return the end of a message that names a file in the folder that is data itself, such as a table of images."""
    files = [entry for entry in _entries(folder) if Path(entry.name).suffix.lower() in FILES_OF_DATA]
    return f"; or give {_shown(files[0].path)}" if files else ""


def _walk(folder: Path, below: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    """Yield the paths of a folder's files, following links; `above` holds the identities of the folders around it."""
    try:
        status = folder.stat()
    except OSError as error:
        raise BadInputError(f"{_shown(folder)}: {error.strerror}") from error
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        raise BadInputError(f"{_shown(folder)}: a link that leads back to a folder around it; remove it")
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
            found = [entry for entry in entries if not is_left_behind(entry.name)]
    except OSError as error:
        raise BadInputError(f"{_shown(folder)}: {error.strerror}") from error
    return sorted(found, key=lambda entry: os.fsencode(entry.name))


def _shown(path: str | Path) -> str:
    return printable(str(path))


def _listed(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > NAMED else ""
    return ", ".join(map(_shown, names[:NAMED])) + more
