"""Reading bundles that are to be compared."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from compress.bundle.answers import read_answers
from compress.bundle.contents import ANSWERS, read_part
from compress.data.samples import printable
from compress.errors import BadInputError, first_line
from compress.report.compare import Side, check
from compress.report.file import FILE, read
from compress.toml import flat

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SETTINGS = "config.toml"


def sides_of(folders: Sequence[Path]) -> list[Side]:
    """Return what is compared of each bundle.

    Raises `BadInputError` if one is damaged, or if they cannot be compared.
    """
    own = [folder.resolve().name for folder in folders]
    names = [name if own.count(name) == 1 else str(folder) for name, folder in zip(own, folders, strict=True)]
    sides = [_side(folder, printable(name)) for folder, name in zip(folders, names, strict=True)]
    check(sides)
    return sides


def _side(folder: Path, name: str) -> Side:
    report, settings = read(folder / FILE), _settings(folder)
    if not (folder / ANSWERS).exists():
        return Side(name, report, settings)
    labels, answers = read_answers(folder, report)
    deployed = [model.id for model in report.models].index(report.deployed)
    return Side(name, report, settings, labels, answers[deployed].astype(np.int64))


def _settings(folder: Path) -> dict[str, str]:
    """Return a bundle's settings by dotted key, each value as text; raises `BadInputError` if the file is not TOML."""
    try:
        values = flat(tomllib.loads(read_part(folder, SETTINGS).decode()))
        return {printable(key): printable(str(value)) for key, value in values}
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{folder / SETTINGS}: is not TOML: {first_line(error)}") from error
