"""A table of images: CSV or Parquet with the columns path and label and, if the data has splits, split."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from compress.artifacts import Split
from compress.data.preparation import MAX_BYTES
from compress.data.samples import Files, Samples, by_class_name
from compress.data.sources.folders import SPLITS
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
    classes, labels = by_class_name(_column(table, LABEL, spec), spec)
    splits = [_split(value, spec) for value in _column(table, SPLIT, spec)] if SPLIT in table else None
    if splits and "train" not in splits:
        raise BadInputError(f"{spec}: column {SPLIT}: no image is in train")
    groups = _column(table, group, spec, "data.group = ") if group else None
    return Samples(classes, labels, Files(Path(spec).parent, paths), splits, groups)


def _read(spec: str) -> dict[str, list[str]]:
    """Return the table's columns, every value as text; missing values are empty."""
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


def _read_csv(spec: str) -> dict[str, list[str]]:
    with Path(spec).open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.reader(stream, strict=True)
        header = next(rows, [])
        if len(set(header)) < len(header):
            raise ValueError(f"the header names a column twice: {', '.join(header)}")
        table: dict[str, list[str]] = {name: [] for name in header}
        for row in rows:
            if row and len(row) != len(header):
                raise ValueError(f"line {rows.line_num} has {len(row)} values, the header {len(header)}")
            for name, value in zip(header, row, strict=False):
                table[name].append(value)
    return table


def _read_parquet(spec: str) -> dict[str, list[str]]:
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
    return {name: ["" if value is None else str(value) for value in values] for name, values in columns.items()}


def _column(table: dict[str, list[str]], name: str, spec: str, key: str = "") -> list[str]:
    if name not in table:
        raise BadInputError(f"{spec}: {key}{name}: there is no such column, only {', '.join(table)}")
    values: Sequence[str] = table[name]
    missing = next((i for i, value in enumerate(values, start=1) if not value), None)
    if missing is not None:
        raise BadInputError(f"{spec}: row {missing} has no {name}")
    return list(values)


def _split(value: str, spec: str) -> Split:
    if value.lower() not in SPLITS:
        raise BadInputError(f"{spec}: column {SPLIT}: {value!r} should be train, validation or test")
    return SPLITS[value.lower()]
