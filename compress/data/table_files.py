"""Tables as their files hold them: CSV in its dialects and encodings, and Parquet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.data.array_samples import check_memory
from compress.data.kinds import BEGIN, kind_by_bytes
from compress.data.names import canonical, stripped
from compress.errors import BadInputError, first_line
from compress.files import BYTE_ORDER_MARKS, decoded
from compress.plural import counted
from compress.untrusted import check_fetched

TEXT, PARQUET = (".csv", ".tsv"), ".parquet"
DELIMITERS = ",;\t|"
SEP = re.compile(r'"?sep=([^\w\s"]|\t)"?[^\S\r\n]*(\r\n|\r|\n)', re.IGNORECASE)  # Excel's line before the header
PREAMBLE = re.compile(r"\s*#[^\r\n]*(\r\n|\r|\n)|[^\S\r\n]*(\r\n|\r|\n)")  # a comment, or nothing
WINDOWS = "cp1252"
EXPANSION = 12  # times a table's size that its values take in memory
MAX_HEADER = 1 << 16  # characters
SHOWN = 40  # characters of an example


@dataclass(frozen=True)
class Table:
    """A table's columns by their canonical names; a missing value is None, NaN or an empty text.

    `notes` are lines on what was guessed of the file.
    """

    columns: dict[str, list[Any]]
    notes: tuple[str, ...] = ()


def simplified(name: str) -> str:
    """Return a column's name as it is compared: without case, spaces and punctuation."""
    return re.sub(r"[\W_]+", "", canonical(name).casefold())


def read(spec: str, known: Collection[str]) -> Table:
    """Return the table in a file; raises `BadInputError`, also for one without rows.

    `known` are simplified names of columns that a header may have, which tell what separates its values.
    """
    file = Path(spec)
    if file.exists() and not file.is_file():  # opening a pipe would wait for a writer
        raise BadInputError(f"{spec}: is not a regular file")
    try:
        table = _read_parquet(spec) if file.suffix.lower() == PARQUET else _read_text(file, known)
    except OSError as error:
        raise BadInputError(f"{spec}: {error.strerror or error}") from error
    except (ValueError, csv.Error) as error:
        raise BadInputError(f"{spec}: cannot be read as a table: {first_line(error)}") from error
    if not table.columns or not next(iter(table.columns.values())):
        raise BadInputError(f"{spec}: has no rows; should have a header with path and label, and one row per image")
    return table


def _read_text(file: Path, known: Collection[str]) -> Table:
    check_memory(file.stat().st_size * EXPANSION, str(file))
    data = file.read_bytes()
    check_fetched(data, str(file))
    if kind := kind_by_bytes(data[:BEGIN]):
        raise BadInputError(f"{file}: {kind}")
    text, notes = _decoded(data)
    begin, delimiters = 0, "\t,;|" if file.suffix.lower() == ".tsv" else DELIMITERS
    if sep := SEP.match(text):
        begin, delimiters = sep.end(), sep[1]
    while before := PREAMBLE.match(text, begin):
        begin = before.end()
    delimiter = max(delimiters, key=lambda delimiter: _fit(text[begin:], delimiter, known))
    return Table(_columns(text, begin, delimiter), tuple(notes))


def _decoded(data: bytes) -> tuple[str, list[str]]:
    """Return a file's text, and a line if its encoding had to be guessed; raises `ValueError` if it cannot be."""
    marked = data.startswith(tuple(BYTE_ORDER_MARKS))
    for encoding, zeros in (("utf-16-le", data[1:BEGIN:2]), ("utf-16-be", data[0:BEGIN:2])):
        if zeros and not marked and not any(zeros):
            return data.decode(encoding), ["the table has no byte order mark, and is read as UTF-16"]
    try:
        return decoded(data), []
    except UnicodeDecodeError:
        if marked:
            raise
    try:
        text = data.decode(WINDOWS)
    except UnicodeDecodeError:
        raise ValueError("is neither UTF-8 nor Windows-1252; should be saved as UTF-8") from None
    [example] = re.findall(r"[^\s,;|]*[^\x00-\x7f][^\s,;|]*", text)[:1]
    return text, [f"the table is not UTF-8, and is read as Windows-1252: does it say {example[:SHOWN]!r}?"]


def _rows(text: str, delimiter: str) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)


def _fit(text: str, delimiter: str, known: Collection[str]) -> tuple[int, int]:
    """Return how many columns of a header are known if this separates them, and how many it has."""
    try:
        header: list[str] = next(_rows(text[:MAX_HEADER], delimiter), [])
    except csv.Error:
        return (0, 0)
    return (sum(simplified(name) in known for name in header), len(header))


def _columns(text: str, begin: int, delimiter: str) -> dict[str, list[Any]]:
    """Return the columns of the text from `begin` on, without those that have no name and rows that are empty."""
    rows = _rows(text[begin:], delimiter)
    before = len(text[:begin].splitlines())
    header = _header(next(rows, []))
    table: dict[str, list[Any]] = {name: [] for name in header if name}
    for row in rows:
        if not any(map(stripped, row)):
            continue
        if len(row) < len(header) or any(map(stripped, row[len(header) :])):
            line = before + rows.line_num
            raise ValueError(f"line {line} has {counted(len(row), 'value')}, the header {len(header)}")
        for name, value in zip(header, row, strict=False):
            if name:
                table[name].append(value)
    return table


def _header(names: Sequence[str]) -> list[str]:
    """Return the canonical names of columns; raises `ValueError` if one is there twice."""
    header = [canonical(name) for name in names]
    named = [name for name in header if name]
    if len(set(named)) < len(named):
        raise ValueError(f"the header names a column twice: {', '.join(header)}")
    return header


def _read_parquet(spec: str) -> Table:
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
    return Table(dict(zip(_header(list(columns)), columns.values(), strict=True)))
