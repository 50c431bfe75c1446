"""A table of images: CSV or Parquet with the columns path and label and, if the data has splits, split."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from compress.artifacts import Split
from compress.data.decoding import MAX_BYTES
from compress.data.names import canonical, spellings, split_of, stripped
from compress.data.samples import Files, Samples, by_class_name, printable
from compress.data.table_files import PARQUET, TEXT, Table, read, simplified
from compress.digests import file_digests
from compress.errors import BadInputError
from compress.files import sha256_json

# Simplified names of columns. The first is the documented one; if a table lacks it, another one may stand for it.
PATH = ("path", "filename", "filepath", "file", "image", "imagename", "imagepath", "imagefile", "img", "imgpath")
LABEL = ("label", "class", "classname", "category", "target")
SPLIT = "split"
WHOLE_NUMBER = re.compile(r"(-?\d+)[.,]0+")


def claims(spec: str) -> bool:
    """Tell whether the name ends in .csv, .tsv or .parquet."""
    return Path(spec).suffix.lower() in (*TEXT, PARQUET) and not Path(spec).is_dir()


def fingerprint(spec: str, memo: Path, root: str = "") -> str:
    """Return the sha256 of the table and the bytes of all files that it names."""
    table, folder = _read(spec), _folder(spec, root)
    paths = _paths(table, folder, spec)
    return sha256_json([file_digests([spec], memo), file_digests([folder / path for path in paths], memo, MAX_BYTES)])


def load(spec: str, group: str, root: str = "") -> Samples:
    """Return the files, their classes and, if there is a column split, their splits.

    Paths are relative to the folder `root`, by default the table's. `group` names a column with each image's person or
    scene.
    """
    table, folder = _read(spec), _folder(spec, root)
    paths = _paths(table, folder, spec)
    _check_found(folder, paths, spec, root)
    path, label = _named(table, PATH, spec), _named(table, LABEL, spec)
    names, number_note = _whole_numbers(_column(table, label, spec))
    classes, labels = by_class_name(names, spec)
    split, split_note = _split_column(table, {path, label})
    splits = [_split(value, split, spec) for value in _column(table, split, spec)] if split else None
    groups = [canonical(name) for name in _column(table, _like(table, group), spec, "data.group = ")] if group else None
    taken = [
        f"column {name!r} is taken for {words[0]}"
        for name, words in ((path, PATH), (label, LABEL))
        if simplified(name) != words[0]
    ]
    notes = [*table.notes, *taken, *split_note, *number_note, *spellings(names)]
    return Samples(classes, labels, Files(folder, paths), splits, groups, notes)


def _read(spec: str) -> Table:
    return read(spec, {*PATH, *LABEL, SPLIT})


def _folder(spec: str, root: str) -> Path:
    return Path(root) if root else Path(spec).parent


def _paths(table: Table, folder: Path, spec: str) -> list[str]:
    """Return the paths of images as they are on disk."""
    return [_on_disk(folder, path) for path in _column(table, _named(table, PATH, spec, folder), spec)]


def _on_disk(folder: Path, path: str) -> str:
    """Return a path in the form that is there: with backslashes for slashes, or in another of Unicode's forms."""
    if path.isascii() and "\\" not in path:
        return path
    slashed = path.replace("\\", "/")
    forms = (path, slashed, unicodedata.normalize("NFC", slashed), unicodedata.normalize("NFD", slashed))
    return next((form for form in forms if _is_there(folder, form)), slashed)


def _is_there(folder: Path, path: str) -> bool:
    try:
        return os.path.exists(os.path.join(folder, path))  # noqa: PTH110, PTH118  # there may be many
    except ValueError:  # a null character
        return False


def _check_found(folder: Path, paths: Sequence[str], spec: str, root: str) -> None:
    """Raise `BadInputError`, which says where the files were looked for, if none of them is there."""
    if any(_is_there(folder, path) for path in paths):
        return
    where = "data.root" if root else "the table's folder, or to that of --set data.root=FOLDER"
    hint = ""
    if any(_is_there(Path(), path) for path in islice(paths, 1)):
        hint = "; they are in the current folder: --set data.root=."
    elif not any(Path(path).suffix for path in paths):
        hint = "; the names have no ending such as .jpg"
    raise BadInputError(
        f"{spec}: none of its {len(paths):,} files is in {printable(str(folder.resolve()))}, such as "
        f"{printable(paths[0])}; paths are relative to {where}{hint}"
    )


def _named(table: Table, words: Sequence[str], spec: str, folder: Path | None = None) -> str:
    """Return the column with the first of these names or, if there is none, with one of the others.

    Raises `BadInputError` if there is none or more than one; with `folder`, also says whether there is no header.
    """
    if words[0] in table.columns:
        return words[0]
    found = [name for name in table.columns if simplified(name) in words]
    first = [name for name in found if simplified(name) == words[0]]
    if len(first or found) == 1:
        return (first or found)[0]
    if found:
        raise BadInputError(f"{spec}: has columns {' and '.join(found)}; one of them should be named {words[0]}")
    header = ", ".join(table.columns)
    if folder is not None and any(_is_there(folder, name.replace("\\", "/")) for name in table.columns):
        raise BadInputError(f"{spec}: has no header, but begins with {header}; its first line should be path,label")
    others = ", ".join(words[1:5])
    raise BadInputError(f"{spec}: {words[0]}: there is no such column, only {header}; should be {words[0]} or {others}")


def _like(table: Table, name: str) -> str:
    """Return the column that a setting names, whatever its case and spaces, or the name if there is none."""
    if canonical(name) in table.columns:
        return canonical(name)
    return next((column for column in table.columns if simplified(column) == simplified(name)), name)


def _split_column(table: Table, others: set[str]) -> tuple[str | None, list[str]]:
    """Return the column of splits, if there is one, and a line if it has another name: its values tell."""
    for name in table.columns:
        if simplified(name) == SPLIT:
            return name, []
    for name, values in table.columns.items():
        if name not in others and all(isinstance(value, str) and split_of(value) for value in values):
            return name, [f"column {name!r} is taken for {SPLIT}"]
    return None, []


def _whole_numbers(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return labels without decimals if all are whole numbers, and a line that says so.

    Programs write integers as 1.0 where other rows of their column are missing.
    """
    numbers = [WHOLE_NUMBER.fullmatch(name) for name in names]
    if not all(numbers):
        return list(names), []
    return [number[1] for number in numbers if number], [f"labels such as {names[0]} are taken for whole numbers"]


def _column(table: Table, name: str, spec: str, key: str = "") -> list[str]:
    """Return a column's values as text without spaces around them; raises `BadInputError` if one is missing."""
    values = table.columns.get(name)
    if values is None:
        raise BadInputError(f"{spec}: {key}{name}: there is no such column, only {', '.join(table.columns)}")
    texts = []
    for row, value in enumerate(values, start=1):
        text = _as_text(value)
        if text is None:
            kind = type(value).__name__
            raise BadInputError(
                f"{spec}: row {row}: {name} = {str(value)!r:.50}, a {kind}; should be text or an integer"
            )
        if not text:
            raise BadInputError(f"{spec}: row {row} has no {name}")
        texts.append(text)
    return texts


def _as_text(value: Any) -> str | None:
    """Return a value as text, empty if it is missing, or None if its type is none that names have.

    Integers become floats where other rows of their column are missing.
    """
    if value is None or value != value:
        return ""
    if isinstance(value, bytes):
        return stripped(value.decode("utf-8", "surrogateescape"))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return stripped(str(value)) if isinstance(value, str | int) else None


def _split(value: str, column: str, spec: str) -> Split:
    if (split := split_of(value)) is None:
        raise BadInputError(f"{spec}: column {column}: {value!r} should be train, validation or test")
    return split
