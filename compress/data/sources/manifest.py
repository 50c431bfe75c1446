"""A table of images: CSV or Parquet with the columns path and label and, if the data has splits, split."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compress.artifacts import Split
from compress.data.decoding import MAX_BYTES
from compress.data.names import canonical, spellings, split_of, stripped
from compress.data.samples import Files, Samples, by_class_name
from compress.digests import file_digests
from compress.errors import BadInputError, first_line
from compress.files import sha256_json

PATH, LABEL, SPLIT = "path", "label", "split"
FORMATS = (".csv", ".parquet")


def claims(spec: str) -> bool:
    """Tell whether the name ends in .csv or .parquet."""
    return Path(spec).suffix.lower() in FORMATS and not Path(spec).is_dir()


def fingerprint(spec: str, memo: Path) -> str:
    """Return the sha256 of the table and the bytes of all files that it names."""
    root, paths = Path(spec).parent, _column(_read(spec), PATH, spec)
    table = file_digests([spec], memo)
    return sha256_json([table, file_digests([root / path for path in paths], memo, MAX_BYTES)])


def load(spec: str, group: str) -> Samples:
    """Return the files, their classes and, if there is a column split, their splits.

    Paths are relative to the table's folder. `group` names a column with each image's person or scene.
    """
    table = _read(spec)
    paths = _column(table, PATH, spec)
    names = _column(table, LABEL, spec)
    classes, labels = by_class_name(names, spec)
    splits = [_split(value, spec) for value in _column(table, SPLIT, spec)] if SPLIT in table else None
    groups = _column(table, group, spec, "data.group = ") if group else None
    groups = [canonical(name) for name in groups] if groups else None
    return Samples(classes, labels, Files(Path(spec).parent, paths), splits, groups, spellings(names))


def _read(spec: str) -> dict[str, list[Any]]:
    """Return the table's columns by their canonical names; a missing value is None, NaN or an empty text."""
    if Path(spec).exists() and not Path(spec).is_file():  # opening a pipe would wait for a writer
        raise BadInputError(f"{spec}: is not a regular file")
    try:
        table = _read_parquet(spec) if Path(spec).suffix.lower() == ".parquet" else _read_csv(spec)
    except OSError as error:
        raise BadInputError(f"{spec}: {error.strerror or error}") from error
    except (ValueError, csv.Error) as error:
        reason = first_line(error)
        raise BadInputError(f"{spec}: cannot be read as a table: {reason}") from error
    if not table or not next(iter(table.values())):
        raise BadInputError(f"{spec}: has no rows; should have a header with {PATH} and {LABEL}, and one row per image")
    return table


def _read_csv(spec: str) -> dict[str, list[Any]]:
    with Path(spec).open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.reader(stream, strict=True)
        header = _header(next(rows, []))
        table: dict[str, list[Any]] = {name: [] for name in header}
        for row in rows:
            if row and len(row) != len(header):
                raise ValueError(f"line {rows.line_num} has {len(row)} values, the header {len(header)}")
            for name, value in zip(header, row, strict=False):
                table[name].append(value)
    return table


def _header(names: Sequence[str]) -> list[str]:
    """Return the canonical names of columns; raises `ValueError` if one is there twice."""
    header = [canonical(name) for name in names]
    if len(set(header)) < len(header):
        raise ValueError(f"the header names a column twice: {', '.join(header)}")
    return header


def _read_parquet(spec: str) -> dict[str, list[Any]]:
    try:
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise BadInputError(f"{spec}: Parquet needs pyarrow: pip install 'compress[parquet]'") from error
    try:
        columns = pyarrow.parquet.read_table(spec).to_pydict()
    except OSError:
        raise
    except Exception as error:  # pyarrow raises many kinds, KeyError and NotImplementedError among them
        raise BadInputError(f"{spec}: cannot be read as a table: {first_line(error)}") from error
    return dict(zip(_header(list(columns)), columns.values(), strict=True))


def _column(table: dict[str, list[Any]], name: str, spec: str, key: str = "") -> list[str]:
    """Return a column's values as text without spaces around them; raises `BadInputError` if one is missing."""
    values = table.get(canonical(name))
    if values is None:
        raise BadInputError(f"{spec}: {key}{name}: there is no such column, only {', '.join(table)}")
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


def _split(value: str, spec: str) -> Split:
    if (split := split_of(value)) is None:
        raise BadInputError(f"{spec}: column {SPLIT}: {value!r} should be train, validation or test")
    return split
