"""Reading bundles that are to be compared."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from compress.bundle.answers import read_answers
from compress.bundle.contents import ANSWERS, read_part
from compress.errors import BadInputError
from compress.report.compare import Side, check
from compress.report.file import FILE, read

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SETTINGS = "config.toml"


def sides_of(folders: Sequence[Path]) -> list[Side]:
    """Return what is compared of each bundle.

    Raises `BadInputError` if one is damaged, or if they cannot be compared.
    """
    names = [
        folder.name if [other.name for other in folders].count(folder.name) == 1 else str(folder) for folder in folders
    ]
    sides = [_side(folder, name) for folder, name in zip(folders, names, strict=True)]
    check(sides)
    return sides


def _side(folder: Path, name: str) -> Side:
    report = read(folder / FILE)
    settings = dict(_flat(_toml(folder)))
    if not (folder / ANSWERS).exists():
        return Side(name, report, settings)
    labels, answers = read_answers(folder, report)
    deployed = [model.id for model in report.models].index(report.deployed)
    return Side(name, report, settings, labels, answers[deployed])


def _toml(folder: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_part(folder, SETTINGS).decode())
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{folder / SETTINGS}: is not TOML: {error}") from error


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
